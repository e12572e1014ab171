"""What handlers of `catch` made of errors, kept for later executions (see `redun.evaluation.forms.Catch`)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from redun.errors import EncodeError, TaskNotFound
from redun.evaluation.identity import Identity
from redun.evaluation.job import Job
from redun.evaluation.node import Node, Scope
from redun.records import encode_call
from redun.store.ids import ID_BYTES
from redun.task import CacheScope

if TYPE_CHECKING:
    from redun.evaluation.calls import Calls
    from redun.evaluation.forms import Catch
    from redun.task import Task


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
        scope = form.scope
        job = scope.job
        if job is not None and not job.recorder.records:
            return None
        if scope.identity is None:
            scope.identity = Identity()
        context = scope.context
        try:
            form.key = scope.identity.digest([form.expr, context] if context else form.expr)
        except (EncodeError, TaskNotFound):
            return None
        found = self._calls.cache.lookup_recovery(form.key) if self._calls.use_cache else None
        if found is None:
            return None
        # No job names it, so this execution would not keep it.
        self._calls.recorder.keep(*found[1:])
        return found[:1]

    def ask(self, form: Catch) -> bool:
        """Put a form to others; False if nobody is to be asked. `answered` lets it go on."""
        calls = self._calls
        if calls.others is None or form.key is None or not calls.use_cache:
            return False
        return calls.others.ask_form(form, form.key, calls.plans.task_id(form.expr.task))

    def answered(self, form: Catch, row: bytes | None) -> bool:
        """Let a form go on that was put to others.

        Args:
            row: of the memo, whose call is in the store with all that it leads to; None if nobody knows it.

        Returns:
            True if the form takes what was found.
        """
        calls = self._calls
        found = None
        if row is not None:
            calls.cache.source.refresh()
            found = calls.cache.recovery_of(row)
        if row is None or found is None or form.key is None:
            form.go_on(calls.evaluation)
            return False
        value, call, data = found
        calls.recorder.keep(call, data)
        calls.recorder.recovery(form.key, call, row[ID_BYTES:])
        form.follow(calls.evaluation, value)
        return True

    def remember(
        self, key: bytes, failed: Job, involved: tuple[bytes, ...], form: Task[Any, Any], recovered: Any, value: Any
    ) -> None:
        """Keep what a handler returned, with the calls that led there, so that a change below any of them is noticed.

        Args:
            key: digest of the form. form: its task.
            failed: the job that failed. involved: the calls that were made for the expression before it failed, its own included.
            recovered, value: what the handler returned, and its value.
        """
        if failed.plan.scope is not CacheScope.BACKEND:
            # Its author wants it to run each time.
            return
        subtree = self._calls.recorder.tasks_of(involved)
        if subtree is None:
            return
        encode = self._calls.recorder.encoder.encode
        reduction, result = encode(recovered), encode(value)
        form_id = self._calls.plans.task_id(form)
        call, data = encode_call(form_id, [], (), None if reduction == result else reduction, result, involved, subtree)
        self._calls.recorder.put(call, data)
        self._calls.recorder.recovery(key, call, reduction)
