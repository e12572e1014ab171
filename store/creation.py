"""A new store: its database appears whole, with its format and tables, or not at all.

LMDB writes the head pages of a new file without syncing them, and nobody syncs the folder: after a power cut there could be a file of
which nothing can be read, or none where there was one. So it is made under another name, synced, renamed, and its folder synced.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterable
from pathlib import Path

import lmdb

from redun.store.disk import sync_folder, unavailable
from redun.store.upgrades import write_format

_PREFIX = "new-"


def create(folder: Path, tables: Iterable[str], most_tables: int) -> None:
    """Make the `data.mdb` of a folder; whoever calls holds the lock for writing.

    Args:
        tables: the tables that it has from the beginning; `meta` is among them.
        most_tables: how many there may be.

    Raises:
        StoreUnavailable: it cannot be written.
    """
    try:
        for left in folder.glob(f"{_PREFIX}*"):
            # By a process that was killed while it did this.
            shutil.rmtree(left, ignore_errors=True)
        fresh = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=folder))
        try:
            _write(fresh, tables, most_tables)
            os.rename(fresh / "data.mdb", folder / "data.mdb")
        finally:
            shutil.rmtree(fresh, ignore_errors=True)
        for place in (folder, folder.parent, folder.parent.parent):
            with contextlib.suppress(PermissionError):
                sync_folder(place)
    except (OSError, lmdb.Error) as error:
        raise unavailable("make store", folder, error) from error


def _write(folder: Path, tables: Iterable[str], most_tables: int) -> None:
    env = lmdb.open(str(folder), map_size=1 << 20, max_dbs=most_tables, max_spare_txns=0, mode=0o777)
    try:
        with env.begin(write=True) as txn:
            handles = {name: env.open_db(name.encode(), txn=txn) for name in tables}
            write_format(txn, handles["meta"])
        handles.clear()
    finally:
        env.close()
