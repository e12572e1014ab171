"""Executions read straight from refs and segments: what `redun log` and `redun log -` show needs no index.

The status of an execution stands in its last segment; its jobs in the whole chain, where a later record of a job replaces an
earlier one. A record that still says RUNNING when nobody is left to run it is read as INTERRUPTED.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple
from uuid import UUID

from redun.provenance.job_table import JobTable
from redun.provenance.model import Attempt, Execution
from redun.records import ExecutionRecord
from redun.store.errors import RedunError
from redun.store.journal import JobRecord, OutputFact, Segment, Status, chain, decode_extra, decode_segment
from redun.store.objects import split
from redun.store.sources.base import Source
from redun.tag_records import EXECUTION, JOB

REF_PREFIX = "executions/"
_ENDED = frozenset((Status.DONE, Status.CACHED, Status.FAILED, Status.CANCELLED))


class Head(NamedTuple):
    """An execution's ref: where its story ends for now.

    Attributes:
        id: UUID, 16 bytes.
        segment: 20-byte id of the newest segment.
    """

    id: bytes
    segment: bytes

    @property
    def uuid(self) -> str:
        """The id as text."""
        return str(UUID(bytes=self.id))


def read_heads(source: Source, hex_prefix: str = "") -> list[Head]:
    """List the refs of executions whose UUID (dashes left out) begins with a hex prefix, in no useful order."""
    found = []
    # Whether ref names carry dashes is up to the writer; the first 8 digits have none in either form.
    for name, segment in source.refs(REF_PREFIX + hex_prefix[:8]):
        digits = name[len(REF_PREFIX) :].replace("-", "")
        if len(digits) == 32 and digits.startswith(hex_prefix):
            try:
                found.append(Head(bytes.fromhex(digits), segment))
            except ValueError:
                continue
    return found


def read_record(source: Source, head: Head) -> ExecutionRecord:
    """Read an execution's object through its newest segment.

    Raises:
        StoreError: it is gone or damaged.
    """
    links = split(source.get(head.segment))[3]
    try:
        # A segment names its execution first.
        return ExecutionRecord.decode(source.get(links[0]))
    except (RedunError, IndexError):
        return ExecutionRecord.decode(source.get(decode_segment(source.get(head.segment)).execution))


def read_execution(source: Source, head: Head, is_alive: Callable[[str], bool]) -> Execution:
    """Read what is known of an execution; costs its last segment only.

    Raises:
        StoreError: its object or segment is gone or damaged.
    """
    record = read_record(source, head)
    extra = decode_extra(source.get(head.segment))
    return make_execution(head, record, extra, is_alive, _tags_of_run(source, head, extra))


def _tags_of_run(source: Source, head: Head, extra: Sequence[tuple[str, Any]]) -> list[tuple[str, Any]]:
    """Return the tags that a run, and the sub-runs in it, gave to its execution."""
    found = _tags_in_chain(source, head.segment, extra)
    for _, at in source.refs(f"{REF_PREFIX}{head.uuid}/"):
        try:
            found += _tags_in_chain(source, at, decode_extra(source.get(at)))
        except RedunError:
            continue
    return found


def _tags_in_chain(source: Source, newest: bytes, extra: Sequence[tuple[str, Any]]) -> list[tuple[str, Any]]:
    """Return what one chain says: told at its end; one without an end has to be read as a whole."""
    for key, fact in reversed(extra):
        if key == "end" and isinstance(fact, dict):
            return [(key, value) for key, value in fact.get("tags", ())]
    found: list[tuple[str, Any]] = []
    try:
        for segment in chain(source.get, newest):
            for said in segment.tags:
                if said.kind == EXECUTION:
                    found += said.pairs
    except RedunError:
        # What lies before a damaged segment is unknown.
        pass
    return found


def make_execution(
    head: Head,
    record: ExecutionRecord,
    extra: Sequence[tuple[str, Any]],
    is_alive: Callable[[str], bool],
    tags: Sequence[tuple[str, Any]] = (),
) -> Execution:
    """Put together an execution from its object and the facts of its newest segment."""
    status, end_us = _read_end(extra)
    if status is None:
        status = Status.RUNNING if is_alive(head.uuid) else Status.INTERRUPTED
    return Execution(
        id=head.uuid,
        argv=tuple(record.argv),
        status=status,
        start_us=record.start_us,
        end_us=end_us,
        host=record.host,
        user=record.user,
        pid=record.pid,
        cwd=record.cwd,
        version=record.version,
        tags=(*record.tags, *tags),
    )


def _read_end(extra: Sequence[tuple[str, Any]]) -> tuple[Status | None, int | None]:
    for key, fact in reversed(extra):
        if key == "end" and isinstance(fact, dict):
            try:
                return Status(fact["status"]), int(fact["time"])
            except (KeyError, ValueError, TypeError):
                continue
    return None, None


class History:
    """All jobs of one execution.

    Attributes:
        jobs: number -> newest record.
        upstreams: number -> slot -> ids of calls that an argument (or, under None, the result) was derived from.
        sources: task id -> ref of its text, where the task object has none.
        job_tags: id of a job -> what the run tagged it with.
        extra: what else happened, oldest first.
        outputs: number -> what the job wrote, oldest first.
        damaged: ids of segments that could not be read; what lies before the first of them is unknown.
    """

    def __init__(self, head: Head, execution: Execution) -> None:
        self.head = head
        self.execution = execution
        self.jobs = JobTable()
        self.upstreams: dict[int, dict[int | str | None, tuple[bytes, ...]]] = {}
        self.sources: dict[bytes, bytes] = {}
        self.job_tags: dict[bytes, list[tuple[str, Any]]] = {}
        self.extra: list[tuple[str, Any]] = []
        self.outputs: dict[int, list[OutputFact]] = {}
        self.damaged: list[bytes] = []
        self._children: dict[int, array[int]] | None = None
        self._by_call: dict[bytes, list[int]] | None = None
        self._by_id: dict[bytes, int] | None = None

    def children(self, number: int) -> Sequence[int]:
        """List the numbers of a job's children (of the roots for 0), by start time, then number."""
        if self._children is None:
            self._children = self.jobs.by_parent()
        return self._children.get(number, ())

    def jobs_of_call(self, call: bytes) -> list[int]:
        """List the numbers of the jobs that made a call, in order of creation."""
        if self._by_call is None:
            table: dict[bytes, list[int]] = {}
            for number in sorted(self.jobs):
                made = self.jobs[number].call
                if made is not None:
                    table.setdefault(made, []).append(number)
            self._by_call = table
        return self._by_call.get(call, [])

    def number_of(self, job_id: bytes) -> int | None:
        """Return the number of the job with this 16-byte id."""
        if self._by_id is None:
            self._by_id = {job.job_id: number for number, job in self.jobs.items()}
        return self._by_id.get(job_id)

    def status(self, job: JobRecord) -> Status:
        """Return a job's status as of now."""
        if job.status in _ENDED or self.execution.status is Status.RUNNING:
            return job.status
        return Status.INTERRUPTED

    def attempts(self, job_id: str) -> list[Attempt]:
        """List the attempts at a job, if it needed more than one."""
        facts = [fact for key, fact in self.extra if key == "attempt" and isinstance(fact, dict) and fact.get("job") == job_id]
        return [
            Attempt(fact["attempt"], Status(fact["status"]), fact["start"], fact["duration"], fact.get("error"))
            for fact in facts
        ]

    def ancestors(self, number: int) -> list[int]:
        """List the numbers from the root down to a job, itself included."""
        path: list[int] = []
        seen: set[int] = set()
        while number in self.jobs and number not in seen:
            seen.add(number)
            path.append(number)
            number = self.jobs[number].parent
        return path[::-1]


