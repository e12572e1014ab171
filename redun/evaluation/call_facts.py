"""What can be said of a call without running it: its arguments with defaults, its hashes, and how it looks in the log."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from redun.encoding import ValueEncoder
from redun.evaluation.plan import Plan
from redun.evaluation.text import MAX_LENGTH, format_call, format_value
from redun.task import Task


def get_arg_defaults(task: Task[Any, Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
    """Return the defaults of the parameters that a call does not give."""
    return {name: value for name, value in task.shape.fill(args, kwargs).items() if name not in kwargs}


def set_arg_defaults(
    task: Task[Any, Any], args: tuple[Any, ...], kwargs: dict[str, Any]
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Return the arguments of a call with its defaults among the keywords."""
    return args, dict(task.shape.fill(args, kwargs))


def hash_args_eval(
    type_registry: Any, task: Task[Any, Any], args: tuple[Any, ...], kwargs: Mapping[str, Any]
) -> tuple[str, str]:
    """Return the eval hash of a call with concrete arguments and the hash of the arguments alone, 40 hex digits each.

    Args:
        type_registry: accepted for scripts that pass it; there is one.
    """
    plan = Plan(task, task.get_task_options(), "default", [0] * 5)
    encoder = ValueEncoder()

    def key(value: Any) -> bytes:
        return encoder.key(value, encoder.encode(value))

    keys = [key(arg) for arg in args]
    named = {name: key(arg) for name, arg in plan.shape.fill(args, dict(kwargs)).items()}
    return plan.eval_hash(keys, named).hex(), plan.eval_hash(keys, named, b"").hex()


def format_arg(arg_name: str, value: Any, max_length: int = MAX_LENGTH) -> str:
    """Return `name=value`, cut to a length."""
    return f"{arg_name}={format_value(value, max_length)}"


def format_task_call(task: Task[Any, Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> str:
    """Return a call as the log shows it, defaults included: `ns.add(a=1, b=2)`."""
    return format_call(task.fullname, task.shape.names, args, task.shape.fill(args, kwargs))
