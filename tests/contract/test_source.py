"""One suite for every source of objects: each must keep to the text of `redun.store.sources.base`."""

from __future__ import annotations

import hashlib
from itertools import pairwise
from pathlib import Path

import pytest

from redun.store.errors import MissingLinks, ObjectNotFound, RefConflict, StoreError
from redun.store.ids import Pieces, checksum, object_id
from redun.store.objects import Codec, Kind, header, with_links
from redun.store.sources.base import Batch, RefUpdate
from redun.store.sources.lmdb import LmdbSource
from redun.store.sources.memory import MemorySource


class Reopened:
    """An LMDB source that is closed and opened again before every call: what is not on disk is gone."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.source = LmdbSource(folder)

    def _fresh(self):
        self.source.close()
        self.source = LmdbSource(self.folder)
        return self.source

    def __getattr__(self, name):
        def call(*args, **kwargs):
            result = getattr(self._fresh(), name)(*args, **kwargs)
            return iter(list(result)) if name in ("reflog", "ids") else result

        return call

    def table(self, name):
        return ReopenedTable(self, name)


class ReopenedTable:
    """A table of `Reopened`."""

    def __init__(self, owner: Reopened, name: str) -> None:
        owner._fresh().table(name)
        self.owner, self.name = owner, name

    def __getattr__(self, method):
        def call(*args, **kwargs):
            result = getattr(self.owner._fresh().table(self.name), method)(*args, **kwargs)
            return (row for row in list(result)) if method == "scan" else result

        return call


@pytest.fixture(params=["memory", "lmdb", "lmdb reopened"])
def source(request, tmp_path):
    folder = tmp_path / "store"
    made = {"memory": MemorySource, "lmdb": lambda: LmdbSource(folder), "lmdb reopened": lambda: Reopened(folder)}[
        request.param
    ]()
    yield made
    made.close()


def name_of(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()[:20]


def objects(*contents: bytes) -> dict[bytes, bytes]:
    return {name_of(content): content for content in contents}


A, B, C = (name_of(letter) for letter in (b"a", b"b", b"c"))


@pytest.mark.parametrize("size", [0, 1, 33, 2000, 65536, 65537, 300_000])
def test_an_object_comes_back_as_it_was(source, size):
    data = bytes(range(256)) * (size // 256) + bytes(size % 256)
    oid = name_of(data)
    source.commit(Batch(objects={oid: data}))
    assert source.get(oid) == data
    assert type(source.get(oid)) is bytes
    assert bytes(source.view(oid)) == data
    assert source.contains(oid)


def test_a_large_object_may_come_and_go_in_pieces(source):
    pieces = Pieces(header(Kind.VALUE, Codec.RAW), bytes(range(256)) * 2000)
    whole = bytes(pieces)
    oid = name_of(whole)
    assert object_id(pieces) == oid
    assert checksum(pieces) == checksum(whole)
    assert len(pieces) == len(whole)
    small = with_links(Kind.VALUE, Codec.RAW, 0, [oid], b"body")
    source.commit(Batch(objects={oid: pieces, name_of(small): small}))
    assert source.get(oid) == bytes(source.view(oid)) == bytes(source.pieces(oid)) == whole
    assert source.pieces(oid)[0] == Kind.VALUE
    assert source.links(oid) == []
    # What was put whole comes in pieces as well, and the other way round.
    source.commit(Batch(objects={oid: whole}))
    assert bytes(source.pieces(oid)) == whole
    assert source.pieces(name_of(small)) == small
    with pytest.raises(ObjectNotFound):
        source.pieces(C)


def test_links_of_an_object_are_in_front_of_its_body(source):
    linking = with_links(Kind.VALUE, Codec.RAW, 0, [B, A], b"body")
    plain = with_links(Kind.VALUE, Codec.RAW, 0, [], b"body")
    source.commit(Batch(objects=objects(linking, plain)))
    assert source.links(name_of(linking)) == [B, A]
    assert source.links(name_of(plain)) == []
    assert source.links(C) is None


def test_an_absent_object_is_not_found(source):
    assert not source.contains(A)
    with pytest.raises(ObjectNotFound, match=A.hex()):
        source.get(A)
    with pytest.raises(ObjectNotFound):
        source.view(A)


def test_putting_an_object_again_changes_nothing(source):
    source.commit(Batch(objects={A: b"first"}))
    source.commit(Batch(objects={A: b"second", B: b"b"}))
    assert source.get(A) == b"first"
    assert source.get(B) == b"b"


def test_many_objects_in_one_batch_and_in_order(source):
    many = objects(*[b"%d" % number for number in range(500)])
    source.commit(Batch(objects=many))
    assert list(source.ids()) == sorted(many)
    assert all(source.get(oid) == data for oid, data in many.items())


def test_the_newest_memo_row_wins(source):
    assert source.memo_get(A) is None
    source.commit(Batch(memo={A: b"old", B: b""}))
    source.commit(Batch(memo={A: b"new"}))
    assert (source.memo_get(A), source.memo_get(B), source.memo_get(C)) == (b"new", b"", None)
    assert not source.contains(A)


def test_links_must_exist_and_are_named_if_they_do_not(source):
    source.commit(Batch(objects={A: b"a"}))
    with pytest.raises(MissingLinks) as caught:
        source.commit(Batch(objects={B: b"b"}, links=[A, B, C, name_of(b"d")]))
    assert caught.value.missing == {C, name_of(b"d")}
    source.commit(Batch(objects={B: b"b", C: b"c"}, links={A, B, C}))
    source.commit(Batch(links=(A, B, C, A)))


def test_links_hold_over_many_commits(source):
    """Whatever a source remembers of earlier checks, it must not miss an absent id."""
    for number in range(20):
        data = b"%d" % number
        source.commit(Batch(objects=objects(data), links=[name_of(b"%d" % earlier) for earlier in range(number)]))
        with pytest.raises(MissingLinks):
            source.commit(Batch(links=[name_of(b"%d" % (number + 1))]))


def test_a_refused_batch_leaves_no_trace(source):
    source.commit(Batch(objects={A: b"a"}, memo={A: b"row"}, refs=[RefUpdate("kept", None, A)]))
    changes = {"objects": {B: b"b" * 70_000, C: b"c"}, "memo": {A: b"other", B: b"row"}}
    move = [RefUpdate("made", None, A), RefUpdate("kept", A, None)]
    with pytest.raises(MissingLinks):
        source.commit(Batch(**changes, refs=move, links=[name_of(b"nowhere")]))
    with pytest.raises(RefConflict, match="kept"):
        source.commit(Batch(**changes, refs=[*move, RefUpdate("kept", A, B)]))
    with pytest.raises(StoreError):
        source.commit(Batch(**changes, refs=[*move, RefUpdate("../out", None, A)]))
    assert list(source.ids()) == [A]
    assert (source.memo_get(A), source.memo_get(B)) == (b"row", None)
    assert source.refs() == [("kept", A)]
    assert [entry.seq for entry in source.reflog()] == [1]


def test_refs_are_compared_and_swapped(source):
    source.commit(Batch(refs=[RefUpdate("executions/1", None, A, "made"), RefUpdate("executions/2", None, B)]))
    source.commit(Batch(refs=[RefUpdate("executions/1", A, C, "moved")]))
    assert source.read_ref("executions/1") == C
    assert source.read_ref("executions/3") is None
    assert source.read_ref("") is None
    for old in (A, None):
        with pytest.raises(RefConflict, match="executions/1"):
            source.commit(Batch(refs=[RefUpdate("executions/1", old, B)]))
    with pytest.raises(RefConflict):
        source.commit(Batch(refs=[RefUpdate("executions/9", A, B)]))
    source.commit(Batch(refs=[RefUpdate("executions/2", B, None, "gone")]))
    assert source.refs() == [("executions/1", C)]
    source.commit(Batch(refs=[RefUpdate("executions/2", None, A)]))
    assert source.refs() == [("executions/1", C), ("executions/2", A)]


def test_refs_are_listed_by_prefix_in_order(source):
    names = ["b", "a/2", "a/10", "a", "ab", "executions/x"]
    source.commit(Batch(refs=[RefUpdate(name, None, A) for name in names]))
    assert [name for name, _ in source.refs()] == sorted(names)
    assert [name for name, _ in source.refs("a/")] == ["a/10", "a/2"]
    assert source.refs("zzz") == []


def test_one_batch_may_move_a_ref_twice(source):
    source.commit(Batch(refs=[RefUpdate("r", None, A), RefUpdate("r", A, B), RefUpdate("s", None, C), RefUpdate("s", C, None)]))
    assert source.refs() == [("r", B)]
    assert [(entry.name, entry.old, entry.new) for entry in source.reflog()] == [
        ("r", None, A),
        ("r", A, B),
        ("s", None, C),
        ("s", C, None),
    ]


def test_the_reflog_counts_every_movement(source):
    old = None
    for number in range(12):
        new = name_of(b"%d" % number)
        source.commit(Batch(refs=[RefUpdate("r", old, new, f"step {number} ü")]))
        old = new
    entries = list(source.reflog())
    assert [entry.seq for entry in entries] == list(range(1, 13))
    assert [entry.message for entry in entries] == [f"step {number} ü" for number in range(12)]
    assert all(before.new == after.old and before.time_us <= after.time_us for before, after in pairwise(entries))
    assert list(source.reflog(after=10)) == entries[10:]
    assert list(source.reflog(after=12)) == []
    assert list(source.reflog(after=99)) == []


@pytest.mark.parametrize("name", ["", "/a", "a/", "a//b", ".", "..", "a/../b", "a b", "a\\b", "a\n", "ä", "a\x00", "x" * 401])
def test_bad_names_of_refs_are_refused(source, name):
    with pytest.raises(StoreError, match="ref name"):
        source.commit(Batch(refs=[RefUpdate(name, None, A)]))


@pytest.mark.parametrize(
    "batch",
    [
        Batch(objects={b"short": b"x"}),
        Batch(memo={b"x" * 21: b"x"}),
        Batch(links=[A, b""]),
        Batch(refs=[RefUpdate("r", None, b"short")]),
        Batch(refs=[RefUpdate("r", b"", A)]),
    ],
)
def test_bad_ids_are_refused(source, batch):
    with pytest.raises(StoreError, match="20"):
        source.commit(batch)


def test_ids_are_found_by_any_prefix(source):
    ids = [bytes.fromhex(digits.ljust(40, "0")) for digits in ("ab", "abc1", "abc2", "abd", "ac", "ff", "fff")]
    source.commit(Batch(objects=dict.fromkeys(ids, b"x")))
    assert source.find("") == ids
    assert source.find("", limit=2) == ids[:2]
    assert source.find("a") == ids[:5]
    assert source.find("ab") == ids[:4]
    assert source.find("ABC") == ids[1:3]
    assert source.find("abc1") == ids[1:2]
    assert source.find("f") == ids[5:]
    assert source.find("fff") == ids[6:]
    assert source.find("abc", limit=1) == ids[1:2]
    assert source.find("abc", limit=0) == []
    assert source.find("abe") == []
    assert source.find(ids[3].hex()) == ids[3:4]
    for odd in (ids[3].hex() + "0", "xyz", "a b", "-1", "é", "0x"):
        assert source.find(odd) == []


def test_a_table_holds_rows(source):
    table = source.table("file_paths")
    assert table.get(b"k") is None
    assert list(table.scan()) == []
    table.put_many([(b"b", b"2"), (b"a", b"1"), (b"b", b"3")])
    assert (table.get(b"a"), table.get(b"b"), table.get(b"c")) == (b"1", b"3", None)
    source.table("other").put_many([(b"a", b"other")])
    assert list(table.scan()) == [(b"a", b"1"), (b"b", b"3")]
    table.put_many([(b"a", b"")])
    assert source.table("file_paths").get(b"a") == b""
    table.delete_many([b"a", b"nowhere"])
    assert list(table.scan()) == [(b"b", b"3")]
    table.clear()
    assert list(table.scan()) == []
    assert source.table("other").get(b"a") == b"other"
    table.put_many([])
    table.put_many([(b"x" * 511, b"long")])
    assert table.get(b"x" * 511) == b"long"
    assert list(source.ids()) == []


def test_many_rows_of_a_table_at_once(source):
    table = source.table("many")
    assert table.get_many([b"a"]) == {}
    rows = {b"%d" % number: b"row %d" % number for number in range(50)}
    table.put_many(rows.items())
    assert table.get_many(reversed(list(rows))) == rows
    assert table.get_many(iter([b"7", b"nowhere", b"", b"7", b"4"])) == {b"4": b"row 4", b"7": b"row 7"}
    assert table.get_many([]) == {}


KEYS = [b"\x00", b"a", b"a\x00", b"a\xff", b"a\xff\xff", b"ab", b"b", b"\xfe", b"\xff", b"\xff\x00", b"\xff\xff"]


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize(
    "start", [None, b"", b"\x00", b"a", b"a\x01", b"a\xff", b"aa", b"b", b"c", b"\xff", b"\xff\x01", b"\xff\xff\xff"]
)
@pytest.mark.parametrize("prefix", [b"", b"\x00", b"a", b"a\xff", b"b", b"c", b"\xff", b"\xff\xff"])
def test_scans_go_both_ways_from_anywhere(source, prefix, start, reverse):
    table = source.table("t")
    table.put_many([(key, key * 2) for key in KEYS])
    expected = [key for key in sorted(KEYS, reverse=reverse) if key.startswith(prefix)]
    if start is not None:
        expected = [key for key in expected if (key <= start if reverse else key >= start)]
    assert list(table.scan(prefix, start=start, reverse=reverse)) == [(key, key * 2) for key in expected]


def test_a_scan_is_a_snapshot(source):
    table = source.table("t")
    rows = [(b"%04d" % number, b"old") for number in range(1500)]
    table.put_many(rows)
    scan = table.scan()
    seen = [next(scan)]
    table.put_many([(key, b"new") for key, _ in rows] + [(b"%04d" % number, b"new") for number in range(1500, 1600)])
    source.commit(Batch(objects={A: b"a"}))
    seen += scan
    assert seen == rows
    assert table.get(b"0000") == b"new"


def test_a_scan_may_be_left_half_way(source):
    table = source.table("t")
    table.put_many([(b"%04d" % number, b"") for number in range(1500)])
    for _ in range(300):
        assert next(table.scan()) == (b"0000", b"")
        scan = table.scan(reverse=True)
        next(scan)
        scan.close()


@pytest.mark.parametrize("name", ["", "A", "a-b", "a1", "a/b", "t\n"])
def test_bad_names_of_tables_are_refused(source, name):
    with pytest.raises(StoreError, match="table name"):
        source.table(name)


@pytest.mark.parametrize("key", [b"", b"x" * 512])
def test_bad_keys_of_tables_are_refused(source, key):
    with pytest.raises(StoreError, match="keys of table"):
        source.table("t").put_many([(b"good", b""), (key, b"")])
    assert list(source.table("t").scan()) == []


def test_a_store_has_up_to_24_tables(source):
    for number in range(24):
        source.table("t" + "x" * number).put_many([(b"k", b"v")])
    with pytest.raises(StoreError, match="24"):
        source.table("one_more").put_many([(b"k", b"v")])
    assert source.table("one_more").get(b"k") is None
    source.table("t").put_many([(b"k", b"w")])
    assert source.table("t").get(b"k") == b"w"
    source.commit(Batch(objects={A: b"a"}))


def test_refresh_and_empty_commits_are_harmless(source):
    source.refresh()
    source.commit(Batch())
    source.commit(Batch(objects={A: b"a"}))
    source.refresh()
    source.refresh()
    assert source.get(A) == b"a"


def test_closing_twice_is_fine(source):
    source.commit(Batch(objects={A: b"a"}))
    source.close()
    source.close()
