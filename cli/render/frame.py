"""What the live display shows: a few lines that fit the terminal, made anew each time from counts, jobs and an estimate."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from redun.cli.render.colour import BOLD, FAINT, GREEN, RED, paint, status_colour
from redun.evaluation.job import Column
from redun.evaluation.progress import RunningJob
from redun.evaluation.status import shortened_name

_COLUMNS = (Column.PENDING, Column.RUNNING, Column.FAILED, Column.CACHED, Column.DONE)
_CELL = 7
_FULL_TABLE = (_CELL + 1) * (len(_COLUMNS) + 1)
_LEAST_NAME = 16
_SHORT_CELL = 15
_ENDED = (Column.FAILED, Column.CACHED, Column.DONE)

Counts = Mapping[str, tuple[int, ...]]


class Facts(NamedTuple):
    """What is shown.

    Attributes:
        counts: full name of a task -> jobs by `Column`.
        expected: jobs that there will be, at least; None if nobody knows.
        running: the jobs that have been running the longest.
    """

    counts: Counts
    elapsed_s: float
    left_s: float | None
    expected: int | None
    running: Sequence[RunningJob]


def frame_lines(facts: Facts, width: int, height: int, colours: bool) -> list[str]:
    """Return the lines of the display, each narrower than the terminal, at most half its height.

    Args:
        width, height: of the terminal, in cells.
    """
    # The last column stays free: a character there makes some terminals wrap.
    width -= 1
    room = max(1, height // 2 - 1)
    lines = [_head(facts, width, colours)]
    running = facts.running[: max(0, min(3, (room - 1) // 3))]
    rows = room - len(lines) - len(running) - 1
    if rows > 0 and len(facts.counts) > 1:
        lines += _table(facts.counts, rows, width, colours)
    for job in running:
        text = clip_cells(f"  {clock(job.for_s):>7}  {job.call}", width)
        lines.append(paint(text, FAINT) if colours else text)
    return lines


def _head(facts: Facts, width: int, colours: bool) -> str:
    sums = [sum([row[column] for row in facts.counts.values()]) for column in _COLUMNS]
    ended = sum([sums[column] for column in _ENDED])
    total = max(sum(sums), facts.expected or 0)
    parts = [f"{ended:,} of {total:,} jobs" if width >= 40 else f"{ended:,}/{total:,}"]
    if sums[Column.FAILED]:
        parts.append(f"{sums[Column.FAILED]:,} failed")
    parts.append(clock(facts.elapsed_s))
    if facts.left_s is not None:
        parts.append(f"about {clock(facts.left_s)} left" if width >= 40 else f"{clock(facts.left_s)} left")
    text = ", ".join(parts)
    bar_width = min(30, width - len(text) - 3)
    if bar_width >= 8 and total:
        full = ended * bar_width // total
        bar = "#" * full + "." * (bar_width - full)
        if colours:
            bar = paint("#" * full, RED if sums[Column.FAILED] else GREEN) + paint("." * (bar_width - full), FAINT)
        return f"[{bar}] {paint(text, BOLD) if colours else text}"
    text = clip_cells(text, width)
    return paint(text, BOLD) if colours else text


def _table(counts: Counts, rows: int, width: int, colours: bool) -> list[str]:
    """Return the rows of the tasks that matter most now: what runs, what waits, what has failed."""
    order = sorted(counts, key=lambda name: (-counts[name][Column.RUNNING], -counts[name][Column.PENDING], name))
    full = width - _FULL_TABLE >= _LEAST_NAME
    room = max(1, width - (_FULL_TABLE if full else _SHORT_CELL + 1))
    # As wide as the widest name, so that it moves seldom.
    name_width = min(max(map(len, counts)), room)
    lines = [_heads(name_width, colours)] if full and rows > 2 else []
    rows -= len(lines)
    shown = order if len(order) <= rows else order[: rows - 1]
    for name in shown:
        row = counts[name]
        lead = f"{shortened_name(name, name_width):<{name_width}}"
        if full:
            texts = [_cell(column, row[column], colours) for column in _COLUMNS]
            lines.append(f"{lead} {' '.join(texts)} {sum(row):>{_CELL}}")
        else:
            ended = sum([row[column] for column in _ENDED])
            lines.append(clip_cells(f"{lead} {f'{ended}/{sum(row)}':>{_SHORT_CELL}}", width))
    left = len(order) - len(shown)
    if left:
        text = clip_cells(f"and {left:,} more task{'s' if left > 1 else ''}", width)
        lines.append(paint(text, FAINT) if colours else text)
    return lines


def _heads(name_width: int, colours: bool) -> str:
    text = f"{'TASK':<{name_width}} {' '.join([column.name.rjust(_CELL) for column in _COLUMNS])} {'TOTAL':>{_CELL}}"
    return paint(text, FAINT) if colours else text


def _cell(column: Column, count: int, colours: bool) -> str:
    text = f"{count:>{_CELL}}"
    colour = status_colour(column.name)
    return paint(text, colour) if colours and count and colour is not None else text


def clock(seconds: float) -> str:
    """Return a duration like `0:07` or `1:02:30`."""
    minutes, left = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{left:02}" if hours else f"{minutes}:{left:02}"


def cells(text: str) -> int:
    """Return how many cells of a terminal a text takes."""
    return len(text) if text.isascii() else sum(map(_cells_of, text))


def _cells_of(character: str) -> int:
    if unicodedata.combining(character) or unicodedata.category(character) in ("Mn", "Me", "Cf"):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1


def clip_cells(text: str, width: int) -> str:
    """Return text that takes at most so many cells, `...` at its end if something was left out; control characters are shown."""
    if not text.isprintable():
        text = "".join([character if character.isprintable() else repr(character)[1:-1] for character in text])
    if cells(text) <= width:
        return text
    return _first_cells(text, width - 3) + "..." if width > 3 else _first_cells(text, width)


def _first_cells(text: str, width: int) -> str:
    taken = []
    for character in text:
        width -= _cells_of(character)
        if width < 0:
            break
        taken.append(character)
    return "".join(taken)
