"""Public import path of the scheduler and the special forms; they live in `redun.evaluation` and `redun.forms`."""

from typing import Any

from redun.errors import DryRunResult, NoCurrentScheduler, SchedulerError
from redun.evaluation.current import get_current_scheduler, set_current_scheduler
from redun.evaluation.failure import ErrorValue
from redun.evaluation.job import Job
from redun.evaluation.scheduler import Scheduler
from redun.forms import (
    apply_tags,
    catch,
    catch_all,
    cond,
    fork_thread,
    get_context,
    join_thread,
    merge_handles,
    seq,
    throw,
)
from redun.functools import with_export_options
from redun.job_info import JobInfo
from redun.root import root_task
from redun.threads import Thread

_HOMES = {
    "CacheCheckValid": "redun.task",
    "CacheResult": "redun.task",
    "CacheScope": "redun.task",
    "Config": "redun.config",
    "Dir": "redun.file",
    "Executor": "redun.executors.base",
    "Handle": "redun.handle",
    "Expression": "redun.expression",
    "LocalExecutor": "redun.executors.local",
    "Promise": "redun.promise",
    "QuotedExpression": "redun.expression",
    "SchedulerExpression": "redun.expression",
    "SimpleExpression": "redun.expression",
    "Task": "redun.task",
    "TaskExpression": "redun.expression",
    "TaskRegistry": "redun.task",
    "Traceback": "redun.error_traceback",
    "Value": "redun.value",
    "ValueExpression": "redun.expression",
    "get_task_registry": "redun.task",
    "get_type_registry": "redun.value",
    "quote": "redun.expression",
    "scheduler_task": "redun.task",
    "subrun": "redun.subrun",
    "subrun_root_task": "redun.subrun",
    "task": "redun.task",
    "wait_promises": "redun.promise",
    "format_arg": "redun.evaluation.call_facts",
    "format_task_call": "redun.evaluation.call_facts",
    "get_arg_defaults": "redun.evaluation.call_facts",
    "hash_args_eval": "redun.evaluation.call_facts",
    "needs_root_task": "redun.root",
    "set_arg_defaults": "redun.evaluation.call_facts",
}


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(home), name)


__all__ = [
    "DryRunResult",
    "ErrorValue",
    "Job",
    "JobInfo",
    "NoCurrentScheduler",
    "Scheduler",
    "SchedulerError",
    "apply_tags",
    "catch",
    "catch_all",
    "fork_thread",
    "join_thread",
    "Thread",
    "cond",
    "get_context",
    "get_current_scheduler",
    "merge_handles",
    "root_task",
    "seq",
    "set_current_scheduler",
    "throw",
    "with_export_options",
]
