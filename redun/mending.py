"""Histories mended: chains of segments that lost a link, executions that lost their record.

A segment names the one before it, so one that is lost hides all that are older. The reflog says what the lost one came after; the
segments behind the hole are written once more, joined to those before it, and the ref moves to the new end. What the lost segment said
of jobs is gone; a fact `repaired` in the journal says that something is.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from uuid import UUID

from redun.errors import RedunError
from redun.records import ExecutionRecord
from redun.store.ids import object_id
from redun.store.journal import Segment, decode_segment, encode_segment
from redun.store.sources.base import Batch, RefUpdate, Source

_EXECUTIONS = "executions/"


class Histories:
    """The histories of one store.

    Args:
        source: open for writing; its reflog can be read.
        is_alive: tells whether an execution (UUID) is running: its history is its own.
    """

    def __init__(self, source: Source, is_alive: Callable[[str], bool]) -> None:
        self._source = source
        self._is_alive = is_alive
        self._before = self._read_reflog()

    def _read_reflog(self) -> Mapping[bytes, bytes | None]:
        """Return what each segment that a ref ever moved to came after."""
        before: dict[bytes, bytes | None] = {}
        for entry in self._source.reflog():
            if entry.new is not None and entry.name.startswith(_EXECUTIONS):
                before.setdefault(entry.new, entry.old)
        return before

    def mend(self, name: str, head: bytes) -> str | None:
        """Mend the history under a ref.

        Returns:
            What was done, None if it is whole, or belongs to a running execution.
        """
        segments, lost = self._read(head)
        record = self._record(segments)
        if not lost and record is None:
            return None
        execution = name.split("/")[1]
        if self._is_alive(execution):
            return None
        if not segments:
            return None
        objects: dict[bytes, bytes] = {}
        new = segments[0].execution
        if record is not None:
            # Whatever is known of it.
            start_us = min([job.start_us for segment in segments for job in segment.jobs], default=0)
            data = ExecutionRecord(UUID(execution).bytes, ["(lost)"], start_us).encode()
            new = object_id(data)
            objects[new] = data
        parent: bytes | None = None
        rewrite = record is not None
        for segment in reversed(segments):
            known = segment.parent == parent and not rewrite
            if not known:
                extra = segment.extra if rewrite else [*segment.extra, ("repaired", {"lost": lost})]
                rewrite = True
                segment = segment._replace(parent=parent, execution=new, extra=extra)
            data = encode_segment(segment)
            parent = object_id(data)
            if rewrite:
                objects[parent] = data
        if parent is None or parent == head:
            return None
        said = f"{lost} pieces of its history were lost" if lost != 1 else "a piece of its history was lost"
        if record is not None:
            said = "its record was lost" + (f", and {said}" if lost else "")
        self._source.commit(Batch(objects=objects, refs=[RefUpdate(name, head, parent, f"fsck: {said}")]))
        self._source.refresh()
        return said

    def _read(self, head: bytes) -> tuple[list[Segment], int]:
        """Return the segments that can be read, newest first, and how many cannot."""
        segments: list[Segment] = []
        lost = 0
        at: bytes | None = head
        seen: set[bytes] = set()
        while at is not None and at not in seen:
            seen.add(at)
            try:
                segment = decode_segment(self._source.get(at))
            except RedunError:
                lost += 1
                at = self._before.get(at)
                continue
            segments.append(segment)
            at = segment.parent
        return segments, lost

    def _record(self, segments: list[Segment]) -> bytes | None:
        """Return the id of the execution's record if it cannot be read."""
        if not segments:
            return None
        try:
            ExecutionRecord.decode(self._source.get(segments[0].execution))
        except RedunError:
            return segments[0].execution
        return None

    def older_head(self, name: str) -> bytes | None:
        """Return the newest segment that a ref ever moved to and that can be read."""
        found: bytes | None = None
        for entry in self._source.reflog():
            if entry.name == name and entry.new is not None and self._source.contains(entry.new):
                found = entry.new
        return found
