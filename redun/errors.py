"""Errors of the engine. The root and the store's own are defined one layer below."""

from __future__ import annotations

from redun.store.errors import (
    CyclicError,
    DamagedObject,
    DecodeError,
    EncodeError,
    FormatTooNew,
    MissingLinks,
    ObjectDropped,
    ObjectNotFound,
    RedunError,
    RefConflict,
    SamePid,
    StoreError,
    StoreLocked,
    StoreUnavailable,
)

__all__ = [
    "CircularCall",
    "ConfigError",
    "ConfigFileMissing",
    "ContextTwice",
    "DamagedObject",
    "DecodeError",
    "DryRunResult",
    "DuplicateSection",
    "CyclicError",
    "EncodeError",
    "ExecutorError",
    "ExpressionError",
    "FederatedTaskError",
    "FormatTooNew",
    "HandleError",
    "InternalError",
    "JobTimeout",
    "InvalidValueError",
    "LimitError",
    "MissingLinks",
    "NoCurrentScheduler",
    "ObjectDropped",
    "ObjectNotFound",
    "PromiseError",
    "RedunError",
    "RefConflict",
    "SamePid",
    "SchedulerError",
    "StoreError",
    "StoreLocked",
    "StoreUnavailable",
    "TaskDefinitionError",
    "TaskNotFound",
    "TaskOptionTypeError",
    "UnknownTypeError",
    "ValueEncodeError",
    "WorkerLost",
]


class ExpressionError(RedunError, TypeError):
    """A lazy expression was asked for something that only its value can tell."""


class TaskDefinitionError(RedunError, ValueError):
    """A task was defined in a way that cannot work; names the task and the rule."""


class TaskOptionTypeError(TaskDefinitionError, TypeError):
    """An option of a task is of the wrong type; names task and option."""


class TaskNotFound(RedunError, KeyError):
    """No task of that name is registered."""

    def __str__(self) -> str:
        return str(self.args[0])


class UnknownTypeError(DecodeError):
    """Stored bytes name a class or function that cannot be found any more."""


class InvalidValueError(DecodeError):
    """A value cannot be used. Raised by `deserialize`, as what a stored value refers to is gone: a cache miss."""


class ValueEncodeError(EncodeError, InvalidValueError):
    """A job's argument or result cannot be recorded; names the job and the type."""


class HandleError(RedunError, ValueError):
    """Handles were put together that do not belong together."""


class SchedulerError(RedunError):
    """The scheduler was used in a way that cannot work."""


class NoCurrentScheduler(SchedulerError):
    """There is no running scheduler on this thread."""


class PromiseError(SchedulerError, ValueError):
    """A promise was asked for what it does not have (yet)."""


class ExecutorError(SchedulerError):
    """An executor cannot do what it was asked for; names the executor."""


class WorkerLost(ExecutorError):
    """The worker that ran a job has ended: it was killed, crashed, or ran out of memory; names job and worker."""


class JobTimeout(SchedulerError, TimeoutError):
    """A job did not end within its time-out; names job and time."""


class LimitError(SchedulerError, ValueError):
    """A job asks for more of a limited resource than there is at all."""


class CircularCall(SchedulerError, RecursionError):
    """Calls wait for one another's results in a circle: the recursion never ends."""


class ConfigError(RedunError, ValueError):
    """A configuration file or option is wrong; names file, section and option."""


class ConfigFileMissing(ConfigError, FileNotFoundError):
    """A configuration names a file that does not exist."""


class ContextTwice(ConfigError, SchedulerError):
    """A configuration has both `context` and `context_file`."""


class DuplicateSection(ConfigError, AssertionError):
    """A section that is imported from another configuration is there already."""


class FederatedTaskError(ConfigError, AssertionError):
    """A federated task is not configured, or not completely."""


class DryRunResult(RedunError):
    """A dry run stopped, because jobs would run now."""


class InternalError(RedunError):
    """An invariant of redun itself is broken: please report it."""
