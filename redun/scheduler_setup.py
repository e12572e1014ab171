"""Making the scheduler of a configuration: by the user's own function where `[scheduler] setup_scheduler` names one.

Such a function takes the configuration, further parameters of its own (`redun -s name=value`), and returns a `Scheduler`. It may add
executors, read secrets, set environment variables. A scheduler that it makes without a store gets the configuration's.
"""

from __future__ import annotations

import inspect
import typing
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from redun.errors import ConfigError

if TYPE_CHECKING:
    from redun.config import Config
    from redun.evaluation.scheduler import Scheduler
    from redun.store.repository import Store

SetupFunction = Callable[..., "Scheduler"]


def parse_func_path(path: str) -> tuple[str, str]:
    """Return script (or module) and function of `script::function`.

    Raises:
        ValueError: it is not of that form.
    """
    module, _, function = path.partition("::")
    if not module or not function.isidentifier():
        raise ValueError(f"expected script.py::function or module::function, found {path!r}")
    return module, function


def setup_function(config: Config) -> SetupFunction | None:
    """Return the function that `[scheduler] setup_scheduler` names, None if there is none.

    Raises:
        ConfigError: it cannot be found, or its script fails while it is imported.
    """
    section = config.get("scheduler")
    path = section.get("setup_scheduler") if section is not None else None
    if not path:
        return None
    where = section.where("setup_scheduler")
    try:
        module_name, name = parse_func_path(path)
    except ValueError as error:
        raise ConfigError(f"{where}: {error}") from None
    from redun.modules import import_script

    try:
        module = import_script(module_name)
    except Exception as error:
        raise ConfigError(f"{where}: {module_name!r} cannot be imported: {type(error).__name__}: {error}") from error
    found = getattr(module, name, None)
    if not callable(found):
        raise ConfigError(f"{where}: {module_name!r} has no function {name!r}")
    function: SetupFunction = found
    return function


def setup_parameters(function: SetupFunction) -> list[inspect.Parameter]:
    """List the parameters that a setup function has beside the configuration, their annotations resolved as far as they can be."""
    try:
        hints = typing.get_type_hints(function)
    except Exception:
        hints = {}
    parameters = list(inspect.signature(function).parameters.values())[1:]
    named = [one for one in parameters if one.kind not in (one.VAR_POSITIONAL, one.VAR_KEYWORD)]
    return [one.replace(annotation=hints.get(one.name, one.annotation)) for one in named]


def parse_setup_args(function: SetupFunction, setup_args: Iterable[str]) -> dict[str, Any]:
    """Return keyword arguments for a setup function from texts `name=value`, read by its annotations or defaults.

    Raises:
        ConfigError: a text is not of that form, there is no such parameter, or the value does not fit.
    """
    from redun.value import get_type_registry

    known = {parameter.name: parameter for parameter in setup_parameters(function)}
    found = {}
    for text in setup_args:
        key, equals, value = text.partition("=")
        name = key.strip().replace("-", "_")
        if not equals:
            raise ConfigError(f"setup argument {text!r}: expected name=value")
        if name not in known:
            expected = f"expected one of {', '.join(known)}" if known else "the setup function takes none"
            raise ConfigError(f"setup argument {key!r} is unknown: {expected}")
        try:
            found[name] = get_type_registry().parse_arg(_kind(known[name]), value)
        except Exception as error:
            raise ConfigError(f"setup argument {key!r}: {error}") from error
    return found


def _kind(parameter: inspect.Parameter) -> Any:
    """Return the type that a parameter's text is read as."""
    if parameter.annotation is not parameter.empty:
        return parameter.annotation
    return type(parameter.default) if isinstance(parameter.default, bool | int | float) else str


def use_boto_config(config: Config) -> None:
    """Let all clients of boto3 from now on be made with `[scheduler] boto_config`.

    Raises:
        ConfigError: it is no JSON object.
    """
    from redun.boto import set_boto_config
    from redun.config_rules import read_boto_config

    section = config.get("scheduler")
    set_boto_config(read_boto_config(section) if section is not None else {})


def make_scheduler(config: Config, store: Store | None, setup_args: Iterable[str] = (), logger: Any = None) -> Scheduler:
    """Return the scheduler of a configuration.

    Args:
        store: where results are kept, unless the user's function decides otherwise.
        setup_args: texts `name=value` for that function.
        logger: as for `Scheduler`.

    Raises:
        ConfigError: the user's function cannot be found, fails, or returns something else.
    """
    from redun.evaluation.scheduler import Scheduler

    use_boto_config(config)
    setup_args = list(setup_args)
    function = setup_function(config)
    if function is None:
        if setup_args:
            raise ConfigError(
                f"setup argument {setup_args[0]!r} has nobody to go to: section [scheduler] of {config.source} has no setup_scheduler"
            )
        return Scheduler(config, store, logger=logger)
    where = config["scheduler"].where("setup_scheduler")
    arguments = parse_setup_args(function, setup_args)
    try:
        scheduler = function(config, **arguments)
    except ConfigError:
        raise
    except Exception as error:
        raise ConfigError(f"{where}: {function.__name__}() failed: {type(error).__name__}: {error}") from error
    if not isinstance(scheduler, Scheduler):
        raise ConfigError(f"{where}: {function.__name__}() returned {scheduler!r}, expected a Scheduler")
    scheduler.adopt(store, logger)
    return scheduler
