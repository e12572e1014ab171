"""Limits: named resources of which jobs take some while they run."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from typing import TYPE_CHECKING

from redun.errors import LimitError

if TYPE_CHECKING:
    from redun.evaluation.job import Job


class Limits:
    """Counts what is taken, and keeps the jobs that must wait, first come first served by resource.

    Args:
        total: resource -> how much there is; a resource that is not listed has 1.
    """

    def __init__(self, total: Mapping[str, int] | None = None) -> None:
        self._total = dict(total or {})
        self._taken: dict[str, int] = {}
        self._waiting: deque[Job] = deque()

    @property
    def used(self) -> dict[str, int]:
        """Resource -> how much of it is taken; every resource that there is, and every one that was ever asked for."""
        return {**dict.fromkeys(self._total, 0), **self._taken}

    def check(self, job: Job) -> None:
        """Raise LimitError if a job asks for more than there is at all: it would wait for ever."""
        for name, count in job.plan.limits.items():
            if count > self._total.get(name, 1):
                raise LimitError(
                    f"task {job.plan.fullname!r} asks for {count} of limit {name!r}, but there are only {self._total.get(name, 1)}: "
                    f"raise it in the [limits] section of redun.ini"
                )

    def take(self, job: Job) -> bool:
        """Take what a job needs, all or nothing; False if it has to wait (it is queued then)."""
        if self._fits(job):
            self._add(job, 1)
            return True
        self._waiting.append(job)
        return False

    def release(self, job: Job) -> list[Job]:
        """Give back what a job took; return the waiting jobs that may run now (theirs is taken already)."""
        self._add(job, -1)
        admitted = []
        for _ in range(len(self._waiting)):
            waiting = self._waiting.popleft()
            if self._fits(waiting):
                self._add(waiting, 1)
                admitted.append(waiting)
            else:
                self._waiting.append(waiting)
        return admitted

    def drop_waiting(self) -> list[Job]:
        """Empty the queue and return who was in it."""
        dropped = list(self._waiting)
        self._waiting.clear()
        return dropped

    def _fits(self, job: Job) -> bool:
        return all(self._taken.get(name, 0) + count <= self._total.get(name, 1) for name, count in job.plan.limits.items())

    def _add(self, job: Job, sign: int) -> None:
        for name, count in job.plan.limits.items():
            self._taken[name] = self._taken.get(name, 0) + sign * count
