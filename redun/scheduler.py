"""Public import path of the scheduler and the special forms; they live in `redun.evaluation` and `redun.forms`."""

from redun.errors import DryRunResult, NoCurrentScheduler, SchedulerError
from redun.evaluation.current import get_current_scheduler, set_current_scheduler
from redun.evaluation.failure import ErrorValue
from redun.evaluation.job import Job
from redun.evaluation.scheduler import Scheduler
from redun.forms import catch, catch_all, cond, get_context, seq, throw
from redun.functools import with_export_options
from redun.job_info import JobInfo
from redun.root import root_task

__all__ = [
    "DryRunResult",
    "ErrorValue",
    "Job",
    "JobInfo",
    "NoCurrentScheduler",
    "Scheduler",
    "SchedulerError",
    "catch",
    "catch_all",
    "cond",
    "get_context",
    "get_current_scheduler",
    "root_task",
    "seq",
    "set_current_scheduler",
    "throw",
    "with_export_options",
]
