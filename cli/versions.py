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
    for part in requirement.split(","):
        found = _PART.match(part)
        if found is None:
            raise CommandError(f"version requirement {requirement!r} cannot be read: expected something like '>=0.1,<1'")
        asked = _release(found[2])
        length = max(len(here), len(asked))
        padded = [numbers + [0] * (length - len(numbers)) for numbers in (here, asked)]
        if not _OPERATORS[found[1]](*padded):
            return False
    return True


def _release(version: str) -> list[int]:
    found = re.match(r"\d+(?:\.\d+)*", version)
    return [int(number) for number in found[0].split(".")] if found else []
