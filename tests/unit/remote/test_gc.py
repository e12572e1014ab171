"""gc in a remote, at the level of objects, packs and refs: what goes, what stays, and what others do meanwhile."""

from __future__ import annotations

import os
from collections.abc import Callable

import pytest

from redun.store.errors import ObjectNotFound, RemoteDamaged, RemoteError
from redun.store.remote import push as push_module
from redun.store.remote.backends.base import FileFact
from redun.store.remote.backends.folder import FolderBackend
from redun.store.remote.gc import Collected, collect
from redun.store.remote.pull import pull
from redun.store.remote.push import push
from redun.store.remote.rules import GRACE_US
from redun.store.remote.source import RemoteSource
from redun.store.sources.base import Batch, RefUpdate
from redun.store.sources.memory import MemorySource

from .conftest import Site
from .test_push_pull import Wrapped, pull_all, push_all

Sites = Callable[..., Site]


class Aged(FolderBackend):
    """A folder in which time can be made to pass."""

    later_us = 0

    def now_us(self) -> int | None:
        now = super().now_us()
        return None if now is None else now + self.later_us

    def files(self, folder: str) -> list[FileFact]:
        return super().files(folder)


@pytest.fixture
def aged(tmp_path, monkeypatch: pytest.MonkeyPatch) -> type[Aged]:
    monkeypatch.setattr(Aged, "later_us", 0)
    return Aged


def gc(site: Site, drop: list[str], **options) -> Collected:
    with site.remote() as remote:
        assert remote.refresh()
        return collect(remote, options.pop("local", MemorySource()), lambda: drop, **options)


def files(site: Site) -> set[str]:
    return set(os.listdir(site.backend._path / "packs"))


def check_whole(site: Site, other: Site) -> None:
    """Pull everything into an empty store, and see that it is all there."""
    pull_all(other)
    wanted = set()
    for head in other.heads.values():
        stack = [head]
        while stack:
            oid = stack.pop()
            if oid not in wanted:
                wanted.add(oid)
                stack.extend(other.source.links(oid) or ())
    assert all(other.source.contains(oid) for oid in wanted)


def test_what_only_a_dropped_ref_leads_to_goes(site: Sites) -> None:
    a, b, c = site("a"), site("b"), site("c")
    keep = a.fill(100, size=2000)
    push_all(a)
    drop = a.fill(100, size=2000)
    push_all(a)
    assert len(files(a)) == 2
    dry = gc(b, [drop], dry_run=True)
    assert (dry.refs, dry.dropped[0], dry.rewritten[0], dry.waiting[0]) == ([drop], 1, 0, 1)
    done = gc(b, [drop])
    assert (done.refs, done.dropped, done.after[0], done.deleted[0], done.waiting[0]) == ([drop], dry.dropped, 1, 0, 1)
    assert len(files(a)) == 2
    again = gc(b, [], grace_us=0)
    assert (again.refs, again.dropped[0], again.deleted) == ([], 0, done.waiting)
    assert len(files(a)) == 1
    check_whole(a, c)
    assert set(c.heads) == {keep}


