"""Push and pull between stores, at the level of objects and refs."""

from __future__ import annotations

import os
from collections.abc import Callable

import pytest

from redun.store.errors import (
    MissingLinks,
    RemoteBusy,
    RemoteDamaged,
    RemoteDenied,
    RemoteError,
    RemoteRolledBack,
    StoreError,
)
from redun.store.remote import pack as pack_module
from redun.store.remote import push as push_module
from redun.store.remote.backends.folder import FolderBackend
from redun.store.remote.index import read_index
from redun.store.remote.pull import pull
from redun.store.remote.push import push
from redun.store.remote.remote import Remote
from redun.store.sources.base import Batch, RefUpdate
from redun.store.sources.lmdb_table import LmdbTable

from .conftest import Site

Sites = Callable[..., Site]


class Wrapped:
    """A backend with something in between; counts requests."""

    def __init__(self, inner: FolderBackend) -> None:
        self.inner = inner
        self.calls: list[tuple[str, str]] = []
        self.before: Callable[[str, str], None] = lambda method, name: None
        self.after: Callable[[str, str], None] = lambda method, name: None

    def __getattr__(self, method: str):
        found = getattr(self.inner, method)
        if not callable(found) or method in ("now_us", "close"):
            return found

        def call(name: str, *rest):
            self.calls.append((method, name))
            self.before(method, name)
            result = found(name, *rest)
            self.after(method, name)
            return result

        return call

    def __setattr__(self, name: str, value) -> None:
        if name == "shared":
            setattr(self.inner, name, value)
        else:
            super().__setattr__(name, value)


def push_all(site: Site, **options):
    with site.remote() as remote:
        return push(site.source, remote, site.heads, **options)


def pull_all(site: Site, **options):
    with site.remote() as remote:
        assert remote.refresh()
        return pull(site.source, remote, remote.refs(), everything=True, **options)


def test_everything_arrives_and_nothing_is_sent_twice(site: Sites) -> None:
    a, b = site("a"), site("b")
    a.fill(500)
    first = push_all(a)
    assert (first.created, first.refs, first.packs) == (True, 1, 1)
    assert first.objects == len(list(a.source.ids()))
    again = push_all(a)
    assert (again.refs, again.objects, again.packs) == (0, 0, 0)
    got = pull_all(b)
    assert got.objects == first.objects
    assert dict(b.source.refs()) == a.heads
    assert list(b.source.ids()) == list(a.source.ids())
    assert pull_all(b).objects == 0
    # What b has now, it need not send.
    assert push_all(b).objects == 0


def test_only_what_is_new_is_sent_and_fetched(site: Sites) -> None:
    a, b = site("a"), site("b")
    a.fill(300)
    push_all(a)
    pull_all(b)
    a.fill(20)
    assert push_all(a).objects == 23
    got = pull_all(b)
    assert got.objects == 23
    b.fill(30)
    assert push_all(b).objects == 34
    assert pull_all(a).objects == 34
    assert list(a.source.ids()) == list(b.source.ids())


def test_values_of_all_sizes(site: Sites) -> None:
    a, b = site("a"), site("b")
    objects = dict(a.value(size) for size in (0, 10, 60_000, 70_000, 3_000_000, 20_000_000))
    top, data = a.value(5, tuple(objects))
    a.pin(top, {**objects, top: data})
    done = push_all(a)
    assert done.packs == 3
    pull_all(b)
    for oid, value in objects.items():
        assert b.source.get(oid) == value


def test_a_dry_run_changes_nothing(site: Sites) -> None:
    a, b = site("a"), site("b")
    a.fill(50)
    would = push_all(a, dry_run=True)
    assert (would.objects, would.refs, would.packs) == (56, 1, 0)
    with a.remote() as remote:
        assert not remote.refresh()
    push_all(a)
    assert pull_all(b, dry_run=True).objects == 56
    assert list(b.source.ids()) == []
    assert b.heads == {}


def test_objects_reached_on_several_ways_are_sent_once(site: Sites) -> None:
    a, b = site("a"), site("b")
    shared, data = a.value()
    left, left_data = a.value(10, (shared,))
    right, right_data = a.value(10, (shared, left))
    top, top_data = a.value(10, (left, right, shared))
    a.pin(top, {shared: data, left: left_data, right: right_data, top: top_data})
    assert push_all(a).objects == 4
    assert pull_all(b).objects == 4


def test_a_deep_chain(site: Sites) -> None:
    a, b = site("a"), site("b")
    objects = {}
    last, data = a.value()
    objects[last] = data
    for _ in range(5000):
        last, data = a.value(10, (last,))
        objects[last] = data
    a.pin(last, objects)
    assert push_all(a).objects == 5001
    assert pull_all(b).objects == 5001


