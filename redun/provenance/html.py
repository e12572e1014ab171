"""Records as notebooks show them: small tables, readable on light and dark ground.

A record knows no store, so of a value it shows what it holds itself: small ones whole, others by their hash.
"""

from __future__ import annotations

import shlex
import time
from collections.abc import Iterable
from html import escape

from redun.describe import preview
from redun.plain_text import format_timedelta
from redun.provenance.model import Call, Execution, Job, Task, Value
from redun.store.errors import ObjectNotFound
from redun.store.ids import LINK_MARK
from redun.store.journal import Status

_COLOURS = {
    Status.DONE: "#2e7d32",
    Status.CACHED: "#00838f",
    Status.FAILED: "#c62828",
    Status.CANCELLED: "#b26a00",
    Status.INTERRUPTED: "#b26a00",
    Status.RUNNING: "#1565c0",
}


def execution_html(execution: Execution) -> str:
    """Return an execution as HTML."""
    return _table(
        f"Execution {execution.id}",
        execution.status,
        [
            ("command", _code(shlex.join(execution.argv))),
            ("started", _time(execution.start_us)),
            ("duration", _duration(execution.duration_us)),
            ("by", escape(f"{execution.user} on {execution.host} in {execution.cwd}")),
            ("tags", ", ".join([_code(f"{key}={value}") for key, value in execution.tags])),
        ],
    )


def job_html(job: Job) -> str:
    """Return a job as HTML."""
    return _table(
        f"Job {job.id}",
        job.status,
        [
            ("task", f"{_code(job.task_name)} ({escape(job.task_hash[:8])})"),
            ("call", "" if job.call is None else escape(job.call)),
            ("execution", escape(job.execution)),
            ("started", _time(job.start_us)),
            ("duration", _duration(job.duration_us)),
        ],
    )


def call_html(call: Call) -> str:
    """Return a call as HTML."""
    return _table(
        f"CallNode {call.id}",
        Status.FAILED if call.failed else None,
        [
            ("task", f"{_code(call.task_name)} ({escape(call.task_hash[:8])})"),
            *[(escape(argument.name), _value(argument.value)) for argument in call.arguments],
            ("raised" if call.failed else "result", _value(call.result)),
            ("calls", str(len(call.children)) if call.children else ""),
        ],
    )


def task_html(task: Task) -> str:
    """Return a task with its source as HTML."""
    source = "" if task.source is None else f"<pre>{escape(task.source)}</pre>"
    version = "" if task.version is None else _code(task.version)
    return _table(f"Task {task.hash}", None, [("name", _code(task.fullname)), ("version", version), ("source", source)])


def value_html(value: Value) -> str:
    """Return a value as HTML."""
    return _table(f"Value {value.id}", None, [("value", "" if value.ref[0] == LINK_MARK else _value(value))])


def _value(value: Value) -> str:
    return escape(value.id[:8]) if value.ref[0] == LINK_MARK else _code(preview(value.ref, _nothing, trusted=False))


def _nothing(oid: bytes) -> bytes:
    raise ObjectNotFound(oid)


def _table(title: str, status: Status | None, rows: Iterable[tuple[str, str]]) -> str:
    badge = "" if status is None else f'<b style="color:{_COLOURS.get(status, "#616161")}">{status.name}</b>'
    cells = "".join(
        [
            f'<tr><th style="text-align:left">{name}</th><td style="text-align:left">{text}</td></tr>'
            for name, text in rows
            if text
        ]
    )
    return f"<div><div>{escape(title)} {badge}</div><table>{cells}</table></div>"


def _code(text: str) -> str:
    return f"<code>{escape(text if len(text) <= 500 else text[:497] + '...')}</code>"


def _time(time_us: int) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(time_us / 1_000_000))


def _duration(duration_us: int | None) -> str:
    from datetime import timedelta

    return "" if duration_us is None else format_timedelta(timedelta(microseconds=duration_us))
