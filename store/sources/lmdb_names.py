"""Refs and reflog of an `LmdbSource`: read, listed, moved."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from redun.store.errors import DamagedStore, RefConflict
from redun.store.rows import ref_row, ref_target, reflog_entry, reflog_row, sequence_key
from redun.store.sources.base import ReflogEntry, RefUpdate
from redun.store.sources.checks import prefix_digits
from redun.store.sources.environment import DAMAGE, Environment
from redun.store.sources.lmdb_table import scan

if TYPE_CHECKING:
    from redun.store.sources.lmdb import LmdbSource


def _is_keyed(source: LmdbSource) -> bool:
    # Checksums of format 1 leave the key out.
    return source.environment().format > 1


def read_ref(source: LmdbSource, name: str) -> bytes | None:
    """Return the id that a ref names, None if there is no such ref.

    Raises:
        DamagedObject: its row is damaged. DamagedStore: it cannot be looked for.
    """
    refs = source.table_handle("refs")
    if refs is None or not name:
        return None
    try:
        row = source.snapshot().get(name.encode(errors="surrogatepass"), db=refs)
    except DAMAGE as error:
        source.refresh()
        raise DamagedStore.at(source.environment().folder, f"ref {name!r} cannot be found ({error})") from error
    return None if row is None else ref_target(name, row, keyed=_is_keyed(source))


def list_refs(source: LmdbSource, prefix: str) -> list[tuple[str, bytes]]:
    """List the refs whose name begins with a prefix, by name.

    Raises:
        DamagedObject: the row of one is damaged.
    """
    keyed = _is_keyed(source)
    rows = scan(source, "refs", prefix.encode(errors="surrogatepass"))
    named = ((key.decode(errors="surrogateescape"), row) for key, row in rows)
    return [(name, ref_target(name, row, keyed=keyed)) for name, row in named]


def list_movements(source: LmdbSource, after: int) -> Iterator[ReflogEntry]:
    """Yield the movements of all refs with a number beyond `after`, oldest first.

    Raises:
        DamagedObject: one is damaged.
    """
    keyed = _is_keyed(source)
    for key, row in scan(source, "reflog", start=sequence_key(max(after, 0) + 1)):
        yield reflog_entry(key, row, keyed=keyed)


def move_refs(txn: Any, environment: Environment, updates: Iterable[RefUpdate]) -> None:
    """Move refs and note it, in a write transaction.

    Raises:
        RefConflict: one is not where it is expected.
    """
    refs, reflog = environment.table("refs"), environment.table("reflog")
    log = txn.cursor(reflog)
    seq = int.from_bytes(log.key(), "big") if log.last() else 0
    now = time.time_ns() // 1000
    for update in updates:
        key = update.name.encode()
        row = txn.get(key, db=refs)
        found = None if row is None else ref_target(update.name, row)
        if found != update.old:
            raise RefConflict.between(update.name, update.old, found)
        if update.new is None:
            txn.delete(key, db=refs)
        else:
            txn.put(key, ref_row(update.name, update.new), db=refs)
        seq += 1
        entry = ReflogEntry(seq, update.name, update.old, update.new, now, update.message)
        txn.put(sequence_key(seq), reflog_row(entry), db=reflog, append=True)


def find_ids(source: LmdbSource, hex_prefix: str, limit: int) -> list[bytes]:
    """List the ids of stored objects that begin with a hex prefix, at most `limit`."""
    digits = prefix_digits(hex_prefix)
    found: list[bytes] = []
    if digits is None or limit <= 0:
        return found
    for key, _ in scan(source, "objects", start=bytes.fromhex(digits + "0" * (len(digits) % 2)), values=False):
        if not key.hex().startswith(digits):
            break
        found.append(key)
        if len(found) == limit:
            break
    return found
