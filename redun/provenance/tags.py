"""What tags things have: what their runs said, and what was changed since.

Runs' tags of an execution or job stand in its journal, so that showing an execution needs no index; those of values, tasks and calls
are looked up in the index. Changes are refs, all listed once per reader: there are as many as somebody has typed.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from typing import Any
from uuid import UUID

from redun.provenance.history import History
from redun.provenance.index import Index, tag_key
from redun.provenance.model import Call, Execution, FileUse, Job, Task, Value
from redun.store.errors import RedunError
from redun.store.ids import ID_BYTES
from redun.store.sources.base import Source
from redun.tag_records import (
    CALL,
    EXECUTION,
    JOB,
    KINDS,
    REF_PREFIX,
    TASK,
    VALUE,
    Pair,
    TagRecord,
    current,
    in_order,
    said_by_run,
    split_ref,
)
from redun.tags import ANY_VALUE

Entity = tuple[str, bytes]
Taggable = Execution | Job | Call | Task | Value | FileUse


def entity_of(record: Taggable) -> Entity:
    """Return kind and id under which a record's tags stand."""
    if isinstance(record, Execution):
        return EXECUTION, UUID(record.id).bytes
    if isinstance(record, Job):
        return JOB, UUID(record.id).bytes
    if isinstance(record, Call):
        return CALL, bytes.fromhex(record.id)
    if isinstance(record, Task):
        return TASK, bytes.fromhex(record.hash)
    return VALUE, bytes.fromhex(record.value.id if isinstance(record, FileUse) else record.id)


class Tags:
    """The tags in one store. For one thread at a time; what is seen stays as it was when it was first read.

    Args:
        index: returns the index, brought up to date.
        history: returns the jobs of an execution by its UUID, 16 bytes.
    """

    def __init__(self, source: Source, index: Callable[[], Index], history: Callable[[bytes], History | None]) -> None:
        self._source = source
        self._index = index
        self._history = history
        self._edits: dict[Entity, list[TagRecord]] | None = None

    def of(self, record: Taggable) -> tuple[Pair, ...]:
        """Return the tags that an execution, job, call, task, value or file has now: (key, JSON value), by key."""
        kind, entity = entity_of(record)
        if isinstance(record, Execution):
            return self._with_edits(kind, entity, record.tags)
        if isinstance(record, Job):
            history = self._history(UUID(record.execution).bytes)
            return self._with_edits(kind, entity, history.job_tags.get(entity, ()) if history is not None else ())
        return current(self.records(kind, entity))

    def _with_edits(self, kind: str, entity: bytes, pairs: Sequence[Pair]) -> tuple[Pair, ...]:
        edits = self._changes().get((kind, entity), ())
        return current([*said_by_run(kind, entity, pairs), *edits]) if pairs or edits else ()

    def history(self, record: Taggable) -> list[TagRecord]:
        """List all that was ever said of something, oldest first; what is replaced or removed too."""
        return in_order(self.records(*entity_of(record)))

    def records(self, kind: str, entity: bytes) -> list[TagRecord]:
        """List the records of an entity by its kind and id, in no order."""
        said = [_decoded(data) for _, data in self._index().tags.scan(tag_key(kind, entity))]
        return [*[record for record in said if record is not None], *self._changes().get((kind, entity), ())]

    def all(self, kinds: Collection[str] = KINDS) -> Iterator[tuple[str, bytes, tuple[Pair, ...]]]:
        """Yield kind, id and tags of everything that has any, kind by kind, in order of ids."""
        for kind in KINDS:
            if kind not in kinds:
                continue
            found: dict[bytes, list[TagRecord]] = {}
            for key, data in self._index().tags.scan(tag_key(kind)):
                record = _decoded(data)
                if record is not None:
                    found.setdefault(key[1:-ID_BYTES], []).append(record)
            for (name, entity), records in self._changes().items():
                if name == kind:
                    found.setdefault(entity, []).extend(records)
            for entity in sorted(found):
                pairs = current(found[entity])
                if pairs:
                    yield kind, entity, pairs

    def _changes(self) -> dict[Entity, list[TagRecord]]:
        if self._edits is None:
            self._edits = {}
            for name, tag_id in self._source.refs(REF_PREFIX):
                entity = split_ref(name)
                record = self._read(tag_id) if entity is not None else None
                if entity is not None and record is not None and (record.kind, record.entity) == entity:
                    self._edits.setdefault(entity, []).append(record)
        return self._edits

    def _read(self, tag_id: bytes) -> TagRecord | None:
        try:
            return _decoded(self._source.get(tag_id))
        except RedunError:
            return None


def _decoded(data: bytes) -> TagRecord | None:
    try:
        return TagRecord.decode(data)
    except RedunError:
        # Damaged: the others still count.
        return None


def matches(pairs: Sequence[Pair], wanted: Sequence[tuple[str, Any]]) -> bool:
    """True if all of the wanted tags are among `pairs`; a value of `ANY_VALUE` stands for any."""
    return all(
        any(key == name and (value is ANY_VALUE or _same(found, value)) for name, found in pairs) for key, value in wanted
    )


def _same(left: Any, right: Any) -> bool:
    # 1 is not True, but 1 is 1.0: people type either.
    return isinstance(left, bool) == isinstance(right, bool) and bool(left == right)
