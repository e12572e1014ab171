"""Options merged into plans.

Precedence, later wins: executor config, definition, options inherited from exporting ancestors, call-time options, the scheduler's
(command line). `prov=False` cannot be turned on again below.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from redun.encoding import value_id
from redun.errors import RedunError
from redun.evaluation.plan import Plan
from redun.store.ids import ID_BYTES
from redun.task_options import normal_options

if TYPE_CHECKING:
    from redun.evaluation.job import Job
    from redun.expression import TaskExpression
    from redun.task import Task


_ALWAYS_EXPORTED = ("capture_files",)
"""Whoever wants the files of a task kept wants those of the tasks that it calls: they are the ones that make them."""


class Plans:
    """Makes plans, and keeps the ones that calls with plain options share.

    Args:
        overrides: options that beat all others.
        executor_options: gives the configured options of an executor by name; raises SchedulerError for an unknown one.
        on_new_task: called with each task when its first plan is made.
        captures: the content of files in all results is kept.
    """

    def __init__(
        self,
        overrides: Mapping[str, Any],
        executor_options: Callable[[str], Mapping[str, Any]],
        on_new_task: Callable[[Task[Any, Any]], None],
        captures: bool = False,
    ) -> None:
        self._overrides = normal_options("(all tasks)", overrides)
        self._executor_options = executor_options
        self._on_new_task = on_new_task
        self._captures = captures
        self.without_namespace: list[str] = []
        self._plain: dict[int, Plan] = {}
        self._tasks: dict[str, Any] = {}
        self.counts: dict[str, list[int]] = {}

    def plain(self, task: Task[Any, Any]) -> Plan:
        """Return the plan of a call without options of its own."""
        plan = self._plain.get(id(task))
        # The id may have been reused if a task was defined anew; its plan keeps the task alive, so identity settles it.
        if plan is None or plan.asked is not task:
            plan = self._plain[id(task)] = self._make(task, {})
            plan.asked = task
        return plan

    def merged(self, expr: TaskExpression[Any], parent: Job | None) -> Plan:
        """Return the plan of a call with call-time or inherited options, none of which is an expression."""
        inherited = parent.exported if parent is not None and parent.exported else {}
        # Options that were expressions have come to their values only now.
        options = normal_options(expr.task.fullname, {**inherited, **(expr.task_options or {})})
        return self._make(expr.task, options)

    def export(self, job: Job, expr: TaskExpression[Any]) -> None:
        """Note what the jobs below a job inherit."""
        names = [*(expr.export_options or ()), *_ALWAYS_EXPORTED]
        exported = {name: job.plan.options[name] for name in names if name in job.plan.options}
        # Inner beats outer.
        job.exported = {**(job.exported or {}), **exported}

    def _make(self, task: Task[Any, Any], update: Mapping[str, Any]) -> Plan:
        registered = self._registered(task)
        options = {**registered.task_options_base, **update, **self._overrides}
        executor = str(options.get("executor") or "default")
        refusal: RedunError | None = None
        try:
            options = {**self._executor_options(executor), **options}
        except RedunError as error:
            # An executor that is not there fails the jobs that need it, and only these: a known result is as good as ever.
            refusal = error
        counts = self.counts.setdefault(registered.fullname, [0, 0, 0, 0, 0])
        plan = Plan(registered, options, executor, counts, self._captures)
        plan.refusal = refusal
        return plan

    def _registered(self, task: Task[Any, Any]) -> Task[Any, Any]:
        # A name stands for the task that is defined under it now, also in expressions made before. Options at call time do not
        # change what a call computes either: its hash is that of the task as defined.
        from redun.task import get_task_registry

        registered = get_task_registry().get(task.fullname) or task
        known = self._tasks.get(registered.fullname)
        if known is not registered:
            self._tasks[registered.fullname] = registered
            self._on_new_task(registered)
            if known is None and not registered.namespace:
                self.without_namespace.append(_where(registered))
        return registered

    def task_id(self, task: Task[Any, Any]) -> bytes:
        """Return the id of a task that is named in a record, having its object written if this is the first time."""
        return self._registered(task).id


def _where(task: Task[Any, Any]) -> str:
    """File and name of a task, like `workflow.py:main`."""
    code = getattr(task.func, "__code__", None)
    return task.name if code is None else f"{os.path.basename(code.co_filename)}:{task.name}"


def key_in_context(job: Job) -> bytes:
    """Return what identifies a call in its context, 20 bytes."""
    return sha256(job.eval_key + value_id(job.context)).digest()[:ID_BYTES]