def test_a_store_that_lacks_an_object_says_so(site: Sites) -> None:
    a = site("a")
    gone, _ = a.value()
    top, data = a.value(10, (gone,))
    a.pin(top, {top: data})
    with pytest.raises(StoreError, match=gone.hex()):
        push_all(a)


def test_two_pushers_at_once(site: Sites) -> None:
    a, b, c = site("a"), site("b"), site("c")
    a.fill(50)
    push_all(a)
    a.fill(40)
    b.fill(60)
    wrapped = Wrapped(FolderBackend(a.backend._path))
    a.backend = wrapped
    done = []

    def quicker(method: str, name: str) -> None:
        if method == "put_new" and name.startswith("log/") and not done:
            done.append(name)
            push_all(b)

    wrapped.before = quicker
    push_all(a)
    with c.remote() as remote:
        remote.refresh()
        assert remote.seq == 3
    pull_all(c)
    assert set(c.source.ids()) == set(a.source.ids()) | set(b.source.ids())


def test_an_answer_that_got_lost(site: Sites) -> None:
    a, b = site("a"), site("b")
    a.fill(50)
    wrapped = Wrapped(a.backend)
    a.backend = wrapped
    lost = []

    def lose(method: str, name: str) -> None:
        if method == "put_new" and name not in lost:
            lost.append(name)
            raise RemoteBusy("the answer is lost")

    wrapped.after = lose
    assert push_all(a).refs == 1
    with a.remote() as remote:
        remote.refresh()
        assert remote.seq == 1
    pull_all(b)
    assert list(b.source.ids()) == list(a.source.ids())


@pytest.mark.parametrize("fail_at", range(6))
def test_a_push_that_was_interrupted_goes_on(site: Sites, monkeypatch: pytest.MonkeyPatch, fail_at: int) -> None:
    monkeypatch.setattr(push_module, "PACK_BYTES", 20_000)
    monkeypatch.setattr(push_module, "SMALL_BYTES", 1_000)
    a, b = site("a"), site("b")
    a.fill(600)
    wrapped = Wrapped(a.backend)
    a.backend = wrapped
    puts = []

    def fail(method: str, name: str) -> None:
        if method == "put" or name.startswith("log/"):
            puts.append(name)
            if len(puts) > fail_at:
                raise RemoteError("no network")

    wrapped.before = fail
    with pytest.raises(RemoteError):
        push_all(a)
    wrapped.before = lambda method, name: None
    sent = set(os.listdir(wrapped.inner._path / "packs")) if fail_at else set()
    done = push_all(a)
    assert done.resumed == len(sent)
    pull_all(b)
    assert list(b.source.ids()) == list(a.source.ids())
    names = set(os.listdir(wrapped.inner._path / "packs"))
    with a.remote() as remote:
        remote.refresh()
        assert {pack.name for pack in remote.mirror.packs()} == names
        assert remote.mirror.uploads() == {}


