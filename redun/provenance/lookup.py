"""From what a user types (a prefix of an id, `-`, `~2`, a path) to the things that it may mean."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterator
from contextlib import suppress
from uuid import UUID

from redun.provenance.history import read_heads
from redun.provenance.index import INSIDE_LARGE, Index, path_key, ref_from_row, split_file_row
from redun.provenance.model import Candidate, Value
from redun.provenance.values import ValueReader
from redun.records import CallRecord
from redun.store.errors import RedunError
from redun.store.ids import ID_BYTES, object_id
from redun.store.journal import JOB_ID_BYTES
from redun.store.objects import Kind
from redun.store.sources.base import Source, Table

KINDS = ("execution", "job", "call", "task", "value")
_OBJECT_KINDS = {Kind.CALL: "call", Kind.TASK: "task", Kind.VALUE: "value"}
# Segments share the ids' space with what users see and are skipped, so more are looked at than asked for.
_OBJECTS_LOOKED_AT = 400


def is_id_prefix(text: str) -> bool:
    """True if `text` could be the beginning of an id: hex digits, and dashes as in a UUID."""
    digits = text.replace("-", "")
    return bool(digits) and all(char in "0123456789abcdefABCDEF" for char in digits) and len(digits) <= 2 * ID_BYTES


class Lookup:
    """Finds things by the beginning of their id. For one thread at a time.

    Args:
        index: returns the index, brought up to date: made only when it is needed.
    """

    def __init__(self, source: Source, index: Callable[[], Index], values: ValueReader) -> None:
        self._source = source
        self._index = index
        self._values = values

    def find(self, prefix: str, kinds: Collection[str] = KINDS, limit: int = 20) -> list[Candidate]:
        """List what an id prefix may mean, at most `limit` of them, executions and jobs first."""
        if not is_id_prefix(prefix):
            return []
        text = prefix.lower()
        digits = text.replace("-", "")
        found: dict[Candidate, None] = {}
        for candidate in self._candidates(digits, "-" in text, kinds):
            found[candidate] = None
            if len(found) >= limit:
                break
        return list(found)

    def _candidates(self, digits: str, is_uuid: bool, kinds: Collection[str]) -> Iterator[Candidate]:
        if "execution" in kinds:
            for head in sorted(read_heads(self._source, digits), key=lambda head: head.id):
                yield Candidate("execution", head.uuid)
        if "job" in kinds and len(digits) <= 2 * JOB_ID_BYTES:
            for key in keys_from(self._index().jobs, digits, JOB_ID_BYTES):
                yield Candidate("job", str(UUID(bytes=key)))
        if is_uuid or not {"call", "task", "value"}.intersection(kinds):
            return
        for oid in self._source.find(digits, _OBJECTS_LOOKED_AT):
            kind = self._kind(oid)
            if kind in kinds:
                yield Candidate(kind, oid.hex())
        if "value" in kinds:
            for key in keys_from(self._index().values, digits, ID_BYTES):
                yield Candidate("value", key.hex())

    def _kind(self, oid: bytes) -> str:
        try:
            return _OBJECT_KINDS.get(Kind(self._source.get(oid)[0]), "")
        except (RedunError, ValueError, IndexError):
            return ""

    def value(self, value_id: bytes) -> Value | None:
        """Return a value by its whole id (20 bytes): an object, or one that lives inside others."""
        if self._source.contains(value_id):
            return Value(b"\x00" + value_id)
        for key, row in self._index().values.scan(value_id):
            if row[:1] != INSIDE_LARGE:
                return Value(ref_from_row(value_id, row))
            data = self._inside_call(key[-ID_BYTES:], value_id)
            if data is not None:
                return Value(data)
        return None

    def _inside_call(self, call: bytes, value_id: bytes) -> bytes | None:
        """Find the bytes of a value inside an argument or the result of a call."""
        try:
            record = CallRecord.decode(self._source.get(call))
        except RedunError:
            return None
        for ref in (*record.args, *[ref for _, ref in record.kwargs], record.result):
            for _, data in self._values.inside(ref):
                if object_id(data) == value_id:
                    return data
        return None

    def file_states(self, path: str) -> list[bytes]:
        """List the 20-byte ids of the File values of a path, as typed or as it would be written from here."""
        return _states(self._index().files, path)

    def place_states(self, name: str) -> list[bytes]:
        """List the 20-byte ids of the values of a folder, set of files, dataset or handle (`redun.provenance.values.places_of`)."""
        return _states(self._index().places, name)


def _states(table: Table, path: str) -> list[bytes]:
    for name in _spellings(path):
        found = [split_file_row(key, row)[1] for key, row in table.scan(path_key(name))]
        if found:
            return found
    return []


def _spellings(path: str) -> list[str]:
    names = [path]
    if "://" in path:
        names.append(path.rstrip("/"))
    elif path:
        plain = os.path.normpath(path)
        names += [plain, f"./{plain}"]
        with suppress(OSError, ValueError):
            # The working folder may be gone.
            names += [os.path.abspath(path), os.path.relpath(path)]
    return list(dict.fromkeys(names))


def keys_from(table: Table, digits: str, width: int) -> Iterator[bytes]:
    """Yield the distinct first `width` bytes of the keys that begin with these hex digits (an odd number is fine)."""
    even = bytes.fromhex(digits[: len(digits) // 2 * 2])
    last: bytes | None = None
    start: bytes | None = None
    while True:
        repeats = 0
        for key, _ in table.scan(even, start=start):
            head = key[:width]
            if head == last:
                repeats += 1
                if repeats > 8:
                    # One value may stand in a hundred thousand calls: jump over the rest of its rows.
                    start = head + b"\xff" * (2 * ID_BYTES)
                    break
                continue
            last = head
            repeats = 0
            if head.hex().startswith(digits):
                yield head
        else:
            return
