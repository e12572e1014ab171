"""Ctrl-C and SIGTERM while a run goes on.

Python raises KeyboardInterrupt wherever the main thread happens to be, which may be between a commit and the note that it was made. So
while a run goes on the first signal is a request to its loop, which takes it between two steps: running jobs are stopped where they can
be, what is known is recorded, and `KeyboardInterrupt` is raised then. The second signal leaves the process at once.

Only the main thread can have handlers, and those that a program has set itself are left alone.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable
from types import FrameType
from typing import Any

INTERRUPTED = 130
_SIGNALS = (signal.SIGINT, signal.SIGTERM)
_OURS_TO_REPLACE = (signal.SIG_DFL, signal.default_int_handler)


class Interruption:
    """Turns signals into a request to the loop; a context manager around a run.

    Args:
        ask: puts the request; must be safe in a signal handler.
        stop_all: stops everything that would be left behind; called before the process leaves at once.
    """

    def __init__(self, ask: Callable[[], None], stop_all: Callable[[], None]) -> None:
        self._ask = ask
        self._stop_all = stop_all
        self._asked = False
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Interruption:
        if threading.current_thread() is threading.main_thread():
            for number in _SIGNALS:
                if signal.getsignal(number) in _OURS_TO_REPLACE:
                    self._before[number] = signal.signal(number, self._handle)
        return self

    def __exit__(self, *error: object) -> None:
        for number, before in self._before.items():
            signal.signal(number, before)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if not self._asked:
            self._asked = True
            self._ask()
            return
        try:
            self._stop_all()
            sys.stderr.flush()
        finally:
            os._exit(INTERRUPTED)
