"""The reader of `data.mdb`: it sees what LMDB sees, calls a sound file sound, and finds every bit that matters."""

from __future__ import annotations

import os
import random
import struct

import lmdb
import pytest
from xxhash import xxh3_64_digest

from redun.store.file_check import check_head, check_pages
from redun.store.heads import read_metas
from redun.store.pages import Snapshot
from redun.store.rows import unguarded
from redun.store.sources.base import Batch, RefUpdate
from redun.store.sources.lmdb import LmdbSource

TABLES = {"memo", "meta", "objects", "refs", "reflog", "t_paths"}


def fill(folder, seed: int, commits: int = 8) -> None:
    dice = random.Random(seed)
    head = None
    with LmdbSource(folder) as source:
        for _ in range(commits):
            objects = {
                dice.randbytes(20): dice.randbytes(dice.choice((30, 300, 5000))) for _ in range(dice.choice((1, 20, 300)))
            }
            new = next(iter(objects))
            memo = {dice.randbytes(20): b"m" * 21 for _ in range(len(objects))}
            source.commit(Batch(objects=objects, memo=memo, refs=[RefUpdate("executions/x", head, new)]))
            head = new
            if dice.random() < 0.4:
                source.table("paths").put_many([(dice.randbytes(30), b"") for _ in range(50)])


def lmdb_rows(folder) -> dict[str, list[tuple[bytes, bytes]]]:
    env = lmdb.open(str(folder), max_dbs=20, readonly=True)
    with env.begin() as txn:
        names = [key for key, _ in txn.cursor()]
    handles = {name: env.open_db(name, create=False) for name in names}
    with env.begin() as txn:
        rows = {name.decode(): list(txn.cursor(handle)) for name, handle in handles.items()}
    handles.clear()
    env.close()
    return rows


def our_rows(path) -> tuple[dict[str, list[tuple[bytes, bytes]]], list[object]]:
    with Snapshot(path) as snapshot:
        rows = {name: list(snapshot.rows(name)) for name in snapshot.tables}
        snapshot.account()
        return rows, list(snapshot.problems)


@pytest.mark.parametrize("seed", range(6))
def test_it_reads_what_lmdb_reads_and_accounts_for_every_page(tmp_path, seed):
    fill(tmp_path, seed, commits=seed * 4 + 1)
    path = tmp_path / "data.mdb"
    rows, problems = our_rows(path)
    assert problems == []
    assert rows == lmdb_rows(tmp_path)
    assert check_head(path) is None
    assert check_pages(path) is None


def test_sound_after_every_commit(tmp_path):
    with LmdbSource(tmp_path) as source:
        for number in range(12):
            source.commit(Batch(objects={os.urandom(20): b"x" * 200 for _ in range(number * 9)}, memo={os.urandom(20): b"m"}))
            assert check_head(tmp_path / "data.mdb") is None
            assert check_pages(tmp_path / "data.mdb") is None


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    folder = tmp_path_factory.mktemp("store")
    fill(folder, 7)
    return folder


def used_bytes(path) -> list[int]:
    """Places of all bytes that say how pages hang together: heads of pages, places and heads of their entries."""
    data = path.read_bytes()
    found: list[int] = []
    with Snapshot(path) as snapshot:
        for name in snapshot.tables:
            list(snapshot.rows(name))
        pages = [number for number, seen in enumerate(snapshot._seen) if seen and number > 1]
    for number in pages:
        start = number * 4096
        own, _, flags, lower, _ = struct.unpack_from("<QHHHH", data, start)
        if own != number or flags not in (1, 2, 4):
            continue  # the rest of a large row
        found += [start + at for at in range(16) if at not in (8, 9)]
        if flags != 4:
            found += range(start + 16, start + lower)
            for at in struct.unpack_from(f"<{(lower - 16) // 2}H", data, start + 16):
                found += range(start + at, start + at + 8)
    return found


def changed(rows, sound) -> list[tuple[bytes, bytes]]:
    assert {name: len(some) for name, some in rows.items()} == {name: len(some) for name, some in sound.items()}
    return [both for name in rows for both, before in zip(rows[name], sound[name], strict=True) if both != before]


def is_damaged(both: tuple[bytes, bytes]) -> bool:
    """As every reader of rows does, by the checksum."""
    key, row = both
    return unguarded(row, key) is None and xxh3_64_digest(row[9:]) != row[:8]


def test_every_flip_of_what_pages_say_of_themselves_is_found(store, tmp_path):
    path = tmp_path / "data.mdb"
    data = bytearray((store / "data.mdb").read_bytes())
    path.write_bytes(data)
    sound, _ = our_rows(path)
    places = used_bytes(path)
    dice = random.Random(5)
    assert len(places) > 5000
    with open(path, "r+b") as file:
        for _ in range(int(os.environ.get("REDUN_FAULT_ROUNDS", "30")) * 10):
            place = dice.choice(places)
            flipped = data[place] ^ 1 << dice.randrange(8)
            file.seek(place)
            file.write(bytes((flipped,)))
            file.flush()
            rows, problems = our_rows(path)
            file.seek(place)
            file.write(data[place : place + 1])
            file.flush()
            # The first entry of a branch has a key that nobody reads, so its length means nothing either.
            assert problems or all(map(is_damaged, changed(rows, sound))), (place // 4096, place % 4096)


@pytest.mark.parametrize("page", [0, 1])
def test_every_flip_in_a_head_page_is_found_or_harmless(store, tmp_path, page):
    """Never does an older snapshot pass for the newest: what LMDB would then show is what was there before."""
    path = tmp_path / "data.mdb"
    data = (store / "data.mdb").read_bytes()
    path.write_bytes(data)
    sound, _ = our_rows(path)
    newest = max(read_metas(path), key=lambda meta: meta.transaction)
    found = 0
    with open(path, "r+b") as file:
        for place in range(page * 4096, page * 4096 + 152):
            for bit in range(8):
                file.seek(place)
                file.write(bytes((data[place] ^ 1 << bit,)))
                file.flush()
                if check_head(path) is not None:
                    found += 1
                    continue
                # What opening does not find is harmless, or is found by the check of all pages.
                believed = max(
                    (meta for meta in read_metas(path) if not isinstance(meta, str)), key=lambda meta: meta.transaction
                )
                assert believed.transaction == newest.transaction
                rows, problems = our_rows(path)
                assert problems or rows == sound
        file.seek(page * 4096)
        file.write(data[page * 4096 : page * 4096 + 152])
    assert found > 300


def test_what_is_no_database_is_left_to_lmdb(tmp_path):
    for content in (b"", b"x", bytes(9000), os.urandom(20_000)):
        (tmp_path / "data.mdb").write_bytes(content)
        assert check_head(tmp_path / "data.mdb") is None
    assert check_head(tmp_path / "none") is None
    assert "none" in str(check_pages(tmp_path / "none"))


def test_a_page_that_cannot_be_read_is_told(store, tmp_path):
    path = tmp_path / "data.mdb"
    path.write_bytes((store / "data.mdb").read_bytes()[: 40 * 4096])
    _, problems = our_rows(path)
    assert "cannot be read" in problems[0].what
    assert "cut short" in str(check_head(path))
