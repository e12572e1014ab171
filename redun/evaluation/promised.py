"""User-written special forms, and what they ask of the scheduler: the bridge between nodes and promises."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from redun.evaluation.forms import Form
from redun.evaluation.node import FINAL, Node, Scope, State
from redun.promise import Promise

if TYPE_CHECKING:
    from redun.evaluation.evaluation import Evaluation


class PromisedForm(Form):
    """A special form whose function returns a promise (`@scheduler_task`)."""

    __slots__ = ()

    def turn(self, run: Evaluation) -> None:
        """Call the function; go on when its promise is settled."""
        if self.followed(run):
            return
        expr = self.expr
        try:
            result = expr.task.func(run.scheduler, self.scope.job, expr, *expr.args, **expr.kwargs)
        except Exception as error:
            run.fail(self, error)
            return
        if not isinstance(result, Promise):
            self._resolved(run, result)
            return
        # The promise is one more input: nothing else wakes this node.
        self.missing = 1
        result.then(lambda value: self._resolved(run, value), lambda error: run.fail(self, error))

    def _resolved(self, run: Evaluation, value: Any) -> None:
        if self.state < FINAL:
            self.missing = 0
            self.follow(run, value)

    def derives_from(self) -> list[Any]:
        """Whatever it evaluated of its arguments."""
        return [self.expr.args, self.expr.kwargs]


class Awaited(Node):
    """An expression that a special form asked to be evaluated: settles a promise."""

    __slots__ = ("promise",)

    def __init__(self, expr: Any, scope: Scope) -> None:
        super().__init__(expr, scope)
        self.promise: Promise[Any] = Promise()

    def begin(self, run: Evaluation) -> None:
        """Wait for the expressions in the value."""
        self.scope.keep.append(self.expr)
        run.demand(self, [self.expr], self.scope)

    def step(self, run: Evaluation) -> None:
        """Resolve the promise."""
        self.move(State.DONE)
        self.promise.do_resolve(self.scope.value(self.expr))

    def failed_by(self, run: Evaluation, source: Node) -> None:
        """Reject the promise."""
        if source.error is not None:
            self.scope.failed = True
            self.move(State.FAILED)
            self.promise.do_reject(source.error)
