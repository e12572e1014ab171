"""Expression graphs as bytes: flat, shared, canonical.

A value that holds expressions is written as

    [names, nodes, root]      names: task names and operators, each once      nodes: one per distinct expression, inputs first

where every expression is replaced by the extension NODE with its place among the nodes. A node is one of

    [0, name, args, kwargs?, options?, exported?, length?]   call of a task          trailing nils are left out
    [1, ...]                                                 call of a special form, same fields
    [2, name, args, kwargs?]                                 lazy operator
    [3, value]                                               known value in the clothes of an expression

Nodes stand in post-order and refer to their inputs by place, so a chain of 100,000 calls is 100,000 short rows and nothing
recurses. Two expressions that describe the same computation produce the same row, hence the same place: equality is found by
encoding, and `GraphWriter.canonical` tells which expression object stands for its equals.

Large arguments are not copied into every row: what takes more than `LINK_ABOVE` bytes becomes an object of its own and the row holds
the extension LINK with its id.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import msgpack

from redun.errors import DecodeError, EncodeError
from redun.expression import (
    ApplyExpression,
    Expression,
    SchedulerExpression,
    SimpleExpression,
    TaskExpression,
    ValueExpression,
    get_lazy_operation,
)
from redun.extensions import UserExt
from redun.nested import ATOMS, holds_expression
from redun.store.codec import Encoder, array_header, ext_header
from redun.store.plain_types import Form

if TYPE_CHECKING:
    from redun.task import Task

LINK_ABOVE = 1024

_TASK, _SCHEDULER, _SIMPLE, _VALUE = range(4)
_SMALL = ATOMS - {str, bytes}
_PLAIN = frozenset((int, bool, type(None)))


def _node_ref(place: int) -> msgpack.ExtType:
    return msgpack.ExtType(UserExt.NODE, _place_bytes(place))


def _place_bytes(place: int) -> bytes:
    return place.to_bytes((place.bit_length() + 7) // 8 or 1, "big")


_NODE_HEADS = {size: ext_header(UserExt.NODE, size) for size in range(1, 9)}


class LinkTo:
    """Stands in a row for an argument that is an object of its own.

    Args:
        place: number of the link in the table of the object that is being written.
    """

    __slots__ = ("extension",)

    def __init__(self, place: int) -> None:
        self.extension = msgpack.ExtType(UserExt.LINK, place.to_bytes(4, "big"))


class GraphWriter:
    """Collects the expressions of one value.

    Args:
        extend: form of values that are no expression (`Encoder`'s hook).
        link: makes a large argument an object of its own and returns what stands for it; None if it is not large.
    """

    def __init__(self, extend: Callable[[Any], Form], link: Callable[[Any], LinkTo | None]) -> None:
        self._extend = extend
        self._link = link
        self._encoder = Encoder(self._form)
        self._places: dict[int, int] = {}  # id of an expression object -> place
        self._rows: dict[bytes, int] = {}  # row -> place: what makes equal expressions one
        self._names: dict[str, int] = {}
        self._waiting: list[Expression[Any]] = []
        self.canonical: list[Expression[Any]] = []
        self._alive: list[Expression[Any]] = []  # ids must not be reused while they are keys

    def __len__(self) -> int:
        return len(self._rows)

    def place(self, expr: Expression[Any]) -> msgpack.ExtType:
        """Add an expression and all that it is made of; return the extension that stands for it."""
        place = self._places.get(id(expr))
        return _node_ref(self._add(expr) if place is None else place)

    def encode_list(self, expressions: list[Expression[Any]]) -> bytes:
        """Add expressions; return the encoding of the list of them, as the codec would give it: what a fan-out returns."""
        parts = [array_header(len(expressions))]
        places, add = self._places, self._add
        for expr in expressions:
            place = places.get(id(expr))
            data = _place_bytes(add(expr) if place is None else place)
            parts.append(_NODE_HEADS[len(data)] + data)
        return b"".join(parts)

    def _add(self, expr: Expression[Any]) -> int:
        if type(expr) is TaskExpression and not expr.kwargs and _PLAIN.issuperset(map(type, expr.args)):
            # Nothing in it has to be added first, nor is it shortened.
            return self._note(expr, self._encoder.encode(self._fields(expr, list(expr.args), expr.kwargs)))
        stack = [expr]
        waiting = self._waiting
        while stack:
            top = stack[-1]
            if id(top) in self._places:
                stack.pop()
                continue
            row = self._row(top)
            if waiting:
                # Inputs first: they come off the stack in the order in which they stand.
                stack.extend(reversed(waiting))
                waiting.clear()
                if len(stack) > 3 * len(self._alive) + 1_000_000:
                    raise EncodeError(f"the expression {expr!r} contains itself")
                continue
            stack.pop()
            self._note(top, row)
        return self._places[id(expr)]

    def _note(self, expr: Expression[Any], row: bytes) -> int:
        rows = self._rows
        place = self._places[id(expr)] = rows.setdefault(row, len(rows))
        self._alive.append(expr)
        if len(rows) > len(self.canonical):
            self.canonical.append(expr)
        return place

    def aliases(self) -> dict[int, Expression[Any]] | None:
        """Return id of an expression -> the one that stands for it, for those that equal an earlier one; None if there is none."""
        if len(self._alive) == len(self.canonical):
            return None
        return {id(expr): self.canonical[self._places[id(expr)]] for expr in self._alive}

    def _form(self, value: Any) -> Form:
        """The hook of the rows' encoder: an expression is its place, or is noted as still to be added."""
        if isinstance(value, Expression):
            place = self._places.get(id(value))
            if place is None:
                self._waiting.append(value)
                place = 0
            return _node_ref(place)
        return value.extension if type(value) is LinkTo else self._extend(value)

    def _row(self, expr: Expression[Any]) -> bytes:
        if isinstance(expr, ValueExpression):
            return self._encoder.encode([_VALUE, expr.value])
        if not isinstance(expr, ApplyExpression):
            raise EncodeError(f"an expression of type {type(expr).__qualname__!r} has no encoding")
        row = self._encoder.encode(self._fields(expr, list(expr.args), expr.kwargs))
        if len(row) <= LINK_ABOVE or self._waiting:
            return row
        args = [self._shorten(arg) for arg in expr.args]
        kwargs = {name: self._shorten(arg) for name, arg in expr.kwargs.items()}
        return self._encoder.encode(self._fields(expr, args, kwargs))

    def _fields(self, expr: ApplyExpression[Any], args: list[Any], kwargs: dict[str, Any]) -> list[Any]:
        names = self._names
        if isinstance(expr, TaskExpression):
            kind = _SCHEDULER if isinstance(expr, SchedulerExpression) else _TASK
            name = names.setdefault(expr.task.fullname, len(names))
            if expr.task_options is None and expr.length is None:
                return [kind, name, args, kwargs] if kwargs else [kind, name, args]
            exported = sorted(expr.export_options) if expr.export_options else None
            fields = [kind, name, args, kwargs or None, expr.task_options, exported, expr.length]
            while fields[-1] is None:
                fields.pop()
            return fields
        if isinstance(expr, SimpleExpression):
            name = names.setdefault(expr.func_name, len(names))
            return [_SIMPLE, name, args, kwargs] if kwargs else [_SIMPLE, name, args]
        raise EncodeError(f"an expression of type {type(expr).__qualname__!r} has no encoding")

    def _shorten(self, arg: Any) -> Any:
        if type(arg) in _SMALL or holds_expression(arg):
            return arg
        return self._link(arg) or arg

    def finish(self, root: bytes) -> bytes:
        """Return the whole graph; `root` is the encoded value in which places stand for expressions."""
        names = msgpack.packb(list(self._names), unicode_errors="surrogatepass")
        return b"".join((b"\x93", names, array_header(len(self._rows)), *self._rows, root))

    def clear(self) -> None:
        """Let go of all expressions. This and its encoder refer to each other, so the collector of cycles would do it, much later."""
        self._places.clear()
        self._rows.clear()
        self._alive.clear()
        self.canonical.clear()


class GraphReader:
    """Makes the expressions of one graph, row by row; the mirror of `GraphWriter`.

    Args:
        names: the graph's table of names.
        find_task: gives the task of a fullname, or raises.

    Attributes:
        nodes: the expressions so far; the NODE extension of the rows that follow refers to them by place.
    """

    def __init__(self, names: list[str], find_task: Callable[[str], Task[Any, Any]]) -> None:
        self._names = names
        self._find_task = find_task
        self._tasks: dict[int, Task[Any, Any]] = {}
        self.nodes: list[Expression[Any]] = []

    def add(self, row: list[Any]) -> None:
        """Make the expression of the next row.

        Raises:
            DecodeError: the row has no meaning.
            TaskNotFound: its task is not defined any more.
        """
        kind, name, *rest = row
        expr: Expression[Any]
        if kind in (_TASK, _SCHEDULER):
            task = self._tasks.get(name)
            if task is None:
                task = self._tasks[name] = self._find_task(self._names[name])
            if len(rest) == 1 and kind == _TASK:
                self.nodes.append(TaskExpression(task, tuple(rest[0])))
                return
            make = TaskExpression if kind == _TASK else SchedulerExpression
            args, kwargs, options, exported, length = rest if len(rest) == 5 else (*rest, *_ABSENT[len(rest) :])
            expr = make(task, tuple(args), kwargs, options, exported, length)
        elif kind == _SIMPLE:
            operation = self._names[name]
            if get_lazy_operation(operation) is None:
                raise DecodeError(f"lazy operation {operation!r} is unknown: written by a newer redun?")
            expr = SimpleExpression(operation, tuple(rest[0]), rest[1] if len(rest) > 1 else None)
        elif kind == _VALUE:
            expr = ValueExpression(name)
        else:
            raise DecodeError(f"expression of kind {kind!r} is unknown: written by a newer redun?")
        self.nodes.append(expr)


_ABSENT = (None, None, None, None, None)
