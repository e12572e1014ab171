"""Higher-order functions over tasks and lazy values."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from textwrap import dedent
from typing import Any

from redun.evaluation.forms import Rewrite
from redun.expression import QuotedExpression, quote
from redun.forms import seq, special_form
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


@special_form(Rewrite, _NAMESPACE)
def map_(a_task: Callable[[Any], Any], values: Sequence[Any]) -> list[Any]:
    """Return `[a_task(value) for value in values]`, where the list may be lazy."""
    return [a_task(value) for value in values]


@task(namespace=_NAMESPACE, version="1")
def flatten(list_of_lists: Sequence[Sequence[Any]]) -> list[Any]:
    """Return one list of the items of several."""
    return [item for items in list_of_lists for item in items]


@task(namespace=_NAMESPACE, version="1")
def flat_map(a_task: Callable[[Any], Any], values: Sequence[Any]) -> Any:
    """Map, then flatten the lists that the task returns."""
    return flatten([a_task(value) for value in values])


@special_form(Rewrite, _NAMESPACE)
def starmap(a_task: Callable[..., Any], kwargs: Sequence[dict[str, Any]] = ()) -> list[Any]:
    """Return `[a_task(**kw) for kw in kwargs]`, where the list of keyword arguments may be lazy."""
    return [a_task(**keywords) for keywords in kwargs]


@task(namespace=_NAMESPACE, version="1")
def zip_(*lists: Sequence[Any]) -> list[tuple[Any, ...]]:
    """Return the list of tuples that `zip` makes of lists that may be lazy."""
    return list(zip(*lists, strict=False))


@task(namespace=_NAMESPACE, version="1")
def identity(x: Any) -> Any:
    """Return the argument."""
    return x


@task(namespace=_NAMESPACE, version="1")
def const(x: Any, _: Any) -> Any:
    """Return the first argument, once the second has been evaluated."""
    return x


def force(x: Callable[[], Any]) -> Any:
    """Call a delayed value (see `delay`)."""
    return x()


@task(namespace=_NAMESPACE, version="1")
def apply_func(func: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
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


def delay(x: Any) -> PartialTask[Any, Any]:
    """Return a task of no arguments whose call gives `x`; an expression `x` is evaluated only then (see `force`)."""
    return _undelay.partial(quote(x))


@task(namespace=_NAMESPACE, version="1")
def _undelay(quoted: Any) -> Any:
    return quoted.eval()


@task(namespace=_NAMESPACE, version="1")
def compose_apply(tasks: Sequence[Task[Any, Any]], *args: Any, **kwargs: Any) -> Any:
    """Apply the last task to the arguments, then each one before it to what came of that."""
    *outer, inner = tasks
    value = inner(*args, **kwargs)
    for one in reversed(outer):
        value = one(value)
    return value


def compose(*tasks: Task[Any, Any]) -> PartialTask[Any, Any]:
    """Return the composition of tasks: `compose(f, g)(x)` is `f(g(x))`."""
    return compose_apply.partial(list(tasks))


def as_task(func: Callable[..., Any]) -> PartialTask[Any, Any]:
    """Return a task that calls a plain function."""
    return apply_func.partial(func)


@task(name="no_prov_helper", namespace=_NAMESPACE, version="1", prov=False)
def _no_prov_helper(expr: Any) -> Any:
    return expr.eval()


@task(name="no_prov", namespace=_NAMESPACE, version="1", check_valid="shallow")
def _no_prov(expr: Any) -> Any:
    return _no_prov_helper(expr)


def no_prov(expr: Any) -> Any:
    """Evaluate an expression without recording the jobs in it; only this one call is recorded, and replayed at once."""
    return _no_prov(quote(expr))


@task(name="with_export_options", namespace=_NAMESPACE, version="1")
def _with_export_options(expr: Any) -> Any:
    return expr.eval()


def with_export_options(expr: Any, options: dict[str, Any]) -> Any:
    """Evaluate a quoted expression (or a plain one) with task options that every job in it inherits."""
    quoted = expr if isinstance(expr, QuotedExpression) else quote(expr)
    return _with_export_options.export_options(**options)(quoted)
