"""Derived indexes of the read side: which jobs, calls, values, files and tasks there are, and how they hang together.

A run writes none of this. Whoever asks brings the tables up to date from the reflog: every movement of a ref
`executions/<uuid>` names the segments that became reachable, and from each segment follow its rows. Rules that keep it simple:

* rows say only what never changes (what a job's status is stands in its journal), so writing a row twice, or two readers
  writing at once, does no harm;
* the last movement seen is written after the rows that it led to, so a reader that dies half-way costs work, not truth;
* a row may outlive what it names (gc); whoever reads one looks the object up and skips it if it is gone.

Tables, keys as fixed-width fields in this order (times are 8 bytes, big-endian, so that scans run in time):

    prov_state     b"seen"                                   -> number of the last movement seen, 8 bytes
    prov_jobs      job id 16                                 -> execution 16, number 8
    prov_calls     call 20, start 8, execution 16, number 8  -> status 1, job id 16
    prov_parents   child call 20, parent call 20             -> empty
    prov_values    value 20, role 1, call 20                 -> form 1, object bytes if they are kept here
    prov_files     path, 0, value 20                         -> empty, or the path where the key holds its digest
    prov_places    path, pattern or name, 0, value 20        -> the same, for folders, sets of files, datasets and handles
    prov_tasks     fullname, 0, task 20                      -> empty
    prov_runs      task 20, execution 16                     -> empty
    prov_tags      kind 1, entity 16 or 20, record 20        -> bytes of the record (what runs said; `redun.tag_records`)

Cost: about 15 to 25 us per job the first time; a reader that finds nothing new reads one row and one empty reflog.
"""

from __future__ import annotations

from collections.abc import Iterator
from hashlib import sha256
from itertools import islice
from typing import Any

from redun.provenance.history import REF_PREFIX
from redun.provenance.values import ValueReader, path_of, places_of, read_registered
from redun.records import CallRecord, ExecutionRecord, TaskRecord
from redun.store.errors import RedunError
from redun.store.ids import ID_BYTES, is_link, object_id, ref_id
from redun.store.journal import VALUE_KIND, Segment, Status, TagFact, decode_segment
from redun.store.objects import Flag
from redun.store.sources.base import ReflogEntry, Source, Table
from redun.tag_records import EXECUTION, KINDS, said_by_run

ARGUMENT = b"a"
RESULT = b"r"
TAGGED = b"t"
"""Role of a value that is only tagged; 20 zero bytes stand for its call."""

LINKED, INLINE, INSIDE, INSIDE_LARGE = b"\x00", b"\x01", b"\x02", b"\x03"
"""Forms of a row in `prov_values`: the value is an object of its own; a small one, its bytes follow; one inside an argument or
result, its bytes follow; the same, too large to be kept here."""

_KEEP_INSIDE = 512
_PATH_MAX = 400
_ROWS_AT_ONCE = 500_000
_MOVEMENTS_AT_ONCE = 1000
_VERSION_KEY = b"version"
_VERSION = b"4"
_SEEN_KEY = b"seen"


class _Rows:
    """Rows collected for one write, and what need not be collected twice in it."""

    def __init__(self) -> None:
        self.jobs: dict[bytes, bytes] = {}
        self.calls: dict[bytes, bytes] = {}
        self.parents: dict[bytes, bytes] = {}
        self.values: dict[bytes, bytes] = {}
        self.files: dict[bytes, bytes] = {}
        self.places: dict[bytes, bytes] = {}
        self.tasks: dict[bytes, bytes] = {}
        self.runs: dict[bytes, bytes] = {}
        self.tags: dict[bytes, bytes] = {}

    def __len__(self) -> int:
        return len(self.jobs) + len(self.calls) + len(self.parents) + len(self.values) + len(self.tags)


