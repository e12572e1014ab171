"""One section of a configuration: texts, interpolated when read, and converted with messages that name the place."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeVar, overload

from redun.errors import ConfigError

T = TypeVar("T")

DEFAULT = "DEFAULT"
_VARIABLE = re.compile(r"\$(?:\$|\{([^}]*)\})")
_DEEPEST = 20
_BOOLEANS = {"1": True, "yes": True, "true": True, "on": True, "0": False, "no": False, "false": False, "off": False}


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(text)
    return number


class Section(Mapping[str, str]):
    """Options of a section.

    Iterating gives the section's own options; asking by name also finds those of `[DEFAULT]`.

    Args:
        name: full name, such as `executors.default`.
        raw: all sections: name -> option -> text, not interpolated.
        source: file that they come from, for messages.
    """

    def __init__(self, name: str, raw: Mapping[str, Mapping[str, str]], source: str) -> None:
        self.name = name
        self._raw = raw
        self._own = raw.get(name, {})
        self._source = source

    @property
    def texts(self) -> Mapping[str, str]:
        """The section's own options as written."""
        return self._own

    def where(self, option: str) -> str:
        """Return file, section and option as the beginning of a message."""
        return f"{self._source}: option {option!r} in section [{self.name}]"

    def environment(self, text: str) -> list[str]:
        """List the environment variables that a text of this section takes in."""
        names = [found[1] for found in _VARIABLE.finditer(text) if found[1] is not None and ":" not in found[1]]
        return [name for name in names if name in os.environ]

    def __getitem__(self, option: str) -> str:
        text = self._own.get(option)
        if text is None:
            text = self._raw.get(DEFAULT, {})[option]
        return self._interpolate(option, text, self.name, 0) if "$" in text else text

    def __iter__(self) -> Iterator[str]:
        return iter(self._own)

    def __len__(self) -> int:
        return len(self._own)

    def __contains__(self, option: object) -> bool:
        return option in self._own or option in self._raw.get(DEFAULT, {})

    def __repr__(self) -> str:
        return f"<Section: {self.name}>"

    @overload
    def get(self, option: str, /) -> str | None: ...
    @overload
    def get(self, option: str, /, fallback: str) -> str: ...
    @overload
    def get(self, option: str, /, fallback: T) -> str | T: ...
    def get(self, option: str, /, fallback: Any = None) -> Any:
        """Return the text of an option, or `fallback`."""
        try:
            return self[option]
        except KeyError:
            return fallback

    def getint(self, option: str, fallback: Any = None) -> Any:
        """Return an option as an integer, or `fallback` where it is missing."""
        return self._converted(option, fallback, int, "an integer")

    def getfloat(self, option: str, fallback: Any = None) -> Any:
        """Return an option as a number, or `fallback` where it is missing."""
        return self._converted(option, fallback, _finite, "a number")

    def getboolean(self, option: str, fallback: Any = None) -> Any:
        """Return an option as a truth value, or `fallback` where it is missing."""
        return self._converted(option, fallback, lambda text: _BOOLEANS[text.strip().lower()], "true or false")

    def _converted(self, option: str, fallback: Any, convert: Callable[[str], Any], expected: str) -> Any:
        if option not in self:
            return fallback
        text = self[option]
        try:
            return convert(text)
        except (ValueError, KeyError):
            raise ConfigError(f"{self.where(option)}: expected {expected}, found {text!r}") from None

    def _interpolate(self, option: str, text: str, section: str, depth: int) -> str:
        if depth > _DEEPEST:
            raise ConfigError(f"{self.where(option)} refers to itself: {text!r}")

        def value(found: re.Match[str]) -> str:
            name = found[1]
            if name is None:
                return "$"
            home, colon, other = name.rpartition(":")
            if not colon and name in os.environ:
                return os.environ[name]
            options = self._raw.get(home if colon else section, {})
            key = other if colon else name
            inner = options.get(key, self._raw.get(DEFAULT, {}).get(key))
            if inner is None:
                places = (
                    "no such option"
                    if colon
                    else "no environment variable, option of the section or of [DEFAULT] has that name"
                )
                raise ConfigError(f"{self.where(option)}: {found[0]} is unknown: {places} (a plain $ is written $$)")
            return self._interpolate(option, inner, home if colon else section, depth + 1)

        return _VARIABLE.sub(value, text)


def truth(options: Mapping[str, Any], name: str) -> bool:
    """Return an option that is true or false, false where it is missing; of a section, or of a dict that a script gives.

    Raises:
        ConfigError: it is something else.
    """
    if isinstance(options, Section):
        return bool(options.getboolean(name, False))
    value = options.get(name, False)
    found = value if isinstance(value, bool) else _BOOLEANS.get(str(value).strip().lower())
    if found is None:
        raise ConfigError(f"option {name!r}: expected true or false, found {value!r}")
    return found
