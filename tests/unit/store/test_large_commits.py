"""Large commits are written in slices: few pages at a time, each page once, and nothing that leads nowhere at any moment."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from redun.store.errors import MissingLinks, RefConflict
from redun.store.objects import Codec, Kind, with_links
from redun.store.sources import slices
from redun.store.sources.base import Batch, RefUpdate
from redun.store.sources.lmdb import LmdbSource
from redun.store.sources.lmdb_sweeps import SWEEPS

ROWS = 6000


@pytest.fixture
def source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[LmdbSource]:
    monkeypatch.setattr(slices, "PAGES_AT_ONCE", 40)
    with LmdbSource(tmp_path / "store") as found:
        yield found


def made(number: int, links: list[bytes]) -> tuple[bytes, bytes]:
    data = with_links(Kind.CALL, Codec.MSGPACK, 0, links, b"%d" % number)
    return hashlib.sha256(data).digest()[:20], data


def large_batch(source: LmdbSource, start: int = 0, extra: tuple[bytes, ...] = ()) -> tuple[Batch, bytes]:
    """A batch of calls that link a task, their memo rows, and a call above all of them that a ref names."""
    task, task_data = made(-1, [])
    source.commit(Batch(objects={task: task_data}))
    leaves = dict(made(number, [task, *extra]) for number in range(start, start + ROWS))
    top, top_data = made(-2, sorted(leaves))
    memo = {hashlib.sha256(b"key" + oid).digest()[:20]: oid + b"\x01" for oid in [*leaves, top]}
    refs = [RefUpdate(f"executions/{start}", None, top)]
    return Batch(objects={top: top_data, **leaves}, memo=memo, refs=refs, links=[task, *extra]), top


def transactions(source: LmdbSource) -> int:
    return int(source.environment()._env.info()["last_txnid"])


def after_each_slice(source: LmdbSource, monkeypatch: pytest.MonkeyPatch, check) -> list[int]:  # type: ignore[no-untyped-def]
    """Have `check(number)` called between the transactions of commits."""
    environment, seen = source.environment(), []
    write = environment.write

    def watched(work, wanted_bytes: int = 0):  # type: ignore[no-untyped-def]
        result = write(work, wanted_bytes)
        seen.append(len(seen))
        check(len(seen))
        return result

    monkeypatch.setattr(environment, "write", watched)
    return seen


def nothing_dangles(folder: Path) -> int:
    """Check that every object has what it links and every memo row its call; return the number of objects."""
    with LmdbSource(folder, readonly=True) as reader:
        ids = set(reader.ids())
        assert all(set(reader.links(oid) or ()) <= ids for oid in ids)
        environment = reader.environment()
        with environment.begin(db=environment.table("memo")) as txn:
            assert all(bytes(row[8:28]) in ids for _, row in txn.cursor())
        return len(ids)


def test_a_large_commit_is_many_small_transactions(source: LmdbSource) -> None:
    batch, top = large_batch(source)
    before = transactions(source)
    source.commit(batch)
    assert transactions(source) - before > 4
    assert source.read_ref("executions/0") == top
    assert all(source.get(oid) == data for oid, data in batch.objects.items())
    assert all(source.memo_get(key) == row for key, row in batch.memo.items())


def test_a_small_commit_is_one_transaction(source: LmdbSource) -> None:
    large_batch(source)
    before = transactions(source)
    source.commit(Batch(objects=dict(made(number, []) for number in range(500))))
    assert transactions(source) - before == 1


def test_the_file_does_not_hold_the_tree_several_times(source: LmdbSource) -> None:
    """Each of these commits changes every page of both tables."""
    for round_ in range(8):
        source.commit(large_batch(source, round_ * ROWS)[0])
    environment = source.environment()
    file_bytes = (environment._env.info()["last_pgno"] + 1) * 4096
    assert file_bytes < 1.35 * environment.used_bytes()


def test_readers_never_meet_a_link_that_leads_nowhere(source: LmdbSource, monkeypatch: pytest.MonkeyPatch) -> None:
    batch, top = large_batch(source)
    folder = source.folder
    counts: list[int] = []

    def check(number: int) -> None:
        source.refresh()
        counts.append(nothing_dangles_here(source))

    def nothing_dangles_here(source: LmdbSource) -> int:
        ids = set(source.ids())
        assert all(set(source.links(oid) or ()) <= ids for oid in ids)
        assert (top in ids) == (source.read_ref("executions/0") is not None)
        return len(ids)

    with monkeypatch.context() as patched:
        after_each_slice(source, patched, check)
        source.commit(batch)
    assert len(set(counts)) > 3
    source.close()
    assert nothing_dangles(folder) == ROWS + 2


@pytest.mark.parametrize("after", [1, 2, 5])
def test_a_writer_that_dies_between_slices_leaves_whole_garbage(
    source: LmdbSource, monkeypatch: pytest.MonkeyPatch, after: int
) -> None:
    batch, top = large_batch(source)

    def die(number: int) -> None:
        if number == after:
            raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        after_each_slice(source, patched, die)
        with pytest.raises(KeyboardInterrupt):
            source.commit(batch)
    source.drop()
    assert source.read_ref("executions/0") is None
    assert not source.contains(top)
    folder = source.folder
    # Once more, as a run does that goes on.
    source.commit(batch)
    assert source.read_ref("executions/0") == top
    source.close()
    assert nothing_dangles(folder) == ROWS + 2


def test_what_a_gc_deletes_between_slices_is_put_again(source: LmdbSource, monkeypatch: pytest.MonkeyPatch) -> None:
    batch, _ = large_batch(source)
    environment = source.environment()
    write = environment.write

    def sweep(number: int) -> None:
        if number != 3:
            return

        def work(txn) -> None:  # type: ignore[no-untyped-def]
            # What a gc does whose plan is older: nothing reached these.
            txn.put(SWEEPS, b"2", db=environment.table("meta"))
            objects = environment.table("objects")
            for oid in sorted(batch.objects)[:50]:
                txn.delete(oid, db=objects)

        write(work)

    after_each_slice(source, monkeypatch, sweep)
    source.commit(batch)
    folder = source.folder
    assert all(source.get(oid) == data for oid, data in batch.objects.items())
    source.close()
    assert nothing_dangles(folder) == ROWS + 2


def test_nothing_is_written_ahead_while_a_gc_deletes(source: LmdbSource) -> None:
    batch, _ = large_batch(source)
    environment = source.environment()
    environment.write(lambda txn: txn.put(SWEEPS, b"1", db=environment.table("meta")))
    before = transactions(source)
    source.commit(batch)
    # The first one only looked.
    assert transactions(source) - before == 1


def test_a_missing_link_is_told_before_anything_is_written(source: LmdbSource) -> None:
    lost = hashlib.sha256(b"lost").digest()[:20]
    batch, _ = large_batch(source, extra=(lost,))
    count = len(list(source.ids()))
    with pytest.raises(MissingLinks):
        source.commit(batch)
    assert len(list(source.ids())) == count


def test_a_conflict_leaves_the_refs(source: LmdbSource) -> None:
    batch, top = large_batch(source)
    source.commit(batch)
    other, _ = large_batch(source, ROWS)
    other.refs = [RefUpdate("executions/0", None, top)]
    with pytest.raises(RefConflict):
        source.commit(other)
    assert source.read_ref("executions/0") == top


def test_a_state_is_held_from_before_the_first_slice_to_the_end(source: LmdbSource, monkeypatch: pytest.MonkeyPatch) -> None:
    """A gc that begins in between waits; the state that is held moves on, so that its pages get free."""
    batch, _ = large_batch(source)
    source.hold()
    held: list[int] = []

    def look(number: int) -> None:
        oldest = source.environment().oldest_reader()
        if oldest is not None:
            held.append(oldest[0])

    seen = after_each_slice(source, monkeypatch, look)
    source.commit(batch)
    # All but the last transaction, within which it is let go.
    assert len(held) == len(seen) - 1
    assert held == sorted(held)
    assert held[-1] > held[0]
    assert not source.holds
