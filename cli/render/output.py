"""Lines to standard output: streamed, through a pager if a person looks at a terminal."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator
from contextlib import suppress
from itertools import islice

_AT_ONCE = 200


def show(lines: Iterable[str], pager: bool = True) -> None:
    """Write lines as they come.

    A reader that has had enough (`redun log | head`) ends this quietly. Characters that the terminal cannot show are escaped.

    Args:
        pager: use a pager if standard output is a terminal.
    """
    if pager and sys.stdout.isatty():
        import click

        # Short output stays on the screen, colours and the screen's content survive: what git asks of less.
        os.environ.setdefault("LESS", "FRX")
        click.echo_via_pager(f"{line}\n" for line in lines)
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


def _chunks(lines: Iterable[str]) -> Iterator[str]:
    iterator = iter(lines)
    while chunk := list(islice(iterator, _AT_ONCE)):
        yield "\n".join(chunk) + "\n"
