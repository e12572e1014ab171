"""Higher-order functions over tasks and lazy values."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from textwrap import dedent
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar, overload

from redun.evaluation.forms import Map, Rewrite
from redun.expression import QuotedExpression, quote
from redun.forms import seq, special_form, typed_as
from redun.task import PartialTask, Task, task

__all__ = [
    "apply_func",
    "as_task",
    "compose",
    "const",
    "delay",
    "eval_",
    "flat_map",
    "flatten",
    "force",
    "identity",
    "map_",
    "no_prov",
    "seq",
    "starmap",
    "with_export_options",
    "zip_",
]

_NAMESPACE = "redun"

P = ParamSpec("P")
T = TypeVar("T")
U = TypeVar("U")
V = TypeVar("V")


if TYPE_CHECKING:

    class ZipTask(Task[..., list[tuple[Any, ...]]]):
        """`zip_`: tuples of as many types as there are lists."""

        @overload
        def __call__(self, a: Sequence[T], b: Sequence[U], /) -> list[tuple[T, U]]: ...
        @overload
        def __call__(self, a: Sequence[T], b: Sequence[U], c: Sequence[V], /) -> list[tuple[T, U, V]]: ...
        @overload
        def __call__(self, *lists: Sequence[Any]) -> list[tuple[Any, ...]]: ...
        def __call__(self, *args: Any, **kwargs: Any) -> Any: ...
else:
    ZipTask = Task


@special_form(Map, _NAMESPACE)
def map_(a_task: Callable[[T], U], values: Sequence[T]) -> list[U]:
    """Return `[a_task(value) for value in values]`, where the list may be lazy."""
    return [a_task(value) for value in values]


@task(namespace=_NAMESPACE, version="1")
def flatten(list_of_lists: Sequence[Sequence[T]]) -> list[T]:
    """Return one list of the items of several."""
    return [item for items in list_of_lists for item in items]


@task(namespace=_NAMESPACE, version="1")
def flat_map(a_task: Callable[[T], Sequence[U]], values: Sequence[T]) -> list[U]:
    """Map, then flatten the lists that the task returns."""
    return flatten([a_task(value) for value in values])


@special_form(Rewrite, _NAMESPACE)
def starmap(a_task: Callable[..., T], kwargs: Sequence[dict[str, Any]] = ()) -> list[T]:
    """Return `[a_task(**kw) for kw in kwargs]`, where the list of keyword arguments may be lazy."""
    return [a_task(**keywords) for keywords in kwargs]


@typed_as(ZipTask)
@task(namespace=_NAMESPACE, version="1")
def zip_(*lists: Sequence[Any]) -> list[tuple[Any, ...]]:
    """Return the list of tuples that `zip` makes of lists that may be lazy."""
    return list(zip(*lists, strict=False))


@task(namespace=_NAMESPACE, version="1")
def identity(x: T) -> T:
    """Return the argument."""
    return x


@task(namespace=_NAMESPACE, version="1")
def const(x: T, _: Any) -> T:
    """Return the first argument, once the second has been evaluated."""
    return x


def force(x: Callable[[], T]) -> T:
    """Call a delayed value (see `delay`)."""
    return x()


@task(namespace=_NAMESPACE, version="1")
def apply_func(func: Callable[..., T], *args: Any, **kwargs: Any) -> T:
    """Call a plain function with evaluated arguments, as a job."""
    return func(*args, **kwargs)


@task(namespace=_NAMESPACE, version="1")
def eval_(code: str, *args: Any, pos_args: Sequence[str] = (), **kwargs: Any) -> Any:
    """Evaluate a Python expression in which lazy values have names.

    Args:
        code: the expression; it may be indented.
        args: values of the names in `pos_args`.
        pos_args: names for `args`.
        kwargs: name to value.

    Raises:
        TypeError: there are not as many names as values.
    """
    if len(pos_args) != len(args):
        raise TypeError(f"eval_() has {len(args)} positional values, but pos_args names {len(pos_args)}")
    # As globals, so that comprehensions and lambdas in the code see the names as well.
    return eval(dedent(code).strip(), {**dict(zip(pos_args, args, strict=True)), **kwargs})


def delay(x: T) -> PartialTask[[], T]:
    """Return a task of no arguments whose call gives `x`; an expression `x` is evaluated only then (see `force`)."""
    undelay: Task[..., Any] = _undelay
    return undelay.partial(quote(x))


@task(namespace=_NAMESPACE, version="1")
def _undelay(quoted: QuotedExpression[T]) -> T:
    return quoted.eval()


@task(namespace=_NAMESPACE, version="1")
def compose_apply(tasks: Sequence[Task[Any, Any]], *args: Any, **kwargs: Any) -> Any:
    """Apply the last task to the arguments, then each one before it to what came of that."""
    *outer, inner = tasks
    value = inner(*args, **kwargs)
    for one in reversed(outer):
        value = one(value)
    return value


@overload
def compose(first: Callable[P, T], /) -> PartialTask[P, T]: ...


@overload
def compose(second: Callable[[T], U], first: Callable[P, T], /) -> PartialTask[P, U]: ...


@overload
def compose(third: Callable[[U], V], second: Callable[[T], U], first: Callable[P, T], /) -> PartialTask[P, V]: ...


@overload
def compose(*tasks: Task[Any, Any]) -> PartialTask[..., Any]: ...


def compose(*tasks: Any) -> PartialTask[..., Any]:
    """Return the composition of tasks: `compose(f, g)(x)` is `f(g(x))`."""
    return compose_apply.partial(list(tasks))


def as_task(func: Callable[P, T]) -> PartialTask[P, T]:
    """Return a task that calls a plain function."""
    call: Task[..., Any] = apply_func
    return call.partial(func)


@task(name="no_prov_helper", namespace=_NAMESPACE, version="1", prov=False)
def _no_prov_helper(expr: QuotedExpression[T]) -> T:
    return expr.eval()


@task(name="no_prov", namespace=_NAMESPACE, version="1", check_valid="shallow")
def _no_prov(expr: QuotedExpression[T]) -> T:
    return _no_prov_helper(expr)


def no_prov(expr: T) -> T:
    """Evaluate an expression without recording the jobs in it; only this one call is recorded, and replayed at once."""
    return _no_prov(quote(expr))


@task(name="with_export_options", namespace=_NAMESPACE, version="1")
def _with_export_options(expr: Any) -> Any:
    return expr.eval()


@overload
def with_export_options(expr: QuotedExpression[T], options: dict[str, Any]) -> T: ...


@overload
def with_export_options(expr: T, options: dict[str, Any]) -> T: ...


def with_export_options(expr: Any, options: dict[str, Any]) -> Any:
    """Evaluate a quoted expression (or a plain one) with task options that every job in it inherits."""
    quoted = expr if isinstance(expr, QuotedExpression) else quote(expr)
    return _with_export_options.export_options(**options)(quoted)
