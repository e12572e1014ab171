"""The special forms that workflows use: `cond`, `catch`, `seq`, `throw`, ...

Each is a task whose calls are `SchedulerExpression`s; what they do is in `redun.evaluation.forms`. The functions here state the
signature, and, for forms that only rewrite their evaluated arguments, the rewriting.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, ParamSpec, TypeAlias, TypeVar, overload

from redun.evaluation.forms import ApplyTags, Catch, CatchAll, Cond, Form, GetContext, MergeHandles, Rewrite, Seq
from redun.evaluation.threads import ForkThread, JoinThread
from redun.expression import SchedulerExpression
from redun.signature import CallShape
from redun.task import SchedulerTask, get_task_registry, task

P = ParamSpec("P")
R = TypeVar("R")
T = TypeVar("T")
U = TypeVar("U")
V = TypeVar("V")

Errors: TypeAlias = "type[BaseException] | tuple[type[BaseException], ...]"


class SpecialForm(SchedulerTask[P, R]):
    """A special form that is built in.

    Args:
        form: the node that evaluates it.
    """

    type_name = "redun.SpecialForm"
    form: type[Form]

    def _look(self) -> CallShape:
        shape = self._shape = CallShape(self.func)
        return shape


def special_form(form: type[Form], namespace: str = "redun") -> Callable[[Callable[P, R]], SpecialForm[P, R]]:
    """Define a built-in form evaluated by `form`."""

    def decorate(function: Callable[P, R]) -> SpecialForm[P, R]:
        made = SpecialForm(function, namespace=namespace, version="1", name=function.__name__)
        made.form = form
        get_task_registry().add(made)
        return made

    return decorate


if TYPE_CHECKING:
    from redun.threads import Thread

    # What calls of the forms that take different numbers of arguments are to type checkers.

    class CatchForm(SpecialForm[..., Any]):
        """`catch`: the type is that of the expression or of what the handler returns."""

        @overload
        def __call__(self, expr: T, error: Errors, handler: Callable[[Any], U], /) -> T | U: ...
        @overload
        def __call__(
            self, expr: T, error: Errors, handler: Callable[[Any], U], error2: Errors, handler2: Callable[[Any], V], /
        ) -> T | U | V: ...
        @overload
        def __call__(self, expr: Any, e: Any, h: Any, e2: Any, h2: Any, e3: Any, h3: Any, /, *more: Any) -> Any: ...
        def __call__(self, *args: Any, **kwargs: Any) -> Any: ...

    class CatchAllForm(SpecialForm[..., Any]):
        """`catch_all`: the type is that of the nested value or of what the handler returns."""

        @overload
        def __call__(self, exprs: T, error_class: None = None, recover: None = None) -> T: ...
        @overload
        def __call__(
            self,
            exprs: T,
            error_class: Errors | None,
            recover: Callable[[Any], U],
        ) -> T | U: ...
        def __call__(self, *args: Any, **kwargs: Any) -> Any: ...
else:
    CatchForm = CatchAllForm = SpecialForm

F = TypeVar("F")


def typed_as(kind: type[F]) -> Callable[[Any], F]:
    """Say what a form or task is to type checkers; nothing else."""
    return lambda form: form


@special_form(Cond)
def cond(cond_expr: Any, then_expr: T, *rest: Any) -> T | Any:
    """Evaluate one branch: `cond(test, then, otherwise)`, or `cond(test, then, test2, then2, ..., otherwise)`.

    Without `otherwise`, None is the value if no test holds.
    """


@typed_as(CatchForm)
@special_form(Catch)
def catch(expr: Any, *catches: Any) -> Any:
    """Recover from errors: `catch(expr, ErrorClass, handler, [ErrorClass2, handler2, ...])`.

    A class may be a tuple of classes. The handler, a task or function, gets the exception; what it returns is evaluated.
    """


@typed_as(CatchAllForm)
@special_form(CatchAll)
def catch_all(exprs: Any, error_class: Any = None, recover: Any = None) -> Any:
    """Wait for every expression in a nested value; if some failed, give the handler the value with errors in place."""


@task(namespace="redun", version="1")
def throw(error: BaseException) -> Any:
    """Fail with an error."""
    raise error


@special_form(Seq)
def seq(exprs: Sequence[T]) -> list[T]:
    """Evaluate expressions one after the other and return the list of their values."""
    return list(exprs)


@special_form(ApplyTags)
def apply_tags(value: T, tags: Any = (), job_tags: Any = (), execution_tags: Any = ()) -> T:
    """Return the value, having tagged it, the job that this stands in, and its execution.

    Args:
        value: any value or expression.
        tags, job_tags, execution_tags: (key, JSON value) pairs; they may be, or hold, expressions.
    """
    return value, tags, job_tags, execution_tags  # type: ignore[return-value]


@special_form(GetContext)
def get_context(var_path: Any, default: Any = None) -> Any:
    """Return a value of the context, by a dotted path; `default` where it has none."""


@special_form(ForkThread)
def fork_thread(expr: T) -> Thread[T]:  # type: ignore[empty-body]
    """Begin to evaluate an expression and return a `Thread` at once; the job may end before the expression has a value."""


@special_form(JoinThread)
def join_thread(thread: Thread[T]) -> T:  # type: ignore[empty-body]
    """Return the value of the expression in a thread, once it is there."""


@special_form(MergeHandles)
def merge_handles(handles_expr: Sequence[T]) -> T:
    """Merge a list of handles of one name into one, for the call that comes after all of theirs."""
    # What it does is in `redun.evaluation.handles`, which knows of the states of all runs.
    return handles_expr[0]


__all__ = [
    "SchedulerExpression",
    "SpecialForm",
    "apply_tags",
    "catch",
    "catch_all",
    "cond",
    "fork_thread",
    "get_context",
    "join_thread",
    "merge_handles",
    "seq",
    "special_form",
    "throw",
    "Rewrite",
]
