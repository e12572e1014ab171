"""Lines to standard output: streamed, through a pager if a person looks at a terminal."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterable, Iterator
from contextlib import suppress
from itertools import islice

_AT_ONCE = 200
# Control characters, C1 ones too, except for tabs and line ends; the first alternative is a colour.
_CONTROL = re.compile(r"(\x1b\[[0-9;]{0,40}m)|[\x00-\x08\x0b-\x1f\x7f-\x9f]")


def show(lines: Iterable[str], pager: bool = True, colours: bool = False) -> None:
    """Write lines as they come.

    A reader that has had enough (`redun log | head`) ends this quietly. Characters that the terminal cannot show are escaped.

    Args:
        pager: use a pager if standard output is a terminal.
        colours: records are shown in colours.
    """
    if sys.stdout.isatty():
        # Text of whoever made a record, in other places too: a terminal must not take it for commands.
        lines = map(harmless, lines)
    if colours:
        from redun.cli.render.colour import colour_record

        lines = map(colour_record, lines)
    if pager and sys.stdout.isatty():
        import click

        # Short output stays on the screen, colours and the screen's content survive: what git asks of less.
        os.environ.setdefault("LESS", "FRX")
        # click ends the last line.
        click.echo_via_pager((f"\n{line}" if place else line for place, line in enumerate(lines)), color=colours)
        return
    if hasattr(sys.stdout, "reconfigure"):
        with suppress(ValueError, OSError):
            sys.stdout.reconfigure(errors="backslashreplace")
    try:
        for chunk in _chunks(lines):
            sys.stdout.write(chunk)
        sys.stdout.flush()
    except BrokenPipeError:
        # The interpreter flushes once more when it ends: that must find an open file.
        with suppress(OSError, ValueError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def harmless(line: str) -> str:
    """Return a line without what a terminal would act on, but for colours; it is shown as Python writes it."""
    return _CONTROL.sub(lambda found: found[0] if found[1] else repr(found[0])[1:-1], line)


def terminal_width() -> int | None:
    """Return the columns of the terminal that standard output is, None if it is none."""
    try:
        return os.get_terminal_size(sys.stdout.fileno()).columns or None if sys.stdout.isatty() else None
    except (OSError, ValueError):
        return None


def _chunks(lines: Iterable[str]) -> Iterator[str]:
    iterator = iter(lines)
    while chunk := list(islice(iterator, _AT_ONCE)):
        yield "\n".join(chunk) + "\n"
