"""Text for people: cut strings, tables, times, and truth values read from text."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from datetime import datetime, timedelta, tzinfo


def trim_string(text: str, max_length: int = 200, ellipsis: str = "...") -> str:
    """Return a text of at most `max_length` characters, one that is longer ending in `ellipsis`."""
    return text if len(text) <= max_length else text[: max(0, max_length - len(ellipsis))] + ellipsis


def str2bool(text: str) -> bool:
    """Return the truth value of `true` or `false`, in any case.

    Raises:
        ValueError: it is neither.
    """
    word = text.lower()
    if word not in ("true", "false"):
        raise ValueError(f"expected true or false, found {text!r}")
    return word == "true"


def format_table(table: Sequence[Sequence[Any]], justs: str, min_width: int = 0) -> Iterator[str]:
    """Yield the lines of a table: head, an empty line, rows.

    Args:
        table: rows of cells, the first being the head.
        justs: `l` or `r` for each column.
        min_width: of every column, in characters.

    Raises:
        ValueError: another letter in `justs`.
    """
    if not set(justs) <= {"l", "r"}:
        raise ValueError(f"columns are justified by 'l' or 'r', found {justs!r}")
    rows = [[str(cell) for cell in row] for row in table]
    widths = [max([min_width, *map(len, column)]) for column in zip(*rows, strict=True)]
    for number, row in enumerate(rows):
        cells = [
            cell.ljust(width) if just == "l" else cell.rjust(width)
            for cell, width, just in zip(row, widths, justs, strict=True)
        ]
        yield " ".join(cells)
        if number == 0:
            yield ""


def format_timedelta(duration: timedelta) -> str:
    """Return a duration like `26:00:02.35`, in hours, minutes, seconds and hundredths; a negative one with a minus."""
    import datetime

    hundredths = duration // datetime.timedelta(milliseconds=10)
    sign = "-" if hundredths < 0 else ""
    seconds, hundredths = divmod(abs(hundredths), 100)
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{sign}{hours}:{minutes:02}:{seconds:02}.{hundredths:02}"


def format_timestamp(timestamp: datetime, tz: tzinfo | None = None) -> str:
    """Return a time like `2026-11-21 07:23:15`, in a zone; local by default."""
    return timestamp.astimezone(tz).strftime("%Y-%m-%d %H:%M:%S")
