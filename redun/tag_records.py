"""Tags as records: who said what about which thing, and what still holds.

A tag is an immutable fact about an entity: an execution, job, call, task or value. Nothing is ever taken back in place. A change is
a new record that names the ones it replaces as its parents, and a removal is a record without a key. What holds now are the records
with a key that no other one names. So the history of an entity is kept, and two stores that were changed apart are merged by taking
the records of both: a set whose additions and removals commute (an "observed-remove set", Shapiro et al. 2011). A value that was
removed here while it was updated there stays updated; one that was removed here and left alone there is removed.

Records come from two places. What a run says stands in its journal (`Segment.tags`): such a record has no parents and no time, so the
same tag of the same thing is one record however often it is said, and a replay does not bring back what somebody has removed. What is
said later (`redun tag`) is an object of kind `TAG`, named by a ref of its own, `tags/<kind>/<entity>/<record>`.

Body of the object, msgpack: [kind, entity, key or nil, value, [places of parents], time (UTC microseconds) or nil, who].
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import msgpack

from redun.store.errors import DecodeError
from redun.store.ids import object_id
from redun.store.objects import Codec, Kind, LinkTable, link_at, split, with_links

REF_PREFIX = "tags/"

EXECUTION, JOB, CALL, TASK, VALUE = "execution", "job", "call", "task", "value"
KINDS = (EXECUTION, JOB, CALL, TASK, VALUE)

Pair = tuple[str, Any]


class TagRecord(NamedTuple):
    """One fact about one entity.

    Attributes:
        kind: of the entity, one of `KINDS`.
        entity: its id: 16 bytes of an execution or job, else 20.
        key: None if this record only removes its parents.
        value: JSON data.
        parents: ids of the records that it replaces, sorted.
        time_us: when it was said, UTC microseconds; None for what a run said.
        by: user who said it.
    """

    kind: str
    entity: bytes
    key: str | None
    value: Any = None
    parents: tuple[bytes, ...] = ()
    time_us: int | None = None
    by: str = ""

    def encode(self) -> bytes:
        """Return the object bytes."""
        table = LinkTable()
        places = [table.place_id(parent) for parent in self.parents]
        body = pack([self.kind, self.entity, self.key, self.value, places, self.time_us, self.by])
        return with_links(Kind.TAG, Codec.MSGPACK, 0, table.ids, body)

    @property
    def id(self) -> bytes:
        """The record's own id, 20 bytes."""
        return object_id(self.encode())

    @property
    def pair(self) -> bytes:
        """Key and value as bytes, to be compared: `1` is not `True`."""
        return pack([self.key, self.value])

    @property
    def ref(self) -> str:
        """Name of the ref that keeps it."""
        return f"{entity_ref(self.kind, self.entity)}{self.id.hex()}"

    @classmethod
    def decode(cls, data: bytes) -> TagRecord:
        """Read a tag object. Raises DecodeError."""
        kind, codec, _, links, packed = split(data)
        if kind is not Kind.TAG or codec is not Codec.MSGPACK:
            raise DecodeError(f"expected a tag, found a {kind.name.lower()}")
        try:
            body = msgpack.unpackb(packed, unicode_errors="surrogatepass", strict_map_key=False)
            name, entity, key, value, places, time_us, by = body
            parents = tuple([link_at(links, place) for place in places])
            return cls(name, entity, key, value, parents, time_us, by)
        except (TypeError, ValueError, msgpack.UnpackException) as error:
            raise DecodeError(f"tag cannot be decoded: {error!r}") from error


def pack(data: Any) -> bytes:
    """Return JSON data as bytes; equal data with keys in equal order give equal bytes."""
    packed: bytes = msgpack.packb(data, unicode_errors="surrogatepass")
    return packed


def unpack_pairs(packed: bytes) -> tuple[Pair, ...]:
    """Return pairs that were packed."""
    return tuple([(key, value) for key, value in msgpack.unpackb(packed, unicode_errors="surrogatepass")])


def entity_ref(kind: str, entity: bytes) -> str:
    """Return what the names of the refs of an entity's records begin with."""
    return f"{REF_PREFIX}{kind}/{entity.hex()}/"


def split_ref(name: str) -> tuple[str, bytes] | None:
    """Return kind and id of the entity that a ref is about, None if it is no ref of a tag."""
    parts = name.split("/")
    if len(parts) != 4 or parts[0] != REF_PREFIX[:-1] or parts[1] not in KINDS:
        return None
    try:
        return parts[1], bytes.fromhex(parts[2])
    except ValueError:
        return None


def said_by_run(kind: str, entity: bytes, pairs: Iterable[Pair]) -> Iterator[TagRecord]:
    """Yield the records that the tags of a journal stand for."""
    for key, value in pairs:
        yield TagRecord(kind, entity, key, value)


def newest(records: Iterable[TagRecord]) -> dict[bytes, TagRecord]:
    """Return the records of one entity that no other record replaces, removals among them, by id."""
    by_id = {record.id: record for record in records}
    replaced = {parent for record in by_id.values() for parent in record.parents}
    return {tag_id: record for tag_id, record in by_id.items() if tag_id not in replaced}


def current(records: Iterable[TagRecord]) -> tuple[Pair, ...]:
    """Return the tags of one entity that hold, each once, by key, then value."""
    found: dict[bytes, TagRecord] = {record.pair: record for record in newest(records).values() if record.key is not None}
    return tuple([(record.key or "", record.value) for _, record in sorted(found.items(), key=_by_key)])


def _by_key(item: tuple[bytes, TagRecord]) -> tuple[str, bytes]:
    return item[1].key or "", item[0]


def in_order(records: Iterable[TagRecord]) -> list[TagRecord]:
    """Return records oldest first: those of runs, which have no time, then by time; one after what it replaces."""
    by_id = {record.id: record for record in records}
    depth: dict[bytes, int] = {}
    for start in by_id:
        _measure(start, by_id, depth)
    return sorted(by_id.values(), key=lambda record: (record.time_us or 0, depth[record.id], record.pair))


def _measure(start: bytes, by_id: dict[bytes, TagRecord], depth: dict[bytes, int]) -> None:
    """Note how many records lie below one; a loop, since a tag may have been changed thousands of times."""
    stack = [start]
    while stack:
        at = stack[-1]
        parents = [parent for parent in by_id[at].parents if parent in by_id]
        missing = [parent for parent in parents if parent not in depth]
        if missing and at not in depth:
            stack.extend(missing)
            continue
        stack.pop()
        depth[at] = 1 + max([depth[parent] for parent in parents], default=-1)