def read_history(source: Source, head: Head, is_alive: Callable[[str], bool]) -> History:
    """Read an execution's whole chain of segments. Time and memory grow with its jobs.

    Raises:
        StoreError: the newest segment, or the execution's object, is gone or damaged.
    """
    record = read_record(source, head)
    newest = decode_segment(source.get(head.segment))
    tags = _tags_of_run(source, head, newest.extra)
    history = History(head, make_execution(head, record, newest.extra, is_alive, tags))
    _read_chain(source, history, head.segment, newest)
    history.extra.reverse()
    # What sub-runs added: chains of their own, whose jobs are numbered apart and name their parents.
    for _, at in source.refs(f"{REF_PREFIX}{head.uuid}/"):
        try:
            end = decode_segment(source.get(at))
        except RedunError:
            history.damaged.append(at)
            continue
        said, history.extra = history.extra, []
        _read_chain(source, history, at, end)
        history.extra = said + [fact for fact in reversed(history.extra) if fact[0] != "end"]
    return history


def _read_chain(source: Source, history: History, start: bytes, newest: Segment) -> None:
    segment: Segment | None = newest
    seen = {start}
    while segment is not None:
        _merge_older(history, segment)
        at = segment.parent
        if at is None or at in seen:
            break
        seen.add(at)
        try:
            segment = decode_segment(source.get(at))
        except RedunError:
            history.damaged.append(at)
            segment = None


def _merge_older(history: History, segment: Segment) -> None:
    jobs = history.jobs
    for job in reversed(segment.jobs):
        jobs.add(job)
    for number, ups in segment.upstreams.items():
        slots = history.upstreams.setdefault(number, {})
        for up in ups:
            slots.setdefault(up.slot, up.calls)
    for task, ref in segment.sources.items():
        history.sources.setdefault(task, ref)
    for fact in segment.tags:
        if fact.kind == JOB:
            for job_id in fact.entities:
                history.job_tags.setdefault(job_id, []).extend(fact.pairs)
    for output in reversed(segment.outputs):
        history.outputs.setdefault(output.number, []).insert(0, output)
    history.extra.extend(reversed(segment.extra))
