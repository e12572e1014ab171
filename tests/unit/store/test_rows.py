"""Golden bytes of the rows in a store's database: a change of the format must fail here."""

from __future__ import annotations

import lmdb
import msgpack
import pytest
from xxhash import xxh3_64_digest

from redun.store.errors import DamagedObject
from redun.store.rows import (
    BlobPointer,
    blob_pointer,
    blob_row,
    guarded,
    object_row,
    ref_row,
    ref_target,
    reflog_entry,
    reflog_row,
    unguarded,
)
from redun.store.sources.base import Batch, ReflogEntry, RefUpdate
from redun.store.sources.lmdb import LmdbSource

A, B = b"A" * 20, b"B" * 20
FIVE = (5).to_bytes(8, "big")


def test_golden_rows():
    assert object_row(b"hello").hex() == "9555e8555c62dcfd" + "6f" + b"hello".hex()
    assert guarded(b"hello").hex() == "9555e8555c62dcfd" + b"hello".hex()
    assert guarded(b"lo", b"hel").hex() == "9555e8555c62dcfd" + b"lo".hex()
    assert ref_row("main", A) == xxh3_64_digest(b"main" + A) + A
    assert (
        blob_row(BlobPointer(70_000, b"checksum")).hex() == "7bd314b9ab3a87c7" + "62" + "0000000000011170" + b"checksum".hex()
    )
    entry = ReflogEntry(7, "executions/x", None, A, 1_700_000_000_000_000, "made")
    assert reflog_row(entry)[8:] == msgpack.packb(["executions/x", None, A, 1_700_000_000_000_000, "made"])
    assert reflog_row(entry)[:8] == xxh3_64_digest(bytes(7) + b"\x07" + reflog_row(entry)[8:])
    with pytest.raises(DamagedObject):
        reflog_entry(FIVE, reflog_row(entry))


def test_golden_database(tmp_path):
    """What stands where, read by LMDB alone."""
    large = b"large" * 20_000
    with LmdbSource(tmp_path) as source:
        source.commit(
            Batch(objects={A: b"small", B: large}, memo={B: b"row"}, refs=[RefUpdate("executions/x", None, A, "made")])
        )
        source.table("times").put_many([(b"key", b"value")])
        time_us = next(source.reflog()).time_us
    env = lmdb.open(str(tmp_path), max_dbs=8)
    names = [b"dropped", b"memo", b"meta", b"objects", b"reflog", b"refs", b"t_times"]
    handles = {name: env.open_db(name, create=False) for name in names}
    with env.begin() as txn:
        assert [key for key, _ in txn.cursor()] == names
        rows = {name: list(txn.cursor(handle)) for name, handle in handles.items()}
    handles.clear()
    env.close()
    assert rows[b"meta"] == [(b"format", b"2")]
    assert rows[b"objects"] == [(A, object_row(b"small")), (B, blob_row(BlobPointer(100_000, xxh3_64_digest(large))))]
    assert rows[b"memo"] == [(B, guarded(b"row", B))]
    assert rows[b"refs"] == [(b"executions/x", guarded(A, b"executions/x"))]
    assert rows[b"reflog"] == [(bytes(7) + b"\x01", reflog_row(ReflogEntry(1, "executions/x", None, A, time_us, "made")))]
    assert rows[b"t_times"] == [(b"key", guarded(b"value", b"key"))]
    assert (tmp_path / "blobs" / B.hex()[:2] / B.hex()[2:]).read_bytes() == large


@pytest.mark.parametrize(
    "row", [b"", b"1234567", b"12345678", b"12345678b", b"12345678bxxxxxxxxxxxxxxxx", object_row(b"x" * 16)]
)
def test_what_points_nowhere_is_no_pointer(row):
    assert blob_pointer(row) is None


def test_a_pointer_under_the_marker_of_an_object_is_neither():
    row = blob_row(BlobPointer(1, b"checksum"))
    assert blob_pointer(row) == BlobPointer(1, b"checksum")
    posing = row[:8] + b"o" + row[9:]
    assert blob_pointer(posing) is None
    assert xxh3_64_digest(posing[9:]) != posing[:8]


@pytest.mark.parametrize("row", [b"", b"short", guarded(b"x")[:-1], b"\x00" + guarded(b"x")[1:]])
def test_damaged_rows_have_no_content(row):
    assert unguarded(row) is None
    with pytest.raises(DamagedObject, match="main"):
        ref_target("main", row)
    with pytest.raises(DamagedObject, match="entry 5"):
        reflog_entry(FIVE, row)


@pytest.mark.parametrize("content", [b"", b"\xc1", msgpack.packb(5), msgpack.packb([1, 2])])
def test_a_sound_row_that_is_no_reflog_entry_is_damaged(content):
    with pytest.raises(DamagedObject, match="entry 5"):
        reflog_entry(FIVE, guarded(content, FIVE))