def test_what_is_wanted_of_a_pack_that_goes_is_written_anew(site: Sites, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(push_module, "SMALL_BYTES", 1000)
    a, c, d = site("a"), site("c"), site("d")
    small, big = a.fill(30), a.fill(300, size=3000)
    push_all(a)
    local = gc(a, [big], dry_run=True, local=a.source)
    done = gc(c, [big], grace_us=0)
    assert done.rewritten == local.rewritten
    assert done.rewritten[0] == done.live[0] == 34
    assert done.after[1] < done.before[1] / 5
    check_whole(a, d)
    assert set(d.heads) == {small}


def test_files_are_deleted_after_the_grace(site: Sites, aged: type[Aged], tmp_path) -> None:
    a = site("a", aged(tmp_path / "remote"))
    a.fill(50)
    drop = a.fill(50, size=500)
    push_all(a)
    gc(a, [drop, *[name for name in a.heads if name != drop]])
    for later, left in ((GRACE_US - 60_000_000, 1), (GRACE_US + 60_000_000, 0)):
        aged.later_us = later
        gc(a, [])
        assert len(files(a)) == left


def test_packs_that_nobody_named_go_after_the_grace(site: Sites, aged: type[Aged], tmp_path) -> None:
    a = site("a", aged(tmp_path / "remote"))
    a.fill(50)
    push_all(a)
    (there,) = files(a)
    for name in ("packs/" + "ab" * 32 + "-0123456789abcdef", "packs/tmp-dead"):
        (a.backend._path / name).write_bytes(b"left")
    gc(a, [])
    assert len(files(a)) == 3
    with a.remote() as remote:
        remote.refresh()
        assert remote.seq == 1
    aged.later_us = GRACE_US + 60_000_000
    assert gc(a, []).deleted == (1, 4)
    assert files(a) == {there}


def test_a_push_beside_keeps_what_it_relies_on(site: Sites) -> None:
    a, b, c = site("a"), site("b"), site("c")
    a.fill(10)
    drop = a.fill(100)
    push_all(a)
    # Another store has the same objects under a ref of its own.
    pull_all(b)
    b.source.refresh()
    head = b.heads[drop]
    mine, data = b.value(10, (head,))
    name = b.pin(mine, {mine: data})
    wrapped = Wrapped(FolderBackend(a.backend._path))
    a.backend = wrapped
    pushed = []

    def quicker(method: str, what: str) -> None:
        if method == "put_new" and what.startswith("log/") and not pushed:
            with b.remote() as remote:
                pushed.append(push(b.source, remote, {name: mine}).objects)

    wrapped.before = quicker
    done = gc(a, [drop], grace_us=0)
    assert pushed == [1]
    assert done.refs == [drop]
    check_whole(a, c)
    assert c.heads[name] == mine


def test_a_push_that_relied_on_what_went_plans_again(site: Sites) -> None:
    a, b, c = site("a"), site("b"), site("c")
    a.fill(10)
    drop = a.fill(100)
    push_all(a)
    pull_all(b)
    b.source.refresh()
    mine, data = b.value(10, (b.heads[drop],))
    name = b.pin(mine, {mine: data})
    wrapped = Wrapped(FolderBackend(a.backend._path))
    b.backend = wrapped
    collected = []

    def quicker(method: str, what: str) -> None:
        if method == "put_new" and what.startswith("log/") and not collected:
            collected.append(gc(a, [drop], grace_us=0))

    wrapped.before = quicker
    with b.remote() as remote:
        done = push(b.source, remote, {name: mine})
    assert done.objects > 100
    check_whole(a, c)
    assert c.heads[name] == mine


def test_garbage_that_stays_leads_to_what_stays(site: Sites, monkeypatch: pytest.MonkeyPatch) -> None:
    """A push stops walking at garbage in a pack that stayed: what that leads to must not have gone."""
    monkeypatch.setattr(push_module, "SMALL_BYTES", 10)
    a, c = site("a"), site("c")
    leaf, leaf_data = a.value(5000)
    dead, dead_data = a.value(10, (leaf,))
    live, live_data = a.value(5000, (dead,))
    tail, tail_data = a.value(20_000)
    live_top, top_data = a.value(3000, (tail,))
    drop = a.pin(live, {leaf: leaf_data, dead: dead_data, live: live_data})
    a.pin(live_top, {tail: tail_data, live_top: top_data})
    # One pack of the graph, of which most is wanted, and one of values.
    push_all(a)
    gc(c, [drop], grace_us=0)
    # Again wanted, by a store that has it all.
    again, data = a.value(10, (dead,))
    name = a.pin(again, {again: data})
    with a.remote() as remote:
        push(a.source, remote, {name: again})
    d = site("d")
    check_whole(a, d)
    assert d.source.contains(leaf)


def test_packs_of_a_push_that_goes_on_stay(site: Sites, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, size in (("PACK_BYTES", 20_000), ("SMALL_BYTES", 1_000), ("COMMIT_BYTES", 50_000)):
        monkeypatch.setattr(push_module, name, size)
    a, b, c = site("a"), site("b"), site("c")
    a.fill(2000)
    wrapped = Wrapped(a.backend)
    a.backend = wrapped
    entries = []

    def beside(method: str, what: str) -> None:
        if method == "put_new" and what.startswith("log/"):
            entries.append(what)
            if len(entries) == 3:
                assert gc(b, []).dropped[0] == 0

    wrapped.before = beside
    push_all(a)
    assert len(entries) > 3
    check_whole(a, c)


def test_a_pull_whose_packs_are_deleted_starts_again(site: Sites) -> None:
    a, b = site("a"), site("b")
    a.fill(10)
    drop = a.fill(100)
    push_all(a)
    with b.remote() as remote:
        remote.refresh()
        heads = {name: oid for name, oid in remote.refs().items() if name != drop}
        gc(a, [drop], grace_us=0)
        with pytest.raises(RemoteDamaged, match="lacks pack"):
            pull(b.source, remote, heads)
        remote.refresh()
        pull(b.source, remote, heads)
    assert set(b.heads) == set(heads)


def test_nothing_is_deleted_where_something_is_missing(site: Sites) -> None:
    a = site("a")
    a.fill(10)
    push_all(a)
    a.fill(10)
    push_all(a)
    os.unlink(a.backend._path / "packs" / sorted(files(a))[0])
    with pytest.raises(RemoteDamaged, match="lacks pack"):
        gc(a, [], grace_us=0)


def test_two_collections_at_once(site: Sites) -> None:
    a, b, c = site("a"), site("b"), site("c")
    a.fill(10)
    drops = [a.fill(50) for _ in range(2)]
    push_all(a)
    wrapped = Wrapped(FolderBackend(a.backend._path))
    a.backend = wrapped
    other = []

    def quicker(method: str, what: str) -> None:
        if method == "put_new" and what.startswith("log/") and not other:
            other.append(gc(b, drops[:1], grace_us=0))

    wrapped.before = quicker
    gc(a, drops, grace_us=0)
    check_whole(a, c)
    assert set(c.heads).isdisjoint(drops)


def test_a_ref_that_moves_meanwhile_stays(site: Sites) -> None:
    a, b = site("a"), site("b")
    top, data = a.value(10)
    a.source.commit(Batch({top: data}, refs=[RefUpdate("pins/" + "ab" * 16, None, top)]))
    push_all(a)
    wrapped = Wrapped(FolderBackend(a.backend._path))
    b.backend = wrapped
    done = []

    def quicker(method: str, what: str) -> None:
        if method == "put_new" and what.startswith("log/") and not done:
            done.append(a.fill(20))
            push_all(a)

    wrapped.before = quicker
    collected = gc(b, ["pins/" + "ab" * 16], grace_us=0)
    assert collected.refs == ["pins/" + "ab" * 16]
    c = site("c")
    check_whole(a, c)
    assert set(c.heads) == set(done)


def test_where_only_one_may_write_nobody_else_collects(site: Sites) -> None:
    a, b = site("a"), site("b")
    a.backend.shared = False
    a.fill(10)
    push_all(a)
    with pytest.raises(RemoteError, match="only the store that made it"):
        gc(b, [])


def test_who_looks_at_a_remote_goes_on_after_a_gc(site: Sites) -> None:
    a, b = site("a"), site("b")
    small, big = a.fill(30), a.fill(300, size=3000)
    push_all(a)
    with b.remote() as remote:
        remote.refresh()
        head = remote.refs()[small]
        gc(a, [big], grace_us=0)
        source = RemoteSource(remote, MemorySource())
        assert source.get(head) == a.source.get(head)
        gc(a, [small], grace_us=0)
        assert source.get(head) == a.source.get(head)
        with pytest.raises(ObjectNotFound):
            source.get(a.heads[big])


def test_what_was_dropped_is_not_pushed_with_everything(site: Sites) -> None:
    a = site("a")
    keep, drop = a.fill(20), a.fill(20)
    push_all(a)
    gc(a, [drop])
    assert push_all(a, everything=True).refs == 0
    with a.remote() as remote:
        remote.refresh()
        assert set(remote.refs()) == {keep}
    assert push_all(a).refs == 1


def test_a_push_that_slept_after_its_last_look_takes_its_entry_back(
    site: Sites, aged: type[Aged], tmp_path, monkeypatch
) -> None:
    a, c = site("a", aged(tmp_path / "remote")), site("c", aged(tmp_path / "remote"))
    a.fill(20)
    push_all(a)
    a.fill(30)
    inner = a.backend
    wrapped = Wrapped(inner)
    a.backend = wrapped
    slept = []

    def sleep(method: str, what: str) -> None:
        if method == "put_new" and what.startswith("log/") and not slept:
            slept.append(what)
            aged.later_us = 2 * GRACE_US
            # As if an older gc, which did not drop what it deletes, had been there.
            names = {pack.partition("packs/")[2] for how, pack in wrapped.calls if how == "put"}
            for name in names:
                (inner._path / "packs" / name).unlink()

    wrapped.before = sleep
    push_all(a)
    assert slept
    with a.remote() as remote:
        remote.refresh()
        assert remote.seq == 4
    check_whole(a, c)
    assert set(c.heads) == set(a.heads)
