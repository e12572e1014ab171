"""The recorder: what a run did, written in groups.

Objects, memo rows and job records are collected and committed together: before the scheduler has to wait, at once if something ran long and
the last commit is not just over, else after `QUIET_S`; under load, when the last commit had many jobs, after `BUSY_S`. A synced commit
costs milliseconds, so it is shared by hundreds of jobs. Nobody waits for a commit but the end of the run: dependants go on with values that
are in memory.

In a large store a commit takes longer, as rows with random keys change pages all over it. So under load the next one comes after
`_PAUSE_PER_COMMIT` times what the last one took, `MOST_S` at most: it changes hardly more pages, for more jobs.

Each commit lists the objects that it relies on without having written them (values and calls that the cache named). If one is gone, swept
by a gc that ran beside us, it is put again.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from redun.encoding import ValueEncoder
from redun.errors import EncodeError, MissingLinks, StoreError
from redun.evaluation.cache import memo_row
from redun.evaluation.job import Column
from redun.evaluation.undecoded import decoded
from redun.records import CallRecord
from redun.store.ids import LINK_MARK, Pieces, checksum, object_id
from redun.store.journal import (
    VALUE_KIND,
    HandleEvent,
    JobRecord,
    OutputFact,
    Segment,
    Status,
    TagFact,
    Upstream,
    encode_segment,
)
from redun.store.rows import Staged
from redun.store.sources.base import Batch, RefUpdate
from redun.tag_records import EXECUTION, JOB, TASK, pack, unpack_pairs
from redun.tags import check_tags

if TYPE_CHECKING:
    from redun.content import Content
    from redun.evaluation.job import Job
    from redun.output import Piece
    from redun.records import ExecutionRecord
    from redun.store.sources.base import Source
    from redun.task import Task

QUIET_S = 0.020
BUSY_S = 0.100
MOST_S = 1.0
LONG_US = 50_000
_BUSY_JOBS = 16
"""A commit with so many jobs comes from a run under load, though its scheduler finds time to wait between them."""
_ALMOST_AT_ONCE_S = 0.001
"""What follows from a job begins first, and those that end with it are written with it."""
_PAUSE_PER_COMMIT = 8
"""On a slow disk commits are further apart: a scheduler that writes takes no results."""
_MOST_RECORDS = 20_000
_NO_REF = b"\x01"

_STATUS = {
    Column.PENDING: Status.PENDING,
    Column.RUNNING: Status.RUNNING,
    Column.FAILED: Status.FAILED,
    Column.CACHED: Status.CACHED,
    Column.DONE: Status.DONE,
}


class Recorder:
    """Writes the journal of one execution.

    Args:
        source: the store.
        execution: what is known of the execution when it begins.

    Attributes:
        records: True: jobs of this recorder have a place in the call graph.
        encoder: encodes the values of jobs; large ones are written as objects of their own.
        stage: writes a large object ahead of its commit (`Source.stage`); any thread may call it.
        above: number of the job that the first one is below, 0 for none. first_number: jobs are numbered after it.
    """

    records = True

    def __init__(self, source: Source, execution: ExecutionRecord) -> None:
        self._source = source
        self._execution_data = execution.encode()
        self._uuid = execution.id
        self._execution = object_id(self._execution_data)
        self.ref = f"executions/{uuid.UUID(bytes=execution.id)}"
        self.stage = source.stage
        self.above = 0
        self.first_number = 0
        self._head: bytes | None = None
        self._sequence = 0
        self._objects: dict[bytes, bytes | Pieces] = {}
        self._memo: dict[bytes, bytes] = {}
        self._memo_calls: list[tuple[bytes, bytes]] = []
        self._reductions: list[tuple[bytes, bytes]] = []
        # Jobs of which nothing has been written yet.
        self._created: dict[int, Job] = {}
        self._live: dict[int, Job] = {}
        self._jobs: list[JobRecord] = []
        self._upstreams: dict[int, list[Upstream]] = {}
        self._sources: dict[bytes, bytes] = {}
        self._tags: dict[tuple[str, bytes], dict[bytes, None]] = {}
        self._execution_tags: dict[bytes, tuple[str, Any]] = {}
        self._extra: list[tuple[str, Any]] = []
        self._handles: list[HandleEvent] = []
        self._kept: dict[bytes, None] = {}
        self._outputs: list[OutputFact] = []
        self._needed_objects: dict[bytes, bytes | Pieces] = {}
        self._read_objects: dict[bytes, bytes | Pieces] = {}
        self._moment = source.moment()
        source.refresh()
        self._needed_values: dict[bytes, Any] = {}
        self._needed_contents: dict[bytes, Content] = {}
        self.encoder = ValueEncoder(self.put, reused=self.needs_value, keeps=self.has_content, ahead=self.put_ahead)
        self._since: float | None = None
        self._urgent: float | None = None
        self._committed = 0.0
        self._pause_s = QUIET_S
        self._busy_s = BUSY_S

    # What the run tells.

    def put(self, oid: bytes, data: bytes | Pieces) -> None:
        """Have an object written."""
        self._objects[oid] = data

    def put_ahead(self, oid: bytes, data: Pieces, look: bytes) -> None:
        """Have a block of a large value written at once, as it lies in memory that may change later.

        Args:
            look: checksum of its bytes when `oid` was made of them.

        Raises:
            EncodeError: it is being changed right now.
            StoreUnavailable: there is no room for it.
        """
        if oid in self._objects:
            return
        if not self._source.contains(oid):
            staged = self._source.put_ahead(oid, data)
            if checksum(data) != look or getattr(staged, "pointer", None) not in (None, (len(data), look)):
                raise EncodeError("its content is being changed while it is recorded: return a copy")
            self._objects[oid] = staged
        # As long as it is what it was it can be put again.
        self.needs_object(oid, data)

    def put_all(self, objects: Mapping[bytes, Any]) -> None:
        """Have objects written that are bytes, or what `stage` gave; if any is the latter, now: only then can they be read."""
        self._objects.update(objects)
        if any(isinstance(data, Staged) for data in objects.values()):
            self.commit()

    def pending(self, oid: bytes) -> bytes | Pieces | None:
        """Return an object that waits to be written."""
        return self._objects.get(oid)

    def needs_object(self, oid: bytes, data: bytes | Pieces) -> None:
        """Rely on an object that should be in the store; `data` is put if it is not."""
        self._needed_objects[oid] = data
        if self._since is None:
            # It must be said before the scheduler may wait for long.
            self._note()

    def was_read(self, oid: bytes, data: bytes | Pieces) -> None:
        """As `needs_object`, of an object that was just read from this store: unless others write, it need not be looked up again."""
        self._read_objects[oid] = data
        if self._since is None:
            self._note()

    def needs_value(self, ref: bytes, value: Any) -> None:
        """Rely on a stored value; it is encoded again if it is gone when the commit comes."""
        self._needed_values[ref[1:]] = value

    def keep(self, oid: bytes, data: bytes) -> None:
        """Rely on an object for longer than until the next commit."""
        self.needs_object(oid, data)
        self._kept[oid] = None

    def has_content(self, content: Content) -> bool:
        """Rely on the content of a file that a value names, if it is in the store or can be had from the file once more."""
        oid = content.oid
        if oid in self._objects:
            return True
        if self._source.contains(oid):
            self._needed_contents[oid] = content
            return True
        return self._put_content(content)

    def _put_content(self, content: Content) -> bool:
        from redun.files.capture import content_again

        data = content_again(content)
        if data is not None:
            self.put(content.oid, data)
        return data is not None

    def new_task(self, task: Task[Any, Any]) -> None:
        """Have a task's object written, and its source where the object does not carry it."""
        self.put(task.id, task.record.encode())
        # Jobs of it may stand in later segments only.
        self._kept[task.id] = None
        tags = task.task_options_base.get("tags")
        if tags:
            self.tag(TASK, task.id, check_tags(tags))
        if task.version is not None:
            from redun.task_hash import plain_source

            self._sources[task.id] = self.encoder.encode(plain_source(task))

    def created(self, job: Job) -> None:
        """A job exists: it is written as running if a commit comes before its end."""
        self._created[job.number] = self._live[job.number] = job

    def dropped(self, job: Job) -> None:
        """A job will never begin, as one of its arguments failed: there is nothing to write of it."""
        self._live.pop(job.number, None)
        self._created.pop(job.number, None)

    def live_jobs(self) -> list[Job]:
        """List the jobs that have not ended; any thread may ask."""
        return list(self._live.values())

    def reduction(self, job: Job, ref: bytes) -> None:
        """A function returned an expression: remember that before its subtree is evaluated."""
        row = memo_row(None, ref)
        self._memo[job.eval_key] = row
        self._reductions.append((job.eval_key, ref))
        if job.key != job.eval_key:
            self._memo[job.key] = row
        self._note()

    def memo(self, job: Job, call: bytes, reduction_ref: bytes) -> None:
        """A call is complete: its eval hash leads to it from now on."""
        row = memo_row(call, reduction_ref)
        self._memo[job.eval_key] = row
        self._memo_calls.append((job.eval_key, call))
        if job.key != job.eval_key:
            self._memo[job.key] = row
            self._memo_calls.append((job.key, call))

    def recovery(self, key: bytes, call: bytes, reduction_ref: bytes) -> None:
        """What `catch` recovered is found under a key from now on."""
        self._memo[key] = memo_row(call, reduction_ref)
        self._memo_calls.append((key, call))

    def call_record(self, call: bytes) -> CallRecord | None:
        """Return a call that this execution has made or replayed."""
        data = self._objects.get(call) or self._needed_objects.get(call) or self._read_objects.get(call)
        try:
            if data is None and not self._source.contains(call):
                # A sub-run may have written it since we last looked.
                self._source.refresh()
            return CallRecord.decode(bytes(data) if data is not None else self._source.get(call))
        except StoreError:
            return None

    def tasks_of(self, calls: Iterable[bytes]) -> set[bytes] | None:
        """Return the ids of the tasks of calls, and of all tasks below them; None if a call is not known."""
        tasks: set[bytes] = set()
        for call in calls:
            known = self.call_record(call)
            if known is None:
                return None
            tasks.update((known.task, *known.tasks))
        return tasks

    def finished(self, job: Job) -> None:
        """A job has ended, well or not."""
        number, plan = job.number, job.plan
        self._live.pop(number, None)
        self._created.pop(number, None)
        parent = job.scope.job
        above = self.above if parent is None else parent.number
        took_us = job.end_us - job.start_us
        self._jobs.append(
            JobRecord(number, job.job_id, above, plan.task_id, job.start_us, took_us, _STATUS[job.column], job.call)
        )
        if job.upstreams:
            self._upstreams[number] = job.upstreams
        if plan.tags:
            self.tag(JOB, job.job_id, plan.tags)
        self._note(0 if job.replayed else took_us)

    def tag(self, kind: str, entity: bytes, pairs: tuple[tuple[str, Any], ...]) -> None:
        """Give tags to something: to what `entity` names, an id, or the ref of a value."""
        if pairs:
            self._tags.setdefault((kind, pack(pairs)), {})[entity] = None

    def tag_value(self, value: Any, pairs: tuple[tuple[str, Any], ...]) -> None:
        """Give tags to a value, which the journal keeps from now on."""
        if pairs:
            ref = self.encoder.encode(value)
            if ref[0] == LINK_MARK:
                self.needs_value(ref, value)
            self.tag(VALUE_KIND, ref, pairs)

    def tag_execution(self, pairs: tuple[tuple[str, Any], ...]) -> None:
        """Give tags to this execution. They are told once more at its end, where whoever lists executions looks."""
        self.tag(EXECUTION, self._uuid, pairs)
        self._execution_tags.update({pack(pair): pair for pair in pairs})

    def _started(self, job: Job) -> JobRecord:
        parent = job.scope.job
        above = self.above if parent is None else parent.number
        return JobRecord(job.number, job.job_id, above, job.plan.task_id, job.start_us, -1, Status.RUNNING, None)

    def note(self, key: str, value: Any) -> None:
        """Add a fact to the journal (`Segment.extra`)."""
        self._extra.append((key, value))

    def output(self, job: Job, attempt: int, pieces: Iterable[Piece]) -> None:
        """A job has ended that had written something."""
        written = [list(piece) for piece in pieces]
        ref = self.encoder.encode(written)
        if ref[0] == LINK_MARK:
            self.needs_value(ref, written)
        self._outputs.append(OutputFact(job.number, attempt, ref))
        self._note()

    def handle(self, event: HandleEvent) -> None:
        """A state of a handle was reached or left."""
        self._handles.append(event)
        self._note()

    def _note(self, took_us: int = 0) -> None:
        """There is something to commit, of a job that took so long."""
        if self._since is None:
            self._since = time.monotonic()
        if took_us > LONG_US and self._urgent is None:
            self._urgent = time.monotonic() + _ALMOST_AT_ONCE_S

    # When to commit.

    def tick(self) -> None:
        """Commit if it is time, the scheduler being busy."""
        if self._since is None:
            return
        now = time.monotonic()
        if now - self._since >= self._busy_s or len(self._jobs) >= _MOST_RECORDS:
            self.commit()

    def before_wait(self) -> float | None:
        """The scheduler is about to wait: commit if it is time, else return the seconds after which it will be."""
        if self._since is None:
            # For as long as it may take, nothing is in the way of gc, nor of the use of free pages.
            self._source.let_go()
            self._source.refresh()
            return None
        due = self._since + self._pause_s
        if self._urgent is not None:
            # Not for each of hundreds that end together.
            due = min(due, max(self._urgent, self._committed + self._pause_s))
        left_s = due - time.monotonic()
        if left_s <= 0:
            self.commit()
            return None
        return left_s

    def after_wait(self) -> None:
        """The scheduler goes on: what it looks up from here on must still be there when it is committed."""
        self._source.hold()

    # Committing.

    def commit(self) -> None:
        """Write what has been collected; durable when this returns.

        Raises:
            StoreUnavailable: disk full, read-only, ...; nothing is forgotten, so a later commit may succeed.
        """
        batch = Batch(self._objects, self._memo, read=self._read_objects.keys(), moment=self._moment)
        segment_id = self._add_segment(batch)
        began, jobs = time.monotonic(), len(self._jobs)
        links = dict.fromkeys((*self._needed_objects, *self._needed_values, *self._needed_contents, *self._kept))
        batch.links = links.keys() - batch.objects.keys()
        try:
            self._write(batch, links)
        except KeyboardInterrupt:
            # It may have come before or after the segment was written; the end of the run must be written behind it.
            self._source.refresh()
            if self._source.read_ref(self.ref) == segment_id:
                self._written(segment_id)
            raise
        self._written(segment_id)
        self._committed = time.monotonic()
        pause_s = _PAUSE_PER_COMMIT * (self._committed - began)
        self._pause_s = min(max(QUIET_S if jobs < _BUSY_JOBS else BUSY_S, pause_s), BUSY_S)
        self._busy_s = min(max(BUSY_S, pause_s), MOST_S)

    def _write(self, batch: Batch, links: Mapping[bytes, Any]) -> None:
        tried: set[bytes] = set()
        while True:
            try:
                return self._source.commit(batch)
            except MissingLinks as error:
                if error.missing <= tried:
                    raise
                tried |= error.missing
                self._put_again(error.missing)
                batch.objects = {**batch.objects, **self._objects}
                batch.links = links.keys() - batch.objects.keys()

    def _written(self, segment_id: bytes) -> None:
        self._head = segment_id
        self._sequence += 1
        self._forget()

    def _add_segment(self, batch: Batch) -> bytes:
        running = [job for job in self._created.values() if job.start_us and job.column <= Column.RUNNING]
        started = list(map(self._started, running))
        segment = Segment(
            execution=self._execution,
            sequence=self._sequence,
            parent=self._head,
            jobs=[*started, *self._jobs],
            memo=self._memo_calls,
            reductions=self._reductions,
            upstreams=self._upstreams,
            sources=self._sources,
            tags=[TagFact(kind, tuple(entities), unpack_pairs(packed)) for (kind, packed), entities in self._tags.items()],
            extra=self._extra,
            handles=self._handles,
            kept=self._kept_by(running),
            outputs=self._outputs,
        )
        data = encode_segment(segment)
        segment_id = object_id(data)
        objects = dict(self._objects)
        objects[segment_id] = data
        if self._head is None:
            objects[self._execution] = self._execution_data
        batch.objects = objects
        batch.refs = [RefUpdate(self.ref, self._head, segment_id, f"commit {self._sequence}")]
        return segment_id

    def _kept_by(self, running: Iterable[Job]) -> list[bytes]:
        """List what is written, or relied on, now, and named only by the calls that running jobs will make."""
        kept = self._kept
        for job in running:
            for ref in (*job.arg_refs, *job.kwarg_refs.values(), job.reduction_ref or _NO_REF):
                if ref[0] == LINK_MARK:
                    kept[ref[1:]] = None
            if job.known_call is not None:
                # Most likely it makes that call again.
                kept[job.known_call] = None
        return list(kept)

    def _put_again(self, missing: Iterable[bytes]) -> None:
        self.encoder.forget()
        for oid in missing:
            data = self._needed_objects.get(oid) or self._read_objects.get(oid)
            if data is not None:
                if type(data) is not Pieces or object_id(data) == oid:
                    self.put(oid, data)
            elif oid in self._needed_contents:
                self._put_content(self._needed_contents[oid])
            elif oid in self._needed_values:
                self.encoder.encode(decoded(self._needed_values[oid]))

    def _forget(self) -> None:
        self._objects = {}
        self._memo = {}
        self._memo_calls = []
        self._reductions = []
        # Jobs that have not begun yet are written once they have; those that run were written now.
        self._created = {number: job for number, job in self._created.items() if not job.start_us}
        self._jobs = []
        self._upstreams = {}
        self._sources = {}
        self._tags = {}
        self._extra = []
        self._handles = []
        self._kept = {}
        self._outputs = []
        self._needed_objects = {}
        self._read_objects = {}
        self._moment = self._source.moment()
        self._needed_values = {}
        self._needed_contents = {}
        self._since = None
        self._urgent = None
        self._source.refresh()
        self._source.hold()

    def end(self, status: Status, error: str | None = None) -> None:
        """Write the end of the execution and all that is left; jobs that have begun but not ended are written as cancelled."""
        now = time.time_ns() // 1000
        for job in self._live.values():
            if job.start_us:
                self._jobs.append(self._started(job)._replace(status=Status.CANCELLED, duration_us=now - job.start_us))
        self._live.clear()
        self._created.clear()
        end: dict[str, Any] = {"status": int(status), "time": now}
        if error:
            end["error"] = error
        if self._execution_tags:
            end["tags"] = [list(pair) for pair in self._execution_tags.values()]
        self.note("end", end)
        self.commit()
