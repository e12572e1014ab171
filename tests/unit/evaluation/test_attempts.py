"""Retries and time-outs."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from redun import Scheduler, catch, task
from redun.errors import JobTimeout, TaskDefinitionError, WorkerLost
from redun.provenance import Provenance
from redun.scripting import script

redun_namespace = "attempts"

GATE = threading.Event()


def scheduler(**limits: int) -> Scheduler:
    return Scheduler(config={"limits": limits, "executors": {"small": {"max_workers": 1}}}, logger=False)


def count(path: str) -> int:
    with open(path, "a") as file:
        file.write("x")
    return os.path.getsize(path)


@task(retries=2)
def third_time(path: str) -> int:
    tries = count(path)
    if tries < 3:
        raise LookupError(f"try {tries}")
    return tries


@task(retries=3, retry_on=LookupError)
def choosy(path: str) -> int:
    if count(path) == 1:
        raise LookupError("once more")
    raise ValueError("never again")


@task(executor="process", retries=1)
def dies_once(path: str) -> int:
    if count(path) == 1:
        os.kill(os.getpid(), signal.SIGKILL)
    return 7


@task(timeout=0.05)
def waits() -> str:
    GATE.wait(60)
    return "late"


@task(timeout=60)
def quick(x: int = 1) -> int:
    return x


@task(executor="process", timeout=0.2)
def sleeps(path: str) -> None:
    Path(path).write_text(str(os.getpid()))
    time.sleep(1000)


@task(timeout=0.05, cache=False)
async def async_sleeps() -> None:
    await asyncio.sleep(1000)


@task()
def name_of(error: Exception) -> str:
    return type(error).__name__


def test_a_job_is_tried_again(tmp_path: Path) -> None:
    runs = scheduler()
    assert runs.run(third_time(str(tmp_path / "n"))) == 3
    assert runs.run(third_time(str(tmp_path / "n"))) == 3
    with pytest.raises(LookupError, match="try 1"):
        runs.run(third_time.options(retries=0)(str(tmp_path / "m")))


def test_the_last_error_counts(tmp_path: Path) -> None:
    with pytest.raises(LookupError, match="try 2"):
        scheduler().run(third_time.options(retries=1)(str(tmp_path / "n")))


def test_only_after_the_given_errors(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="never again"):
        scheduler().run(choosy(str(tmp_path / "n")))
    assert (tmp_path / "n").read_text() == "xx"


def test_a_worker_that_was_killed_is_an_error_like_others(tmp_path: Path) -> None:
    assert scheduler().run(dies_once(str(tmp_path / "n"))) == 7
    with pytest.raises(WorkerLost):
        scheduler().run(dies_once.options(retries=0)(str(tmp_path / "m")))


def test_pauses_double() -> None:
    from redun.task_options import life

    found = life("t", {"retries": 3, "retry_delay": 2})
    assert found is not None
    assert [found.pause_s(n) for n in (1, 2, 3, 50)] == [2, 4, 8, 300]
    assert life("t", {"memory": 1}) is None


def test_limits_are_free_during_the_pause(tmp_path: Path) -> None:
    order: list[str] = []

    @task(limits=["db"], retries=1, retry_delay=0.2)
    def first() -> int:
        order.append("first")
        if len(order) == 1:
            raise LookupError
        return 1

    @task(limits=["db"])
    def second() -> int:
        order.append("second")
        return 2

    assert scheduler().run([first(), second()]) == [1, 2]
    assert order == ["first", "second", "first"]


def test_attempts_are_recorded(tmp_path: Path) -> None:
    runs = scheduler()
    runs.run(third_time(str(tmp_path / "n")))
    provenance = Provenance(runs.store)
    [execution] = provenance.executions()
    [job] = [job for job in provenance.jobs(execution) if job.task_name == "attempts.third_time"]
    attempts = provenance.attempts(job)
    assert [(attempt.number, attempt.status.name, attempt.error) for attempt in attempts] == [
        (1, "FAILED", "LookupError: try 1"),
        (2, "FAILED", "LookupError: try 2"),
        (3, "DONE", None),
    ]
    assert all(attempt.duration_us >= 0 and attempt.start_us > 0 for attempt in attempts)


def test_a_thread_is_left_behind() -> None:
    GATE.clear()
    runs = scheduler()
    with pytest.raises(JobTimeout, match=r"attempts.waits \(job \w+\) did not end within its time-out of 0.05 s"):
        runs.run(waits())
    with pytest.raises(TimeoutError):
        runs.run(waits.options(timeout="0.01")())
    GATE.set()
    assert runs.run([quick(), catch(waits.options(timeout=30)(), TimeoutError, name_of)]) == [1, "late"]


def test_a_limit_stays_taken_until_the_thread_ends() -> None:
    seen: list[str] = []
    GATE.clear()

    @task(limits=["db"], timeout=0.02)
    def slow() -> None:
        GATE.wait(60)
        seen.append("slow has ended")

    @task()
    def release(error: Exception) -> str:
        seen.append("recovered")
        GATE.set()
        return type(error).__name__

    @task(limits=["db"])
    def other() -> int:
        seen.append("other")
        return 1

    assert scheduler().run([catch(slow(), TimeoutError, release), other()]) == ["JobTimeout", 1]
    assert seen == ["recovered", "slow has ended", "other"]


def test_another_worker_takes_the_place_of_a_thread_that_was_left() -> None:
    GATE.clear()
    calls = [catch(waits.options(executor="small")(), TimeoutError, name_of), quick.options(executor="small")(5)]
    assert scheduler().run(calls) == ["JobTimeout", 5]
    GATE.set()


def test_time_in_the_queue_does_not_count() -> None:
    @task(executor="small", timeout=0.5)
    def nap(x: int) -> int:
        time.sleep(0.1)
        return x

    assert scheduler().run([nap(i) for i in range(8)]) == list(range(8))


def test_a_late_result_is_not_that_of_the_next_attempt() -> None:
    GATE.clear()
    tries: list[int] = []

    @task(timeout=0.05, retries=1)
    def twice() -> str:
        tries.append(1)
        if len(tries) == 1:
            GATE.wait(60)
            return "first"
        GATE.set()
        time.sleep(0.01)
        return "second"

    assert scheduler().run(twice()) == "second"


def test_a_process_is_killed(tmp_path: Path) -> None:
    path = tmp_path / "pid"
    with pytest.raises(JobTimeout):
        scheduler().run(sleeps(str(path)))
    pid = int(path.read_text())
    assert not Path(f"/proc/{pid}").exists()


def test_a_coroutine_is_cancelled() -> None:
    with pytest.raises(JobTimeout):
        scheduler().run(async_sleeps())


def test_scripts_have_time_outs_too() -> None:
    with pytest.raises(JobTimeout):
        scheduler().run(script("sleep 1000", timeout=0.1))


@pytest.mark.parametrize(
    "options",
    [
        {"timeout": 0},
        {"timeout": "soon"},
        {"retries": -1},
        {"retries": 1.5},
        {"retries": 1, "retry_on": "ValueError"},
        {"retries": 1, "retry_delay": -1},
        {"retries": True},
    ],
)
def test_values_that_cannot_work_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(TaskDefinitionError, match=f"{list(options)[-1]} of task 'attempts.quick'"):
        scheduler().run(quick.options(**options)())
