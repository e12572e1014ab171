"""What is put while a gc is at work keeps all that it leads to, whether or not a ref moves, and whoever else collects."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path

import pytest

from redun.store.bulk import copy
from redun.store.gc import Plan
from redun.store.ids import object_id
from redun.store.objects import Codec, Kind, links, with_links
from redun.store.repository import Store
from redun.store.sources.base import Batch, RefUpdate
from redun.store.sources.lmdb_sweeps import SWEEPS

numbers = count()


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store.open(tmp_path / "store") as store:
        yield store


def made(*linked: bytes, kind: Kind = Kind.VALUE) -> tuple[bytes, bytes]:
    data = with_links(kind, Codec.RAW, 0, sorted(linked), b"a body that no other object has: %d" % next(numbers))
    return object_id(data), data


def put(store: Store, objects: dict[bytes, bytes], name: str = "", *, relied: tuple[bytes, ...] = ()) -> None:
    """Put objects; with a name, have a ref of it lead to the last of them."""
    moved = [RefUpdate(name, store.source.read_ref(name), list(objects)[-1])] if name else []
    store.source.commit(Batch(objects, refs=moved, links=relied))


def drop_ref(store: Store, name: str) -> None:
    store.source.commit(Batch(refs=[RefUpdate(name, store.source.read_ref(name), None)]))


def dangling(store: Store) -> set[bytes]:
    """Return what is linked and neither there nor known to be gone."""
    store.source.refresh()
    there = set(store.source.ids())
    linked = {link for oid in there for link in links(store.source.get(oid))}
    return {oid for oid in linked - there if store.source.away(oid) is None}


def once(when: str, do: Callable[[], None]) -> Callable[[str], None]:
    """Return what a gc calls between its transactions, which does something after the first one that does `when`."""
    done = []

    def between(doing: str) -> None:
        if doing == when and not done:
            done.append(True)
            do()

    return between


def dropping(value: bytes) -> Callable[[Plan], list[int]]:
    return lambda plan: [plan.graph.number(value)]


def collect(store: Store, between: Callable[[str], None] | None = None) -> None:
    Plan(store).carry_out(readers_wait_s=0.0, stray_after_s=-10.0, between=between)


def sweeps(store: Store) -> tuple[int, int]:
    """Return the number of sweeps, and how many notes there are of what was put beside one."""
    environment = store.source.environment()  # type: ignore[attr-defined]
    with environment.begin() as txn:
        rows = {bytes(key): bytes(row) for key, row in txn.cursor(environment.table("meta"))}
    return int(rows.get(SWEEPS, b"0")), sum(key.startswith(b"put") for key in rows)


def test_a_dropped_value_that_is_put_again_by_a_commit_that_moves_no_ref(store: Store) -> None:
    below, below_data = made()
    value, value_data = made(below)
    call, call_data = made(value, kind=Kind.CALL)
    put(store, {below: below_data, value: value_data, call: call_data}, "pins/a")
    plan = Plan(store, choose=dropping(value))
    # As a worker does that has made the value, or whoever fetches it from a remote: what it leads to is still there.
    plan.carry_out(readers_wait_s=0.0, between=once("dropping values", lambda: put(store, {value: value_data})))
    assert store.source.contains(value)
    assert store.source.contains(below)


def test_a_value_that_is_put_again_below_a_call_that_was_always_there(store: Store) -> None:
    below, below_data = made()
    value, value_data = made(below)
    call, call_data = made(value, kind=Kind.CALL)
    put(store, {below: below_data, value: value_data, call: call_data}, "pins/a")
    put(store, dict([made(below)]), "pins/b")
    Plan(store, choose=dropping(value)).carry_out(readers_wait_s=0.0)
    drop_ref(store, "pins/b")
    # The graph knows the call, and not the value.
    plan = Plan(store)
    segment, segment_data = made(call, kind=Kind.SEGMENT)
    again = {value: value_data, call: call_data, segment: segment_data}
    plan.carry_out(readers_wait_s=0.0, between=once("announcing", lambda: put(store, again, "executions/a")))
    assert dangling(store) == set()
    assert store.source.contains(below)


@pytest.mark.parametrize("when", ["before", "announcing", "deleting"])
def test_what_is_put_in_one_commit_and_named_in_another(store: Store, when: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("redun.store.sweep.WORK_S", 0.0)
    monkeypatch.setattr("redun.store.sweep._BETWEEN_LOOKS", 1)
    lowest, lowest_data = made()
    low, low_data = made(lowest)
    put(store, {lowest: lowest_data, low: low_data, **dict([made()])})
    top, top_data = made(lowest if when == "deleting" else low)

    plan = Plan(store)
    if when == "before":
        put(store, {top: top_data})
    plan.carry_out(readers_wait_s=0.0, between=once(when, lambda: put(store, {top: top_data})))
    assert dangling(store) == set()
    # Whoever names it later sees that it is there.
    store.source.commit(Batch(refs=[RefUpdate("pins/a", None, top)], links=[top]))
    collect(store)
    assert {lowest, top} <= set(store.source.ids())


def test_a_copy_from_another_store_whose_groups_are_stored_beside_gc(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("redun.store.bulk.BATCH_OBJECTS", 1)
    low, low_data = made()
    middle, middle_data = made(low)
    top, top_data = made(middle)
    # Of what comes one is here, but nothing leads to it any more.
    put(store, {low: low_data})
    plan = Plan(store)
    with Store.open(tmp_path / "other") as other:
        put(other, {low: low_data, middle: middle_data, top: top_data}, "pins/a")
        stored: list[int] = []

        def told(objects: int, size: int) -> None:
            stored.append(objects)
            if len(stored) == 1:
                plan.carry_out(readers_wait_s=0.0)

        copy(other.source, store.source, [RefUpdate("pins/a", None, top)], dict, told)
    assert dangling(store) == set()
    assert {low, middle, top} <= set(store.source.ids())


def test_another_gc_that_ends_first(store: Store, tmp_path: Path) -> None:
    low, low_data = made()
    put(store, {low: low_data, **dict([made()])})
    top, top_data = made(low)
    seen = []

    def beside() -> None:
        other = made()
        put(store, dict([other]))
        collect(store)
        # Somebody deletes still: what is put now is noted.
        seen.append(sweeps(store))
        put(store, {low: low_data})
        put(store, {top: top_data})
        seen.append(sweeps(store))

    Plan(store).carry_out(readers_wait_s=0.0, between=once("announcing", beside))
    assert [number % 2 for number, _ in seen] == [1, 1]
    assert [notes for _, notes in seen] == [0, 1]
    assert dangling(store) == set()
    assert {low, top} <= set(store.source.ids())
    number, notes = sweeps(store)
    assert (number % 2, notes) == (0, 0)


def test_a_gc_that_fails_leaves_commits_careful_until_the_next_one_ends(store: Store) -> None:
    def fail() -> None:
        raise KeyboardInterrupt

    put(store, dict([made()]))
    with pytest.raises(KeyboardInterrupt):
        collect(store, once("announcing", fail))
    low, low_data = made()
    put(store, {low: low_data, **dict([made(low)])})
    put(store, dict([made()]))
    number, notes = sweeps(store)
    assert (number % 2, notes) == (1, 1)
    collect(store)
    number, notes = sweeps(store)
    assert (number % 2, notes) == (0, 0)
    assert list(store.source.ids()) == []


def test_what_was_noted_as_away_since_gc_looked_stays_noted(store: Store) -> None:
    value, value_data = made()
    call, call_data = made(value, kind=Kind.CALL)
    put(store, {value: value_data, call: call_data}, "pins/a")
    Plan(store, choose=dropping(value)).carry_out(readers_wait_s=0.0)
    drop_ref(store, "pins/a")
    # Nothing that stays links the value, so the note goes; but a pull leaves the value in its remote, and links it.
    plan = Plan(store)
    other, other_data = made(value, kind=Kind.CALL)

    def pulled() -> None:
        moved = [RefUpdate("pins/b", None, other)]
        store.source.commit(Batch({other: other_data}, refs=moved, links=[value], away={value: len(value_data)}))

    plan.carry_out(readers_wait_s=0.0, between=once("deleting", pulled))
    assert store.source.away(value) == len(value_data)
    collect(store)
    assert store.source.away(value) == len(value_data)
    drop_ref(store, "pins/b")
    collect(store)
    assert store.source.away(value) is None
    assert list(store.source.ids()) == []


def test_a_damaged_note_ends_the_gc_and_nothing_is_lost(store: Store) -> None:
    low, low_data = made()
    put(store, {low: low_data, **dict([made(kind=Kind.CALL)])})

    def spoil() -> None:
        put(store, dict([made(low)]))
        environment = store.source.environment()  # type: ignore[attr-defined]
        meta = environment.table("meta")
        environment.write(lambda txn: txn.put(b"put" + (1).to_bytes(8, "big"), b"x" * 28, db=meta))

    with pytest.raises(Exception, match="note of what was put beside this gc is damaged: run it again"):
        collect(store, once("announcing", spoil))
    assert dangling(store) == set()
    collect(store)
    assert list(store.source.ids()) == []
