"""Checkpoints: a new reader learns from them what it would have learned from the log."""

from __future__ import annotations

import os
from collections.abc import Callable

import pytest

from redun.store.errors import RemoteDamaged
from redun.store.remote import checkpoint, index, log
from redun.store.remote.log import Entry, PackFact
from redun.store.remote.pack import PackKind

from .conftest import Site
from .test_push_pull import Wrapped, pull_all, push_all

Sites = Callable[..., Site]


@pytest.fixture(autouse=True)
def _often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checkpoint, "CHECKPOINT_EVERY", 5)
    monkeypatch.setattr(index.Index.split, "__defaults__", (60,))


def learned(site: Site) -> tuple[object, ...]:
    """What a remote looks like from here."""
    with site.remote() as remote:
        remote.refresh()
        remote.load_shards()
        mirror = remote.mirror
        ids = list(mirror.ids_from(bytes(20)))
        return (
            remote.seq,
            remote.refs(),
            {oid: mirror.place(oid) for oid in ids},
            sorted((key, claim[:3]) for key, claim in mirror.all_claims()),
            sorted(mirror.facts()),
            {fact.name: fact[:4] for fact in mirror.ref_facts()},
        )


def test_a_new_reader_reads_a_checkpoint_and_what_comes_after(site: Sites) -> None:
    a, b, c = site("a"), site("b"), site("c")
    for _ in range(13):
        a.fill(20)
        push_all(a)
    assert len(os.listdir(a.backend._path / "ckpt")) == 2
    wrapped = Wrapped(b.backend)
    b.backend = wrapped
    assert learned(b) == learned(a)
    assert [name for method, name in wrapped.calls if name.startswith("log/0")] == [
        f"log/{number:012d}" for number in (11, 12, 13)
    ]
    pull_all(c)
    assert list(c.source.ids()) == list(a.source.ids())
    # Now that it knows, it lists only what is new.
    wrapped.calls.clear()
    assert learned(b) == learned(a)
    assert len(wrapped.calls) == 3


def test_runs_are_merged_as_they_grow(site: Sites) -> None:
    a, b = site("a"), site("b")
    for _ in range(40):
        a.fill(10)
        push_all(a)
    with a.remote() as remote:
        remote.refresh()
        data = remote.file(f"ckpt/{40:012d}", 1 << 20)
        runs = log.decode_checkpoint(data, "test").runs
    assert len(runs) <= 4
    assert learned(b) == learned(a)


def test_a_reader_that_wants_little_reads_few_parts(site: Sites) -> None:
    a, b = site("a"), site("b")
    for _ in range(5):
        a.fill(100)
        push_all(a)
    wrapped = Wrapped(b.backend)
    b.backend = wrapped
    oid = next(iter(a.source.ids()))
    with b.remote() as remote:
        remote.refresh()
        before = len(wrapped.calls)
        assert remote.places([oid])[oid].size
        assert len(wrapped.calls) - before == 1
        assert sum(map(len, remote.mirror.shards)) > 3
        # Once all that could know it was read, it is not asked for again.
        assert remote.places([oid])
        assert len(wrapped.calls) - before == 1


def test_one_that_could_not_be_written_is_made_up_for(site: Sites) -> None:
    a, b = site("a"), site("b")
    wrapped = Wrapped(a.backend)
    a.backend = wrapped
    for number in range(10):
        a.fill(10)

        def fail(method: str, name: str, number: int = number) -> None:
            if name.startswith("ckpt/") and number < 9:
                raise RemoteDamaged("no")

        wrapped.before = fail
        said: list[str] = []
        push_all(a, said=said.append)
        assert bool(said) == (number == 4)
    assert os.listdir(wrapped.inner._path / "ckpt") == [f"{10:012d}"]
    assert learned(b) == learned(a)


def test_packs_that_are_gone(site: Sites) -> None:
    a, b, c = site("a"), site("b"), site("c")
    for _ in range(6):
        a.fill(50)
        push_all(a)
    learned(c)
    with a.remote() as remote:
        remote.refresh()
        names = [fact.name for fact in remote.mirror.facts()]
        remote.commit(Entry(b"", 0, b"", dropped=names[:2]), [])
    for one in (a, b, c):
        assert {place.pack for place in learned(one)[2].values()} == set(names[2:])  # type: ignore[attr-defined]
    for _ in range(5):
        a.fill(50)
        push_all(a)
    assert learned(site("d")) == learned(a)


def test_a_checkpoint_of_another_place(site: Sites) -> None:
    a, b = site("a"), site("b")
    for _ in range(5):
        a.fill(5)
        push_all(a)
    folder = a.backend._path / "ckpt"
    data = (folder / f"{5:012d}").read_bytes()
    (folder / f"{9:012d}").write_bytes(data)
    with pytest.raises(RemoteDamaged, match="belongs to another place"):
        learned(b)
    (folder / f"{9:012d}").write_bytes(data[:-9])
    with pytest.raises(RemoteDamaged, match="cannot be read"):
        learned(b)


def test_a_checkpoint_that_lies_about_a_pack(site: Sites) -> None:
    a, b = site("a"), site("b")
    for _ in range(5):
        a.fill(5)
        push_all(a)
    with a.remote() as remote:
        remote.refresh()
        path = a.backend._path / "ckpt" / f"{5:012d}"
        found = log.decode_checkpoint(path.read_bytes(), "test")
        found.packs = [PackFact(pack.name, pack.size + 1, PackKind.MIXED) for pack in found.packs]
        path.write_bytes(found.encode(remote.writer))
    with pytest.raises(RemoteDamaged, match="the log says"):
        learned(b)
