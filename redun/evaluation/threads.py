"""Expressions that are evaluated beside the job that began them: the nodes of `fork_thread` and `join_thread`.

What a thread computes belongs to no call until somebody joins it: whether it is through when its job ends is chance, and the ids of
calls must not depend on that. So a thread has a scope of its own that tells the job nothing of its calls; the job that joins it gets
them as children.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from redun.evaluation.forms import Form
from redun.evaluation.node import FINAL, Node, Scope, State
from redun.threads import Thread

if TYPE_CHECKING:
    from redun.evaluation.evaluation import Evaluation


class Forked(Node):
    """An expression in a thread."""

    __slots__ = ()

    def begin(self, run: Evaluation) -> None:
        """Wait for the expressions in the value."""
        self.scope.keep.append(self.expr)
        run.demand(self, [self.expr], self.scope)

    def step(self, run: Evaluation) -> None:
        """Take over the value, and all calls that were made for it."""
        self.calls = self.scope.all_calls(self.expr)
        run.threads_running -= 1
        self.value = self.scope.value(self.expr)
        run.succeed(self, self.value)

    def failed_by(self, run: Evaluation, source: Node) -> None:
        """Keep the error for whoever joins."""
        run.threads_running -= 1
        super().failed_by(run, source)


class ForkThread(Form):
    """`fork_thread(expr)`: begins to evaluate an expression and does not wait for it."""

    __slots__ = ()

    def turn(self, run: Evaluation) -> None:
        """Begin, and be through."""
        scope, expr = self.scope, self.expr.args[0] if self.expr.args else self.expr.kwargs["expr"]
        own = Scope(scope.job, scope.context)
        own.forked = True
        forked = Forked(expr, own)
        thread = Thread(expr, run.new_thread(forked))
        forked.begin(run)
        run.succeed(self, thread)


class JoinThread(Form):
    """`join_thread(thread)`: the value of the expression in a thread, once it is there."""

    __slots__ = ("forked",)

    def __init__(self, expr: Any, scope: Scope) -> None:
        super().__init__(expr, scope)
        self.forked: Forked | None = None

    def turn(self, run: Evaluation) -> None:
        """Evaluate the argument, wait for the thread, take over its value."""
        if self.followed(run):
            return
        argument = self.expr.args[0] if self.expr.args else self.expr.kwargs["thread"]
        if self.stage == 0:
            self.stage = 1
            run.demand(self, [argument], self.scope)
            return
        forked = self.forked
        if forked is not None:
            self._take(run, forked)
            return
        thread = self.scope.value(argument)
        if not isinstance(thread, Thread):
            run.fail(self, TypeError(f"join_thread() needs a thread, as fork_thread() returns it, found {thread!r}"))
            return
        forked = self.forked = run.find_thread(thread)
        if forked is None:
            # Begun in an earlier execution and not again in this one, or in another process: only what it computes is known.
            self.follow(run, thread.expr)
        elif forked.state < FINAL:
            self.missing = 1
            forked.waiters.append(self)
        else:
            self._take(run, forked)

    def _take(self, run: Evaluation, forked: Forked) -> None:
        self.calls = forked.calls
        if self.scope.job is not None:
            self.scope.job.adopt(forked.calls or ())
        if forked.state is State.DONE:
            run.succeed(self, forked.value)
        else:
            assert forked.error is not None
            run.fail(self, forked.error)

    def input_failed(self, run: Evaluation, source: Node) -> None:
        """The argument failed, or the thread."""
        if source is self.forked:
            self._take(run, self.forked)
        else:
            super().input_failed(run, source)
