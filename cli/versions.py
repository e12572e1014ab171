"""Version requirements such as `>=0.1,<1`, for `--check-version`."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable

from redun.cli.errors import CommandError

_PART = re.compile(r"\s*(==|!=|>=|<=|>|<|)\s*v?(\d+(?:\.\d+)*)\s*\Z")
_OPERATORS: dict[str, Callable[[list[int], list[int]], bool]] = {
    "": operator.eq,
    "==": operator.eq,
    "!=": operator.ne,
    ">=": operator.ge,
    "<=": operator.le,
    ">": operator.gt,
    "<": operator.lt,
}


def fits(version: str, requirement: str) -> bool:
    """Tell whether a version meets every part of a requirement; a part without operator must be equal.

    Raises:
        CommandError: the requirement cannot be read.
    """
    here = _release(version)
    parts = [_PART.match(part) for part in requirement.split(",")]
    if None in parts:
        raise CommandError(f"version requirement {requirement!r} cannot be read: expected something like '>=0.1,<1'")
    return all(_holds(here, part[1], _release(part[2])) for part in parts if part is not None)


def _holds(here: list[int], sign: str, asked: list[int]) -> bool:
    length = max(len(here), len(asked))
    padded = [numbers + [0] * (length - len(numbers)) for numbers in (here, asked)]
    return _OPERATORS[sign](*padded)


def _release(version: str) -> list[int]:
    found = re.match(r"\d+(?:\.\d+)*", version)
    return [int(number) for number in found[0].split(".")] if found else []
