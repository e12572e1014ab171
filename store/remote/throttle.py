"""A limit of bytes per second for all that travels at once."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable


class Throttle:
    """Holds up whoever sends or receives, so that on average no more than so many bytes a second travel. Safe for threads.

    Args:
        bytes_per_s: the limit; None for none.
        pause: waits for so many seconds.
        clock: returns seconds.

    Attributes:
        total: bytes that travelled.
    """

    def __init__(
        self,
        bytes_per_s: float | None = None,
        pause: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._rate = bytes_per_s
        self._pause = pause
        self._clock = clock
        self._lock = threading.Lock()
        self._free_at = 0.0
        self.total = 0

    def __call__(self, count: int) -> None:
        """Count bytes, and wait until they may travel."""
        with self._lock:
            self.total += count
            if self._rate is None:
                return
            now = self._clock()
            start = max(now, self._free_at)
            self._free_at = start + count / self._rate
        if start > now:
            self._pause(start - now)
