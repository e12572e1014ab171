"""The table of jobs by task and status, as a run prints it now and then and `redun log` shows it for an execution."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from typing import Any

from redun.errors import ConfigError
from redun.store.journal import Status

COLUMNS = (Status.PENDING, Status.RUNNING, Status.FAILED, Status.CACHED, Status.DONE)
_RARE = (Status.CANCELLED, Status.INTERRUPTED)
_WIDTH = 7
_LEAST_NAME = 16
DEFAULT_STATUS_INTERVAL_S = 20

Counts = Mapping[str, Mapping["Status | str", int]]


def status_interval_s(section: Mapping[str, Any]) -> float | None:
    """Return the seconds between two tables of a running execution that `[scheduler] job_status_interval` says, None for no tables.

    Raises:
        ConfigError: it is no number.
    """
    text = section.get("job_status_interval", DEFAULT_STATUS_INTERVAL_S)
    try:
        interval_s = float(text)
        if not math.isfinite(interval_s):
            raise ValueError(text)
    except (TypeError, ValueError):
        raise ConfigError(f"option 'job_status_interval' in section [scheduler]: expected a number, found {text!r}") from None
    return interval_s if interval_s > 0 else None


class StatusClock:
    """Has the table shown now and then while jobs run.

    Args:
        interval_s: how often.
        show: shows it.
    """

    def __init__(self, interval_s: float, show: Callable[[], None]) -> None:
        self._interval_s = interval_s
        self._show = show
        self._due = time.monotonic() + interval_s

    def tick(self, timeout_s: float | None) -> float:
        """Show the table if it is due; return how long to wait for something else, at most `timeout_s`."""
        now = time.monotonic()
        if now >= self._due:
            self._show()
            self._due = now + self._interval_s
        return min(self._due - now, timeout_s) if timeout_s is not None else self._due - now


def format_status_table(counts: Counts, when: float | None = None, width: int | None = None) -> list[str]:
    """Return the lines of the table.

    Columns for cancelled and interrupted jobs appear only if there are any; the total counts every job.

    Args:
        counts: full name of a task -> status -> number of jobs; statuses may be given by name.
        when: seconds since the epoch, shown local; now by default.
        width: columns of a terminal, in which lines should not break: names that are too long lose their middle; None for whole names.
    """
    rows = {name: _by_status(counts[name]) for name in sorted(counts)}
    columns = [*COLUMNS, *[status for status in _RARE if any(row.get(status) for row in rows.values())]]
    all_tasks: dict[Status, int] = {}
    for row in rows.values():
        for status, count in row.items():
            all_tasks[status] = all_tasks.get(status, 0) + count
    widths = [max(_WIDTH, len(status.name)) for status in columns]
    name_width = max([_WIDTH, *map(len, rows)])
    if width is not None:
        # "| " before, a blank between each two cells, and the terminal's last column free.
        name_width = min(name_width, max(_LEAST_NAME, width - 3 - sum(widths) - len(widths) - 1 - _WIDTH))
    stamp = time.strftime("%Y/%m/%d %H:%M:%S", time.localtime(when))
    heads = " ".join([status.name.rjust(width) for status, width in zip(columns, widths, strict=True)])
    lines = [f"| JOB STATUS {stamp}", f"| {'TASK':<{name_width}} {heads} {'TOTAL':>{_WIDTH}}", "| "]
    for name, row in (("ALL", all_tasks), *rows.items()):
        cells = " ".join([str(row.get(status, 0)).rjust(width) for status, width in zip(columns, widths, strict=True)])
        lines.append(f"| {shortened_name(name, name_width):<{name_width}} {cells} {sum(row.values()):>{_WIDTH}}")
    return lines


def shortened_name(name: str, width: int) -> str:
    """Return a name of a task of at most so many characters: more of its end is kept than of its namespace."""
    if len(name) <= width:
        return name
    head = max(0, (width - 2) // 3)
    return f"{name[:head]}..{name[len(name) - max(0, width - 2 - head) :]}"


def _by_status(row: Mapping[Status | str, int]) -> dict[Status, int]:
    found: dict[Status, int] = {}
    for key, count in row.items():
        status = Status[key] if isinstance(key, str) else Status(key)
        found[status] = found.get(status, 0) + count
    return found
