"""Bits that flip and files that vanish: found, named, never wrong bytes, and healed by putting the object again."""

from __future__ import annotations

import hashlib
import os
import random

import lmdb
import pytest

from redun.store.errors import DamagedObject, FormatTooNew, MissingLinks, StoreError, StoreUnavailable
from redun.store.repository import Store
from redun.store.rows import guarded, object_row, ref_row, reflog_row
from redun.store.sources.base import Batch, RefUpdate
from redun.store.sources.lmdb import LmdbSource


def oid(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()[:20]


SMALL = [b"content %d " % number * 9 for number in range(40)]
LARGE = b"large" * 30_000


def overwrite(path, old: bytes, new: bytes) -> int:
    """Change every copy of some bytes in a file (LMDB keeps older versions of a page); return how many there were."""
    data = path.read_bytes()
    with open(path, "r+b") as file:
        at, count = data.find(old), 0
        while at >= 0:
            file.seek(at)
            file.write(new)
            count += 1
            at = data.find(old, at + 1)
    return count


@pytest.fixture
def source(tmp_path):
    made = LmdbSource(tmp_path / "store")
    made.commit(Batch(objects={oid(data): data for data in [*SMALL, LARGE]}, memo={oid(b"k"): b"memo row of a call"}))
    yield made
    made.close()


def data_file(source):
    return source.environment().folder / "data.mdb"


def test_every_flipped_bit_of_an_object_is_found(source):
    dice = random.Random(1)
    for data in SMALL:
        row = object_row(data)
        place = dice.randrange(len(row) * 8)
        flipped = bytearray(row)
        flipped[place // 8] ^= 1 << place % 8
        assert overwrite(data_file(source), row, bytes(flipped)) >= 1
        source.refresh()
        with pytest.raises(DamagedObject, match=oid(data).hex()):
            source.get(oid(data))
        assert not source.contains(oid(data))
    assert source.get(oid(LARGE)) == LARGE


def test_no_byte_of_a_row_can_change_unseen(source):
    data = SMALL[0]
    row = object_row(data)
    for place in range(len(row)):
        for byte in {0, 255, ord("o"), ord("b"), row[place] ^ 1} - {row[place]}:
            changed = row[:place] + bytes([byte]) + row[place + 1 :]
            assert overwrite(data_file(source), row, changed) >= 1
            source.refresh()
            with pytest.raises(DamagedObject):
                source.get(oid(data))
            overwrite(data_file(source), changed, row)
    source.refresh()
    assert source.get(oid(data)) == data


def test_a_damaged_object_is_missing_until_it_is_put_again(source):
    data = SMALL[3]
    overwrite(data_file(source), data, data.upper())
    source.refresh()
    with pytest.raises(DamagedObject):
        source.get(oid(data))
    with pytest.raises(MissingLinks) as caught:
        source.commit(Batch(links=[oid(data), oid(SMALL[4])]))
    assert caught.value.missing == {oid(data)}
    source.commit(Batch(objects={oid(data): data}, links=[oid(data)]))
    assert source.get(oid(data)) == data
    assert source.contains(oid(data))
    source.commit(Batch(links=[oid(data)]))


def test_a_damaged_memo_row_counts_as_none(source):
    assert source.memo_get(oid(b"k")) == b"memo row of a call"
    overwrite(data_file(source), b"memo row of a call", b"memo row of a cell")
    source.refresh()
    assert source.memo_get(oid(b"k")) is None


def test_damaged_refs_reflog_and_tables_are_told(source):
    head = oid(SMALL[0])
    source.commit(Batch(refs=[RefUpdate("main", None, head, "the first message")]))
    source.table("paths").put_many([(b"key", b"content of a row")])
    entry = next(source.reflog())
    for row in (ref_row("main", head), reflog_row(entry), guarded(b"content of a row", b"key")):
        assert overwrite(data_file(source), row, row[:-1] + bytes([row[-1] ^ 4])) >= 1
    source.refresh()
    with pytest.raises(DamagedObject, match="main"):
        source.read_ref("main")
    with pytest.raises(DamagedObject, match="main"):
        source.refs()
    with pytest.raises(DamagedObject, match="reflog"):
        list(source.reflog())
    with pytest.raises(DamagedObject, match="paths"):
        source.table("paths").get(b"key")
    with pytest.raises(DamagedObject, match="paths"):
        list(source.table("paths").scan())


def blob(source, data: bytes):
    digits = oid(data).hex()
    return source.environment().folder / "blobs" / digits[:2] / digits[2:]


def cut(path):
    os.truncate(path, 1000)


def lengthen(path):
    with open(path, "ab") as file:
        file.write(b"x")


def flip(path):
    with open(path, "r+b") as file:
        file.seek(77_777)
        file.write(b"X")
    # Two changes within a few milliseconds may bear one time stamp.
    os.utime(path, ns=(1, 1))


def empty(path):
    os.truncate(path, 0)


def replace_by_folder(path):
    path.unlink()
    path.mkdir()


@pytest.mark.parametrize("read", ["get", "view", "pieces"])
@pytest.mark.parametrize("harm", [cut, lengthen, flip, empty, os.unlink])
@pytest.mark.parametrize("seen_before", [False, True])
def test_a_harmed_blob_is_found_and_healed(source, harm, read, seen_before):
    if seen_before:
        assert bytes(getattr(source, read)(oid(LARGE))) == LARGE
    harm(blob(source, LARGE))
    with pytest.raises(DamagedObject, match="blob"):
        getattr(source, read)(oid(LARGE))
    with pytest.raises(MissingLinks):
        source.commit(Batch(links=[oid(LARGE)]))
    source.commit(Batch(objects={oid(LARGE): LARGE}, links=[oid(LARGE)]))
    assert bytes(getattr(source, read)(oid(LARGE))) == LARGE


def test_a_blob_that_is_a_folder_is_damaged(source):
    replace_by_folder(blob(source, LARGE))
    with pytest.raises(DamagedObject, match="directory"):
        source.get(oid(LARGE))


def test_a_blob_swept_before_the_row_is_written_is_written_again(source, monkeypatch):
    """What gc might do between our writing of the file and our transaction."""
    data = b"swept" * 20_000
    begin = source.environment().write

    def sweep_first(work, wanted_bytes=0):
        blob(source, data).unlink()
        return begin(work, wanted_bytes)

    monkeypatch.setattr(source.environment(), "write", sweep_first)
    source.commit(Batch(objects={oid(data): data}))
    assert source.get(oid(data)) == data


def test_writing_to_a_view_leaves_the_store_alone(source):
    view = source.view(oid(LARGE))
    view[:5] = b"wrong"
    assert bytes(view[:10]) == b"wronglarge"
    assert source.get(oid(LARGE)) == LARGE


def test_a_data_file_that_was_cut_is_refused(source, tmp_path):
    source.table("t").put_many([(b"%d" % number, b"x" * 3000) for number in range(200)])
    source.close()
    os.truncate(tmp_path / "store" / "data.mdb", 100_000)
    with pytest.raises(StoreError, match=r"cut short"):
        LmdbSource(tmp_path / "store")


@pytest.mark.parametrize("content", [os.urandom(20_000), b"SQLite format 3\x00" + bytes(9000), b"x", bytes(8192)])
def test_a_foreign_data_file_is_refused(tmp_path, content):
    (tmp_path / "data.mdb").write_bytes(content)
    for readonly in (True, False):
        with pytest.raises(StoreError, match=r"data.mdb.* is not a redun store"):
            Store.open(tmp_path, readonly=readonly)
    assert (tmp_path / "data.mdb").read_bytes() == content


def test_an_lmdb_database_of_somebody_else_is_refused(tmp_path):
    other = lmdb.open(str(tmp_path), max_dbs=2)
    with other.begin(write=True) as txn:
        txn.put(b"their key", b"their value")
    other.close()
    for readonly in (True, False):
        with pytest.raises(StoreError, match=r"data.mdb.* is not a redun store"):
            Store.open(tmp_path, readonly=readonly)
    other = lmdb.open(str(tmp_path), max_dbs=2)
    with other.begin() as txn:
        assert list(txn.cursor()) == [(b"their key", b"their value")]
    other.close()


def test_a_newer_format_is_refused(tmp_path):
    LmdbSource(tmp_path).close()
    env = lmdb.open(str(tmp_path), max_dbs=2)
    meta = env.open_db(b"meta", create=False)
    with env.begin(write=True) as txn:
        txn.put(b"format", b"99", db=meta)
    meta = None
    env.close()
    for readonly in (True, False):
        with pytest.raises(FormatTooNew, match=r"format 99, this redun reads up to 2: upgrade redun"):
            Store.open(tmp_path, readonly=readonly)


def test_a_store_that_is_a_file_is_refused(tmp_path):
    (tmp_path / "store").write_text("mine")
    for place in (tmp_path / "store", tmp_path / "store" / "below"):
        with pytest.raises(StoreUnavailable, match="store"):
            Store.open(place)
    assert (tmp_path / "store").read_text() == "mine"


def test_a_data_file_that_is_a_folder_is_refused(tmp_path):
    (tmp_path / "data.mdb").mkdir()
    with pytest.raises(StoreUnavailable, match="something else has that name"):
        Store.open(tmp_path)
