"""Namespaces of tasks: the part of a fullname before the last dot."""

from __future__ import annotations

import sys
from typing import Any

from redun.errors import TaskDefinitionError

_current = [""]


def namespace(_namespace: str | None = None) -> None:
    """Set the namespace of the tasks that are defined from here on; without argument, none.

    The `namespace` option of a task beats it, and so does the module's `redun_namespace`.
    """
    _current[0] = _namespace or ""


def get_current_namespace() -> str:
    """Return the namespace that `namespace` set last; empty if none."""
    return _current[0]


def compute_namespace(obj: Any, namespace: str | None = None) -> str:
    """Return the namespace of a function or class: the one given, its module's `redun_namespace`, or the current one.

    An empty one is a choice as well: it means none.
    """
    if namespace is not None:
        return namespace
    scope = getattr(obj, "__globals__", None)
    if scope is None:
        module = sys.modules.get(getattr(obj, "__module__", None) or "")
        scope = vars(module) if module is not None else {}
    of_module = scope.get("redun_namespace")
    return get_current_namespace() if of_module is None else str(of_module)


def check_namespace(namespace: str, whose: str) -> None:
    """Raise TaskDefinitionError unless a namespace is names joined by dots."""
    if not (namespace.isascii() and all(name.isidentifier() for name in namespace.split("."))):
        raise TaskDefinitionError(
            f"namespace {namespace!r} of {whose} must be names joined by dots, each of ASCII letters, digits and underscores"
        )
