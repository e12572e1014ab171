"""Executors by type, as sections of the configuration name them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from redun.errors import ConfigError
from redun.executors.base import Executor

_TYPES = {"local": ("redun.executors.local", "LocalExecutor"), "thread": ("redun.executors.local", "LocalExecutor")}

# Keys of a section that configure the executor itself; the others are task options for the jobs on it.
_OWN = frozenset(("type", "class", "max_workers", "mode"))


def make_executor(name: str, section: Mapping[str, Any], scheduler: Any) -> Executor:
    """Make the executor that a section `[executors.NAME]` describes.

    Raises:
        ConfigError: its type is unknown.
    """
    from importlib import import_module

    kind = str(section.get("type", "local"))
    if kind not in _TYPES:
        known = ", ".join(repr(known) for known in sorted(_TYPES))
        raise ConfigError(f"section [executors.{name}]: type {kind!r} is unknown, expected one of {known}")
    if "class" in section:
        raise ConfigError(f"section [executors.{name}]: class is not supported yet, use add_executor in Python")
    if str(section.get("mode", "thread")) != "thread":
        raise ConfigError(f"section [executors.{name}]: mode {section['mode']!r} is not supported yet, expected 'thread'")
    module, attribute = _TYPES[kind]
    executor: Executor = getattr(import_module(module), attribute)(name, scheduler, section)
    executor.options = {key: value for key, value in section.items() if key not in _OWN}
    return executor
