"""What the loss of an object means to a user: which results, calls and executions it touches, and whether it comes back by itself."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from enum import Enum
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple
from uuid import UUID

from redun.errors import RedunError
from redun.records import CallRecord, ExecutionRecord, TaskRecord
from redun.store.fsck import Findings, Reader, opened
from redun.store.ids import LINK_MARK
from redun.store.journal import Segment, decode_segment
from redun.store.objects import Kind
from redun.store.reach import links_in

_MOST_REFERRERS = 20_000
_EXECUTIONS, _TAGS = "executions/", "tags/"


class Part(Enum):
    """What an object was to those that refer to it: what it is called, and what becomes of it. The first one that fits counts.

    Attributes:
        title: its name in a sentence.
        then: what happens next.
        comes_back: whether a run makes it again.
    """

    EXECUTION = "record of an execution", "its command line, user and times are lost for good", False
    HISTORY = "piece of an execution's history", "what it said of jobs is lost for good; their results stay", False
    TAG = "tag", "it is lost for good", False
    TASK = "task", "it is recorded again when the task is run next", True
    RESULT = "result", "it is computed again when a run needs it", True
    CALL = "call", "it is computed again when a run needs it", True
    ARGUMENT = "argument", "it is made again when a run needs it", True
    SOURCE = "source text of a task", "it is recorded again when the task is run next", True
    OUTPUT = "output of jobs", "what they printed is lost for good", False
    VALUE = "value", "it is made again when a run needs it", True
    NOTHING = "object that nothing refers to", "nobody misses it", True

    def __init__(self, title: str, then: str, comes_back: bool) -> None:
        self.title = title
        self.then = then
        self.comes_back = comes_back


class Use(NamedTuple):
    """A job that is touched: name of its task, its id and that of its execution."""

    task: str
    job: str
    execution: str


@dataclass
class Loss:
    """An object that is lost.

    Attributes:
        id: 40 hex digits. why: what is wrong with it.
        part: what it was.
        tasks: names of the tasks whose calls it belongs to.
        uses: jobs that are touched, the first ones.
        executions: ids of all executions that are touched.
        name: of the task, or the ref, if it is one.
    """

    id: str
    why: str
    part: Part = Part.NOTHING
    tasks: set[str] = field(default_factory=set)
    uses: list[Use] = field(default_factory=list)
    executions: set[str] = field(default_factory=set)
    name: str = ""

    def becomes(self, part: Part, name: str = "") -> None:
        """Note what it was to somebody; the more telling one counts."""
        order = list(Part)
        if order.index(part) < order.index(self.part):
            self.part = part
        self.name = self.name or name


_MOST_USES = 5


def explain(folder: Path, found: Findings) -> list[Loss]:
    """Say what the losses that were found mean. Reads all objects and journals once more; at once if nothing is lost."""
    lost = found.lost
    if not lost:
        return []
    with opened(folder) as (snapshot, _):
        return _Explanation(Reader(snapshot, folder), found, lost).run()


class _Explanation:
    """One explanation; see `explain`."""

    def __init__(self, reader: Reader, found: Findings, lost: set[bytes]) -> None:
        self._reader = reader
        self._found = found
        self._lost = lost
        self._losses = {oid: Loss(oid.hex(), found.damaged.get(oid, "it is not there")) for oid in lost}
        # Call -> the losses that its jobs have a part in.
        self._calls: dict[bytes, set[bytes]] = {oid: {oid} for oid in lost}
        self._tasks: dict[bytes, str] = {}

    def run(self) -> list[Loss]:
        """Do it; returns losses, the gravest first."""
        lost = self._lost
        for oid, data in islice(self._reader.objects(lambda links: not lost.isdisjoint(links)), _MOST_REFERRERS):
            self._referrer(oid, data)
        for name, head in self._found.refs.items():
            if head in lost:
                self._losses[head].becomes(Part.TAG if name.startswith(_TAGS) else Part.HISTORY, name)
            if name.startswith(_EXECUTIONS):
                self._chain(name, head)
        order = list(Part)
        return sorted(self._losses.values(), key=lambda loss: (order.index(loss.part), loss.id))

    def _referrer(self, oid: bytes, data: bytes) -> None:
        try:
            if data[0] == Kind.CALL:
                self._call(oid, CallRecord.decode(data))
            elif data[0] == Kind.SEGMENT:
                self._segment(decode_segment(data))
            else:
                for link in self._lost.intersection(_links(data)):
                    self._losses[link].becomes(Part.TAG if data[0] == Kind.TAG else Part.VALUE)
        except RedunError:
            return

    def _call(self, oid: bytes, call: CallRecord) -> None:
        name = self._task_name(call.task)
        for task in (call.task, *call.tasks):
            self._note(task, Part.TASK)
        for ref in (*call.args, *[ref for _, ref in call.kwargs]):
            self._note(ref[1:], Part.ARGUMENT, oid, name) if ref[0] == LINK_MARK else None
        for ref in (call.result, call.reduction):
            self._note(ref[1:], Part.RESULT, oid, name) if ref[0] == LINK_MARK else None
        for child in call.children:
            self._note(child, Part.CALL)
        if call.task in self._lost:
            self._calls.setdefault(oid, set()).add(call.task)

    def _segment(self, segment: Segment) -> None:
        self._note(segment.execution, Part.EXECUTION)
        if segment.parent is not None:
            self._note(segment.parent, Part.HISTORY)
        for job in segment.jobs:
            self._note(job.task, Part.TASK)
            if job.call is not None:
                self._note(job.call, Part.CALL)
        for ref in segment.sources.values():
            self._note(ref[1:], Part.SOURCE)
        for fact in segment.outputs:
            self._note(fact.ref[1:], Part.OUTPUT)

    def _note(self, oid: bytes, part: Part, call: bytes | None = None, task: str = "") -> None:
        loss = self._losses.get(oid)
        if loss is not None:
            loss.becomes(part)
            if call is not None:
                self._calls.setdefault(call, set()).add(oid)
            if task:
                loss.tasks.add(task)

    def _chain(self, name: str, head: bytes) -> None:
        execution = name.split("/")[1]
        for oid, segment in _segments(self._reader, head):
            if segment is None:
                if oid in self._losses:
                    self._losses[oid].executions.add(execution)
                return
            for link in (segment.execution, *[fact.ref[1:] for fact in segment.outputs]):
                if link in self._losses:
                    self._losses[link].executions.add(execution)
            for job in segment.jobs:
                touched = self._calls.get(job.call, ()) if job.call is not None else ()
                for oid in {*touched, *([job.task] if job.task in self._lost else ())}:
                    loss = self._losses[oid]
                    loss.executions.add(execution)
                    task = self._task_name(job.task)
                    if loss.part is Part.CALL:
                        loss.tasks.add(task)
                    if len(loss.uses) < _MOST_USES:
                        loss.uses.append(Use(task, str(UUID(bytes=job.job_id)), execution))

    def _task_name(self, task: bytes) -> str:
        if task not in self._tasks:
            data = self._reader.get(task)
            try:
                self._tasks[task] = "" if data is None else TaskRecord.decode(data).fullname
            except RedunError:
                self._tasks[task] = ""
        return self._tasks[task]


def _links(data: bytes) -> list[bytes]:
    return links_in(data)


def _segments(reader: Reader, head: bytes) -> Iterator[tuple[bytes, Segment | None]]:
    """Yield id and segment from the newest on; None for the first one that cannot be read, which is the last that is known."""
    at: bytes | None = head
    seen: set[bytes] = set()
    while at is not None and at not in seen:
        seen.add(at)
        data = reader.get(at)
        try:
            segment = None if data is None else decode_segment(data)
        except RedunError:
            segment = None
        yield at, segment
        at = None if segment is None else segment.parent


def decodes() -> dict[Kind, Callable[[bytes], Any]]:
    """Return what reads the objects of each kind, to find those that are whole and still make no sense."""
    return {
        Kind.CALL: CallRecord.decode,
        Kind.TASK: TaskRecord.decode,
        Kind.EXECUTION: ExecutionRecord.decode,
        Kind.SEGMENT: decode_segment,
    }
