"""Records as JSON objects, one per line: the same facts as the text, for other programs."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime, timezone
from typing import Any

from redun.provenance import Argument, Call, Execution, FileUse, Job, Provenance, Task, Value

VERSION = 1


def dump(record: dict[str, Any]) -> str:
    """Return a record as one line. What has no JSON form becomes its repr."""
    try:
        return json.dumps(record, sort_keys=True, default=repr, allow_nan=False)
    except ValueError:
        # Tags may hold nan, which other programs would stumble over.
        plain = json.loads(json.dumps(record, sort_keys=True, default=repr), parse_constant=str)
        return json.dumps(plain, sort_keys=True)


def iso_time(time_us: int | None) -> str | None:
    """Return UTC microseconds as ISO 8601 with zone."""
    if time_us is None:
        return None
    seconds, microseconds = divmod(time_us, 1_000_000)
    return datetime.fromtimestamp(seconds, timezone.utc).replace(microsecond=microseconds).isoformat(" ", "microseconds")


class RecordJson:
    """JSON objects of records of one store."""

    def __init__(self, provenance: Provenance) -> None:
        self._provenance = provenance

    def line(self, record: Execution | Job | Call | Task | Value | FileUse, whole: bool) -> str:
        """Any record, as one line.

        Args:
            whole: with what belongs to it.
        """
        if isinstance(record, Execution):
            return dump(self.execution(record, with_jobs=whole))
        if isinstance(record, Job):
            return dump(self.job(record, detail=whole))
        views: dict[type, Callable[[Any], dict[str, Any]]] = {
            Call: self.call,
            Task: self.task,
            Value: self.value,
            FileUse: self.file,
        }
        return dump(views[type(record)](record))

    def _tags(self, record: Execution | Job | Call | Task | Value | FileUse) -> list[list[Any]]:
        return [[key, value] for key, value in self._provenance.tags.of(record)]

    def execution(self, execution: Execution, with_jobs: bool = False) -> dict[str, Any]:
        """An execution, with its jobs if asked for."""
        record: dict[str, Any] = {
            "_type": "Execution",
            "_version": VERSION,
            "id": execution.id,
            "args": list(execution.argv),
            "status": execution.status.name,
            "start_time": iso_time(execution.start_us),
            "end_time": iso_time(execution.end_us),
            "host": execution.host,
            "user": execution.user,
            "pid": execution.pid,
            "cwd": execution.cwd,
            "redun_version": execution.version,
            "tags": self._tags(execution),
        }
        if with_jobs:
            record["jobs"] = [self.job(job) for _, job in self._provenance.job_tree(execution)]
        return record

    def job(self, job: Job, detail: bool = False) -> dict[str, Any]:
        """A job; with its call and the way back to the root if `detail`."""
        record: dict[str, Any] = {
            "_type": "Job",
            "_version": VERSION,
            "id": job.id,
            "execution_id": job.execution,
            "number": job.number,
            "parent_id": self._provenance.parent_id(job),
            "task_name": job.task_name,
            "task_hash": job.task_hash,
            "call_hash": job.call,
            "status": job.status.name,
            "cached": job.status.name == "CACHED",
            "start_time": iso_time(job.start_us),
            "end_time": iso_time(job.end_us),
            "tags": self._tags(job),
            "children": [child.id for child in self._provenance.children(job)],
        }
        if detail:
            call = self._provenance.get_call(job.call) if job.call is not None else None
            record["ancestors"] = [above.id for above in self._provenance.ancestors(job)[:-1]]
            record["call"] = None if call is None else self.call(call)
            record["attempts"] = [
                {
                    "attempt": attempt.number,
                    "status": attempt.status.name,
                    "start_time": iso_time(attempt.start_us),
                    "end_time": iso_time(attempt.start_us + attempt.duration_us),
                    "error": attempt.error,
                }
                for attempt in self._provenance.attempts(job)
            ]
        return record

    def call(self, call: Call) -> dict[str, Any]:
        """A call with its arguments and its result."""
        failure = self._provenance.failure(call)
        error = None
        if failure is not None:
            error = {"type": failure.type_name, "message": failure.message, "traceback": list(failure.traceback)}
        return {
            "_type": "CallNode",
            "_version": VERSION,
            "call_hash": call.id,
            "task_name": call.task_name,
            "task_hash": call.task_hash,
            "args": [self._argument(argument) for argument in call.arguments],
            "result": self._brief(call.result),
            "tags": self._tags(call),
            "failed": call.failed,
            "error": error,
            "children": list(call.children),
            "parents": self._provenance.parents_of_call(call.id),
        }

    def _argument(self, argument: Argument) -> dict[str, Any]:
        return {"name": argument.name, "slot": argument.slot, **self._brief(argument.value)}

    def _brief(self, value: Value) -> dict[str, Any]:
        return {
            "value_hash": value.id,
            "type": self._provenance.type_name(value),
            "text": self._provenance.text(value)[:10_000],
        }

    def task(self, task: Task) -> dict[str, Any]:
        """A task with its source."""
        return {
            "_type": "Task",
            "_version": VERSION,
            "hash": task.hash,
            "fullname": task.fullname,
            "source": task.source,
            "task_version": task.version,
            "tags": self._tags(task),
        }

    def value(self, value: Value) -> dict[str, Any]:
        """A value with the calls that made and used it."""
        return {
            "_type": "Value",
            "_version": VERSION,
            **self._brief(value),
            "tags": self._tags(value),
            "produced_by": self._provenance.producing(value),
            "consumed_by": self._provenance.consuming(value),
        }

    def file(self, use: FileUse) -> dict[str, Any]:
        """A file at one state."""
        return {
            "_type": "File",
            "_version": VERSION,
            "path": use.path,
            "value_hash": use.value.id,
            "mode": use.mode.strip(),
            "tags": self._tags(use),
            "time": iso_time(use.time_us),
            "produced_by": self._provenance.producer(use.value),
        }
