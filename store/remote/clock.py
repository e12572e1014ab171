"""The clock of the place where a remote is: heard with its answers, and carried on by ours in between.

Deadlines are measured by it, so that machines whose clocks differ agree. In between the time is counted that has passed here, also
while this machine slept: a push that is woken up after a night must know that it is late.
"""

from __future__ import annotations

import time

_CLOCK = getattr(time, "CLOCK_BOOTTIME", None)


def _passed_us() -> int:
    """Return microseconds that only ever grow, also while the machine is suspended where the system can tell."""
    return (time.monotonic_ns() if _CLOCK is None else time.clock_gettime_ns(_CLOCK)) // 1000


class PlaceClock:
    """What is known of a place's clock. Safe for threads: one tuple is replaced by another."""

    def __init__(self) -> None:
        self._heard: tuple[int, int] | None = None

    def hear(self, now_us: int) -> None:
        """Note what an answer said, UTC microseconds."""
        self._heard = now_us, _passed_us()

    def now_us(self) -> int | None:
        """Return the time there by now, UTC microseconds; None if it was never heard."""
        heard = self._heard
        return None if heard is None else heard[0] + _passed_us() - heard[1]
