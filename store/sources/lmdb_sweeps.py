"""Sweeps of an `LmdbSource`: whether a gc deletes objects just now, and what is put meanwhile.

A gc knows from the refs what has to stay, and from those that moved since it read them. But an object can come, or come back, where
no ref moves to it: what a worker or a pull writes before anything names it, a value that was dropped and is there again for the
call that has always linked it. What it leads to must not be swept from under it. So while somebody sweeps, each commit notes what
it put, the sweeps read that as they read the reflog, and the one that ends last deletes the notes.

    meta   "sweeps"           -> a number, odd while somebody sweeps, decimal
           "put" | number (8) -> ids of the objects that a commit put, those left out that certainly link nothing
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from redun.store.errors import DamagedObject
from redun.store.ids import ID_BYTES
from redun.store.reach import links_of
from redun.store.rows import guarded, unguarded

SWEEPS = b"sweeps"
_PUT = b"put"
_NUMBER_BYTES = 8


def is_sweeping(row: bytes | None) -> bool:
    """Tell from the row of `SWEEPS` whether somebody sweeps, or died doing so."""
    return row is not None and row[-1] & 1 == 1


def note_put(txn: Any, meta: Any, objects: Mapping[bytes, Any]) -> None:
    """Note, in a write transaction, what it puts."""
    # What is no bytes may have a table of links or not.
    ids = b"".join([oid for oid, data in objects.items() if not isinstance(data, bytes) or links_of(data)])
    if ids:
        key = _key(_last(txn, meta) + 1)
        txn.put(key, guarded(ids, key), db=meta)


def put_since(txn: Any, meta: Any, seen: int) -> tuple[int, list[bytes]]:
    """Return the number of the newest note, and the ids in those beyond `seen`.

    Raises:
        DamagedObject: a note is not what was written.
    """
    found: list[bytes] = []
    cursor = txn.cursor(meta)
    if cursor.set_range(_key(seen + 1)):
        for key, row in cursor:
            if not key.startswith(_PUT):
                break
            ids = unguarded(bytes(row), bytes(key))
            if ids is None:
                raise DamagedObject("a note of what was put beside this gc is damaged: run it again")
            found += [ids[at : at + ID_BYTES] for at in range(0, len(ids), ID_BYTES)]
            seen = int.from_bytes(key[len(_PUT) :], "big")
    return seen, found


def begin(txn: Any, meta: Any) -> int:
    """Have commits check all that they link, and note what they put; in a write transaction.

    Returns:
        the number of the newest note.
    """
    _count_up(txn, meta, 1)
    return _last(txn, meta)


def end(txn: Any, meta: Any) -> None:
    """Nobody sweeps any more: who opens the store from now on need not check; in a write transaction."""
    _count_up(txn, meta, 0)
    cursor = txn.cursor(meta)
    there = cursor.set_range(_PUT)
    while there and cursor.key().startswith(_PUT):
        there = cursor.delete()


def _count_up(txn: Any, meta: Any, odd: int) -> None:
    row = txn.get(SWEEPS, db=meta)
    number = int(row) if row is not None and row.isdigit() else 0
    txn.put(SWEEPS, b"%d" % (number + 2 - (number + odd) % 2), db=meta)


def _key(number: int) -> bytes:
    return _PUT + number.to_bytes(_NUMBER_BYTES, "big")


def _last(txn: Any, meta: Any) -> int:
    cursor = txn.cursor(meta)
    there = cursor.prev() if cursor.set_range(_PUT + b"\xff" * _NUMBER_BYTES) else cursor.last()
    return int.from_bytes(cursor.key()[len(_PUT) :], "big") if there and cursor.key().startswith(_PUT) else 0
