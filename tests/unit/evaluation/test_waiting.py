"""Where a run sleeps: what it asks for more workers on, and that commits do not come for each job that ran long."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from typing import Any

import pytest

from redun import Scheduler, task
from redun.evaluation import recorder, waiting
from redun.evaluation.waiting import Waiting
from redun.executors.local import LocalExecutor
from redun.store.repository import Store

redun_namespace = "waiting"


class Clock:
    """Time, and the queue that takes it: each entry is (seconds asleep, seconds of CPU meanwhile, what comes then)."""

    def __init__(self, sleeps: Iterable[tuple[float, float, Any]]) -> None:
        self.now = self.cpu = 0.0
        self.sleeps = list(sleeps)

    def monotonic(self) -> float:
        return self.now

    def process_time(self) -> float:
        return self.cpu

    def get(self, timeout: float | None) -> Any:
        asleep_s, cpu_s, comes = self.sleeps.pop(0)
        if timeout is not None and timeout < asleep_s:
            self.sleeps.insert(0, (asleep_s - timeout, cpu_s, comes))
            self.now += timeout
            raise waiting.Empty
        self.now += asleep_s
        self.cpu += cpu_s
        return comes


def growths(monkeypatch: pytest.MonkeyPatch, sleeps: Iterable[tuple[float, float, Any]]) -> list[bool]:
    clock: Any = Clock(sleeps)
    monkeypatch.setattr(waiting, "time", clock)
    sleeper = Waiting()
    found = []
    while clock.sleeps:
        sleeper.get(clock, None, 0.001)
        found.append(sleeper.wants_workers)
    return found


def test_long_jobs_want_workers(monkeypatch: pytest.MonkeyPatch) -> None:
    assert growths(monkeypatch, [(0.0035, 0.0035, "job")])[:3] == [True, True, True]


def test_quick_jobs_want_none(monkeypatch: pytest.MonkeyPatch) -> None:
    assert not any(growths(monkeypatch, [(0.0001, 0.0001, "job")] * 100))


def test_jobs_that_sleep_themselves_want_workers_however_often_one_comes_back(monkeypatch: pytest.MonkeyPatch) -> None:
    found = growths(monkeypatch, [(0.0001, 0.00002, "job")] * 100)
    assert 8 <= sum(found) <= 12


def test_what_nobody_waits_for_wants_none(monkeypatch: pytest.MonkeyPatch) -> None:
    clock: Any = Clock([(5, 0, "job"), (5, 0, "job")])
    monkeypatch.setattr(waiting, "time", clock)
    sleeper = Waiting()
    for _ in range(2):
        assert sleeper.get(clock, None, None) == "job"
        assert not sleeper.wants_workers


MEET = threading.Barrier(100)


@task()
def meet(x: int) -> int:
    MEET.wait()
    return x


@task()
def meeting(n: int) -> list[int]:
    return [meet(i) for i in range(n)]


def test_a_hundred_threads_are_reached_when_a_hundred_jobs_wait() -> None:
    scheduler = Scheduler(config={"executors": {"default": {"type": "local", "max_workers": "100"}}}, logger=False)
    assert scheduler.run(meeting(100)) == list(range(100))


def test_a_system_without_more_threads_is_made_do_with(monkeypatch: pytest.MonkeyPatch) -> None:
    start = threading.Thread.start
    started = 0

    def refuse(thread: threading.Thread) -> None:
        nonlocal started
        if thread.name.startswith("redun-default"):
            started += 1
            if started > 3:
                raise RuntimeError("can't start new thread")
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", refuse)
    executor = LocalExecutor("default", config={"max_workers": 50})
    assert Scheduler(executor=executor, logger=False).run(slowly(20)) == list(range(20))
    # It is not asked for what is not there again and again.
    assert started <= 8


@task()
def slow(x: int) -> int:
    threading.Event().wait(0.004)
    return x


@task()
def slowly(n: int) -> list[int]:
    return [slow(i) for i in range(n)]


@task()
def increase(x: int) -> int:
    return x + 1


def test_many_jobs_that_ran_long_share_commits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recorder, "LONG_US", -1)
    monkeypatch.setattr(recorder, "QUIET_S", 1000.0)
    monkeypatch.setattr(recorder, "BUSY_S", 1000.0)
    store = Store.in_memory()
    commit = store.source.commit
    commits: list[Any] = []

    def count(batch: Any) -> None:
        commits.append(batch)
        commit(batch)

    monkeypatch.setattr(store.source, "commit", count)
    expr: Any = 0
    for _ in range(50):
        expr = increase(expr)
    assert Scheduler(store=store, logger=False).run(expr) == 50
    # The begin and the end; the pause since the first is not over.
    assert len(commits) == 2
