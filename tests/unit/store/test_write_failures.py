"""What a failed write is said to have failed of."""

from __future__ import annotations

import errno
from typing import Any

import lmdb
import pytest

from redun.store.errors import StoreUnavailable
from redun.store.sources import environment as module
from redun.store.sources.lmdb import LmdbSource


def fail(error: Exception) -> Any:
    def work(txn: Any) -> None:
        raise error

    return work


def test_when_lmdb_has_given_up_the_cause_is_told(tmp_path, monkeypatch):
    """A full disk while the last page is written: LMDB says so once, and then only that it does not go on."""
    with LmdbSource(tmp_path / "store") as source:
        environment = source.environment()
        full = lmdb.DiskError(f"mdb_txn_commit: {errno.ENOSPC}")
        monkeypatch.setattr(
            module,
            "without_room",
            lambda error, *rest: OSError(errno.ENOSPC, "No space left on device") if error is full else error,
        )
        with pytest.raises(StoreUnavailable, match="space"):
            environment.write(fail(full))
        panic = lmdb.PanicError("mdb_txn_begin: MDB_PANIC: Update of meta page failed or environment had fatal error")
        for _ in range(3):
            with pytest.raises(StoreUnavailable, match="space"):
                environment.write(fail(panic))


def test_a_cause_of_long_ago_is_not_told(tmp_path, monkeypatch):
    with LmdbSource(tmp_path / "store") as source:
        environment = source.environment()
        with pytest.raises(StoreUnavailable, match="readers"):
            environment.write(fail(lmdb.ReadersFullError("mdb_txn_begin: MDB_READERS_FULL: readers")))
        environment.write(lambda txn: None)
        with pytest.raises(StoreUnavailable, match="PANIC"):
            environment.write(fail(lmdb.PanicError("mdb_txn_begin: MDB_PANIC")))