class Index:
    """The derived tables of one store, as far as provenance needs them. For one thread at a time.

    Args:
        source: where objects, refs and the reflog are.
        tables: where the tables are; the same source, or one in memory if that cannot be written.
        values: looks into values for the files in them.
    """

    def __init__(self, source: Source, tables: Source, values: ValueReader) -> None:
        self._source = source
        self._values = values
        self._state: Table = tables.table("prov_state")
        self.jobs: Table = tables.table("prov_jobs")
        self.calls: Table = tables.table("prov_calls")
        self.parents: Table = tables.table("prov_parents")
        self.values: Table = tables.table("prov_values")
        self.files: Table = tables.table("prov_files")
        self.places: Table = tables.table("prov_places")
        self.tasks: Table = tables.table("prov_tasks")
        self.runs: Table = tables.table("prov_runs")
        self.tags: Table = tables.table("prov_tags")
        self._known_tasks: set[bytes] = set()
        self._known_calls: set[bytes] = set()
        self._uuids: dict[bytes, bytes | None] = {}

    def update(self) -> int:
        """Bring the tables up to date; return the number of segments that were new.

        Raises:
            StoreUnavailable: the tables cannot be written.
        """
        if self._state.get(_VERSION_KEY) not in (None, _VERSION):
            self._clear()
        row = self._state.get(_SEEN_KEY)
        before = int.from_bytes(row, "big") if row is not None else 0
        seen = before
        rows = _Rows()
        count = 0
        indexed: set[bytes] = set()
        for entry in self._movements(before):
            seen = entry.seq
            if entry.new is None or not entry.name.startswith(REF_PREFIX):
                continue
            # What `old` names was indexed when the ref moved there, unless that movement is not in the reflog any more.
            old = entry.old if before or entry.old in indexed else None
            for segment in self._between(entry.new, old, indexed):
                self._add_segment(segment, rows)
                count += 1
                if len(rows) > _ROWS_AT_ONCE:
                    # A long chain may end only after this; until its last movement is noted, it would be read again from its
                    # start.
                    self._write(rows)
                    rows = _Rows()
            if len(rows) > _ROWS_AT_ONCE // 2:
                self._write(rows)
                self._note(seen)
                rows = _Rows()
        if count:
            self._write(rows)
        if seen != before:
            self._note(seen)
        return count

    def _movements(self, seen: int) -> Iterator[ReflogEntry]:
        """Yield the movements of refs after one. A scan keeps all pages that it might come to from being used again, so it is a short one."""
        while entries := list(islice(self._source.reflog(seen), _MOVEMENTS_AT_ONCE)):
            yield from entries
            seen = entries[-1].seq

    def _clear(self) -> None:
        for table in (
            self.jobs,
            self.calls,
            self.parents,
            self.values,
            self.files,
            self.places,
            self.tasks,
            self.runs,
            self.tags,
            self._state,
        ):
            table.clear()

    def _note(self, seen: int) -> None:
        self._state.put_many([(_SEEN_KEY, seen.to_bytes(8, "big")), (_VERSION_KEY, _VERSION)])

    def _between(self, new: bytes, old: bytes | None, indexed: set[bytes]) -> Iterator[Segment]:
        """Yield segments from `new` back to, but without, `old`: mostly one; a pulled execution comes with its whole chain."""
        at: bytes | None = new
        while at is not None and at != old and at not in indexed:
            indexed.add(at)
            try:
                segment = decode_segment(self._source.get(at))
            except RedunError:
                # Damaged or collected: what it said is lost to the index as well.
                return
            yield segment
            at = segment.parent

    def _write(self, rows: _Rows) -> None:
        # `calls` comes last of what a call leads to: a row there says that the others of its call are written.
        for table, part in (
            (self.parents, rows.parents),
            (self.values, rows.values),
            (self.files, rows.files),
            (self.places, rows.places),
            (self.tasks, rows.tasks),
            (self.runs, rows.runs),
            (self.tags, rows.tags),
            (self.jobs, rows.jobs),
            (self.calls, rows.calls),
        ):
            if part:
                table.put_parts(part.items())
        # What has been written is found in the tables; neither memory nor mapped pages grow with the store.
        self._known_calls.clear()
        self._source.refresh()

    def _add_segment(self, segment: Segment, rows: _Rows) -> None:
        # A segment names its execution by the object's id; the UUID is inside.
        if segment.execution not in self._uuids:
            self._uuids[segment.execution] = _execution_uuid(self._source, segment.execution)
        execution = self._uuids[segment.execution]
        if execution is None:
            return
        if segment.sequence == 0:
            self._add_tags(TagFact(EXECUTION, (execution,), self._execution_tags(segment.execution)), rows)
        for fact in segment.tags:
            self._add_tags(fact, rows)
        jobs, calls, runs = rows.jobs, rows.calls, rows.runs
        known_calls, known_tasks = self._known_calls, self._known_tasks
        cached = Status.CACHED
        for number, job_id, _, task, start_us, _, status, call in segment.jobs:
            place = execution + number.to_bytes(8, "big")
            jobs[job_id] = place
            runs[task + execution] = b""
            if task not in known_tasks:
                known_tasks.add(task)
                self._add_task(task, rows)
            if call is None:
                continue
            calls[call + start_us.to_bytes(8, "big") + place] = bytes((status,)) + job_id
            if call not in known_calls:
                known_calls.add(call)
                if status is not cached or next(iter(self.calls.scan(call)), None) is None:
                    self._add_call(call, rows)

    def _execution_tags(self, execution: bytes) -> tuple[tuple[str, Any], ...]:
        try:
            return tuple(ExecutionRecord.decode(self._source.get(execution)).tags)
        except RedunError:
            return ()

    def _add_tags(self, fact: TagFact, rows: _Rows) -> None:
        if fact.kind not in KINDS:
            # A newer redun may tag other things.
            return
        for entity in fact.entities:
            if fact.kind == VALUE_KIND:
                row = LINKED if is_link(entity) else INLINE + entity
                entity = ref_id(entity)
                rows.values[entity + TAGGED + bytes(ID_BYTES)] = row
            for record in said_by_run(fact.kind, entity, fact.pairs):
                data = record.encode()
                rows.tags[tag_key(fact.kind, entity) + object_id(data)] = data

    def _add_task(self, task: bytes, rows: _Rows) -> None:
        try:
            name = TaskRecord.decode(self._source.get(task)).fullname
        except RedunError:
            return
        rows.tasks[_text_key(name) + b"\x00" + task] = b""

    def _add_call(self, call: bytes, rows: _Rows) -> None:
        try:
            record = CallRecord.decode(self._source.get(call))
        except RedunError:
            return
        for child in record.children:
            rows.parents[child + call] = b""
        for ref in record.args:
            self._add_value(ref, ARGUMENT, call, rows)
        for _, ref in record.kwargs:
            self._add_value(ref, ARGUMENT, call, rows)
        self._add_value(record.result, RESULT, call, rows)

    def _add_value(self, ref: bytes, role: bytes, call: bytes, rows: _Rows) -> None:
        if is_link(ref):
            rows.values[ref[1:] + role + call] = LINKED
            inside = self._values.inside(ref)
        else:
            rows.values[object_id(ref) + role + call] = INLINE + ref
            if not ref[3] & Flag.SUBVALUES:
                return
            inside = self._values.inside_object(ref)
        for _, data in inside:
            oid = object_id(data)
            form = INSIDE + data if len(data) <= _KEEP_INSIDE else INSIDE_LARGE
            rows.values.setdefault(oid + role + call, form)
            found = read_registered(data)
            if found is None:
                continue
            path = path_of(*found)
            if path is not None:
                add_file_row(rows.files, path, oid)
            else:
                for name in places_of(*found):
                    add_file_row(rows.places, name, oid)


