"""Objects that are known to be gone: why, and how large they were.

An object may be absent although others link it: dropped by gc to make room (`redun.store.sweep`), given up by a repair, or left in a
remote when the rest was pulled. A row of the
table `dropped` says so, so that whoever checks a store can tell this from a loss that nobody knows of. An object that was put again is
there, whatever this table says.

    dropped   id (20) -> size in bytes (8, 0: unknown) | UTC microseconds (8) | "l" if it was lost, "r" if it is in a remote
"""

from __future__ import annotations

from typing import Any, NamedTuple

from redun.store.rows import guarded

TABLE = "dropped"
DROPPED, LOST, AWAY = b"", b"l", b"r"


class Gone(NamedTuple):
    """An object that is known to be gone: its id, why (`DROPPED`, `LOST` or `AWAY`), its size and when that was noted."""

    oid: bytes
    why: bytes
    size: int
    time_us: int


def put_gone(txn: Any, table: Any, one: Gone) -> None:
    """Note that an object is gone, in a write transaction of LMDB."""
    content = one.size.to_bytes(8, "big") + one.time_us.to_bytes(8, "big") + one.why
    txn.put(one.oid, guarded(content, one.oid), db=table)


def read_gone(oid: bytes, content: bytes) -> Gone:
    """Read a row."""
    return Gone(oid, content[16:], int.from_bytes(content[:8], "big"), int.from_bytes(content[8:16], "big"))
