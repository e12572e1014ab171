"""A snapshot of a store kept from being recycled, for somebody who reads its file without LMDB."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import lmdb

from redun.store.disk import unavailable
from redun.store.locks import FolderLock
from redun.store.sources.environment import MAP_BYTES, MAX_READERS, SMALLER_MAPS, opened_here


@contextlib.contextmanager
def pinned(folder: Path) -> Iterator[int | None]:
    """Keep the pages of the newest snapshot of a store from being used again, for somebody who reads its file without LMDB.

    Yields:
        Number of the snapshot's transaction; None if LMDB cannot open the file, so that nobody else can write to it either.

    Raises:
        StoreUnavailable: there is no store, or it cannot be read.
        StoreLocked: another process has it alone.
    """
    found = opened_here(folder)
    if found is not None:
        with found.begin() as txn:
            yield txn.id()
        return
    try:
        with open(folder / "data.mdb", "rb"):
            pass
    except OSError as error:
        raise unavailable("read store", folder, error) from error
    lock = FolderLock(folder, readonly=True, timeout_s=0)
    try:
        env = txn = None
        for size in (MAP_BYTES, *SMALLER_MAPS):
            with contextlib.suppress(lmdb.Error, MemoryError):
                # Neither touches any page but the heads.
                env = lmdb.open(
                    str(folder), readonly=True, create=False, max_readers=MAX_READERS, max_spare_txns=0, map_size=size
                )
                txn = env.begin()
                break
        try:
            yield None if txn is None else txn.id()
        finally:
            if txn is not None:
                txn.abort()
            if env is not None:
                env.close()
    finally:
        lock.close()
