"""Nested values: lists, tuples, sets, dicts, namedtuples and dataclasses, searched for expressions and sub-values.

Only exact builtin containers, namedtuples and dataclass instances are looked into; other subclasses are opaque, as they may
mean something else. Nothing here recurses: depth costs memory, not stack.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from redun.errors import EncodeError
from redun.expression import (
    Expression,
    SchedulerExpression,
    SimpleExpression,
    TaskExpression,
    ValueExpression,
)

ATOMS = frozenset((int, str, float, bool, type(None), bytes, complex))
"""Types that hold nothing: most arguments are of these, and a look at the type settles them."""

EXPRESSION_TYPES = frozenset((TaskExpression, SchedulerExpression, SimpleExpression, ValueExpression))
"""Expressions, for a quick look at what a list holds. There are other kinds, inside the engine."""

_SEQUENCES = frozenset((list, tuple, set, frozenset))

_other_kinds: dict[type, str] = {}
"""What a class that is no builtin container is: "leaf", "namedtuple" or "dataclass"; asked once per class."""


def _other_kind(kind: type) -> str:
    found = _other_kinds.get(kind)
    if found is None:
        if issubclass(kind, tuple) and hasattr(kind, "_fields"):
            found = "namedtuple"
        elif hasattr(kind, "__dataclass_fields__") and not issubclass(kind, Expression):
            found = "dataclass"
        else:
            found = "leaf"
        _other_kinds[kind] = found
    return found


_FIELDS: dict[type, tuple[str, ...]] = {}


def dataclass_fields(kind: Any) -> tuple[str, ...]:
    """Names of the fields of a dataclass; class variables and parameters of `__init__` alone are none."""
    found = _FIELDS.get(kind)
    if found is None:
        from dataclasses import fields

        found = _FIELDS[kind] = tuple([field.name for field in fields(kind)])
    return found


def children(value: Any) -> list[Any] | None:
    """List the items directly inside a container (keys of a dict as well), or None for a leaf."""
    kind = type(value)
    if kind in ATOMS:
        return None
    if kind in _SEQUENCES:
        return list(value)
    if kind is dict:
        return [item for pair in value.items() for item in pair]
    other = _other_kind(kind)
    if other == "namedtuple":
        return list(value)
    if other == "dataclass":
        return [getattr(value, name) for name in dataclass_fields(kind) if hasattr(value, name)]
    return None


def iter_leaves(value: Any) -> Iterator[Any]:
    """Yield what a nested value holds and is no container itself, in order; the value itself if it is a leaf."""
    items = children(value)
    if items is None:
        yield value
        return
    stack = [(iter(items), value)]
    open_ids = {id(value)}
    while stack:
        todo, container = stack[-1]
        for item in todo:
            inside = children(item)
            if inside is not None:
                if id(item) in open_ids:
                    raise EncodeError(f"a {type(item).__qualname__} that contains itself has no encoding")
                open_ids.add(id(item))
                stack.append((iter(inside), item))
                break
            yield item
        else:
            stack.pop()
            open_ids.discard(id(container))


def leaf_kinds(value: Any) -> set[type]:
    """Return the types of the leaves of a nested value. A flat list, however long, costs one look at its types."""
    if type(value) in _SEQUENCES:
        kinds = set(map(type, value))
        if not any(map(_is_container, kinds)):
            return kinds
    return set(map(type, iter_leaves(value)))


def find_expressions(value: Any) -> list[Expression[Any]]:
    """List the expressions in a nested value, in order, repeats included; those inside other expressions are not listed."""
    kind = type(value)
    if kind is list and len(value) == 1:
        value = value[0]
        kind = type(value)
    if kind in ATOMS:
        return []
    if kind in EXPRESSION_TYPES:
        return [value]
    if kind in _SEQUENCES:
        kinds = set(map(type, value)) - ATOMS
        if not kinds:
            return []
        if kinds <= EXPRESSION_TYPES:
            # Flat, as what a fan-out returns is: the items of the only kinds that need no look.
            return [item for item in value if type(item) not in ATOMS]
        if not any(map(_holds_items, kinds)):
            return [item for item in value if isinstance(item, Expression)]
    return [leaf for leaf in iter_leaves(value) if isinstance(leaf, Expression)]


def _holds_items(kind: type) -> bool:
    return kind in _SEQUENCES or kind is dict or _other_kind(kind) != "leaf"


def holds_expression(value: Any) -> bool:
    """True if there is an expression anywhere in a nested value."""
    kind = type(value)
    if kind in ATOMS:
        return False
    if kind in _SEQUENCES and ATOMS.issuperset(map(type, value)):
        return False
    return any(isinstance(leaf, Expression) for leaf in iter_leaves(value))


def map_leaves(function: Callable[[Any], Any], value: Any) -> Any:
    """Return a nested value of the same shape with `function` applied to every leaf.

    Containers are rebuilt; a dataclass is copied without running its `__init__` or `__post_init__`.
    """
    if type(value) is list:
        # The shape of nearly all fan-outs: spare it the stack.
        if not any(map(_is_container, set(map(type, value)))):
            return [function(item) for item in value]
    elif not _is_container(type(value)):
        return function(value)
    root: list[Any] = []
    # A frame: items still to do, items done, the container to rebuild.
    stack: list[tuple[Iterator[Any], list[Any], Any]] = [(iter((value,)), root, None)]
    while stack:
        todo, done, container = stack[-1]
        for item in todo:
            inside = children(item)
            if inside is not None:
                stack.append((iter(inside), [], item))
                break
            done.append(function(item))
        else:
            stack.pop()
            if stack:
                stack[-1][1].append(_rebuild(container, done))
    return root[0]


def _is_container(kind: type) -> bool:
    if kind in ATOMS:
        return False
    return kind in _SEQUENCES or kind is dict or _other_kind(kind) != "leaf"


def _rebuild(container: Any, items: list[Any]) -> Any:
    kind = type(container)
    if kind is list:
        return items
    if kind is dict:
        return dict(zip(items[::2], items[1::2], strict=True))
    if kind in _SEQUENCES:
        return kind(items)
    if _other_kind(kind) == "namedtuple":
        copy = kind._make(items)
        names: Iterable[tuple[str, Any]] = ()
    else:
        copy = _empty_copy(container)
        present = [name for name in dataclass_fields(kind) if hasattr(container, name)]
        names = zip(present, items, strict=True)
    for name, item in (getattr(container, "__dict__", None) or {}).items():
        object.__setattr__(copy, name, item)
    for name, item in names:
        object.__setattr__(copy, name, item)
    return copy


def _empty_copy(container: Any) -> Any:
    kind = type(container)
    try:
        return object.__new__(kind)
    except TypeError:
        # It derives from a builtin type, whose content comes along.
        import copy

        return copy.copy(container)
