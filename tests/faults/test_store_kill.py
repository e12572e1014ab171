"""kill -9 of writers: what was acknowledged stays, what was not is there whole or not at all, others go on."""

from __future__ import annotations

import hashlib
import os
import random
import time
from itertools import pairwise

from redun.store.repository import Store
from redun.store.sources.base import Batch, RefUpdate

ROUNDS = int(os.environ.get("REDUN_FAULT_ROUNDS", "30"))
PER_BATCH = 40


def content(writer: int, number: int, place: int) -> bytes:
    size = 70_000 if place == 0 and number % 4 == 0 else 100
    return hashlib.sha256(b"%d %d %d" % (writer, number, place)).digest() * (size // 32)


def oid(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()[:20]


def batch_of(writer: int, number: int, last: bytes | None) -> tuple[Batch, bytes]:
    objects = {oid(data): data for data in (content(writer, number, place) for place in range(PER_BATCH))}
    head = oid(content(writer, number, 1))
    memo = dict.fromkeys(objects, b"%d" % number)
    return Batch(objects=objects, memo=memo, refs=[RefUpdate(f"writers/{writer}", last, head)], links=set(objects)), head


def write_on(child, folder, writer: int, number: int, last: bytes | None, until: int | None = None) -> None:
    with Store.open(folder) as store:
        while until is None or number < until:
            batch, head = batch_of(writer, number, last)
            store.source.commit(batch)
            child.report((number, head))
            number, last = number + 1, head


def check(folder, writer: int, acknowledged: int, start: int = 0) -> tuple[int, bytes | None]:
    """Check a writer's batches from `start` on; return how many there are and the ref."""
    with Store.open(folder) as store:
        source = store.source
        count, head = start, None if start == 0 else oid(content(writer, start - 1, 1))
        there = set(source.ids())
        while True:
            batch, next_head = batch_of(writer, count, None)
            found = there.intersection(batch.objects)
            if not found:
                break
            assert found == set(batch.objects), f"batch {count} is there in part"
            for key, data in batch.objects.items():
                assert source.get(key) == data
                assert source.memo_get(key) == b"%d" % count
            count, head = count + 1, next_head
        assert count >= acknowledged, f"{acknowledged} batches were acknowledged, {count} are there"
        assert source.read_ref(f"writers/{writer}") == head
        entries = list(source.reflog())
        assert [entry.seq for entry in entries] == list(range(1, len(entries) + 1))
        assert sum(entry.name == f"writers/{writer}" for entry in entries) == count
        return count, head


def test_a_killed_writer_loses_nothing_that_was_acknowledged(tmp_path, fork):
    dice = random.Random(7)
    number, last = 0, None
    for _ in range(ROUNDS):
        child = fork(write_on, tmp_path / "store", 0, number, last)
        if dice.random() < 0.8:
            # Somewhere in or between commits; else anywhere from the opening of the store on.
            child.read()
        time.sleep(dice.random() * 0.03)
        child.kill()
        acknowledged = [number - 1, *[thing[0] for thing in child.read_all()]][-1] + 1
        child.wait()
        number, last = check(tmp_path / "store", 0, acknowledged, max(0, number - 3))
    assert number > 0
    assert check(tmp_path / "store", 0, number) == (number, last)


def test_the_survivor_of_two_writers_goes_on(tmp_path, fork):
    dice = random.Random(8)
    number, last = 0, None
    survivor = fork(write_on, tmp_path / "store", 1, 0, None, 200)
    for _ in range(max(3, ROUNDS // 5)):
        child = fork(write_on, tmp_path / "store", 0, number, last)
        child.read()
        time.sleep(dice.random() * 0.03)
        child.kill()
        acknowledged = [number - 1, *[thing[0] for thing in child.read_all()]][-1] + 1
        child.wait()
        number, last = check(tmp_path / "store", 0, acknowledged)
    assert survivor.result() is None
    assert check(tmp_path / "store", 1, 200)[0] == 200


def test_two_writers_at_once_both_finish(tmp_path, fork):
    children = [fork(write_on, tmp_path / "store", writer, 0, None, 100) for writer in (1, 2)]
    assert [child.result() for child in children] == [None, None]
    for writer in (1, 2):
        assert check(tmp_path / "store", writer, 100)[0] == 100
    with Store.open(tmp_path / "store") as store:
        # Whoever writes in a tight loop still lets the other one in: neither waits until the other is through.
        writers = [entry.name for entry in store.source.reflog()]
        assert sum(first != second for first, second in pairwise(writers)) > 10


def test_two_processes_may_create_one_store_at_the_same_moment(tmp_path, fork):
    def create(child, folder, start: int) -> bytes:
        os.read(start, 1)
        with Store.open(folder) as store:
            data = b"by %d" % os.getpid()
            store.source.commit(Batch(objects={oid(data): data}))
            return data

    for attempt in range(10):
        folder = tmp_path / f"deep/er/{attempt}"
        read, write = os.pipe()
        children = [fork(create, folder, read) for _ in range(3)]
        os.write(write, b"xxx")
        written = [child.result() for child in children]
        os.close(read)
        os.close(write)
        with Store.open(folder) as store:
            assert all(store.source.get(oid(data)) == data for data in written)


def test_killed_while_creating_a_store(tmp_path, fork):
    dice = random.Random(9)
    for attempt in range(max(5, ROUNDS // 3)):
        child = fork(write_on, tmp_path / str(attempt), 0, 0, None)
        time.sleep(dice.random() * 0.015)
        child.kill()
        acknowledged = [-1, *[thing[0] for thing in child.read_all()]][-1] + 1
        child.wait()
        check(tmp_path / str(attempt), 0, acknowledged)
