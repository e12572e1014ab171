"""A mapping from a key to several values, in the order in which they were added."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Generic, TypeVar

K = TypeVar("K")
V = TypeVar("V")

_RAISE = object()


class MultiMap(Generic[K, V]):
    """Keys with any number of values each; equal to another one if each key has the same values, whatever their order. A dict of
    lists and a list of pairs may be compared with as well.

    Args:
        items: (key, value) pairs.
    """

    def __init__(self, items: Iterable[tuple[K, V] | list[Any]] = ()) -> None:
        self._values: dict[K, list[V]] = {}
        for key, value in items:
            self.add(key, value)

    def add(self, key: K, value: V) -> None:
        """Add a value to a key."""
        self._values.setdefault(key, []).append(value)

    def has_item(self, key: K, value: V) -> bool:
        """Tell whether a key has a value."""
        return value in self._values.get(key, ())

    def get(self, key: K, default: Any = _RAISE) -> Any:
        """Return the list of a key's values; `default` if it has none, an empty list if that is not given."""
        return self._values.get(key, [] if default is _RAISE else default)

    def __getitem__(self, key: K) -> list[V]:
        return self._values[key]

    def __contains__(self, key: object) -> bool:
        return key in self._values

    def __len__(self) -> int:
        return sum(map(len, self._values.values()))

    def __iter__(self) -> Iterator[tuple[K, V]]:
        return self.items()

    def keys(self) -> Iterator[K]:
        """Yield each key once."""
        return iter(self._values)

    def values(self) -> Iterator[V]:
        """Yield all values, key by key."""
        return (value for values in self._values.values() for value in values)

    def items(self) -> Iterator[tuple[K, V]]:
        """Yield all (key, value) pairs, key by key."""
        return ((key, value) for key, values in self._values.items() for value in values)

    def as_dict(self) -> dict[K, list[V]]:
        """Return key -> list of values, a copy."""
        return {key: list(values) for key, values in self._values.items()}

    def __eq__(self, other: object) -> bool:
        if isinstance(other, dict):
            other = MultiMap([(key, value) for key, values in other.items() for value in values])
        elif isinstance(other, list):
            other = MultiMap(other)
        elif not isinstance(other, MultiMap):
            return NotImplemented
        if self._values.keys() != other._values.keys():
            return False
        return all(_same_items(values, other._values[key]) for key, values in self._values.items())

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"MultiMap({list(self.items())!r})"


def _same_items(some: list[Any], others: list[Any]) -> bool:
    # Values need be neither hashable nor sortable.
    left = list(others)
    for item in some:
        if item not in left:
            return False
        left.remove(item)
    return not left
