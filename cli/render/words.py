"""The small parts that lines are made of: ids, times, statuses, command lines, calls."""

from __future__ import annotations

import os
import re
import shlex
import time
from collections.abc import Sequence
from typing import Any

from redun.provenance import Argument, Execution, Status

TEXT_MAX = 200
CALL_MAX = 1000

_LINE_END = re.compile(r"\s*\n\s*")

_LABELS = {
    Status.PENDING: "[ PEND ]",
    Status.RUNNING: "[ RUN  ]",
    Status.DONE: "[ DONE ]",
    Status.CACHED: "[CACHED]",
    Status.FAILED: "[FAILED]",
    Status.CANCELLED: "[CANCEL]",
    # Longer than the column on purpose: it is rare, and must not be taken for anything else.
    Status.INTERRUPTED: "[INTERRUPTED]",
}


def label(status: Status) -> str:
    """Return a status in brackets."""
    return _LABELS[status]


def short(record_id: str) -> str:
    """Return the first 8 characters of an id."""
    return record_id[:8]


_seconds: dict[int, str] = {}


def local_time(time_us: int) -> str:
    """Return a time (UTC microseconds) as local date and time."""
    second = time_us // 1_000_000
    found = _seconds.get(second)
    if found is None:
        try:
            found = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(second))
        except (OverflowError, ValueError, OSError):
            found = "?"
        if len(_seconds) > 10_000:
            _seconds.clear()
        _seconds[second] = found
    return found


def duration(duration_us: int) -> str:
    """Return a duration like `0:00:02.35`."""
    hundredths = max(0, duration_us) // 10_000
    seconds, hundredths = divmod(hundredths, 100)
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}.{hundredths:02}"


def clip(text: str, limit: int = TEXT_MAX) -> str:
    """Return text on one line and no longer than `limit` characters, `...` at its end if something was left out."""
    start = text[: 4 * limit]
    if "\n" in start:
        start = _LINE_END.sub(" ", start)
    return start if len(start) <= limit and len(text) <= 4 * limit else f"{start[: limit - 3]}..."


def bare_name(fullname: str) -> str:
    """Return a task's name without its namespace."""
    return fullname.rpartition(".")[2]


def command_line(argv: Sequence[str]) -> str:
    """Return a command line as it would be typed, without the name of redun itself."""
    words = list(argv)
    if words and os.path.basename(words[0]) in ("redun", "redun.exe", "__main__.py"):
        words = words[1:]
    return clip(shlex.join(words), CALL_MAX)


def tags(pairs: Sequence[tuple[str, Any]]) -> str:
    """Return tags as ` (key=value, ...)`, empty if there are none."""
    if not pairs:
        return ""
    from redun.tags import format_tag_key_value

    shown = [format_tag_key_value(key, value) for key, value in pairs]
    return clip(f" ({', '.join(shown)})", CALL_MAX)


def argument_list(arguments: Sequence[Argument], texts: Sequence[str]) -> str:
    """Return arguments as in a call: `'a', n=3`."""
    parts = [
        text if isinstance(argument.slot, int) else f"{argument.slot}={text}"
        for argument, text in zip(arguments, texts, strict=True)
    ]
    return ", ".join(parts)


def execution_line(execution: Execution, tagged: Sequence[tuple[str, Any]], whole_id: bool = False) -> str:
    """Return the line of an execution and the tags that it has."""
    name = execution.id if whole_id else short(execution.id)
    facts = f"{command_line(execution.argv)}{tags(tagged)}"
    return f"Exec {name} {label(execution.status)} {local_time(execution.start_us)}:  {facts}"


def size_text(count: int) -> str:
    """Return a number of bytes as a person says it: `532 B`, `1.2 KB`, `3.4 GB`."""
    if count < 1000:
        return f"{count} B"
    size = float(count)
    for unit in ("KB", "MB", "GB", "TB"):
        size /= 1000
        if size < 999.95 or unit == "TB":
            break
    return f"{size:.1f} {unit}"
