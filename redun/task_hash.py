"""What a task's hash is made of: name, source or version, what `hash_includes` lists, and options that were given at call time."""

from __future__ import annotations

from typing import Any

from redun.records import TaskRecord
from redun.source import dedent
from redun.task import Task


def plain_source(task: Task[Any, Any]) -> str:
    """Return a task's text, dedented: it is the same wherever it stands."""
    return dedent(task.source)


def make_record(task: Task[Any, Any]) -> TaskRecord:
    """Return what is stored of a task and hashed."""
    return TaskRecord(
        task.fullname,
        None if task.version is not None else plain_source(task),
        None if task.version is None else str(task.version),
        tuple(sorted([_include_hash(item) for item in task.hash_includes])),
        _plain_overrides(task.task_options_override),
    )


def _include_hash(item: Any) -> str:
    if isinstance(item, Task):
        return item.hash
    if hasattr(item, "__code__"):
        # By its source, wherever it is defined.
        from redun.user_types import function_digest

        return f"{item.__qualname__} {function_digest(item)}"
    from redun.encoding import value_id

    return value_id(item).hex()


def _plain_overrides(options: dict[str, Any]) -> Any:
    """Options as plain data for the task's record: nothing if there are none, else the id of their value."""
    if not options:
        return None
    from redun.encoding import value_id

    return value_id(dict(sorted(options.items()))).hex()
