"""Expressions: lazy descriptions of computations, which the scheduler reduces to values.

Calling a task does not run it; it returns a `TaskExpression`. Operators on expressions are lazy as well and return a
`SimpleExpression`. Expressions are immutable once made, refer only to what they were made from, and know nothing of evaluation.

An expression is cheap on purpose (a workflow makes millions): a few slots, no hash, no walk over its arguments. What it equals is
found when it is encoded (`redun.graph`), where equal expressions get equal bytes.
"""

from __future__ import annotations

import operator
from collections.abc import Awaitable, Callable, Iterator
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from redun.errors import ExpressionError

if TYPE_CHECKING:
    from redun.task import Task

Result = TypeVar("Result")

_REPR_DEPTH = 6


class Expression(Generic[Result]):
    """A value that is not known yet. Hashed and compared by identity, since `==` is lazy too.

    Attributes:
        length: number of items if it is known that the result is a sequence of that length, else None.
    """

    __slots__ = ("length",)

    type_name = "redun.expression.Expression"
    length: int | None

    def get_hash(self) -> str:
        """Return the structural hash, 40 hex digits: equal for expressions that describe the same computation."""
        from redun.encoding import value_id

        return value_id(self).hex()

    def is_valid(self) -> bool:
        """True unless a task in it is not defined any more, or a value in it is not valid."""
        from redun.evaluation.validity import is_valid_expression

        return is_valid_expression(self)

    def __getattr__(self, name: str) -> Any:
        # Protocols such as copy and pickle probe for dunder names: they must find nothing.
        if name.startswith("__") and name.endswith("__"):
            raise AttributeError(name)
        # Notebooks probe for these.
        if name.startswith(("_ipython_", "_repr_")) and name.endswith("_"):
            raise AttributeError(name)
        return SimpleExpression("getattr", (self, name))

    def _repr_html_(self) -> str:
        from html import escape

        return f"<code>{escape(repr(self))}</code> <i>not evaluated yet</i>"

    def __bool__(self) -> bool:
        raise ExpressionError(
            f"{self!r} has no truth value yet: use redun.cond(test, then, otherwise), or decide inside a task that takes it"
        )

    def __len__(self) -> int:
        # iter() and list() ask for the length too; TypeError is what tells them that there is none.
        if self.length is None:
            raise ExpressionError(f"{self!r} has no length yet: declare @task(nout=...), or use it inside a task that takes it")
        return self.length

    def __iter__(self) -> Iterator[Any]:
        if self.length is None:
            raise ExpressionError(
                f"{self!r} cannot be iterated, its length is unknown: declare @task(nout=...), or use redun.functools.map_"
            )
        return iter([self[i] for i in range(self.length)])

    def __getitem__(self, key: Any) -> Any:
        if type(key) is slice:
            places = self._places(key)
            if places is not None:
                return [SimpleExpression("getitem", (self, i)) for i in places]
        return SimpleExpression("getitem", (self, key))

    def _places(self, key: slice) -> range | None:
        """List the places that a slice names, if they do not depend on how long the value turns out to be."""
        if self.length is not None:
            return range(*key.indices(self.length))
        bounds = [key.start or 0, key.stop, key.step or 1]
        if all(type(bound) is int and bound >= 0 for bound in bounds):
            return range(*bounds)
        return None

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return SimpleExpression("call", (self, *args), kwargs)

    def __await__(self) -> Any:
        from redun.executors.coroutines import wait_for

        return wait_for(self).__await__()

    # `==` is lazy, so equality cannot serve hashing: identity does.
    __hash__ = object.__hash__

    def __reduce_ex__(self, protocol: Any) -> Any:
        from redun.encoding import restore, value_bytes

        return restore, (value_bytes(self),)


