"""The special forms that workflows use: `cond`, `catch`, `seq`, `throw`, ...

Each is a task whose calls are `SchedulerExpression`s; what they do is in `redun.evaluation.forms`. The functions here state the
signature, and, for forms that only rewrite their evaluated arguments, the rewriting.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from redun.evaluation.forms import Catch, CatchAll, Cond, Form, GetContext, Rewrite, Seq
from redun.expression import SchedulerExpression
from redun.signature import CallShape
from redun.task import SchedulerTask, get_task_registry, task


class SpecialForm(SchedulerTask[Any, Any]):
    """A special form that is built in.

    Args:
        form: the node that evaluates it.
    """

    type_name = "redun.SpecialForm"
    form: type[Form]

    def _look(self) -> CallShape:
        shape = self._shape = CallShape(self.func)
        return shape


def special_form(form: type[Form], namespace: str = "redun") -> Callable[[Callable[..., Any]], SpecialForm]:
    """Define a built-in form evaluated by `form`."""

    def decorate(function: Callable[..., Any]) -> SpecialForm:
        made = SpecialForm(function, namespace=namespace, version="1", name=function.__name__)
        made.form = form
        get_task_registry().add(made)
        return made

    return decorate


@special_form(Cond)
def cond(cond_expr: Any, then_expr: Any, *rest: Any) -> Any:
    """Evaluate one branch: `cond(test, then, otherwise)`, or `cond(test, then, test2, then2, ..., otherwise)`.

    Without `otherwise`, None is the value if no test holds.
    """


@special_form(Catch)
def catch(expr: Any, *catches: Any) -> Any:
    """Recover from errors: `catch(expr, ErrorClass, handler, [ErrorClass2, handler2, ...])`.

    A class may be a tuple of classes. The handler, a task or function, gets the exception; what it returns is evaluated.
    """


@special_form(CatchAll)
def catch_all(exprs: Any, error_class: Any = None, recover: Any = None) -> Any:
    """Wait for every expression in a nested value; if some failed, give the handler the value with errors in place."""


@task(namespace="redun", version="1")
def throw(error: BaseException) -> Any:
    """Fail with an error."""
    raise error


@special_form(Seq)
def seq(exprs: Any) -> Any:
    """Evaluate expressions one after the other and return the list of their values."""


@special_form(GetContext)
def get_context(var_path: Any, default: Any = None) -> Any:
    """Return a value of the context, by a dotted path; `default` where it has none."""


__all__ = [
    "SchedulerExpression",
    "SpecialForm",
    "catch",
    "catch_all",
    "cond",
    "get_context",
    "seq",
    "special_form",
    "throw",
    "Rewrite",
]
