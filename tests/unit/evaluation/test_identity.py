"""Digests of expressions: the short way through plain arguments gives what the long way does, and nothing is digested twice."""

from __future__ import annotations

from typing import Any

import pytest

from redun import catch, cond, task
from redun.evaluation import identity
from redun.evaluation.identity import Identity
from redun.expression import QuotedExpression, ValueExpression

redun_namespace = "identity"


@task(version="1")
def f(x: Any, y: Any = 0) -> Any:
    return x


@task(version="1")
def recover(error: Exception) -> int:
    return 0


def expressions() -> list[Any]:
    deep = f(0)
    for _ in range(2000):
        deep = f(deep)
    shared = f("shared")
    return [
        *[f(x) for x in (1, -1, 2**70, -(2**64), True, None, "a", "\ud800", "x" * 1000)],
        *[f(x) for x in (1.5, b"b", (1, 2), [f(1), {"k": f(2)}], {1, 2}, f, dict, ValueError("e"))],
        f(1, y=2),
        f.options(memory=2)(1),
        f(f(1)) + shared * shared,
        catch(f(1), ValueError, recover, (KeyError, TypeError), recover.options(memory=1)),
        cond(f(1), shared, f(shared)),
        QuotedExpression(f(3)),
        f(QuotedExpression(f(f(4)))),
        ValueExpression([shared, 1]),
        [shared, {"a": f(5)}],
        deep,
    ]


def test_the_short_way_and_the_long_one_agree(monkeypatch: pytest.MonkeyPatch) -> None:
    every = expressions()
    short = [Identity().digest(expr) for expr in every]
    monkeypatch.setattr(identity, "_SCALARS", frozenset())
    assert [Identity().digest(expr) for expr in every] == short
    together = Identity()
    assert [together.digest(expr) for expr in every] == short
    assert len(set(short)) == len(short)


def test_each_expression_is_digested_once(monkeypatch: pytest.MonkeyPatch) -> None:
    rows: list[Any] = []
    row = Identity._row

    def count(known: Identity, expr: Any) -> bytes:
        rows.append(expr)
        return row(known, expr)

    monkeypatch.setattr(Identity, "_row", count)
    expr: Any = f(0)
    for _ in range(300):
        expr = f(expr)
    known = Identity()
    for _ in range(3):
        known.digest([expr, catch(expr, ValueError, recover)])
    assert len(rows) == 301 + 3
