"""Values of an `LmdbSource` that are not here on purpose: left in a remote when what links them was pulled, or dropped by gc."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from redun.store.errors import ObjectAway, ObjectDropped, ObjectNotFound
from redun.store.gone import AWAY, DROPPED, TABLE, Gone, put_gone, read_gone
from redun.store.rows import unguarded
from redun.store.sources.environment import Environment
from redun.store.sources.lmdb_table import scan

if TYPE_CHECKING:
    from redun.store.sources.lmdb import LmdbSource


def note_away(txn: Any, environment: Environment, away: Mapping[bytes, int]) -> None:
    """Note, in a write transaction, which values are in a remote; of those that are here nothing is noted."""
    table, objects = environment.table(TABLE), environment.table("objects")
    now_us = time.time_ns() // 1000
    for oid, size in away.items():
        if txn.get(oid, db=objects) is None:
            put_gone(txn, table, Gone(oid, AWAY, size, now_us))


def find_gone(source: LmdbSource, oid: bytes) -> Gone | None:
    """Return what is known of an object that is not here on purpose, None if it is here, lost or unknown."""
    table = source.table_handle(TABLE)
    row = None if table is None else source.snapshot().get(oid, None, table)
    content = None if row is None else unguarded(row, oid)
    if content is None or source.links(oid) is not None:
        return None
    found = read_gone(oid, content)
    return found if found.why in (AWAY, DROPPED) else None


def all_away(source: LmdbSource) -> list[bytes]:
    """List the objects that were left in a remote and are not here."""
    if source.table_handle(TABLE) is None:
        return []
    rows = [(oid, unguarded(row, oid)) for oid, row in scan(source, TABLE)]
    return [
        oid
        for oid, content in rows
        if content is not None and read_gone(oid, content).why == AWAY and source.links(oid) is None
    ]


def not_there(source: LmdbSource, oid: bytes) -> ObjectNotFound:
    """Return the error for an object that is not here: why, as far as that is known."""
    gone = find_gone(source, oid)
    if gone is None:
        return ObjectNotFound(oid)
    return ObjectAway(oid, gone.size) if gone.why == AWAY else ObjectDropped(oid, gone.size)


def fetched(source: LmdbSource, oid: bytes) -> bytes:
    """Return an object that is not here, fetched if it is gone on purpose and somebody has it.

    Raises:
        ObjectNotFound: nobody has it, or it could not be reached; says why it is not here.
    """
    fetch = source.elsewhere
    if fetch is None or find_gone(source, oid) is None:
        raise not_there(source, oid)
    source.elsewhere = None
    try:
        if not fetch(oid):
            raise not_there(source, oid)
        source.refresh()
        return source.get(oid)
    finally:
        source.elsewhere = fetch
