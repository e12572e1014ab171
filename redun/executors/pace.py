"""How long jobs of each task take in worker processes, and what follows from it: how many are sent at a time, and when more workers pay.

A worker costs tens of milliseconds before it takes its first job. So there are to be more of them if nothing has come back for as long as
that, or if tasks are seen to wait for something other than a processor and what waits for a worker would take longer than starting some.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

BATCH_S = 0.002
"""Jobs that are expected to take this long together are sent at a time."""

_MOST_IN_BATCH = 32
_FADE = 0.95
_LEAST_START_S = 0.002
_COMPUTES = 0.5


class Pace:
    """What is known of the jobs of a pool. One lock at a time: callers see to that."""

    def __init__(self) -> None:
        self._durations_s: dict[str, float] = {}
        self._computing: dict[str, float] = {}
        self._start_s: float | None = None
        self._cpus = os.cpu_count() or 1

    def ran(self, task: str, duration_s: float, cpu_s: float) -> None:
        """A job has ended."""
        # The longest run, which fades: one quick job among slow ones tells little.
        self._durations_s[task] = max(duration_s, self._durations_s.get(task, 0.0) * _FADE)
        share = min(1.0, cpu_s / duration_s) if duration_s > 0 else 1.0
        self._computing[task] = _FADE * self._computing.get(task, share) + (1 - _FADE) * share

    def started(self, seconds: float) -> None:
        """A worker took so long before it ran its first job: several at a time hold each other up, so the quickest counts."""
        self._start_s = seconds if self._start_s is None else min(self._start_s, seconds)

    def batch_size(self, tasks: Iterator[str], most: int) -> int:
        """Return how many of the jobs that come next are sent together; one whose task was not seen yet goes alone."""
        count, expected_s = 0, 0.0
        for task in tasks:
            expected_s += self._durations_s.get(task, BATCH_S)
            if count and (expected_s > BATCH_S or count >= min(_MOST_IN_BATCH, most)):
                break
            count += 1
        return count

    def patience_s(self) -> float:
        """Return after how much silence there are to be more workers, whatever the tasks."""
        return _LEAST_START_S if self._start_s is None else max(_LEAST_START_S, self._start_s)

    def pays(self, task: str, waiting: int, workers: int) -> bool:
        """Tell whether as many workers again would save more time than it takes to start them.

        Args:
            task: of the job that waits first. waiting: how many wait.
        """
        expected_s = self._durations_s.get(task)
        if expected_s is None or self._computing[task] > _COMPUTES:
            return False
        saved_s = waiting * expected_s / workers / 2
        return saved_s > self.patience_s() * min(workers, waiting) / self._cpus
