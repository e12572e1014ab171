"""Remembers the ids of large values that are used many times, so that a run hashes each of them once.

`[f(table, i) for i in range(1000)]` would hash `table` two thousand times. A value is known again by identity, and, where it could
have been changed in the meantime, by a quick look at its content (xxh3, thirty times as fast as SHA-256). Texts, bytes, arrow tables,
and tuples that hold nothing that could change, need no look. Lists, dicts and other objects are not remembered: nothing tells
quickly whether they are still the same (of a list of a million ints a look takes half as long as encoding it).
"""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import Any, NamedTuple

LARGE_BYTES = 1 << 20
"""Smaller values are not worth the trouble."""

_STRONG = 2
"""How many texts, bytes and tuples are kept alive for this; other values are not, they go when their users let go of them."""

_ATOMS = frozenset((int, float, bool, complex, str, bytes, type(None)))
_NESTED = frozenset((tuple, frozenset))


class _Forever:
    """The look of what cannot change."""


FOREVER = _Forever()


class _Known(NamedTuple):
    value: Callable[[], Any]
    look: Any
    ref: bytes
    flags: int


def _look_at_text(value: Any) -> Any:
    return FOREVER if len(value) >= LARGE_BYTES else None


def _look_at_tuple(value: Any) -> Any:
    pending = [value]
    while pending:
        item = pending.pop()
        others = set(map(type, item)) - _ATOMS
        if not others <= _NESTED:
            return None
        if others:
            pending.extend([part for part in item if type(part) in _NESTED])
    return FOREVER


LOOKS: dict[type, Callable[[Any], Any]] = {bytes: _look_at_text, str: _look_at_text, tuple: _look_at_tuple}
"""Type -> function that gives something equal as long as a value is unchanged, FOREVER if it cannot change, or None where a value is
small or cannot be told apart. Codecs of foreign packages add theirs when they are loaded. Asked of values that are large once
encoded."""


class LargeValues:
    """The large values of one run. One thread."""

    def __init__(self) -> None:
        self._known: dict[int, _Known] = {}
        self._strong: list[Any] = []

    def find(self, value: Any) -> _Known | None:
        """Return what is known of this very value, if it has not changed."""
        known = self._known.get(id(value))
        if known is None or known.value() is not value:
            return None
        return known if known.look is FOREVER or LOOKS[type(value)](value) == known.look else None

    def keep(self, value: Any, ref: bytes, flags: int) -> None:
        """Remember the ref and flags of a value that was just encoded; small ones and unknown types are passed over."""
        look_at = LOOKS.get(type(value))
        look = None if look_at is None else look_at(value)
        if look is None:
            return
        key = id(value)
        if type(value) in (bytes, str, tuple):
            self._strong.append(value)
            for old in self._strong[:-_STRONG]:
                self._known.pop(id(old), None)
            del self._strong[:-_STRONG]
            self._known[key] = _Known(lambda: value, look, ref, flags)
        else:
            gone = weakref.ref(value, lambda _: self._known.pop(key, None))
            self._known[key] = _Known(gone, look, ref, flags)

    def clear(self) -> None:
        """Forget all."""
        self._known.clear()
        self._strong.clear()
