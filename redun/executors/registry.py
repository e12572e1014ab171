"""Executors by type, as sections of the configuration name them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from importlib import import_module
from typing import Any, TypeVar, overload

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
    "process": ("redun.executors.local", "ProcessExecutor"),
    "thread": ("redun.executors.local", "LocalExecutor"),
}

# Keys of a section that configure the executor itself; the others are task options for the jobs on it.
_OWN = frozenset(("type", "class", "max_workers", "mode", "start_method", "scratch", "target")) | frozenset(
    ("code_package", "code_includes", "code_excludes")
)


class ExecutorProvider:
    """A type that a program has added: its class, or the name of it, which is imported when it is first needed."""

    def __init__(self, executor_class: type[Executor] | str) -> None:
        self._class = executor_class

    @property
    def executor_class(self) -> type[Executor]:
        """The class.

        Raises:
            ExecutorError: it cannot be imported, or is no executor.
        """
        if isinstance(self._class, str):
            self._class = import_class(self._class)
        return self._class

    def __call__(self, *args: Any, **kwargs: Any) -> Executor:
        return self.executor_class(*args, **kwargs)


_registered: dict[str, ExecutorProvider] = {}


@overload
def register_executor(executor_name: str, executor_class_name: None = None) -> Callable[[E], E]: ...


@overload
def register_executor(executor_name: str, executor_class_name: str) -> ExecutorProvider: ...


def register_executor(executor_name: str, executor_class_name: str | None = None) -> Any:
    """Make a class of executors known under a type, for sections `[executors.NAME]` with `type = ...`; usually as a decorator.

    Args:
        executor_name: the type.
        executor_class_name: full name of the class (`package.module.Class`), instead of decorating it: it is imported on first use.
    """
    if executor_class_name is not None:
        provider = _registered[executor_name] = ExecutorProvider(executor_class_name)
        return provider

    def decorate(executor_class: E) -> E:
        _registered[executor_name] = ExecutorProvider(executor_class)
        return executor_class

    return decorate


def import_class(name: str) -> type[Executor]:
    """Import a class of executors.

    Args:
        name: `package.module:Class`, or with a dot in place of the colon.

    Raises:
        ExecutorError: there is no such module or class, or it is no executor.
    """
    module_name, colon, attribute = name.partition(":")
    if not colon:
        module_name, _, attribute = name.rpartition(".")
    if not module_name or not attribute:
        raise ExecutorError(f"class {name!r} of an executor: expected package.module:Class")
    try:
        module = import_module(module_name)
    except ModuleNotFoundError as error:
        raise ExecutorError(f"class {name!r} of an executor: module {error.name!r} cannot be found") from error
    except Exception as error:
        raise ExecutorError(
            f"class {name!r} of an executor: module {module_name!r} cannot be imported: {type(error).__name__}: {error}"
        ) from error
    found: Any = module
    for part in attribute.split("."):
        found = getattr(found, part, None)
    if not (isinstance(found, type) and issubclass(found, Executor)):
        what = "is not there" if found is None else "is no subclass of redun.executors.base.Executor"
        raise ExecutorError(f"class {name!r} of an executor: {attribute!r} in module {module_name!r} {what}")
    return found


def get_executor_class(executor_name: str, required: bool = True) -> type[Executor] | None:
    """Return the class of a type of executors; None if there is none and it is not `required`.

    Raises:
        ExecutorError: there is none.
    """
    if executor_name in _registered:
        return _registered[executor_name].executor_class
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
        ConfigError: its type or class is unknown, or it refuses its configuration.
    """
    from redun.config import create_config_section
    from redun.config_section import Section

    # Classes written for a configuration file ask it for `getint` and the like.
    is_section = isinstance(section, Section)
    config = section if is_section else create_config_section({key: str(value) for key, value in section.items()})

    def where(option: str) -> str:
        return section.where(option) if isinstance(section, Section) else f"section [executors.{name}]"

    if "class" in section:
        try:
            executor_class = import_class(str(section["class"]))
        except ExecutorError as error:
            raise ConfigError(f"{where('class')}: {error}") from error
    else:
        kind = str(section.get("type", "local"))
        found = get_executor_class(kind, required=False)
        if found is None:
            raise ConfigError(f"{where('type')}: type {kind!r} is unknown, expected one of {_known()}")
        executor_class = found
    executor = executor_class(name, config=config)
    if scheduler is not None:
        executor.set_scheduler(scheduler)
    executor.options = {key: value for key, value in section.items() if key not in _OWN}
    return executor


def _known() -> str:
    from redun.executors.absent import AbsentExecutor

    # Registered ones without importing what they name.
    served = [kind for kind in _TYPES if not issubclass(get_executor_class(kind) or Executor, AbsentExecutor)]
    return ", ".join(map(repr, sorted({*served, *_registered})))
