"""Public import path of the scheduler and the special forms; they live in `redun.evaluation` and `redun.forms`."""

from typing import TYPE_CHECKING, Any

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

if TYPE_CHECKING:
    from redun.config import Config as Config
    from redun.evaluation.call_facts import format_arg as format_arg
    from redun.evaluation.call_facts import format_task_call as format_task_call
    from redun.evaluation.call_facts import get_arg_defaults as get_arg_defaults
    from redun.evaluation.call_facts import hash_args_eval as hash_args_eval
    from redun.evaluation.call_facts import set_arg_defaults as set_arg_defaults
    from redun.executors.base import Executor as Executor
    from redun.executors.local import LocalExecutor as LocalExecutor
    from redun.expression import Expression as Expression
    from redun.expression import QuotedExpression as QuotedExpression
    from redun.expression import SchedulerExpression as SchedulerExpression
    from redun.expression import SimpleExpression as SimpleExpression
    from redun.expression import TaskExpression as TaskExpression
    from redun.expression import ValueExpression as ValueExpression
    from redun.expression import quote as quote
    from redun.file import Dir as Dir
    from redun.handle import Handle as Handle
    from redun.promise import Promise as Promise
    from redun.promise import wait_promises as wait_promises
    from redun.root import needs_root_task as needs_root_task
    from redun.subrun import subrun as subrun
    from redun.subrun import subrun_root_task as subrun_root_task
    from redun.task import CacheCheckValid as CacheCheckValid
    from redun.task import CacheResult as CacheResult
    from redun.task import CacheScope as CacheScope
    from redun.task import Task as Task
    from redun.task import TaskRegistry as TaskRegistry
    from redun.task import get_task_registry as get_task_registry
    from redun.task import scheduler_task as scheduler_task
    from redun.task import task as task
    from redun.value import Value as Value
    from redun.value import get_type_registry as get_type_registry

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
