"""The terminal while a command runs: colours in the log, and a few lines below it that are drawn anew again and again.

**How lines below stay below.** The cursor always stands where the next output will go; the lines are drawn *under* it, and the cursor is
put back (saved and restored by the terminal, its column included). So whatever is written next, by anybody, half a line too, goes to the
right place, and nothing has to be known of where that is. Before text comes from here, everything right of and below the cursor is erased,
which is right even if the terminal was made narrower meanwhile and has broken the old lines. Nothing is ever hidden, moved or reserved that
would have to be put right again: a process that is killed leaves at most some lines behind, below the cursor.

Text that goes round the streams of Python (a child process that writes to the terminal itself) overwrites the blank line on which the
cursor stands; if it has several lines, the others may run into what is shown until that is drawn again.
"""

from __future__ import annotations

import contextlib
import os
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from typing import Any, TextIO

from redun.cli.render.colour import FAINT, colour_event, paint
from redun.cli.terminal import is_terminal
from redun.evaluation.events import PREFIX

_ERASE = "\x1b[J"
_LEAST_PAUSE_S = 0.02
_LOCK_S = 0.5


class Screen:
    """A terminal at standard error, maybe with standard output on it too.

    Args:
        error: standard error.
        colours: whether lines of the log get colours.
    """

    def __init__(self, error: TextIO, colours: bool) -> None:
        self.error = error
        self.colours = colours
        # Reentrant: a signal handler may come while its own thread draws.
        self._lock = threading.RLock()
        self._lines: Sequence[str] = ()
        self._drawn = False
        self._drawn_at = 0.0
        os.register_at_fork(after_in_child=self._forget)

    def _forget(self) -> None:
        # The parent's thread may have held the lock; and what is shown is the parent's business.
        self._lock = threading.RLock()
        self._lines = ()
        self._drawn = False

    def size(self) -> tuple[int, int]:
        """Return width and height in cells, as they are now."""
        try:
            found = os.get_terminal_size(self.error.fileno())
        except (OSError, ValueError):
            return 80, 24
        return found.columns or 80, found.lines or 24

    def in_front(self) -> bool:
        """False while the shell has the terminal and we are in the background."""
        try:
            return os.tcgetpgrp(self.error.fileno()) == os.getpgrp()
        except (OSError, ValueError):
            return True

    def show(self, lines: Sequence[str]) -> None:
        """Draw lines below the cursor, in place of those before."""
        with self._locked():
            self._lines = lines
            self._draw()

    def hide(self) -> None:
        """Take the lines away; also from a signal handler."""
        with self._locked():
            self._lines = ()
            self._erase()

    def make_way(self) -> None:
        """Take the lines away until they are drawn the next time."""
        with self._locked():
            self._erase()

    def write(self, stream: TextIO, text: str) -> int:
        """Write text to a stream that leads to this terminal."""
        with self._locked():
            self._erase()
            if self.colours and stream is self.error and text.startswith(PREFIX):
                stream.write(_coloured(text))
            else:
                stream.write(text)
            if self._lines:
                stream.flush()
                # The rest of the line is to come; and a quick series of lines need not draw each time.
                if text.endswith("\n") and time.monotonic() - self._drawn_at >= _LEAST_PAUSE_S:
                    self._draw()
        return len(text)

    def _draw(self) -> None:
        count = len(self._lines)
        # Make room first, which may scroll; then the place of the cursor can be saved.
        room = "\x1bD" * count + f"\x1b[{count}A" if count else ""
        below = "".join(["\r\n" + line for line in self._lines])
        # Before it is so: a signal handler that comes right after the writing has to know that there is something to erase.
        self._drawn = bool(count)
        self._put(f"{_ERASE}{room}\x1b7{below}\x1b8" if count else _ERASE)
        self._drawn_at = time.monotonic()

    def _erase(self) -> None:
        if self._drawn:
            self._put(_ERASE)
            self._drawn = False

    def _put(self, text: str) -> None:
        # Round the stream, which may be in the middle of something when a signal comes.
        data = text.encode(self.error.encoding or "utf-8", "replace")
        with contextlib.suppress(OSError, ValueError):
            while data:
                data = data[os.write(self.error.fileno(), data) :]

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        # A terminal that is stopped (Ctrl-S) may hold whoever writes; nobody waits for ever for a few lines.
        held = self._lock.acquire(timeout=_LOCK_S)
        try:
            yield
        finally:
            if held:
                self._lock.release()


_LEAD = paint(PREFIX.rstrip(), FAINT) + " "


def _coloured(text: str) -> str:
    return "\n".join(
        [_LEAD + colour_event(line[len(PREFIX) :]) if line.startswith(PREFIX) else line for line in text.split("\n")]
    )


class _Through:
    """A stream that leads to a screen; everything but writing is left to the stream itself."""

    def __init__(self, screen: Screen, stream: TextIO) -> None:
        self._screen = screen
        self._stream = stream

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        """Write text."""
        return self._screen.write(self._stream, text)

    def writelines(self, lines: Sequence[str]) -> None:
        """Write texts one after the other."""
        self.write("".join(lines))

    @property
    def buffer(self) -> Any:
        """The bytes below; what stands under the cursor goes before they come."""
        self._screen.make_way()
        return self._stream.buffer


@contextlib.contextmanager
def through_screen(colours: bool) -> Iterator[Screen]:
    """Let standard error, which is a terminal, and output if it is one as well, go through a screen.

    Args:
        colours: whether lines of the log get colours.
    """
    error, output = sys.stderr, sys.stdout
    found = Screen(error, colours)
    through = {"stderr": (_Through(found, error), error)}
    if is_terminal(output):
        through["stdout"] = (_Through(found, output), output)
    for name, (ours, _) in through.items():
        setattr(sys, name, ours)
    try:
        yield found
    finally:
        found.hide()
        for name, (ours, real) in through.items():
            # Somebody may have put another one on top, and not taken it away.
            if getattr(sys, name) is ours:
                setattr(sys, name, real)