def test_a_long_push_writes_entries_on_its_way(site: Sites, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, size in (("PACK_BYTES", 20_000), ("SMALL_BYTES", 1_000), ("COMMIT_BYTES", 50_000)):
        monkeypatch.setattr(push_module, name, size)
    a, b = site("a"), site("b")
    a.fill(2000)
    push_all(a)
    with a.remote() as remote:
        remote.refresh()
        assert remote.seq > 2
    pull_all(b)
    assert list(b.source.ids()) == list(a.source.ids())


def test_a_push_of_many_objects_writes_entries_on_its_way(site: Sites, monkeypatch: pytest.MonkeyPatch) -> None:
    """So what is held in memory does not grow with the push."""
    for name, size in (("PACK_BYTES", 20_000), ("SMALL_BYTES", 1_000), ("COMMIT_ROWS", 300)):
        monkeypatch.setattr(push_module, name, size)
    held = []
    take_in = Remote._take_in

    def noted(self: Remote, entries, indexes) -> None:
        held.append(sum(len(read_index(data, "test")) for parts in indexes.values() for data in parts))
        take_in(self, entries, indexes)

    monkeypatch.setattr(Remote, "_take_in", noted)
    a, b = site("a"), site("b")
    a.fill(2000)
    assert push_all(a).objects == sum(held) == len(list(a.source.ids()))
    assert (len(held), max(held)) == (len(list(a.source.ids())) // 300 + 1, 300)
    monkeypatch.undo()
    pull_all(b)
    assert list(b.source.ids()) == list(a.source.ids())


@pytest.mark.parametrize("count", [300, 3000])
def test_places_are_looked_up_many_at_once(site: Sites, monkeypatch: pytest.MonkeyPatch, count: int) -> None:
    a, b = site("a"), site("b")
    a.fill(count)
    push_all(a)
    asked = []
    get = LmdbTable.get
    monkeypatch.setattr(LmdbTable, "get", lambda self, key: asked.append(key) or get(self, key))
    assert pull_all(b).objects > count
    assert len(asked) < 60


def test_a_pull_that_was_interrupted_goes_on(site: Sites, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(push_module, "PACK_BYTES", 20_000)
    monkeypatch.setattr(push_module, "SMALL_BYTES", 1_000)
    monkeypatch.setattr("redun.store.bulk.BATCH_OBJECTS", 50)
    a, b = site("a"), site("b")
    a.fill(600)
    push_all(a)
    count = []

    def stop(objects: int, size: int) -> None:
        count.append(objects)
        if len(count) == 5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        pull_all(b, progress=stop)
    b.source.refresh()
    here = set(b.source.ids())
    assert len(here) == 250
    assert b.heads == {}
    done = pull_all(b)
    assert done.objects == len(list(a.source.ids())) - 250
    assert b.heads == a.heads


def test_what_a_gc_sweeps_beside_a_pull_is_fetched_again(site: Sites) -> None:
    a, b = site("a"), site("b")
    a.fill(200)
    push_all(a)
    commit = b.source.commit
    count = []

    def swept(batch: Batch) -> None:
        count.append(len(batch.links))
        if batch.links and len(count) < 4:
            raise MissingLinks(frozenset(list(batch.links)[:3]))
        commit(batch)

    b.source.commit = swept  # type: ignore[method-assign]
    pull_all(b)
    assert list(b.source.ids()) == list(a.source.ids())


def test_refs_that_went_apart_stay(site: Sites) -> None:
    a, b = site("a"), site("b")
    a.fill(10)
    push_all(a)
    (name,) = a.heads
    other, data = b.value()
    b.source.commit(Batch({other: data}, refs=[RefUpdate(name, None, other)]))
    assert push_all(b).kept == [name]
    assert pull_all(b).kept == [name]
    assert b.heads == {name: other}


class TestHistory:
    """The log of a remote, and those who change it behind our back."""

    def test_a_remote_that_was_set_back(self, site: Sites) -> None:
        a = site("a")
        for _ in range(3):
            a.fill(10)
            push_all(a)
        os.unlink(a.backend._path / "log" / "000000000003")
        for use in (push_all, pull_all):
            with pytest.raises(RemoteRolledBack, match=r"expected entry 3 .* repo forget team"):
                use(a)

    def test_a_remote_whose_history_was_rewritten(self, site: Sites) -> None:
        a, b = site("a"), site("b")
        a.fill(10)
        push_all(a)
        a.fill(10)
        push_all(a)
        log = a.backend._path / "log"
        (log / "000000000002").unlink()
        b.fill(10)
        push_all(b)
        with pytest.raises(RemoteRolledBack, match="history was rewritten"):
            pull_all(a)
        b.fill(10)
        push_all(b)
        with pytest.raises(RemoteRolledBack, match="history was rewritten"):
            push_all(a)

    def test_a_remote_that_was_replaced_or_emptied(self, site: Sites) -> None:
        a, b = site("a"), site("b")
        a.fill(10)
        push_all(a)
        os.rename(a.backend._path, a.backend._path.with_name("aside"))
        with pytest.raises(RemoteRolledBack, match="is empty now"):
            push_all(a)
        b.fill(5)
        push_all(b)
        with pytest.raises(RemoteRolledBack, match="another one than before"):
            pull_all(a)

    def test_an_entry_of_another_remote(self, site: Sites, tmp_path) -> None:
        a, b = site("a"), site("b", FolderBackend(tmp_path / "other"))
        for one in (a, b):
            one.fill(10)
            push_all(one)
        (tmp_path / "remote/log/000000000002").write_bytes((tmp_path / "other/log/000000000001").read_bytes())
        with pytest.raises(RemoteDamaged, match="belongs to another place"):
            pull_all(a)

    def test_a_gap_in_the_log(self, site: Sites) -> None:
        a, b = site("a"), site("b")
        for _ in range(3):
            a.fill(10)
            push_all(a)
        os.unlink(a.backend._path / "log" / "000000000002")
        with pytest.raises(RemoteDamaged, match="entries of its log are missing"):
            pull_all(b)

    def test_a_pack_or_index_that_is_gone_or_damaged(self, site: Sites) -> None:
        a = site("a")
        a.fill(10_000)
        push_all(a)
        for number, folder in enumerate(("idx", "packs")):
            path = next((a.backend._path / folder).iterdir())
            data = path.read_bytes()
            path.write_bytes(data[:-1] + b"x")
            with pytest.raises(RemoteDamaged, match="is damaged"):
                pull_all(site(f"b{number}"))
            path.write_bytes(data[:-1])
            with pytest.raises(RemoteDamaged, match=r"cut short|is damaged"):
                pull_all(site(f"c{number}"))
            path.unlink()
            with pytest.raises(RemoteDamaged, match="somebody removed it"):
                pull_all(site(f"d{number}"))
            path.write_bytes(data)
        pull_all(site("e"))


def test_a_place_for_one_writer(site: Sites) -> None:
    a, b = site("a"), site("b")
    a.backend.shared = b.backend.shared = False
    a.fill(10)
    said: list[str] = []
    push_all(a, said=said.append)
    assert "only this store may push" in said[0]
    pull_all(b)
    b.fill(10)
    with pytest.raises(RemoteDenied, match="only the store that made it may push"):
        push_all(b)
    # It says so whatever b thinks of the place.
    b.backend.shared = True
    with pytest.raises(RemoteDenied):
        push_all(b)
    a.fill(10)
    push_all(a)


def test_a_place_that_only_claims_to_refuse_taken_names(site: Sites) -> None:
    class Careless(FolderBackend):
        def put_new(self, name: str, data: bytes) -> bool:
            if self.size(name) is not None:
                self.delete(name)
            return super().put_new(name, data)

    a = site("a")
    a.backend = Careless(a.backend._path)
    a.fill(5)
    said: list[str] = []
    push_all(a, said=said.append)
    assert "cannot tell two writers apart" in said[0]


def test_a_shared_remote_through_a_url_that_cannot_tell_writers_apart(site: Sites) -> None:
    a, b = site("a"), site("b")
    a.fill(5)
    push_all(a)
    b.backend.shared = False
    b.fill(5)
    with pytest.raises(RemoteDenied, match="use another URL"):
        push_all(b)


def test_a_remote_of_a_newer_format(site: Sites) -> None:
    a = site("a")
    a.fill(5)
    push_all(a)
    path = a.backend._path / "config"
    path.write_text(path.read_text().replace('"format": 1', '"format": 2'))
    with pytest.raises(StoreError, match=r"format 2.*upgrade redun"):
        pull_all(a)


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"redun": "remote", "format": 1}', "x" * 70_000, '{"a":' * 9000])
def test_a_place_that_is_something_else(site: Sites, text: str) -> None:
    a = site("a")
    a.backend._path.mkdir()
    (a.backend._path / "config").write_text(text)
    a.fill(1)
    with pytest.raises(RemoteDamaged):
        push_all(a)


def test_requests_of_small_pushes(site: Sites) -> None:
    a = site("a")
    wrapped = Wrapped(a.backend)
    a.backend = wrapped
    a.fill(100)
    push_all(a)
    for _ in range(3):
        wrapped.calls.clear()
        push_all(a)
        assert len(wrapped.calls) == 3
    a.fill(100)
    wrapped.calls.clear()
    push_all(a)
    assert len(wrapped.calls) <= 5, wrapped.calls


def test_frames_are_expanded_a_few_times_whatever_the_order_of_links(site: Sites, monkeypatch: pytest.MonkeyPatch) -> None:
    """Calls are packed in the order of their making, and linked by the call above them in that of their ids."""
    a, b = site("a"), site("b")
    shared, data = a.value()
    calls = dict([a.value(1000, (shared,)) for _ in range(3000)])
    first, first_data = a.value(10, tuple(calls))
    by_id, by_id_data = a.value(10, tuple(sorted(calls)))
    a.pin(first, {shared: data, **calls, first: first_data})
    a.pin(by_id, {by_id: by_id_data})
    push_all(a)
    expanded = []
    expand = pack_module.expand
    monkeypatch.setattr(pack_module, "expand", lambda *args: expanded.append(1) or expand(*args))
    with b.remote() as remote:
        assert remote.refresh()
        wanted = {name: oid for name, oid in remote.refs().items() if oid == by_id}
        assert pull(b.source, remote, wanted, everything=True).objects == 3002
        frames = sum(len(pack.raw) for pack in remote.mirror.packs())
    assert frames > 10
    assert len(expanded) < 4 * frames
