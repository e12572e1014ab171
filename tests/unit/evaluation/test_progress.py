"""How far a run is, asked from another thread while it goes on."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from redun import Scheduler, task
from redun.evaluation.job import Column
from redun.evaluation.progress import Progress
from redun.executors.base import Executor

redun_namespace = "progress"

begun = threading.Semaphore(0)
go_on = threading.Event()


@task()
def waits(n: int) -> int:
    begun.release()
    assert go_on.wait(60)
    return n


@task()
def ready(n: int) -> int:
    return n


@task()
def fan(n: int) -> list[int]:
    return [ready(0), *[waits(i) for i in range(n)]]


@contextmanager
def running(scheduler: Scheduler, expression: Any, jobs: int) -> Iterator[Progress]:
    """Run an expression on a thread until so many of its jobs have begun; let them go on at the end."""
    go_on.clear()
    thread = threading.Thread(target=scheduler.run, args=(expression,))
    thread.start()
    for _ in range(jobs):
        assert begun.acquire(timeout=60)
    progress = scheduler.progress
    assert progress is not None
    try:
        yield progress
    finally:
        go_on.set()
        thread.join(60)
    for _ in range(100):
        begun.acquire(blocking=False)


def test_outside_of_a_run_there_is_none() -> None:
    assert Scheduler(logger=False).progress is None


def test_only_what_a_worker_has_is_running() -> None:
    scheduler = Scheduler({"executors": {"default": {"type": "local", "max_workers": 2}}}, logger=False)
    with running(scheduler, fan(5), 2) as progress:
        first = progress.running(10)
        assert [job.call for job in first] == ["progress.waits(n=0)", "progress.waits(n=1)"]
        assert [job.call for job in progress.running(1)] == ["progress.waits(n=0)"]
        assert [job.short_id for job in progress.running(10)] == [job.short_id for job in first]
        assert all(later.for_s >= job.for_s for job, later in zip(first, progress.running(10), strict=True))
        assert progress.root_task == "progress.fan"
        assert len(progress.execution) == 36
        counts = progress.counts()
        assert sum(counts["progress.waits"]) == 5
        assert counts["progress.ready"][Column.DONE] == 1
        asked: list[bool] = []
        answered = threading.Event()
        progress.ask(lambda source: (asked.append(source is scheduler.store.source), answered.set()))
        assert answered.wait(60)
        assert asked == [True]
    assert scheduler.progress is None


def test_an_executor_that_does_not_tell() -> None:
    class Silent(Executor):
        def submit(self, job: Any) -> None:
            threading.Thread(target=self._run, args=(job,)).start()

        def _run(self, job: Any) -> None:
            args, kwargs = job.args
            self.scheduler.done_job(job, job.task.func(*args, **kwargs))

    scheduler = Scheduler(logger=False, executor=Silent("silent"))
    with running(scheduler, waits.options(executor="silent")(7), 1) as progress:
        assert [job.call for job in progress.running(10)] == ["progress.waits(n=7)"]


@pytest.mark.parametrize("provenance", [True, False])
def test_a_run_that_is_not_recorded_has_counts(provenance: bool) -> None:
    scheduler = Scheduler(logger=False)
    with running(scheduler, waits.options(prov=provenance)(1), 1) as progress:
        assert sum(progress.counts()["progress.waits"]) == 1
        assert len(progress.running(10)) == (1 if provenance else 0)
        assert bool(progress.execution) is provenance
