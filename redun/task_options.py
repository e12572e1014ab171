"""Options of tasks whose values are a fixed choice."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from typing import Any, NamedTuple

from redun.errors import TaskDefinitionError, TaskOptionTypeError


class CacheScope(Enum):
    """Where results may be looked up: nowhere, in this execution, or in the store as well."""

    NONE = "NONE"
    CSE = "CSE"
    BACKEND = "BACKEND"


class CacheCheckValid(Enum):
    """How a cached result is checked: by replaying its expression, or at once."""

    FULL = "full"
    SHALLOW = "shallow"


class CacheResult(Enum):
    """Which lookup gave a job its result."""

    CSE = "CSE"
    SINGLE = "SINGLE"
    ULTIMATE = "ULTIMATE"
    MISS = "MISS"


_ENUMS: dict[str, type[Enum]] = {"cache_scope": CacheScope, "check_valid": CacheCheckValid}


def normal_options(fullname: str, options: Mapping[str, Any]) -> dict[str, Any]:
    """Return options in the one form in which they are kept: `cache` as a `cache_scope`, names of choices as their enums.

    Expressions are left as they are until they have values.

    Raises:
        TaskDefinitionError: names task, option and what is expected.
    """
    tags = options.get("tags")
    if isinstance(tags, list | tuple | dict):
        from redun.nested import holds_expression
        from redun.tags import check_tags

        try:
            if not holds_expression(tags):
                check_tags(tags)
        except (TypeError, ValueError) as error:
            raise TaskDefinitionError(f"tags of task {fullname!r}: {error}") from None
    normal = dict(options)
    if isinstance(normal.get("cache"), bool | int):
        # `cache=False` still shares equal calls within one execution.
        normal["cache_scope"] = CacheScope.BACKEND if normal.pop("cache") else CacheScope.CSE
    for name, enum in _ENUMS.items():
        value = normal.get(name)
        if isinstance(value, str):
            try:
                normal[name] = enum(value)
            except ValueError:
                expected = ", ".join(repr(member.value) for member in enum)
                raise TaskDefinitionError(
                    f"option {name} of task {fullname!r}: {value!r} is not a valid {enum.__name__}, expected one of {expected}"
                ) from None
    return normal


def check_nout(fullname: str, nout: Any) -> None:
    """Raise TaskOptionTypeError unless a number of outputs is one."""
    if type(nout) is not int or nout < 0:
        raise TaskOptionTypeError(f"nout of task {fullname!r} must be an integer of at least 0, found {nout!r}")


def check_async(fullname: str, options: Mapping[str, Any]) -> None:
    """Raise TaskDefinitionError if the results of an async task could be taken by a full check.

    What an async task returns does not tell what it awaited, so a full check could not see changes below it.
    """
    if options.get("cache_scope") in (None, CacheScope.BACKEND) and options.get("check_valid") is not CacheCheckValid.SHALLOW:
        raise TaskDefinitionError(
            f"async task {fullname!r} needs cache=False or check_valid='shallow': its awaited calls cannot be checked otherwise"
        )


def captures_output(fullname: str, options: Mapping[str, Any]) -> bool:
    """Return what the option `capture_output` of a task says: what its jobs write is kept, unless it is false.

    Raises:
        TaskDefinitionError: it is neither true nor false.
    """
    value = options.get("capture_output")
    wanted = True if value is None else truth(value)
    if wanted is None:
        raise TaskDefinitionError(f"option capture_output of task {fullname!r} must be true or false, found {value!r}")
    return wanted


def truth(value: Any) -> bool | None:
    """Return what the value of an option means, from a configuration file maybe; None if it is neither true nor false."""
    known = {"true": True, "yes": True, "on": True, "1": True, "false": False, "no": False, "off": False, "0": False}
    return known.get(str(value).strip().lower())


class Life(NamedTuple):
    """How long a job may run and how often it may be tried.

    Attributes:
        timeout_s: seconds that one attempt may take, None for any.
        retries: how often it is tried again.
        delay_s: seconds before the first time; they double from one to the next, up to `_MOST_PAUSE_S`.
        errors: classes of errors after which it is tried again.
    """

    timeout_s: float | None = None
    retries: int = 0
    delay_s: float = 0.0
    errors: tuple[type[BaseException], ...] = (Exception,)

    def covers(self, error: BaseException) -> bool:
        """Tell whether a job that failed with an error is tried again."""
        return isinstance(error, self.errors)

    def pause_s(self, failed: int) -> float:
        """Return the seconds to wait after so many attempts have failed."""
        return min(self.delay_s * 2.0 ** min(failed - 1, 60), max(self.delay_s, _MOST_PAUSE_S))


_MOST_PAUSE_S = 300.0


def life(fullname: str, options: Mapping[str, Any]) -> Life | None:
    """Return what the options `timeout`, `retries`, `retry_delay` and `retry_on` of a task say; None if they say nothing.

    Raises:
        TaskDefinitionError: a value cannot work; names task and option.
    """
    timeout = _number(fullname, options, "timeout")
    retries = _number(fullname, options, "retries") or 0
    if timeout is None and not retries:
        return None
    if timeout is not None and timeout <= 0:
        raise TaskDefinitionError(f"option timeout of task {fullname!r} must be more than 0 seconds, found {timeout!r}")
    if retries != int(retries):
        raise TaskDefinitionError(f"option retries of task {fullname!r} must be a whole number, found {retries!r}")
    given = options.get("retry_on")
    errors = (Exception,) if given is None else given if isinstance(given, list | tuple) else (given,)
    for error in errors:
        if not (isinstance(error, type) and issubclass(error, BaseException)):
            raise TaskDefinitionError(f"option retry_on of task {fullname!r} must be classes of errors, found {error!r}")
    return Life(timeout, int(retries), _number(fullname, options, "retry_delay") or 0.0, tuple(errors))


def _number(fullname: str, options: Mapping[str, Any], name: str) -> float | None:
    value = options.get(name)
    if value is None:
        return None
    try:
        # From a configuration file it is text.
        number = float(value) if not isinstance(value, bool) else -1.0
    except (TypeError, ValueError):
        number = -1.0
    if not 0 <= number < float("inf"):
        raise TaskDefinitionError(f"option {name} of task {fullname!r} must be a number of at least 0, found {value!r}")
    return number
