"""The one place where a run sleeps, and what it learns from sleeping: whether more workers would be of use.

Nothing polls: the scheduler's thread sleeps in `get` of the queue of completions until an executor puts something there, or until
something is due (a commit, a time-out, the status table).

**More workers.** While jobs wait for a worker, two signs say that there should be more of them: nothing has come back for a while (tasks
are long), or things do come back but this process has hardly computed while its scheduler slept (tasks sleep or wait for something
themselves, many of them at a time). In a run of quick tasks neither holds: the one worker keeps a processor busy.
"""

from __future__ import annotations

import time
from queue import Empty, SimpleQueue
from typing import Any

_BUSY = 0.5
"""A process that computes for more than this part of the time that its scheduler sleeps is held up by the interpreter, not by others."""


class Waiting:
    """Sleeps for the scheduler.

    Attributes:
        wants_workers: the last sleep has shown that more workers would be of use.
    """

    def __init__(self) -> None:
        self._slept_s = 0.0
        self._computed_s = 0.0
        self.wants_workers = False

    def get(self, completions: SimpleQueue[Any], timeout_s: float | None, grow_after_s: float | None) -> Any:
        """Return what comes next, None if nothing does in time.

        Args:
            timeout_s: how long to sleep at most.
            grow_after_s: after how much sleep executors are to be asked to grow, None if there would be no use in it.
        """
        if grow_after_s is None:
            self.wants_workers = False
            self._slept_s = self._computed_s = 0.0
            return _get(completions, timeout_s)
        left_s = grow_after_s - self._slept_s
        began, computed = time.monotonic(), time.process_time()
        completion = _get(completions, left_s if timeout_s is None else min(timeout_s, left_s))
        slept_s = time.monotonic() - began
        self._slept_s += slept_s
        self._computed_s += time.process_time() - computed
        self.wants_workers = (completion is None and slept_s >= grow_after_s) or (
            self._slept_s >= grow_after_s and self._computed_s < _BUSY * self._slept_s
        )
        if self._slept_s >= grow_after_s:
            self._slept_s = self._computed_s = 0.0
        return completion


def _get(completions: SimpleQueue[Any], timeout_s: float | None) -> Any:
    try:
        return completions.get(timeout=timeout_s)
    except Empty:
        return None
