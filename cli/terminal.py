"""Whether a stream leads to a terminal, and what is wanted of it then. What draws there is loaded for terminals only."""

from __future__ import annotations

import os
import sys
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from redun.cli.screen import Screen


def wants_colour(stream: TextIO, asked: bool | None = None) -> bool:
    """Tell whether what goes to a stream should have colours.

    Args:
        asked: what the user said on the command line, None for nothing.

    The first that says something counts: the command line; NO_COLOR (not empty); CLICOLOR_FORCE or FORCE_COLOR (not empty, not 0);
    CLICOLOR=0; TERM=dumb; whether the stream is a terminal.
    """
    if asked is not None:
        return asked
    if os.environ.get("NO_COLOR"):
        return False
    if any(os.environ.get(name, "0") not in ("", "0") for name in ("CLICOLOR_FORCE", "FORCE_COLOR")):
        return True
    if os.environ.get("CLICOLOR") == "0" or os.environ.get("TERM") == "dumb":
        return False
    return is_terminal(stream)


def is_terminal(stream: TextIO) -> bool:
    """Tell whether a stream leads to a terminal."""
    try:
        return stream.isatty()
    except (AttributeError, ValueError):
        # Closed, or something that somebody put in its place.
        return False


def screen(plain: bool, colours: bool) -> AbstractContextManager[Screen | None]:
    """Let standard error, and output if it is a terminal as well, go through a screen; None where there is none.

    Args:
        plain: the user wants plain lines.
        colours: whether lines of the log get colours.
    """
    if plain or os.environ.get("TERM", "dumb") == "dumb" or not is_terminal(sys.stderr):
        return nullcontext()
    from redun.cli.screen import through_screen

    return through_screen(colours)
