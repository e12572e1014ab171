"""Executors by type, as sections of the configuration name them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from importlib import import_module
from typing import Any, TypeVar

from redun.errors import ConfigError, ExecutorError, TaskNotFound
from redun.executors.base import Executor

E = TypeVar("E", bound=type[Executor])

_TYPES = {
    "alias": ("redun.executors.alias", "AliasExecutor"),
    "aws_batch": ("redun.executors.aws_batch", "AWSBatchExecutor"),
    "aws_glue": ("redun.executors.aws_glue", "AWSGlueExecutor"),
    "docker": ("redun.executors.docker", "DockerExecutor"),
    "gcp_batch": ("redun.executors.gcp_batch", "GCPBatchExecutor"),
    "k8s": ("redun.executors.k8s", "K8SExecutor"),
    "local": ("redun.executors.local", "LocalExecutor"),
    "thread": ("redun.executors.local", "LocalExecutor"),
}

_registered: dict[str, type[Executor]] = {}
"""Types that programs have added."""

# Keys of a section that configure the executor itself; the others are task options for the jobs on it.
_OWN = frozenset(("type", "class", "max_workers", "mode", "target"))


def register_executor(executor_name: str, executor_class_name: str | None = None) -> Callable[[E], E]:
    """Make a class of executors known under a type, for sections `[executors.NAME]` with `type = ...`; a decorator.

    Args:
        executor_name: the type.
        executor_class_name: accepted and not needed.
    """

    def decorate(executor_class: E) -> E:
        _registered[executor_name] = executor_class
        return executor_class

    return decorate


def get_executor_class(executor_name: str, required: bool = True) -> type[Executor] | None:
    """Return the class of a type of executors; None if there is none and it is not `required`.

    Raises:
        ExecutorError: there is none.
    """
    if executor_name in _registered:
        return _registered[executor_name]
    if executor_name in _TYPES:
        module, attribute = _TYPES[executor_name]
        found: type[Executor] = getattr(import_module(module), attribute)
        return found
    if required:
        raise ExecutorError(f"executor type {executor_name!r} is unknown, expected one of {_known()}")
    return None


def get_executor_from_config(executors_config: Mapping[str, Any], executor_name: str) -> Executor:
    """Make one of the executors of a configuration.

    Args:
        executors_config: name -> section.

    Raises:
        ExecutorError: there is no section of that name.
        ConfigError: the section cannot be served.
    """
    if executor_name not in executors_config:
        known = ", ".join(repr(name) for name in executors_config)
        raise ExecutorError(
            f"executor {executor_name!r} is not configured, expected one of {known or 'none: there are no sections'}"
        )
    return make_executor(executor_name, executors_config[executor_name], None)


def get_executors_from_config(executors_config: Mapping[str, Any]) -> Iterator[Executor]:
    """Make all executors of a configuration.

    Raises:
        ConfigError: a section cannot be served.
    """
    for name in executors_config:
        yield get_executor_from_config(executors_config, name)


def load_task_module(module_name: str, task_name: str) -> None:
    """Import the module that defines a task.

    Raises:
        ModuleNotFoundError: there is no such module.
        TaskNotFound: the module does not define the task.
    """
    from redun.task_registry import get_task_registry

    module = import_module(module_name)
    if get_task_registry().get(task_name) is None:
        raise TaskNotFound(
            f"module {module_name!r} at {getattr(module, '__file__', None)!r} does not define task {task_name!r}"
        )


def make_executor(name: str, section: Mapping[str, Any], scheduler: Any) -> Executor:
    """Make the executor that a section `[executors.NAME]` describes.

    Raises:
        ConfigError: its type is unknown.
    """
    kind = str(section.get("type", "local"))
    executor_class = get_executor_class(kind, required=False)
    if executor_class is None:
        raise ConfigError(f"section [executors.{name}]: type {kind!r} is unknown, expected one of {_known()}")
    if "class" in section:
        raise ConfigError(f"section [executors.{name}]: class is not supported yet, use add_executor in Python")
    if str(section.get("mode", "thread")) != "thread":
        raise ConfigError(f"section [executors.{name}]: mode {section['mode']!r} is not supported yet, expected 'thread'")
    executor = executor_class(name, scheduler, section)
    executor.options = {key: value for key, value in section.items() if key not in _OWN}
    return executor


def _known() -> str:
    from redun.executors.absent import AbsentExecutor

    served = [kind for kind in {*_TYPES, *_registered} if not issubclass(get_executor_class(kind) or Executor, AbsentExecutor)]
    return ", ".join(map(repr, sorted(served)))
