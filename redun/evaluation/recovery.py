"""What handlers of `catch` made of errors, kept for later executions (see `redun.evaluation.forms.Catch`)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from redun.errors import EncodeError, TaskNotFound
from redun.evaluation.identity import Identity
from redun.evaluation.job import Job
from redun.evaluation.node import Node, Scope
from redun.records import encode_call

if TYPE_CHECKING:
    from redun.evaluation.calls import Calls
    from redun.evaluation.forms import Catch


class Recoveries:
    """Finds and keeps recoveries of one run.

    Args:
        calls: the run's calls.
    """

    def __init__(self, calls: Calls) -> None:
        self._calls = calls

    def failed_job(self, error: BaseException, scope: Scope) -> Job | None:
        """Return the job in `scope` through which an error came, if it came through one."""
        node: Node | None = self._calls.origin(error)
        while node is not None and node.scope is not scope:
            node = node.scope.job
        return node if isinstance(node, Job) else None

    def find(self, form: Catch) -> tuple[Any] | None:
        """Return, in a tuple, what the handler of an equal `catch` returned in an earlier execution, if that still holds."""
        if not self._calls.use_cache or self._calls.evaluation.context:
            return None
        scope = form.scope
        if scope.job is not None and not scope.job.recorder.records:
            return None
        if scope.identity is None:
            scope.identity = Identity()
        try:
            form.key = scope.identity.digest(form.expr)
        except (EncodeError, TaskNotFound):
            return None
        return self._calls.cache.lookup_recovery(form.key)

    def remember(self, form: Catch, key: bytes, failed: Job, recovered: Any, value: Any) -> None:
        """Keep what a handler returned, with the calls that led there."""
        expr = form.expr.args[0]
        involved = [*form.scope.calls(expr), *([failed.call] if failed.call else [])]
        subtree: set[bytes] = set()
        for call in involved:
            known = self._calls.recorder.call_record(call)
            if known is None:
                return
            subtree.update((known.task, *known.tasks))
        encode = self._calls.recorder.encoder.encode
        reduction, result = encode(recovered), encode(value)
        form_id = self._calls.plans.task_id(form.expr.task)
        call, data = encode_call(form_id, (), (), None if reduction == result else reduction, result, involved, subtree)
        self._calls.recorder.put(call, data)
        self._calls.recorder.recovery(key, call, reduction)