def _call(func: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    return func(*args, **kwargs)


def _swapped(function: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    return lambda a, b: function(b, a)


_BINARY = {
    "add": ("+", operator.add),
    "sub": ("-", operator.sub),
    "mul": ("*", operator.mul),
    "truediv": ("/", operator.truediv),
    "floordiv": ("//", operator.floordiv),
    "mod": ("%", operator.mod),
    "pow": ("**", operator.pow),
    "matmul": ("@", operator.matmul),
    "lshift": ("<<", operator.lshift),
    "rshift": (">>", operator.rshift),
    "and": ("&", operator.and_),
    "or": ("|", operator.or_),
    "xor": ("^", operator.xor),
}
_COMPARE = {
    "lt": ("<", operator.lt),
    "le": ("<=", operator.le),
    "gt": (">", operator.gt),
    "ge": (">=", operator.ge),
    "eq": ("==", operator.eq),
    "ne": ("!=", operator.ne),
}
_UNARY = {"neg": ("-", operator.neg), "pos": ("+", operator.pos), "invert": ("~", operator.invert), "abs": ("abs", abs)}

_SYMBOLS = {name: symbol for name, (symbol, _) in (_BINARY | _COMPARE | _UNARY).items()}

_OPERATIONS: dict[str, Callable[..., Any]] = {
    "getattr": getattr,
    "getitem": operator.getitem,
    "call": _call,
    **{name: function for name, (_, function) in (_BINARY | _COMPARE | _UNARY).items()},
    **{"r" + name: _swapped(function) for name, (_, function) in _BINARY.items()},
}


def get_lazy_operation(name: str) -> Callable[..., Any] | None:
    """Return the function behind a lazy operation (`add`, `getitem`, ...), or None if there is no such operation."""
    return _OPERATIONS.get(name)


class ApplyExpression(Expression[Result]):
    """The application of something to arguments."""

    __slots__ = ("args", "kwargs")

    type_name = "redun.expression.ApplyExpression"
    args: tuple[Any, ...]
    kwargs: dict[str, Any]


_NO_KWARGS: dict[str, Any] = {}


class TaskExpression(ApplyExpression[Result]):
    """A call of a task.

    Attributes:
        task: the task, as registered when the expression was made.
        task_options: options given at call time by `Task.options`, or None.
        export_options: names of those options that children inherit, or None.
    """

    __slots__ = ("export_options", "task", "task_options")

    type_name = "redun.expression.TaskExpression"
    task: Task[Any, Any]
    task_options: dict[str, Any] | None
    export_options: frozenset[str] | None

    def __init__(
        self,
        task: Task[Any, Any] | str,
        args: tuple[Any, ...],
        kwargs: dict[str, Any] | None = None,
        task_options: dict[str, Any] | None = None,
        export_options: Any = None,
        length: int | None = None,
    ) -> None:
        if type(task) is str:
            from redun.task import get_task_registry

            task = get_task_registry().require(task)
        self.task = task  # type: ignore[assignment]
        self.args = args
        self.kwargs = kwargs if kwargs is not None else _NO_KWARGS
        self.task_options = task_options
        self.export_options = frozenset(export_options) if export_options else None
        self.length = length

    @property
    def task_name(self) -> str:
        """Fullname of the task."""
        return self.task.fullname

    @property
    def _options(self) -> dict[str, Any]:
        """Options given at call time, an empty dict if there are none. Scripts of the PyPI package look at it."""
        return self.task_options or {}

    def __repr__(self) -> str:
        return _format(self, _REPR_DEPTH)


class SchedulerExpression(TaskExpression[Result]):
    """A call of a special form, which decides itself how its arguments are evaluated."""

    __slots__ = ()

    type_name = "redun.expression.SchedulerExpression"


class SimpleExpression(ApplyExpression[Result]):
    """A lazy operator, evaluated in the scheduler itself.

    Attributes:
        func_name: name of the operation, see `get_lazy_operation`.
    """

    __slots__ = ("func_name",)

    type_name = "redun.expression.SimpleExpression"

    def __init__(self, func_name: str, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None) -> None:
        self.func_name = func_name
        self.args = args
        self.kwargs = kwargs if kwargs is not None else _NO_KWARGS
        self.length = None

    def __repr__(self) -> str:
        return _format(self, _REPR_DEPTH)


class ValueExpression(Expression[Result]):
    """A known value in the clothes of an expression, so that operators on it are lazy."""

    __slots__ = ("value",)

    type_name = "redun.expression.ValueExpression"

    def __init__(self, value: Result) -> None:
        self.value = value
        self.length = None

    def __repr__(self) -> str:
        return _format(self, _REPR_DEPTH)


class QuotedExpression(Generic[Result]):
    """An expression as a value: it passes through evaluation untouched until somebody calls `eval`."""

    __slots__ = ("expr",)

    type_name = "redun.expression.QuotedExpression"

    def __init__(self, expr: Result) -> None:
        self.expr = expr

    def eval(self) -> Result:
        """Return the expression, to be evaluated by whoever it is returned to."""
        return self.expr

    def __repr__(self) -> str:
        return f"QuotedExpression({_format(self.expr, _REPR_DEPTH)})"


def quote(expr: Result) -> QuotedExpression[Result]:
    """Protect an expression from evaluation; undo with `QuotedExpression.eval`."""
    return QuotedExpression(expr)


def awaitable(expr: Result) -> Awaitable[Result]:
    """Return an expression as it is, for type checkers: `await awaitable(add(1, 2))` in an async task.

    To them a call has the type of its result, so that it can be passed where one is wanted, and an int cannot be awaited.
    """
    return expr  # type: ignore[return-value]


def _binary(name: str) -> Callable[[Any, Any], Any]:
    return lambda self, other: SimpleExpression(name, (self, other))


def _unary(name: str) -> Callable[[Any], Any]:
    return lambda self: SimpleExpression(name, (self,))


for _name in (*_BINARY, *_COMPARE):
    setattr(Expression, f"__{_name}__", _binary(_name))
for _name in _BINARY:
    setattr(Expression, f"__r{_name}__", _binary("r" + _name))
for _name in _UNARY:
    setattr(Expression, f"__{_name}__", _unary(_name))


def format_arguments(args: tuple[Any, ...], kwargs: dict[str, Any]) -> str:
    """Return `1, 'a', x=2`: arguments as they would stand in a call."""
    return ", ".join([*map(repr, args), *(f"{name}={value!r}" for name, value in kwargs.items())])


def _format(value: Any, depth: int) -> str:
    """A repr that is cut at `depth` expressions inside one another: chains of 100,000 calls are ordinary here."""
    if not isinstance(value, Expression):
        if type(value) in (list, tuple):
            inner = ", ".join([_format(item, depth) for item in value[:20]] + ["..."] * (len(value) > 20))
            return f"[{inner}]" if type(value) is list else f"({inner}{',' * (len(value) == 1)})"
        return repr(value)
    if depth == 0:
        return "..."
    if isinstance(value, TaskExpression):
        return f"{value.task.fullname}({_format_arguments(value, depth - 1)})"
    if isinstance(value, ValueExpression):
        return f"ValueExpression({value.value!r})"
    if isinstance(value, SimpleExpression):
        return _format_operation(value, depth - 1)
    return object.__repr__(value)


def _format_arguments(expr: ApplyExpression[Any], depth: int) -> str:
    shown = [_format(arg, depth) for arg in expr.args]
    shown += [f"{name}={_format(arg, depth)}" for name, arg in expr.kwargs.items()]
    return ", ".join(shown)


def _format_operation(expr: SimpleExpression[Any], depth: int) -> str:
    name, args = expr.func_name, expr.args
    first = _format(args[0], depth) if args else ""
    if name == "getattr":
        return f"{first}.{args[1]}"
    if name == "getitem":
        return f"{first}[{_format(args[1], depth)}]"
    if name == "call":
        rest: SimpleExpression[Any] = SimpleExpression("call", args[1:], expr.kwargs)
        return f"{first}({_format_arguments(rest, depth)})"
    if name in _SYMBOLS and len(args) == 2:
        return f"({first} {_SYMBOLS[name]} {_format(args[1], depth)})"
    if name[1:] in _BINARY and name[0] == "r":
        return f"({_format(args[1], depth)} {_SYMBOLS[name[1:]]} {first})"
    return f"{_SYMBOLS.get(name, name)}({_format_arguments(expr, depth)})"
