"""Context: values that a workflow's tasks see without being passed them, read by `get_context`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def merge(base: Mapping[str, Any], update: Mapping[str, Any]) -> dict[str, Any]:
    """Return a context with another one laid over it, dict by dict."""
    merged = dict(base)
    for key, value in update.items():
        before = merged.get(key)
        merged[key] = merge(before, value) if isinstance(before, Mapping) and isinstance(value, Mapping) else value
    return merged


def lookup(context: Mapping[str, Any], path: str, default: Any = None) -> Any:
    """Return the value at a dotted path like `a.b`, or `default` where a part is missing."""
    found: Any = context
    for part in path.split("."):
        if not isinstance(found, Mapping) or part not in found:
            return default
        found = found[part]
    return found


def get_context_value(context: dict[str, Any], var_path: str, default: Any) -> Any:
    """Return the value at a dotted path of a context that is at hand, or `default`; inside a workflow, see `get_context`."""
    return lookup(context, var_path, default)


def __getattr__(name: str) -> Any:
    # The special form needs the engine, which needs this module.
    if name == "get_context":
        from redun.forms import get_context

        return get_context
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
