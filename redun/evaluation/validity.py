"""Which values decide whether a stored result, or an expression, may still be used."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from redun.expression import ApplyExpression, Expression, TaskExpression, ValueExpression
from redun.nested import ATOMS, iter_leaves
from redun.value import get_type_registry


def _leaves(nested: Any) -> Iterator[Any]:
    """Yield what a nested value holds and is no container, expressions included, and what the expressions hold in their turn."""
    seen: set[int] = set()
    pending = [nested]
    while pending:
        found = pending.pop()
        if type(found) is tuple and ATOMS.issuperset(map(type, found)):
            # The arguments of most calls.
            continue
        for leaf in iter_leaves(found):
            if type(leaf) in ATOMS:
                continue
            if isinstance(leaf, Expression):
                if id(leaf) in seen:
                    continue
                seen.add(id(leaf))
                if isinstance(leaf, ApplyExpression):
                    pending.append(leaf.args)
                    if leaf.kwargs:
                        pending.append(leaf.kwargs)
                elif isinstance(leaf, ValueExpression):
                    pending.append(leaf.value)
            yield leaf


def values_in(nested: Any) -> Iterator[Any]:
    """Yield the values in a nested value that may have become invalid, those in the arguments of expressions included."""
    return (leaf for leaf in _leaves(nested) if not isinstance(leaf, Expression))


def is_valid_expression(expr: Expression[Any]) -> bool:
    """True unless a task that an expression calls is not defined any more, or a value in it is not valid."""
    from redun.task import get_task_registry

    tasks, values = get_task_registry(), get_type_registry()
    return all(
        tasks.get(leaf.task_name) is not None
        if isinstance(leaf, TaskExpression)
        else isinstance(leaf, Expression) or values.is_valid(leaf)
        for leaf in _leaves(expr)
    )
