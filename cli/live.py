"""The live display: a thread looks at how far a run is, a few times a second, and has it drawn below the log.

The run does not know of it. What it costs is a look at some tables; if these are large the looks become fewer. Short runs end before the
first one. Whatever goes wrong here ends the display, not the run.
"""

from __future__ import annotations

import contextlib
import os
import signal
import threading
import time
from collections.abc import Iterator
from types import FrameType
from typing import TYPE_CHECKING, Any

from redun.cli.screen import Screen
from redun.evaluation.events import PREFIX

if TYPE_CHECKING:
    from redun.evaluation.progress import Progress
    from redun.evaluation.scheduler import Scheduler
    from redun.provenance.pace import Pace
    from redun.store.sources.base import Source

_FIRST_S = 0.3
_PAUSE_S = 0.15
_SHARE = 20
"""Looking takes at most this part of the time."""
_LOOK_BACK_S = 1.5
_STEP_S = 0.004
_JOBS = 3


@contextlib.contextmanager
def live(screen: Screen, scheduler: Scheduler) -> Iterator[None]:
    """Show how far the runs of a scheduler are, while inside."""
    display = _Display(screen, scheduler)
    scheduler.on_leave = screen.hide
    scheduler.line_width = screen.size()[0] - len(PREFIX)
    before = _handle_stop(screen)
    display.start()
    try:
        yield
    finally:
        display.stop()
        scheduler.on_leave = scheduler.line_width = None
        if before is not None:
            signal.signal(signal.SIGTSTP, before)


def _handle_stop(screen: Screen) -> Any:
    """Take the lines away before Ctrl-Z stops the process; return the handler that was there, None if it is left alone."""
    if threading.current_thread() is not threading.main_thread() or signal.getsignal(signal.SIGTSTP) is not signal.SIG_DFL:
        return None

    def stop(number: int, frame: FrameType | None) -> None:
        screen.hide()
        signal.signal(signal.SIGTSTP, signal.SIG_DFL)
        os.kill(os.getpid(), signal.SIGTSTP)
        # Here it goes on, maybe much later.
        signal.signal(signal.SIGTSTP, stop)

    return signal.signal(signal.SIGTSTP, stop)


class _Display:
    def __init__(self, screen: Screen, scheduler: Scheduler) -> None:
        self._screen = screen
        self._scheduler = scheduler
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._work, name="redun-display", daemon=True)
        self._started = time.monotonic()
        self._progress: Progress | None = None
        self._pace: Pace | None = None
        self._search: Iterator[Pace | None] | None = None
        self._asking = False

    def start(self) -> None:
        """Begin to show."""
        self._thread.start()

    def stop(self) -> None:
        """Show nothing any more."""
        self._ended.set()
        # A terminal that takes nothing (Ctrl-S) must not keep the run from ending.
        self._thread.join(timeout=1)
        self._screen.hide()

    def _work(self) -> None:
        pause_s = _FIRST_S
        try:
            while not self._ended.wait(pause_s):
                began = time.thread_time()
                self._look()
                pause_s = max(_PAUSE_S, _SHARE * (time.thread_time() - began))
        except Exception:
            self._screen.hide()

    def _look(self) -> None:
        from redun.cli.render.estimate import expected_jobs, seconds_left
        from redun.cli.render.frame import Facts, frame_lines

        if self._progress is None:
            self._progress = self._scheduler.progress
        progress = self._progress
        if progress is None or not self._scheduler.is_running:
            return
        elapsed_s = time.monotonic() - self._started
        if elapsed_s > _LOOK_BACK_S:
            self._look_back(progress)
        if not self._screen.in_front():
            return
        counts = progress.counts()
        left_s = seconds_left(counts, elapsed_s, self._pace)
        expected = expected_jobs(counts, self._pace)
        facts = Facts(counts, elapsed_s, left_s, expected, progress.running(_JOBS))
        lines = frame_lines(facts, *self._screen.size(), self._screen.colours)
        if not self._ended.is_set():
            self._screen.show(lines)

    def _look_back(self, progress: Progress) -> None:
        """Have the scheduler's thread look for an earlier run like this one, some milliseconds at a time."""
        if self._asking:
            return
        if self._search is None:
            root_task = progress.root_task
            if root_task is None:
                return
            progress.ask(lambda source: self._begin_search(source, root_task, progress.execution))
        else:
            progress.ask(self._go_on)
        self._asking = True

    def _begin_search(self, source: Source, root_task: str, execution: str) -> None:
        from redun.provenance.pace import find_pace

        self._search = find_pace(source, root_task, execution)
        self._asking = False

    def _go_on(self, source: Source) -> None:
        until = time.monotonic() + _STEP_S
        assert self._search is not None
        try:
            for found in self._search:
                self._pace = found
                if time.monotonic() > until:
                    self._asking = False
                    return
        except Exception:
            # An estimate is no reason to fail; `_asking` stays set, so nobody looks again.
            self._pace = None
