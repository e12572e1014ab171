"""The task under which a root expression runs that is not a single call."""

from __future__ import annotations

from typing import Any

from redun.expression import Expression, QuotedExpression, SchedulerExpression, TaskExpression
from redun.nested import holds_expression
from redun.task import task


@task(name="root_task", namespace="redun", version="1")
def root_task(expr: QuotedExpression[Any]) -> Any:
    """Return the expression that a run was given, so that it is evaluated below a job."""
    return expr.eval()


def needs_root_task(expr: Any) -> bool:
    """True unless an expression is the call of a single task with concrete arguments, defaults included: then that job is the root itself."""
    return (
        not isinstance(expr, TaskExpression)
        or isinstance(expr, SchedulerExpression)
        or holds_expression([expr.args, expr.task.shape.fill(expr.args, expr.kwargs)])
    )


def as_root(expr: Any) -> Expression[Any]:
    """Return an expression whose evaluation is one job."""
    call: Expression[Any] = root_task(QuotedExpression(expr)) if needs_root_task(expr) else expr
    return call
