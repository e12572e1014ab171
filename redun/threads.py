"""Threads of a workflow: expressions that go on being evaluated after the job that began them has ended.

    thread = fork_thread(train(data))     # begins; a value of its own at once
    model = join_thread(thread)           # later, in this job or another: the expression's value

A job waits for all calls in its result, but not for what it forked. The execution does: it ends when every thread has ended. An error in
a thread is the error of whoever joins it; if nobody does, the log tells of it and the execution goes on.
"""

from __future__ import annotations

from typing import Any, Generic, TypeVar

from redun.expression import Expression, QuotedExpression
from redun.value import Value

T = TypeVar("T")


class Thread(Value, Generic[T]):
    """An expression that is being evaluated. Two threads of equal expressions are equal.

    Args:
        expr: the expression, or a nested value with expressions in it.
        thread_id: under which the running execution knows it; not part of the value.
    """

    type_name = "redun.Thread"

    def __init__(self, expr: T, thread_id: str = "") -> None:
        self.expr = expr
        self.thread_id = thread_id

    def __getstate__(self) -> dict[str, Any]:
        return {"expr": QuotedExpression(self.expr)}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.expr = state["expr"].eval()
        self.thread_id = ""

    def __repr__(self) -> str:
        return f"Thread({self.expr!r})" if isinstance(self.expr, Expression) else "Thread(...)"


__all__ = ["Thread"]
