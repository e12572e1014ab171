"""Stored objects as facts of the model: calls, tasks, and what is read from them again and again."""

from __future__ import annotations

from collections.abc import Callable

from redun.provenance.model import Argument, Call, Task, Value
from redun.provenance.parameters import Parameters
from redun.provenance.values import ValueReader
from redun.records import CallRecord, TaskRecord
from redun.store.errors import RedunError
from redun.store.sources.base import Source

_MAX_KEPT = 20_000


class ObjectReader:
    """Reads calls and tasks of one store. For one thread at a time.

    Whatever is gone or damaged reads as None: the read side shows what is left.

    Args:
        find_text: from a task's id to the ref of its source, for tasks whose object does not carry it.
    """

    def __init__(self, source: Source, values: ValueReader, find_text: Callable[[bytes], bytes | None]) -> None:
        self._source = source
        self._values = values
        self._find_text = find_text
        self._tasks: dict[bytes, TaskRecord | None] = {}
        self._parameters: dict[bytes, Parameters] = {}
        self._calls: dict[bytes, CallRecord | None] = {}

    def task_record(self, task: bytes) -> TaskRecord | None:
        """Return the body of a task object (20-byte id)."""
        if task not in self._tasks:
            try:
                self._tasks[task] = TaskRecord.decode(self._source.get(task))
            except RedunError:
                self._tasks[task] = None
        return self._tasks[task]

    def task_name(self, task: bytes) -> str:
        """Return the full name of a task, `?` if it is gone."""
        record = self.task_record(task)
        return "?" if record is None else record.fullname

    def task(self, task: bytes) -> Task | None:
        """Return a task with its source, wherever that was recorded."""
        record = self.task_record(task)
        if record is None:
            return None
        return Task(task.hex(), record.fullname, self._text(task, record), record.version)

    def _text(self, task: bytes, record: TaskRecord) -> str | None:
        if record.source is not None:
            return record.source
        ref = self._find_text(task)
        return None if ref is None else self._values.string(ref)

    def parameters(self, task: bytes) -> Parameters:
        """Return the parameters of a task, as far as its source tells."""
        found = self._parameters.get(task)
        if found is None:
            record = self.task_record(task)
            text = None if record is None else self._text(task, record)
            found = Parameters(text, "" if record is None else record.fullname.rpartition(".")[2])
            self._parameters[task] = found
        return found

    def call_record(self, call: bytes) -> CallRecord | None:
        """Return the body of a call object (20-byte id)."""
        if call not in self._calls:
            if len(self._calls) > _MAX_KEPT:
                self._calls.clear()
            try:
                self._calls[call] = CallRecord.decode(self._source.get(call))
            except RedunError:
                self._calls[call] = None
        return self._calls[call]

    def call(self, call: bytes) -> Call | None:
        """Return a call with its arguments named."""
        record = self.call_record(call)
        if record is None:
            return None
        return Call(
            id=call.hex(),
            task_hash=record.task.hex(),
            task_name=self.task_name(record.task),
            arguments=self.arguments(record),
            result=Value(record.result),
            failed=record.failed,
            children=tuple([child.hex() for child in record.children]),
        )

    def arguments(self, record: CallRecord) -> tuple[Argument, ...]:
        """Return the arguments of a call, positional ones first."""
        named = [Argument(name, name, Value(ref)) for name, ref in record.kwargs]
        if not record.args:
            return tuple(named)
        names = self.parameters(record.task)
        placed = [Argument(place, names.name(place), Value(ref)) for place, ref in enumerate(record.args)]
        return (*placed, *named)
