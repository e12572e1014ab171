"""Options of tasks whose values are a fixed choice."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from typing import Any

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
