"""Options of tasks whose values are a fixed choice."""

from __future__ import annotations

from enum import Enum
from typing import Any

from redun.errors import TaskDefinitionError


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


def check_options(fullname: str, options: dict[str, Any]) -> None:
    """Refuse option values that cannot work; expressions are checked when they are known.

    Raises:
        TaskDefinitionError: names task, option and what is expected.
    """
    for name, enum in (("check_valid", CacheCheckValid), ("cache_scope", CacheScope)):
        value = options.get(name)
        if value is not None and isinstance(value, str | Enum):
            try:
                enum(value)
            except ValueError:
                expected = ", ".join(repr(member.value) for member in enum)
                raise TaskDefinitionError(
                    f"option {name}={value!r} of task {fullname!r} is unknown: expected one of {expected}"
                ) from None
