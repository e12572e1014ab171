"""Tracebacks as people want to see them: as Python writes them, from the user's own code on, redun's frames folded away.

Causes, contexts, notes and the parts of exception groups are told as Python tells them. What redun itself caught on the way and told anew
(an error of an operating system as one about a `File`) is left out, as is what libraries do below redun.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from traceback import FrameSummary, TracebackException

HEADING = "Traceback (most recent call last):"

_PACKAGE = os.path.dirname(os.path.abspath(__file__))
# In a working tree command line and store are links beside us.
_PLACES = tuple(
    {place + os.sep for name in ("", "/cli", "/store") for place in (_PACKAGE + name, os.path.realpath(_PACKAGE + name))}
)


@functools.cache
def _libraries() -> tuple[str, ...]:
    # Only what failed needs it, and it is slow to import.
    import sysconfig

    return tuple({sysconfig.get_path(name) + os.sep for name in ("stdlib", "platstdlib", "purelib", "platlib")})


def is_ours(filename: str) -> bool:
    """Tell whether a file is redun's own."""
    return os.path.abspath(filename).startswith(_PLACES)


def traceback_lines(error: BaseException, all_frames: bool = False) -> list[str]:
    """Return the lines of an exception's traceback, without a heading, the exception itself last.

    Args:
        all_frames: fold nothing.
    """
    from traceback import TracebackException

    told = TracebackException.from_exception(error)
    if not all_frames:
        _fold(told, {id(told)})
    lines = [line for text in told.format() for line in text.removesuffix("\n").split("\n")]
    # Of an error with a cause the first heading is that of the cause; the others divide.
    return lines[1:] if lines and lines[0] == HEADING else lines


def from_users_frame(error: BaseException) -> BaseException:
    """Return an exception whose traceback begins at the user's first frame, if it has any: for raising it once more."""
    trace = error.__traceback__
    while trace is not None and is_ours(trace.tb_frame.f_code.co_filename):
        trace = trace.tb_next
    return error if trace is None else error.with_traceback(trace)


def _fold(told: TracebackException, seen: set[int]) -> None:
    """Leave out frames, and errors that only redun has seen, in an exception and all that it names."""
    from traceback import StackSummary

    pending = [told]
    while pending:
        one = pending.pop()
        if one.__cause__ is not None and _came_up_in_redun(one.__cause__):
            one.__cause__ = None
        if one.__context__ is not None and _came_up_in_redun(one.__context__):
            one.__context__ = None
        one.stack = StackSummary.from_list(_users(one.stack))
        others = [one.__cause__, one.__context__, *(getattr(one, "exceptions", None) or ())]
        for other in others:
            if other is not None and id(other) not in seen:
                seen.add(id(other))
                pending.append(other)


def _came_up_in_redun(told: TracebackException) -> bool:
    """True if it was redun that caught an error: a traceback begins where an error was caught."""
    return bool(told.stack) and is_ours(told.stack[0].filename)


def _users(frames: Iterable[FrameSummary]) -> list[FrameSummary]:
    from traceback import FrameSummary

    frames = list(frames)
    kept: list[FrameSummary] = []
    below_redun = False
    for frame in frames:
        if is_ours(frame.filename):
            below_redun = True
        elif not below_redun or not _is_library(frame.filename):
            below_redun = False
            kept.append(frame)
    # Tasks may themselves be in a library.
    kept = kept or [frame for frame in frames if not is_ours(frame.filename)]
    # Made anew without columns, so that no line of carets is drawn below each.
    return [FrameSummary(frame.filename, frame.lineno, frame.name, lookup_line=False, line=frame.line) for frame in kept]


def _is_library(filename: str) -> bool:
    # Frames of compiled code name a file of the machine that it was compiled on.
    return filename.startswith("<frozen ") or filename.endswith(".pyx") or os.path.abspath(filename).startswith(_libraries())
