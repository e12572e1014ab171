"""What an unevaluated expression counts as: a digest of its structure and of the code that it would run.

Used where a result is cached under an expression rather than under a call (what `catch` recovered). A digest is made of those of the
inputs (a Merkle tree), so a chain of n nested expressions costs O(n) in all, however many of them are asked for.
"""

from __future__ import annotations

from hashlib import sha256
from typing import Any

import msgpack

from redun.encoding import ValueEncoder
from redun.errors import EncodeError
from redun.expression import (
    Expression,
    QuotedExpression,
    SchedulerExpression,
    SimpleExpression,
    TaskExpression,
    ValueExpression,
)
from redun.extensions import UserExt
from redun.store.codec import Encoder, Form
from redun.store.ids import ID_BYTES
from redun.user_types import value_form


class Identity:
    """Digests of the expressions of one scope; the scope keeps them alive, so their `id` serves as key."""

    def __init__(self) -> None:
        self._digests: dict[int, bytes] = {}
        self._encoder = Encoder(self._form)
        self._waiting: list[Expression[Any]] = []

    def digest(self, value: Any) -> bytes:
        """Return 20 bytes that stand for a nested value with expressions in it.

        Raises:
            EncodeError: something in it cannot be recorded.
        """
        while True:
            data = self._encoder.encode(value)
            if not self._waiting:
                return sha256(data).digest()[:ID_BYTES]
            stack = self._waiting
            self._waiting = []
            while stack:
                top = stack[-1]
                row = b"" if id(top) in self._digests else self._encoder.encode(_fields(top))
                if self._waiting:
                    stack.extend(self._waiting)
                    self._waiting = []
                    continue
                stack.pop()
                if row:
                    self._digests[id(top)] = sha256(row).digest()[:ID_BYTES]

    def _form(self, value: Any) -> Form:
        if isinstance(value, Expression):
            digest = self._digests.get(id(value))
            if digest is None:
                self._waiting.append(value)
                digest = b""
            return msgpack.ExtType(UserExt.NODE, digest)
        if isinstance(value, QuotedExpression):
            return UserExt.QUOTED, value.expr
        if isinstance(value, BaseException):
            return msgpack.ExtType(UserExt.OBJECT, ValueEncoder().object(value))
        return value_form(value)[0]


def _fields(expr: Expression[Any]) -> list[Any]:
    if isinstance(expr, TaskExpression):
        kind = 1 if isinstance(expr, SchedulerExpression) else 0
        return [kind, expr.task.id, list(expr.args), expr.kwargs, expr.task_options, sorted(expr.export_options or ())]
    if isinstance(expr, SimpleExpression):
        return [2, expr.func_name, list(expr.args), expr.kwargs]
    if isinstance(expr, ValueExpression):
        return [3, expr.value]
    raise EncodeError(f"an expression of type {type(expr).__qualname__!r} has no encoding")
