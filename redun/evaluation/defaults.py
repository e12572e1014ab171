"""Default arguments that are expressions, where a call has a context of its own.

A default is evaluated beside the job, like any argument. But it is part of what the task means, so it sees the context of the job itself:
with `@task def f(x=get_context("a"))`, `f.update_context(a=1)()` gives 1. An argument that the caller wrote sees the caller's context.

Only a call that updates its context needs this: otherwise the two contexts are one, and the default is evaluated in the caller's scope.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from redun.evaluation.node import Node, Scope
from redun.expression import Expression
from redun.nested import holds_expression

if TYPE_CHECKING:
    from redun.evaluation.evaluation import Evaluation
    from redun.evaluation.job import Job


class DefaultExpression(Expression[Any]):
    """A default argument together with the scope that has the context of the call.

    Args:
        value: the default, which holds expressions.
        inner: a scope of the same parent job, with the call's context.
    """

    __slots__ = ("inner", "value")

    def __init__(self, value: Any, inner: Scope) -> None:
        self.value = value
        self.inner = inner
        self.length = None


class Default(Node):
    """Evaluates a default argument in the scope of its own."""

    __slots__ = ()

    expr: DefaultExpression

    def begin(self, run: Evaluation) -> None:
        """Wait for the expressions in the default."""
        run.demand(self, [self.expr.value], self.expr.inner)

    def step(self, run: Evaluation) -> None:
        """Take over the value."""
        inner = self.expr.inner
        self.calls = inner.calls(self.expr.value)
        run.succeed(self, inner.value(self.expr.value))


def in_context(job: Job, given: dict[str, Any], filled: dict[str, Any]) -> dict[str, Any]:
    """Return the keyword arguments of a job with its defaults seeing its own context.

    Args:
        given: the keyword arguments of the call.
        filled: these and the defaults.
    """
    inner: Scope | None = None
    result = filled
    for name, value in filled.items():
        if name in given or not holds_expression(value):
            continue
        if inner is None:
            inner = Scope(job.scope.job, job.context)
            result = dict(filled)
        result[name] = made = DefaultExpression(value, inner)
        # The caller's scope knows expressions by their ids, so this one must live as long.
        job.scope.keep.append(made)
    return result
