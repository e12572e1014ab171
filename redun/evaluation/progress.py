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
    """A job that runs.

    Attributes:
        short_id: first digits of its id.
        call: the call as text.
        for_s: seconds since it was seen to run; of an executor that does not tell, since it got the job.
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
        self._since_us: dict[bytes, int] = {}
        self._looked_us = 0

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
        """List the jobs that have been running the longest, at most `most`."""
        try:
            live = self._evaluation.calls.recorder.live_jobs()
            told = self._evaluation.calls.executors.busy_jobs()
        except RuntimeError:
            # A table grew while it was copied; next time, then.
            return []
        busy = {id(job.real) for jobs in told.values() for job in jobs or ()}
        now_us = time.time_ns() // 1000
        before, self._since_us = self._since_us, {}
        running: list[tuple[int, Job]] = []
        for job in live:
            if job.at_executor and job.state is State.RUNNING and (id(job) in busy or told.get(job.plan.executor) is None):
                # It has begun after the last look if it was not seen then; before the first, soon after its arguments were known.
                since_us = before.get(job.job_id) or max(job.start_us, self._looked_us)
                self._since_us[job.job_id] = since_us
                running.append((since_us, job))
        self._looked_us = now_us
        running.sort(key=lambda one: (one[0], one[1].number))
        texts, self._texts = self._texts, {}
        shown = []
        for since_us, job in running[:most]:
            # Values of the user's are made text once for each job that is shown, not each time.
            text = self._texts[job.job_id] = texts.get(job.job_id) or _call_of(job)
            shown.append(RunningJob(job.short_id, text, max(0, now_us - since_us) / 1e6))
        return shown

    def ask(self, request: Callable[[Source], Any]) -> None:
        """Have a short look into the store on the scheduler's thread, between two steps; the store is for that thread only."""
        self._evaluation.completions.put(lambda evaluation: request(evaluation.calls.cache.source))


def _call_of(job: Job) -> str:
    return format_call(job.plan.fullname, job.plan.names, job.positional, job.keywords)
