"""fsck of a remote and its repair, at the level of objects and packs: each kind of damage is seen, told, and put right if that can be."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from redun.store.remote import push as push_module
from redun.store.remote.checkpoint import write_checkpoint
from redun.store.remote.fsck import Findings, inspect
from redun.store.remote.log import Writer
from redun.store.remote.mend import Mended, mend
from redun.store.remote.mirror import Mirror
from redun.store.remote.remote import Remote
from redun.store.sources.base import Source
from redun.store.sources.memory import MemorySource

from .conftest import Site
from .test_gc import check_whole, gc
from .test_push_pull import pull_all, push_all

Sites = Callable[..., Site]


def fresh(site: Site) -> Remote:
    return Remote("team", site.backend, Mirror(MemorySource()), Writer(site.store.identity(), "tester"), jobs=4)


def look(site: Site, local: Source | None = None, full: bool = True) -> Findings:
    with closing(fresh(site)) as remote:
        return inspect(remote, local or MemorySource(), full=full)


def repair(site: Site, local: Source | None = None, own: bool = False, **options) -> tuple[Findings, Mended, Findings]:
    with closing(fresh(site)) as remote, site.remote() as mine:
        mine.refresh()
        found = inspect(remote, local or MemorySource(), full=True)
        done = mend(remote, mine if own else None, found, local or MemorySource(), **options)
    return found, done, look(site, local)


@pytest.fixture
def filled(site: Sites, monkeypatch: pytest.MonkeyPatch) -> Site:
    """Return a site that pushed twice: a pack of the call graph, one of values, and a small mixed one."""
    monkeypatch.setattr(push_module, "SMALL_BYTES", 20_000)
    a = site("a")
    a.fill(200, size=300)
    push_all(a)
    a.fill(10)
    push_all(a)
    assert look(a).sound
    return a


def packs(site: Site) -> list[Path]:
    """Return the files of packs, large ones first."""
    return sorted((site.backend._path / "packs").iterdir(), key=lambda path: -path.stat().st_size)


def test_a_sound_remote(filled: Site) -> None:
    found = look(filled, full=False)
    assert found.sound
    assert (found.entries, found.packs[0], found.refs, found.unnamed) == (2, 3, 2, (0, 0))
    assert found.objects[0] == len(list(filled.source.ids()))
    (filled.backend._path / "packs" / ("ab" * 32 + "-0123456789abcdef")).write_bytes(b"left")
    found = look(filled)
    assert (found.sound, found.unnamed) == (True, (1, 4))


@pytest.mark.parametrize("place", range(3))
@pytest.mark.parametrize("damage", ["missing", "cut", "flip", "replaced"])
def test_a_damaged_pack_is_put_back_from_here(filled: Site, site: Sites, place: int, damage: str) -> None:
    path = packs(filled)[place]
    data = path.read_bytes()
    if damage == "missing":
        path.unlink()
    elif damage == "cut":
        path.write_bytes(data[: len(data) // 2])
    elif damage == "flip":
        path.write_bytes(data[: len(data) // 2] + bytes([data[len(data) // 2] ^ 1]) + data[len(data) // 2 + 1 :])
    else:
        path.write_bytes(os.urandom(len(data)))
    found = look(filled)
    assert set(found.bad_packs) == {path.name}
    assert found.lost
    assert found.touched
    # What damaged objects of the call graph lead to is known where they are whole.
    assert look(filled, filled.source).needed == set(found.lost)
    assert look(filled, full=False).bad_packs or place == 0
    _, done, after = repair(filled, filled.source)
    assert after.sound
    assert done.from_here + done.salvaged == len(found.lost)
    check_whole(filled, site("b"))
    gc(filled, [], grace_us=0)
    assert path.name not in {one.name for one in packs(filled)}


def test_what_nobody_has_is_told_and_can_be_put_back_later(filled: Site, site: Sites) -> None:
    path = packs(filled)[0]
    path.unlink()
    found, done, after = repair(filled)
    assert done.left == set(found.lost)
    assert (after.sound, after.absent) == (True, len(found.lost))
    # A pull leaves out what is known to be lost, and a gc goes on.
    b = site("b")
    assert pull_all(b).left == len(found.lost)
    assert gc(b, []).refs == []
    with closing(fresh(filled)) as remote:
        remote.refresh()
        assert all(remote.has(oid).pack == "" for oid in found.lost)


def test_what_is_missing_is_found_elsewhere(filled: Site, site: Sites) -> None:
    packs(filled)[1].unlink()
    asked = []

    def find(ids):
        asked.extend(ids)
        for oid in sorted(ids):
            yield oid, filled.source.get(oid)

    found, done, after = repair(filled, find=find)
    assert done.from_elsewhere == len(asked) == len(found.lost)
    assert after.sound
    check_whole(filled, site("b"))


def test_what_others_claim_to_have_is_checked(filled: Site) -> None:
    packs(filled)[1].unlink()
    found, done, _ = repair(filled, find=lambda ids: ((oid, b"x" * 40) for oid in ids))
    assert (done.from_elsewhere, done.left) == (0, set(found.lost))


def test_only_what_is_missing_travels(filled: Site) -> None:
    """One frame of a pack with several is damaged."""
    big = packs(filled)[0]
    size = big.stat().st_size
    with big.open("r+b") as file:
        file.seek(size - 2000)
        file.write(b"damage")
    found, done, after = repair(filled, filled.source)
    assert after.sound
    assert done.salvaged + done.from_here == len(found.lost)


def test_a_log_that_lacks_an_entry(filled: Site) -> None:
    (filled.backend._path / "log" / "000000000001").unlink()
    found = look(filled)
    assert any("entries of its log are missing" in text for text in found.log)


def test_a_log_with_a_damaged_entry(filled: Site) -> None:
    path = filled.backend._path / "log" / "000000000002"
    path.write_bytes(path.read_bytes()[:-30])
    found = look(filled)
    assert any("entry 2" in text for text in found.log)


def test_a_log_that_was_rewritten(filled: Site, site: Sites) -> None:
    log = filled.backend._path / "log"
    kept = (log / "000000000002").read_bytes()
    for path in log.iterdir():
        path.unlink()
    b = site("b")
    b.fill(5)
    push_all(b)
    (log / "000000000002").write_bytes(kept)
    assert any("follow" in text or "rewritten" in text for text in look(filled).log)


def test_a_damaged_index_is_put_back(site: Sites, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("redun.store.remote.packer.INLINE_INDEX_BYTES", 10)
    a = site("a")
    a.fill(50)
    push_all(a)
    (index,) = (a.backend._path / "idx").iterdir()
    index.write_bytes(b"damage")
    with closing(fresh(a)) as remote, a.remote() as own:
        own.refresh()
        found = inspect(remote, MemorySource())
        assert set(found.indexes) == {f"idx/{index.name}"}
        assert mend(remote, own, found, MemorySource()).said
    assert look(a).sound


def test_a_damaged_checkpoint_is_removed(filled: Site) -> None:
    with filled.remote() as remote:
        remote.refresh()
        assert write_checkpoint(remote)
    assert look(filled).sound
    (path,) = (filled.backend._path / "ckpt").iterdir()
    path.write_bytes(path.read_bytes()[:50])
    found, _, after = repair(filled)
    assert set(found.checkpoints) == {2}
    assert after.sound
    assert not path.exists()


def test_a_remote_after_gc_is_sound(filled: Site) -> None:
    name = next(iter(filled.heads))
    gc(filled, [name], grace_us=0)
    found = look(filled)
    assert found.sound
    assert found.refs == 1
    with filled.remote() as remote:
        remote.refresh()
        assert write_checkpoint(remote)
    assert look(filled).sound