def _execution_uuid(source: Source, execution: bytes) -> bytes | None:
    try:
        uuid = ExecutionRecord.decode(source.get(execution)).id
    except RedunError:
        return None
    return uuid if isinstance(uuid, bytes) and len(uuid) == 16 else None


def tag_key(kind: str, entity: bytes = b"") -> bytes:
    """Return what the rows of an entity in `prov_tags` begin with; of all entities of a kind, if none is given."""
    return bytes((KINDS.index(kind),)) + entity


def _text_key(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


def path_key(path: str) -> bytes:
    """Return what a path's rows in `prov_files` begin with; a long path stands under its digest."""
    key = _text_key(path)
    if len(key) > _PATH_MAX or b"\x00" in key:
        key = b"\xff" + sha256(key).digest()
    return key + b"\x00"


def add_file_row(rows: dict[bytes, bytes], path: str, value_id: bytes) -> None:
    """Add the row of a file at one state."""
    key = path_key(path)
    rows[key + value_id] = _text_key(path) if key[:1] == b"\xff" else b""


def split_file_row(key: bytes, row: bytes) -> tuple[str, bytes]:
    """Return path and 20-byte value id of a row of `prov_files`."""
    path = row or key[: -ID_BYTES - 1]
    return path.decode("utf-8", "surrogatepass"), key[-ID_BYTES:]


def ref_from_row(value_id: bytes, row: bytes) -> bytes:
    """Return the ref that a row of `prov_values` gives for a value: its bytes where they are kept, else a link to its id.

    A value inside another may be no object of its own; its bytes, of whatever size, then serve as ref: a ref that is no link
    carries the object itself, and readers do not care for its length.
    """
    return row[1:] if row[:1] in (INLINE, INSIDE) else b"\x00" + value_id
