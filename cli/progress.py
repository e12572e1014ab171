"""A line on a terminal that says how far a command is."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

_EVERY_S = 0.1
_BAR = 24


@contextmanager
def progress() -> Iterator[Callable[[str, int, int], None]]:
    """Give a function to be told what is being done, how many of how many are done. It writes only to a terminal, and tidies up."""
    if not sys.stderr.isatty():
        yield lambda doing, done, total: None
        return
    last = 0.0
    width = 0

    def told(doing: str, done: int, total: int) -> None:
        nonlocal last, width
        now = time.monotonic()
        if now - last < _EVERY_S:
            return
        last = now
        filled = _BAR * done // max(total, 1)
        line = f"[{'#' * filled}{'.' * (_BAR - filled)}] {doing}: {done:,} of {total:,}"
        _write(f"\r{line:<{width}}")
        width = len(line)

    try:
        yield told
    finally:
        if width:
            _write(f"\r{'':<{width}}\r")


def _write(text: str) -> None:
    with suppress(OSError, ValueError):
        sys.stderr.write(text)
        sys.stderr.flush()
