"""`Provenance`: every question about what ran, answered from the store.

    from redun.provenance import Provenance

    provenance = Provenance.open()
    for execution in provenance.executions():
        for depth, job in provenance.job_tree(execution):
            print("  " * depth, job.task_name, job.status.name)

Executions and their jobs are read from refs and segments. Everything that crosses executions (an id prefix, a file, the
calls that used a value) goes through the derived index, which is brought up to date once per `Provenance`, when it is first
needed.

Longer than most modules: one class, so that whoever asks finds every question in one place. How they are answered is in the modules
beside this one.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Collection, Iterator, Sequence
from itertools import chain
from typing import Any, Protocol
from uuid import UUID

from redun.provenance.dataflow import MAX_DERIVED, Dataflow, Section, Site, Step
from redun.provenance.errors import AmbiguousId, NotRecorded, NotTrusted
from redun.provenance.executions import Executions
from redun.provenance.history import History
from redun.provenance.index import ARGUMENT, INLINE, LINKED, RESULT, Index, split_file_row
from redun.provenance.lookup import KINDS, Lookup, keys_from
from redun.provenance.model import (
    Argument,
    Attempt,
    Call,
    Candidate,
    Execution,
    FailureInfo,
    FileUse,
    Job,
    Output,
    Task,
    Value,
)
from redun.provenance.objects import ObjectReader
from redun.provenance.outputs import Outputs
from redun.provenance.places import CallPlaces, JobPlace
from redun.provenance.reach import Downstream, Thing
from redun.provenance.strangers import foreign_values
from redun.provenance.tags import Tags
from redun.provenance.values import ValueReader
from redun.store.ids import ID_BYTES, object_id
from redun.store.journal import JobRecord, Status
from redun.store.sources.base import Source

_PRODUCERS_COMPARED = 2000
_GIVE_BACK_EVERY = 4096


class StoreView(Protocol):
    """What the read side needs of `redun.store.repository.Store`."""

    @property
    def source(self) -> Source:
        """Where objects, refs and the reflog are."""

    def index_source(self) -> Source:
        """Where derived tables are."""

    def is_alive(self, execution: str) -> bool:
        """Tell whether the process that runs an execution (UUID) is still there."""


class Provenance:
    """The read side of one store: typed, read-only, free of formatting. For one thread at a time.

    What is seen stays as it was when it was first read; make a new `Provenance` to see what happened since.

    Attributes:
        tags: the tags of executions, jobs, calls, tasks and values.
    """

    def __init__(self, store: StoreView) -> None:
        self._store = store
        self._source = store.source
        self._values = ValueReader(self._source.get, foreign_values(store))
        self._objects = ObjectReader(self._source, self._values, self._task_text)
        self._lookup = Lookup(self._source, self._updated_index, self._values)
        self._index: Index | None = None
        self._executions = Executions(self._source, store.is_alive)
        self.tags = Tags(self._source, self._updated_index, self._executions.history)
        self._outputs = Outputs(self._source, lambda job: self._executions.history(UUID(job.execution).bytes))
        self._places = CallPlaces(self._updated_index, self._executions.history, self._objects)

    @classmethod
    def open(cls, config_dir: str | os.PathLike[str] | None = None) -> Provenance:
        """Open the read side of the store that the command line would use here. Close it, or use it in a `with`.

        Args:
            config_dir: the configuration folder (`.redun`); by default `REDUN_CONFIG`, else the nearest `.redun`.

        Raises:
            StoreError: there is no store, or it cannot be opened.
            ConfigError: the configuration cannot be read.
        """
        from redun.config import open_store

        return cls(open_store(config_dir, create=False))

    def close(self) -> None:
        """Close the store that `open` opened."""
        close = getattr(self._store, "close", None)
        if close is not None:
            close()

    def __enter__(self) -> Provenance:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    # -- executions and jobs: no index needed

    def executions(self, statuses: Collection[Status] = (), prefix: str = "") -> Iterator[Execution]:
        """Yield executions, newest first.

        Args:
            statuses: only those in one of these, if any are given.
            prefix: only those whose id begins so.
        """
        for execution in self._executions.newest(prefix):
            if not statuses or execution.status in statuses:
                yield execution

    def execution(self, name: str) -> Execution:
        """Return an execution by id prefix, `-` for the newest, `~1` for the one before it, and so on.

        Raises:
            NotRecorded, AmbiguousId.
        """
        if name == "-" or name.startswith("~"):
            return self._recent(name)
        return self._executions.get(UUID(self._one(name, "execution").id).bytes)

    def _recent(self, name: str) -> Execution:
        try:
            back = int(name[1:]) if name != "-" else 0
        except ValueError:
            raise NotRecorded(f"{name!r} does not name an execution: '-' is the newest, '~1' the one before it") from None
        count = 0
        for execution in self.executions():
            if count == back:
                return execution
            count += 1
        raise NotRecorded(f"there is no execution {name!r}: the store holds {count}")

    def history(self, execution: Execution) -> History:
        """Return all jobs of an execution as raw records; see `History`.

        Raises:
            NotRecorded: it is gone or damaged.
        """
        found = self._executions.history(UUID(execution.id).bytes)
        if found is None:
            raise NotRecorded(f"execution {execution.id} cannot be read any more: part of its journal is damaged or missing")
        return found

    def jobs(self, execution: Execution) -> Iterator[Job]:
        """Yield the jobs of an execution, newest first."""
        history = self.history(execution)
        for count, number in enumerate(sorted(history.jobs, reverse=True)):
            yield self.make_job(history, history.jobs[number])
            self._now_and_then(count)

    def job_tree(self, execution: Execution) -> Iterator[tuple[int, Job]]:
        """Yield the jobs of an execution with their depth (0 for the root), each before its children."""
        history = self.history(execution)
        stack = [iter(history.children(0))]
        count = 0
        while stack:
            number = next(stack[-1], None)
            if number is None:
                stack.pop()
                continue
            yield len(stack) - 1, self.make_job(history, history.jobs[number])
            stack.append(iter(history.children(number)))
            self._now_and_then(count := count + 1)

    def _now_and_then(self, count: int) -> None:
        """Millions of jobs are read by those who show them, each with its call: give the memory back on the way."""
        if count % _GIVE_BACK_EVERY == 0:
            self._source.give_back()

    def output(self, job: Job) -> Output | None:
        """Return what a job wrote while it ran; for a cached job, what that one wrote whose result it took.

        A script is several jobs, and a user knows the outermost: what the script wrote is told as its output.

        Returns:
            None if nothing was kept.
        """
        found = self._own_output(job)
        if found is None and job.status is Status.CACHED and job.call is not None:
            ran = (other for other in self.jobs_of_call(job.call) if other.status is not Status.CACHED)
            return next((output for other in ran if (output := self._own_output(other)) is not None), None)
        return found

    def _own_output(self, job: Job) -> Output | None:
        found = self._outputs.of(job)
        if found is None and job.task_name == "redun.script":
            return next((output for child in self.children(job) if (output := self._outputs.of(child)) is not None), None)
        return found

    def attempts(self, job: Job) -> list[Attempt]:
        """List the attempts at a job, oldest first; empty if it was run once at most."""
        return self.history(self.execution(job.execution)).attempts(job.id)

    def roots(self, execution: Execution) -> list[Job]:
        """List the root job of an execution, if it has begun."""
        history = self.history(execution)
        return [self.make_job(history, history.jobs[number]) for number in history.children(0)]

    def make_job(self, history: History, record: JobRecord) -> Job:
        """Return a job of a history as a fact."""
        return Job(
            id=str(UUID(bytes=record.job_id)),
            execution=history.execution.id,
            number=record.number,
            parent=record.parent,
            task_hash=record.task.hex(),
            task_name=self._objects.task_name(record.task),
            call=None if record.call is None else record.call.hex(),
            status=history.status(record),
            start_us=record.start_us,
            duration_us=None if record.duration_us < 0 else record.duration_us,
        )

    def ancestors(self, job: Job) -> list[Job]:
        """List the jobs from the root of its execution down to a job, itself included."""
        history = self._executions.history(UUID(job.execution).bytes)
        if history is None:
            return [job]
        return [self.make_job(history, history.jobs[number]) for number in history.ancestors(job.number)]

    def parent_id(self, job: Job) -> str | None:
        """Return the id of a job's parent, None for the root."""
        history = self._executions.history(UUID(job.execution).bytes)
        parent = history.jobs.get(job.parent) if history is not None else None
        return None if parent is None else str(UUID(bytes=parent.job_id))

    def children(self, job: Job) -> list[Job]:
        """List the child jobs of a job, by start time."""
        history = self._executions.history(UUID(job.execution).bytes)
        if history is None:
            return []
        return [self.make_job(history, history.jobs[number]) for number in history.children(job.number)]

    # -- anything by its id

    def find(self, prefix: str, kinds: Collection[str] = KINDS, limit: int = 20) -> list[Candidate]:
        """List what an id prefix may mean, at most `limit` things. Kinds: execution, job, call, task, value."""
        return self._lookup.find(prefix, kinds, limit)

    def named(self, name: str, kinds: Collection[str] = KINDS) -> Candidate | None:
        """Return the one thing that a name means: `-` or `~N` for an execution, or the beginning of an id; None if there is none.

        Raises:
            NotRecorded: `~N` goes too far back.
            AmbiguousId: it may mean several things.
        """
        if name == "-" or name.startswith("~"):
            return Candidate("execution", self.execution(name).id)
        return self._only(name, kinds)

    def job(self, prefix: str) -> Job:
        """Return a job by id prefix. Raises NotRecorded, AmbiguousId."""
        return self._job(bytes.fromhex(self._one(prefix, "job").id.replace("-", "")))

    def call(self, prefix: str) -> Call:
        """Return a call by id prefix. Raises NotRecorded, AmbiguousId."""
        found = self.get_call(self._one(prefix, "call").id)
        if found is None:
            raise NotRecorded(f"call {prefix!r} cannot be read: its record is damaged or missing")
        return found

    def task(self, prefix: str) -> Task:
        """Return a task by prefix of its hash. Raises NotRecorded, AmbiguousId."""
        return self.get_task(self._one(prefix, "task").id)

    def value(self, prefix: str) -> Value:
        """Return a value (or file) by prefix of its hash. Raises NotRecorded, AmbiguousId."""
        found = self._lookup.value(bytes.fromhex(self._one(prefix, "value").id))
        if found is None:
            raise NotRecorded(f"value {prefix!r} is not in the store any more")
        return found

    def get_call(self, call_id: str) -> Call | None:
        """Return a call by its whole id, None if it is gone."""
        return self._objects.call(bytes.fromhex(call_id))

    def get_task(self, task_hash: str) -> Task:
        """Return a task by its whole hash, with its source wherever that was recorded.

        Raises:
            NotRecorded: it is gone.
        """
        found = self._objects.task(bytes.fromhex(task_hash))
        if found is None:
            raise NotRecorded(f"task {task_hash} is not in the store")
        return found

    def task_name(self, task: bytes) -> str:
        """Return the full name of a task (20-byte id), `?` if it is gone."""
        return self._objects.task_name(task)

    def _one(self, prefix: str, kind: str) -> Candidate:
        found = self._only(prefix, (kind,))
        if found is None:
            raise NotRecorded(f"no {kind} has an id that begins with {prefix!r}")
        return found

    def _only(self, prefix: str, kinds: Collection[str]) -> Candidate | None:
        found = self.find(prefix, kinds)
        if len(found) > 1:
            raise AmbiguousId(prefix, found, more=len(found) >= 20)
        return found[0] if found else None

    # -- across executions: through the index

    def all_jobs(self) -> Iterator[Job]:
        """Yield the jobs of all executions, newest execution first."""
        for execution in self.executions():
            try:
                yield from self.jobs(execution)
            except NotRecorded:
                continue

    def calls(self) -> Iterator[Call]:
        """Yield every call, in order of ids."""
        for call in keys_from(self._updated_index().calls, "", ID_BYTES):
            found = self._objects.call(call)
            if found is not None:
                yield found

    def tasks(self, name: str = "") -> Iterator[Task]:
        """Yield every task, each version of it, by name.

        Args:
            name: only those of this name, full or without namespace.
        """
        for key, _ in self._updated_index().tasks.scan():
            fullname = key[: -ID_BYTES - 1].decode("utf-8", "surrogatepass")
            if name and not matches_name(fullname, name):
                continue
            found = self._objects.task(key[-ID_BYTES:])
            if found is not None:
                yield found

    def values(self) -> Iterator[Value]:
        """Yield every value that was, or was inside, an argument or a result, in order of ids."""
        for value_id in keys_from(self._updated_index().values, "", ID_BYTES):
            found = self._lookup.value(value_id)
            if found is not None:
                yield found

    def executions_of_task(self, task_hash: str) -> set[str]:
        """Return the UUIDs of the executions in which a task had jobs."""
        return {str(UUID(bytes=execution)) for execution in self._places.executions_of_task(bytes.fromhex(task_hash))}

    def jobs_of_task(self, task_hash: str) -> Iterator[Job]:
        """Yield the jobs of a task, newest execution first."""
        task = bytes.fromhex(task_hash)
        for history in self._places.histories_of_task(task):
            for number in sorted(history.jobs, reverse=True):
                if history.jobs[number].task == task:
                    yield self.make_job(history, history.jobs[number])

    def calls_of_task(self, task_hash: str) -> Iterator[Call]:
        """Yield the calls of a task, those of the newest jobs first."""
        for call in dict.fromkeys([job.call for job in self.jobs_of_task(task_hash)]):
            found = self.get_call(call) if call is not None else None
            if found is not None:
                yield found

    def jobs_of_call(self, call_id: str) -> Iterator[Job]:
        """Yield the jobs that made a call, newest first."""
        for place in self._places.newest(bytes.fromhex(call_id)):
            job = self._job_at(place)
            if job is not None:
                yield job

    def job_of_call(self, call_id: str) -> Job | None:
        """Return the job that best stands for a call: the newest that really ran, else the newest."""
        for place in self._places.best(bytes.fromhex(call_id)):
            job = self._job_at(place)
            if job is not None:
                return job
        return None

    def parents_of_call(self, call_id: str) -> list[str]:
        """List the ids of the calls that made this one directly."""
        call = bytes.fromhex(call_id)
        return [key[ID_BYTES:].hex() for key, _ in self._updated_index().parents.scan(call)]

    def producing(self, value: Value) -> list[str]:
        """List the ids of calls whose result is, or holds, a value."""
        return self._calls_of(value, RESULT)

    def consuming(self, value: Value) -> list[str]:
        """List the ids of calls of which an argument is, or holds, a value."""
        return self._calls_of(value, ARGUMENT)

    def _calls_of(self, value: Value, role: bytes) -> list[str]:
        prefix = bytes.fromhex(value.id) + role
        return [key[-ID_BYTES:].hex() for key, _ in self._updated_index().values.scan(prefix)]

    def producer(self, value: Value) -> str | None:
        """Return the id of the call whose own function made a value: not of the parents that pass it on.

        Calls that were given the value did not make it; one that returned it says more than one whose folder holds it. Of
        several, the one with the newest job.
        """
        rows = list(self._updated_index().values.scan(bytes.fromhex(value.id) + RESULT))
        given = set(self.consuming(value))
        made = [row for row in rows if row[0][-ID_BYTES:].hex() not in given] or rows
        returned = [row for row in made if row[1][:1] in (LINKED, INLINE)] or made
        calls = [key[-ID_BYTES:] for key, _ in returned[:_PRODUCERS_COMPARED]]
        candidates = set(calls)
        deepest = []
        for call in calls:
            record = self._objects.call_record(call)
            if record is not None and candidates.isdisjoint(record.children):
                deepest.append(call)
        return self._newest_call(deepest)

    def consumer(self, value: Value) -> str | None:
        """Return the id of the call that used a value last: the innermost of calls that passed it on."""
        calls = [bytes.fromhex(call) for call in self.consuming(value)[:_PRODUCERS_COMPARED]]
        candidates = set(calls)
        records = [(call, self._objects.call_record(call)) for call in calls]
        deepest = [call for call, record in records if record is not None and candidates.isdisjoint(record.children)]
        return self._newest_call(deepest)

    def _newest_call(self, calls: list[bytes]) -> str | None:
        if not calls:
            return None
        return max(calls, key=lambda call: (self._places.last_start(call), call)).hex()

    # -- files

    def files(self) -> list[FileUse]:
        """List all files at all their states, newest use first."""
        found = []
        for key, row in self._updated_index().files.scan():
            path, value_id = split_file_row(key, row)
            value = self._lookup.value(value_id)
            if value is not None:
                found.append(self.file_use(path, value))
        return sorted(found, key=lambda use: (-use.time_us, use.path, use.value.id))

    def file(self, path: str) -> list[FileUse]:
        """List the states of a file, newest use first; the path as the workflow wrote it, or one that leads to the same."""
        found = []
        for value_id in self._lookup.file_states(path):
            value = self._lookup.value(value_id)
            if value is not None:
                found.append(self.file_use(self._values.file_path(value.ref) or path, value))
        return sorted(found, key=lambda use: (-use.time_us, use.value.id))

    def place(self, name: str) -> list[Value]:
        """List the states of a folder (by path), a set of files (by pattern), a dataset (by path) or a handle (by its name, or a
        path that it was made with), newest use first."""
        found = []
        for value_id in self._lookup.place_states(name):
            value = self._lookup.value(value_id)
            if value is not None:
                found.append((-self.file_use(name, value).time_us, value.id, value))
        return [value for _, _, value in sorted(found, key=lambda item: item[:2])]

    def names(self, value: Value) -> list[str]:
        """List under what names `file` and `place` find a value."""
        return self._values.names(value.ref)

    def file_use(self, path: str, value: Value) -> FileUse:
        """Return how a file at one state (a File value) was used."""
        reads, writes = self.consuming(value), self.producing(value)
        times = [self._places.last_start(bytes.fromhex(call)) for call in {*reads, *writes}]
        return FileUse(path, value, bool(reads), bool(writes), max(times, default=0))

    def file_path(self, value: Value) -> str | None:
        """Return the path of a File value, None if it is something else."""
        return self._values.file_path(value.ref)

    # -- what values say

    def load(self, value: Value) -> Any:
        """Return the Python value itself. What it is made of (classes, tasks, packages) must be importable.

        Raises:
            RedunError: it is gone, damaged, or of a type that is not known here.
            NotTrusted: it came from somebody who is not trusted; to make it might run their code.
        """
        from redun.decoding import ValueDecoder

        if self._values.is_foreign(value.ref):
            raise NotTrusted(value.id)
        return ValueDecoder(self._source.get).decode(value.ref)

    def result(self, of: Execution | Job | Call) -> Value | None:
        """Return what an execution, job or call returned (the error if it failed), None if nothing was recorded."""
        if isinstance(of, Execution):
            roots = self.roots(of)
            return self.result(roots[0]) if roots else None
        if isinstance(of, Call):
            return of.result
        record = self._objects.call_record(bytes.fromhex(of.call)) if of.call is not None else None
        return None if record is None else Value(record.result)

    def text(self, value: Value) -> str:
        """Return a value's repr, or as much as can be told of it. Never fails."""
        return self._values.text(value.ref)

    def type_name(self, value: Value) -> str:
        """Return the name of a value's type, like `builtins.int`."""
        return self._values.type_name(value.ref)

    def subvalues(self, value: Value) -> list[tuple[str, Value]]:
        """List (type name, value) of the registered values inside a value: the Files in a list."""
        return [(name, Value(data)) for name, data in self._values.inside(value.ref) if object_id(data).hex() != value.id]

    def failure(self, call: Call) -> FailureInfo | None:
        """Return the error of a failed call."""
        return self._values.failure(call.result.ref) if call.failed else None

    def arguments(self, job: Job) -> tuple[Argument, ...] | None:
        """Return the arguments of a job's call, None if none was recorded."""
        record = self._objects.call_record(bytes.fromhex(job.call)) if job.call is not None else None
        return None if record is None else self._objects.arguments(record)

    # -- dataflow

    def dataflow(self, of: Job | Call | Value, most: int = MAX_DERIVED) -> Iterator[Section]:
        """Yield where the result of a job or call, or a value, came from; see `redun.provenance.dataflow`.

        Args:
            of: what to explain.
            most: of the calls that one value was made of, only as many are followed.

        Nothing is yielded for a job without a call and a value that no call returned.
        """
        flow = Dataflow(self._objects, self._values, self._places, most)
        if isinstance(of, Job):
            history = self._executions.history(UUID(of.execution).bytes)
            if of.call is not None:
                yield from flow.sections(Site(bytes.fromhex(of.call), history, of.number))
        elif isinstance(of, Call):
            yield from flow.sections(self._places.site(bytes.fromhex(of.id), None))
        else:
            call = self.producer(of)
            if call is not None:
                yield from flow.sections(self._places.site(bytes.fromhex(call), None), None, "value", of)

    def upstream(self, of: Thing) -> Iterator[Value]:
        """Yield the values that something was made of, each once, nearest first.

        A value, a file, or the result of a job or call was made of arguments, of their arguments, and so on; an execution stands
        for its root job, a task for all its calls.
        """
        seen: set[str] = set()
        for start in self._results_of(of):
            for section in self.dataflow(start, sys.maxsize):
                for variable in section.variables:
                    if variable.value is not None and variable.value.id not in seen:
                        seen.add(variable.value.id)
                        yield variable.value

    def upstream_calls(self, of: Thing) -> Iterator[Call]:
        """Yield the calls that led to something, each once, nearest first; not the call, or the task's calls, that was asked about."""
        starts = self._results_of(of)
        seen = {start.call if isinstance(start, Job) else start.id for start in starts}
        for start in starts:
            for section in self.dataflow(start, sys.maxsize):
                for call in [hop.call for hop in section.hops if hop.step is Step.CALL]:
                    found = None if call in seen else self.get_call(call)
                    seen.add(call)
                    if found is not None:
                        yield found

    def downstream(self, of: Thing) -> Iterator[Value]:
        """Yield the results of the calls in `downstream_calls`, and the registered values (Files) in them, each once."""
        seen = {start.id for start in self._results_of(of)}
        for call in self.downstream_calls(of):
            if not call.failed:
                for item in (call.result, *[inside for _, inside in self.subvalues(call.result)]):
                    if item.id not in seen:
                        seen.add(item.id)
                        yield item

    def downstream_calls(self, of: Thing) -> Iterator[Call]:
        """Yield the calls that used something, those that used what they returned, and so on, each once, nearest first.

        Of a job: within its execution. Of a value or file: the calls that were given an equal one. See `redun.provenance.reach`.
        """
        starts = self._results_of(of)
        calls = [call for call in [start.call if isinstance(start, Job) else start.id for start in starts] if call is not None]
        within = self._executions.history(UUID(of.execution).bytes) if isinstance(of, Job) else None
        given = next((start for start in starts if isinstance(start, Value)), None)
        walk = Downstream(self._objects, self._values, self._places.histories_of_call, self._consuming_ids, within)
        for found in walk.calls([] if given is not None else [bytes.fromhex(call) for call in calls], given):
            call = self._objects.call(found)
            if call is not None:
                yield call

    def _results_of(self, of: Thing) -> Sequence[Job | Call | Value]:
        """List what stands for something in its dataflow."""
        if isinstance(of, Execution):
            return self.roots(of)
        if isinstance(of, Task):
            return list(self.calls_of_task(of.hash))
        return [of.value if isinstance(of, FileUse) else of]

    def _consuming_ids(self, value: Value) -> list[bytes]:
        return [bytes.fromhex(call) for call in self.consuming(value)]

    # -- the store behind it

    def _updated_index(self) -> Index:
        if self._index is None:
            index = Index(self._source, self._store.index_source(), self._values)
            index.update()
            self._index = index
        return self._index

    def _task_text(self, task: bytes) -> bytes | None:
        """Find the ref of a task's source in the journals: the ones at hand first, since they cost nothing."""
        for history in chain(self._executions.at_hand(), self._places.histories_of_task(task)):
            if task in history.sources:
                return history.sources[task]
        return None

    def _job(self, job_id: bytes) -> Job:
        row = self._updated_index().jobs.get(job_id)
        if row is not None:
            job = self._job_at(JobPlace(row[:16], int.from_bytes(row[16:24], "big"), job_id, Status.DONE))
            if job is not None:
                return job
        raise NotRecorded(f"job {UUID(bytes=job_id)} is not in the store any more")

    def _job_at(self, place: JobPlace) -> Job | None:
        history = self._executions.history(place.execution)
        if history is None or place.number not in history.jobs:
            return None
        return self.make_job(history, history.jobs[place.number])


def matches_name(fullname: str, name: str) -> bool:
    """True if `name` is a task's full name, or the part without its namespace."""
    return fullname == name or fullname.rpartition(".")[2] == name
