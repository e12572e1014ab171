"""Objects that are known to be gone: why, and how large they were.

An object may be absent although others link it: dropped on purpose (what can be computed again, to make room), or given up by a
repair. A row of the table `gone` says so, so that whoever checks a store can tell this from a loss that nobody knows of. An object
that was put again is there, whatever this table says.

    t_gone   id (20) -> why (1: "d" dropped, "l" lost) | size in bytes (8, big-endian; 0: unknown)
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from redun.store.sources.base import Source

TABLE = "gone"
DROPPED, LOST = b"d", b"l"


class Gone(NamedTuple):
    """An object that is known to be gone: its id, why (`DROPPED` or `LOST`) and its size, 0 if nobody knows."""

    oid: bytes
    why: bytes
    size: int


def note_gone(source: Source, objects: Iterable[Gone]) -> None:
    """Note that objects are gone."""
    source.table(TABLE).put_many(gone_row(one) for one in objects)


def gone_row(one: Gone) -> tuple[bytes, bytes]:
    """Return key and content of a row."""
    return one.oid, one.why + one.size.to_bytes(8, "big")


def read_gone(key: bytes, content: bytes) -> Gone:
    """Read a row."""
    return Gone(key, content[:1], int.from_bytes(content[1:9], "big"))


def all_gone(source: Source) -> Iterator[Gone]:
    """Yield all that is known to be gone, or was at some time and has been put again."""
    for key, content in source.table(TABLE).scan():
        yield read_gone(key, content)
