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
    ApplyExpression,
    Expression,
    QuotedExpression,
    SchedulerExpression,
    SimpleExpression,
    TaskExpression,
    ValueExpression,
)
from redun.extensions import UserExt
from redun.nested import find_expressions
from redun.store.codec import BUFFER_BYTES, Encoder
from redun.store.ids import ID_BYTES
from redun.store.plain_types import Form
from redun.task import Task
from redun.user_types import value_form

_SCALARS = frozenset((int, str, bool, type(None)))


class Identity:
    """Digests of the expressions of one scope; the scope keeps them alive, and with them what they hold, so `id` serves as key."""

    def __init__(self) -> None:
        self._digests: dict[int, bytes] = {}
        self._forms: dict[int | bytes, Form] = {}
        self._encoder = Encoder(self._form)
        self._pack = msgpack.Packer(strict_types=True, unicode_errors="surrogatepass", buf_size=BUFFER_BYTES).pack
        self._waiting: list[Expression[Any]] = []

    def digest(self, value: Any) -> bytes:
        """Return 20 bytes that stand for a nested value with expressions in it.

        Raises:
            EncodeError: something in it cannot be recorded.
        """
        if isinstance(value, Expression):
            self._take([value])
        while True:
            data = self._encoder.encode(value)
            if not self._waiting:
                return sha256(data).digest()[:ID_BYTES]
            waiting, self._waiting = self._waiting, []
            self._take(waiting)

    def _take(self, stack: list[Expression[Any]]) -> None:
        """Make the digests of expressions, those of their inputs first."""
        digests = self._digests
        while stack:
            top = stack[-1]
            if id(top) in digests:
                stack.pop()
                continue
            inputs = [expr for expr in _inputs(top) if id(expr) not in digests]
            if inputs:
                stack.extend(inputs)
                continue
            row = self._row(top)
            if self._waiting:
                # Inside a quoted expression, say.
                stack.extend(self._waiting)
                self._waiting = []
                continue
            digests[id(top)] = sha256(row).digest()[:ID_BYTES]
            stack.pop()

    def _row(self, expr: Expression[Any]) -> bytes:
        fields = _fields(expr)
        if type(expr) is TaskExpression and not fields[3] and not fields[4] and _SCALARS.issuperset(map(type, fields[2])):
            try:
                packed: bytes = self._pack(fields)
                return packed
            except (OverflowError, ValueError):
                # A number or a text of unusual size.
                self._pack = msgpack.Packer(strict_types=True, unicode_errors="surrogatepass", buf_size=BUFFER_BYTES).pack
        return self._encoder.encode(fields)

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
        if type(value) is Task or type(value) is type:
            # Handlers and classes of errors: the same few in each of thousands of expressions.
            key = value.id if isinstance(value, Task) and not value.task_options_override else id(value)
            form = self._forms.get(key)
            if form is None:
                form = self._forms[key] = value_form(value)[0]
            return form
        return value_form(value)[0]


def _inputs(expr: Expression[Any]) -> list[Expression[Any]]:
    if isinstance(expr, ApplyExpression):
        return find_expressions([*expr.args, *expr.kwargs.values()] if expr.kwargs else expr.args)
    return find_expressions(expr.value) if isinstance(expr, ValueExpression) else []


def _fields(expr: Expression[Any]) -> list[Any]:
    if isinstance(expr, TaskExpression):
        kind = 1 if isinstance(expr, SchedulerExpression) else 0
        return [kind, expr.task.id, list(expr.args), expr.kwargs, expr.task_options, sorted(expr.export_options or ())]
    if isinstance(expr, SimpleExpression):
        return [2, expr.func_name, list(expr.args), expr.kwargs]
    if isinstance(expr, ValueExpression):
        return [3, expr.value]
    raise EncodeError(f"an expression of type {type(expr).__qualname__!r} has no encoding")
