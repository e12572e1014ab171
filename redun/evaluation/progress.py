"""How far a run is, for whoever shows it: a read-only look from another thread, which costs the run nothing per job.

Counters and jobs belong to the scheduler's thread. What is read here are whole copies of small tables, each made in one step of the
interpreter; they may be a moment old and need not fit together to the last job.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from redun.evaluation.node import State
from redun.evaluation.text import format_call

if TYPE_CHECKING:
    from redun.evaluation.evaluation import Evaluation
    from redun.evaluation.job import Job
    from redun.store.sources.base import Source


class RunningJob(NamedTuple):
    """A job that an executor has.

    Attributes:
        short_id: first digits of its id.
        call: the call as text.
        for_s: seconds since its arguments were known; it may have waited for a worker since.
    """

    short_id: str
    call: str
    for_s: float


class Progress:
    """How far a run is. Any thread may ask.

    Args:
        evaluation: the run.
        counts: full name of a task -> jobs by `Column`.
    """

    def __init__(self, evaluation: Evaluation, counts: Mapping[str, list[int]]) -> None:
        self._evaluation = evaluation
        self._counts = counts
        self._texts: dict[bytes, str] = {}

    @property
    def execution(self) -> str:
        """UUID of the execution, empty if none is recorded."""
        ref: str = getattr(self._evaluation.calls.recorder, "ref", "")
        return ref.partition("/")[2]

    @property
    def root_task(self) -> str | None:
        """Full name of the task that was asked for, None before there is a job."""
        root = self._evaluation.calls.root_job
        return None if root is None else root.plan.fullname

    def counts(self) -> dict[str, tuple[int, ...]]:
        """Return full name of a task -> jobs by `Column`: pending, running, failed, cached, done."""
        return {name: tuple(row) for name, row in list(self._counts.items())}

    def running(self, most: int) -> list[RunningJob]:
        """List the jobs that executors have had the longest, at most `most`."""
        try:
            live = self._evaluation.calls.recorder.live_jobs()
        except RuntimeError:
            # The table grew while it was copied; next time, then.
            return []
        busy = [job for job in live if job.at_executor and job.state is State.RUNNING]
        busy.sort(key=_started_us)
        now_us = time.time_ns() // 1000
        shown = busy[:most]
        texts, self._texts = self._texts, {}
        for job in shown:
            # Values of the user's are made text once for each job that is shown, not each time.
            self._texts[job.job_id] = texts.get(job.job_id) or _call_of(job)
        return [RunningJob(job.short_id, self._texts[job.job_id], max(0, now_us - job.start_us) / 1e6) for job in shown]

    def ask(self, request: Callable[[Source], Any]) -> None:
        """Have a short look into the store on the scheduler's thread, between two steps; the store is for that thread only."""
        self._evaluation.completions.put(lambda evaluation: request(evaluation.calls.cache.source))


def _started_us(job: Job) -> int:
    return job.start_us


def _call_of(job: Job) -> str:
    return format_call(job.plan.fullname, job.plan.names, job.positional, job.keywords)
