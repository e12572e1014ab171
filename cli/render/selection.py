"""What `redun log` shows: from an argument, kinds and filters to records, and on to lines."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from fnmatch import fnmatchcase
from itertools import islice
from typing import Any, NamedTuple, cast

from redun.cli.render.records import RecordText
from redun.provenance import (
    AmbiguousId,
    Call,
    Execution,
    FileUse,
    Job,
    NotRecorded,
    Provenance,
    Status,
    Task,
    Value,
    is_id_prefix,
    matches,
    matches_name,
)

KINDS = ("exec", "job", "call_node", "task", "value", "file")
_NAMES = {"exec": "Execution", "job": "Job", "call_node": "CallNode", "task": "Task", "value": "Value", "file": "File"}
_FOUND_AS = {"exec": "execution", "job": "job", "call_node": "call", "task": "task", "value": "value", "file": "value"}
_RECENT = 100
_ALL = 1 << 30

Record = Execution | Job | Call | Task | Value | FileUse


class Filters(NamedTuple):
    """What the user asked to see; empty means anything. Ids are prefixes, names of tasks full or bare.

    A tag is a key and a value, which may be `ANY_VALUE`; of several tags all must be there.
    """

    exec_id: tuple[str, ...] = ()
    exec_status: frozenset[Status] = frozenset()
    status: frozenset[Status] = frozenset()
    job_id: tuple[str, ...] = ()
    task_name: tuple[str, ...] = ()
    task_hash: tuple[str, ...] = ()
    result: tuple[str, ...] = ()
    arg: tuple[str, ...] = ()
    value_type: tuple[str, ...] = ()
    file_path: tuple[str, ...] = ()
    tag: tuple[tuple[str, Any], ...] = ()
    exec_tag: tuple[tuple[str, Any], ...] = ()

    def kinds(self) -> tuple[str, ...]:
        """Return the kinds of records that these filters are about, if the user named none."""
        if self.file_path:
            return ("file",)
        if self.value_type:
            return ("value",)
        if self.job_id or self.status or self.result or self.arg:
            return ("job",)
        return ("exec",)

    def any(self) -> bool:
        """True if there is any filter."""
        return any(self)


class Form(NamedTuple):
    """How the user wants to see it.

    Attributes:
        limit: most records of each kind; None for no limit.
        width: columns that tables should fit into; None for any number.
    """

    as_json: bool = False
    detail: bool = False
    only_count: bool = False
    limit: int | None = None
    width: int | None = None


class LogView:
    """The lines of one `redun log`.

    Attributes:
        provenance: what is asked.
    """

    def __init__(self, provenance: Provenance, form: Form) -> None:
        self.provenance = self._provenance = provenance
        self._form = form
        self._text = RecordText(provenance, form.detail)

    def lines(self, what: str | None, kinds: Sequence[str], filters: Filters) -> Iterator[str]:
        """Return the lines to show. What cannot be found is noticed before the first line.

        Args:
            what: id prefix, path, `-`, `~N`, or None for lists.
            kinds: of `KINDS`; empty for what fits best.

        Raises:
            NotRecorded: there is no such thing; AmbiguousId: there are several.
        """
        if what is not None:
            return self._one(self.find(what, kinds))
        if kinds:
            return self._lists(kinds, filters)
        recent = self._lists(filters.kinds(), filters, limit=self._form.limit if self._form.limit is not None else _RECENT)
        if filters.kinds() != ("exec",) or self._form.as_json or self._form.only_count:
            return recent
        return self._recent(recent)

    def jobs(self, filters: Filters) -> Iterator[Job]:
        """Yield the jobs that filters let through, newest execution first."""
        return cast("Iterator[Job]", self._records("job", filters))

    def job_line(self, job: Job) -> str:
        """Return a job as lists show it."""
        return self._text.job_line(job)

    # -- one thing

    def find(self, what: str, kinds: Sequence[str] = ()) -> Record:
        """Return the one thing that a user means; see `lines`."""
        provenance = self._provenance
        if what == "-" or what.startswith("~"):
            return provenance.execution(what)
        if not kinds or "file" in kinds:
            # A file's name beats an id prefix: digits can be added to the id, but not to the name.
            states = provenance.file(what)
            if states:
                return states[0]
        if not kinds or "file" in kinds or "value" in kinds:
            places = provenance.place(what)
            if places:
                folder = provenance.type_name(places[0]).startswith("redun.")
                return provenance.file_use(provenance.names(places[0])[0], places[0]) if folder else places[0]
        wanted = {_FOUND_AS[kind] for kind in kinds or KINDS}
        found = provenance.find(what, wanted)
        if not found:
            raise NotRecorded(self._unknown(what, kinds))
        if len(found) > 1:
            lines = "".join([f"\n  {self._text.candidate_line(candidate)}" for candidate in found])
            raise AmbiguousId(what, found, more=len(found) >= 20, listing=lines)
        kind, whole = found[0].kind, found[0].id
        if kind == "execution":
            return provenance.execution(whole)
        if kind == "job":
            return provenance.job(whole)
        if kind == "call":
            return provenance.call(whole)
        if kind == "task":
            return provenance.task(whole)
        value = provenance.value(whole)
        path = provenance.file_path(value)
        if path is None:
            return value
        use = provenance.file_use(path, value)
        return use if use.reads or use.writes else value

    def _unknown(self, what: str, kinds: Sequence[str]) -> str:
        names = [_NAMES[kind].lower().replace("callnode", "call node") for kind in kinds]
        kind = " or ".join(names) if names else "execution, job, call node, task, value or file"
        hint = "list what there is with 'redun log', 'redun log --job', 'redun log --file'"
        if is_id_prefix(what):
            return f"no {kind} is called {what!r} or has an id that begins so: {hint}"
        return f"no {kind} is called {what!r} (an id has only the digits 0-9 a-f): {hint}"

    def _one(self, record: Record) -> Iterator[str]:
        if self._form.only_count:
            return iter([f"{1:8d} {_kind_name(record)}"])
        if self._form.as_json:
            return iter([self._json_line(record, whole=True)])
        return self._record_text(record)

    def _record_text(self, record: Record) -> Iterator[str]:
        if isinstance(record, Execution):
            from redun.cli.render.tree import execution_lines

            return execution_lines(self._provenance, self._text, record, self._form.width)
        views: dict[type, Callable[[Any], Iterator[str]]] = {
            Job: self._text.job,
            Call: self._text.call,
            Task: self._text.task,
            Value: self._text.value,
            FileUse: self._text.file,
        }
        return views[type(record)](record)

    def _record_line(self, record: Record) -> str:
        if isinstance(record, Execution):
            return self._text.execution_line(record)
        views: dict[type, Callable[[Any], str]] = {
            Job: self._text.job_line,
            Call: self._text.call_line,
            Task: self._text.task_line,
            Value: self._text.value_line,
            FileUse: self._text.file_line,
        }
        return views[type(record)](record)

    def _json_line(self, record: Record, whole: bool) -> str:
        from redun.cli.render.as_json import RecordJson

        return RecordJson(self._provenance).line(record, whole)

    # -- lists

    def _recent(self, lines: Iterator[str]) -> Iterator[str]:
        yield "Recent executions:"
        yield ""
        yield from lines

    def _lists(self, kinds: Sequence[str], filters: Filters, limit: int | None = None) -> Iterator[str]:
        limit = limit if limit is not None else self._form.limit
        for kind in kinds:
            records = self._records(kind, filters)
            if self._form.only_count:
                yield f"{sum(1 for _ in islice(records, self._form.limit)):8d} {_NAMES[kind]}"
                continue
            yield from self._list(islice(records, limit))
            if limit is not None and self._form.limit is None and next(records, None) is not None:
                yield f"... and older ones: 'redun log --limit N' or 'redun log --{kind}' shows them"

    def _list(self, records: Iterator[Record]) -> Iterator[str]:
        for record in records:
            if self._form.as_json:
                yield self._json_line(record, whole=self._form.detail)
            elif self._form.detail:
                yield from self._record_text(record)
                yield ""
            else:
                yield self._record_line(record)

    def _records(self, kind: str, filters: Filters) -> Iterator[Record]:
        records: dict[str, Callable[[Filters], Iterator[Record]]] = {
            "exec": self._executions,
            "job": self._jobs,
            "call_node": self._calls,
            "task": self._tasks,
            "value": self._values,
            "file": self._files,
        }
        found = records[kind](filters)
        if not filters.tag:
            return found
        return (record for record in found if matches(self._provenance.tags.of(record), filters.tag))

    def _executions(self, filters: Filters) -> Iterator[Execution]:
        statuses = filters.exec_status or filters.status
        if filters.exec_status and filters.status:
            statuses = filters.exec_status & filters.status
            if not statuses:
                return
        having = self._executions_of_tasks(filters)
        jobs_of = {
            self._provenance.job(one.id).execution
            for prefix in filters.job_id
            for one in self._provenance.find(prefix, ("job",), limit=_ALL)
        }
        for execution in self._provenance.executions(statuses):
            if filters.exec_id and not execution.id.startswith(tuple([prefix.lower() for prefix in filters.exec_id])):
                continue
            if having is not None and execution.id not in having:
                continue
            if filters.job_id and execution.id not in jobs_of:
                continue
            if filters.exec_tag and not matches(self._provenance.tags.of(execution), filters.exec_tag):
                continue
            yield execution

    def _executions_of_tasks(self, filters: Filters) -> set[str] | None:
        if not filters.task_name and not filters.task_hash:
            return None
        having: set[str] = set()
        for task in self._tasks(Filters(task_name=filters.task_name, task_hash=filters.task_hash)):
            having |= self._provenance.executions_of_task(task.hash)
        return having

    def _jobs(self, filters: Filters) -> Iterator[Job]:
        of_executions = Filters(exec_id=filters.exec_id, exec_status=filters.exec_status, exec_tag=filters.exec_tag)
        for execution in self._executions(of_executions):
            try:
                jobs = self._provenance.jobs(execution)
                found = (job for job in jobs if _job_fits(job, filters))
                yield from (job for job in found if self._values_fit(job, filters)) if filters.result or filters.arg else found
            except NotRecorded:
                continue

    def _values_fit(self, job: Job, filters: Filters) -> bool:
        """True if result and arguments of a job are among those asked for; by value, so inside lists does not count."""
        call = self._provenance.get_call(job.call) if job.call is not None else None
        if call is None:
            return False
        results, args = (tuple([prefix.lower() for prefix in some]) for some in (filters.result, filters.arg))
        if results and (call.failed or not call.result.id.startswith(results)):
            return False
        return not args or any(argument.value.id.startswith(args) for argument in call.arguments)

    def _in_executions(self, filters: Filters) -> list[Job] | None:
        """List the jobs that other kinds of records have to belong to, None for any."""
        job = filters.status or filters.job_id or filters.result or filters.arg
        if job or filters.exec_id or filters.exec_status or filters.exec_tag:
            return list(self._jobs(filters))
        return None

    def _calls(self, filters: Filters) -> Iterator[Call]:
        jobs = self._in_executions(filters)
        if jobs is not None:
            ids = dict.fromkeys([job.call for job in jobs if job.call is not None])
            found = [call for call_id in ids if (call := self._provenance.get_call(call_id)) is not None]
        for call in self._provenance.calls() if jobs is None else found:
            if _task_fits(call.task_name, call.task_hash, filters):
                yield call

    def _tasks(self, filters: Filters) -> Iterator[Task]:
        jobs = self._in_executions(filters)
        hashes = None if jobs is None else {job.task_hash for job in jobs}
        for task in self._provenance.tasks():
            if (hashes is None or task.hash in hashes) and _task_fits(task.fullname, task.hash, filters):
                yield task

    def _values(self, filters: Filters) -> Iterator[Value]:
        provenance = self._provenance
        restricted = self._in_executions(filters) is not None or filters.task_name or filters.task_hash
        source = self._values_of_calls(filters) if restricted else provenance.values()
        for value in source:
            if filters.value_type and not _type_fits(provenance.type_name(value), filters.value_type):
                continue
            if filters.file_path and not any(_path_fits(path, filters.file_path) for path in provenance.names(value)):
                continue
            yield value

    def _values_of_calls(self, filters: Filters) -> Iterator[Value]:
        seen: set[str] = set()
        for call in self._calls(filters):
            for value in (*[argument.value for argument in call.arguments], call.result):
                for item in (value, *[inside for _, inside in self._provenance.subvalues(value)]):
                    if item.id not in seen:
                        seen.add(item.id)
                        yield item

    def _files(self, filters: Filters) -> Iterator[FileUse]:
        restricted = self._in_executions(filters) is not None or filters.task_name or filters.task_hash
        ids = {value.id for value in self._values_of_calls(filters)} if restricted else None
        for use in self._provenance.files():
            if ids is not None and use.value.id not in ids:
                continue
            if filters.file_path and not _path_fits(use.path, filters.file_path):
                continue
            yield use


def _kind_name(record: Record) -> str:
    return {Call: "CallNode", FileUse: "File"}.get(type(record), type(record).__name__)


def _task_fits(name: str, task_hash: str, filters: Filters) -> bool:
    if filters.task_name and not any(matches_name(name, wanted) for wanted in filters.task_name):
        return False
    return not filters.task_hash or task_hash.startswith(tuple([prefix.lower() for prefix in filters.task_hash]))


def _job_fits(job: Job, filters: Filters) -> bool:
    if filters.status and job.status not in filters.status:
        return False
    if filters.job_id and not job.id.startswith(tuple([prefix.lower() for prefix in filters.job_id])):
        return False
    return _task_fits(job.task_name, job.task_hash, filters)


def _type_fits(type_name: str, wanted: Sequence[str]) -> bool:
    return any(matches_name(type_name, name) for name in wanted)


def _path_fits(path: str, wanted: Sequence[str]) -> bool:
    return any(path == pattern or fnmatchcase(path, pattern) for pattern in wanted)
