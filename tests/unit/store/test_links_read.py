"""What a commit relies on because it was read: looked up again as soon as anybody else has written, by any order of events."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from redun.store.errors import MissingLinks
from redun.store.sources.base import Batch
from redun.store.sources.lmdb import LmdbSource
from redun.store.sources.lmdb_commit import Commits


def name_of(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()[:20]


def delete(source: LmdbSource, oid: bytes) -> None:
    environment = source.environment()
    environment.write(lambda txn: txn.delete(oid, db=environment.table("objects")))


STEPS = st.lists(st.sampled_from(["read", "commit", "other writes", "other deletes", "other puts", "refresh"]), max_size=12)


@settings(max_examples=150, deadline=None)
@given(steps=STEPS)
def test_what_was_read_is_there_when_a_commit_relies_on_it(tmp_path_factory, steps):
    folder = tmp_path_factory.mktemp("store")
    wanted, data = name_of(b"wanted"), b"wanted"
    with LmdbSource(folder) as source, LmdbSource(folder) as other:
        other.commit(Batch(objects={wanted: data}))
        read = False
        moment = source.moment()
        for number, step in enumerate([*steps, "commit"]):
            match step:
                case "read":
                    source.refresh()
                    read = source.contains(wanted)
                case "commit":
                    new = b"%d" % number
                    other.refresh()
                    there = other.contains(wanted)
                    batch = Batch(objects={name_of(new): new}, read=[wanted] if read else [], moment=moment)
                    if read and not there:
                        with pytest.raises(MissingLinks) as caught:
                            source.commit(batch)
                        assert caught.value.missing == {wanted}
                        source.commit(Batch(objects={**batch.objects, wanted: data}, read=[wanted]))
                    else:
                        source.commit(batch)
                    # The recorder forgets what it relied on, and reads again.
                    read = False
                    moment = source.moment()
                case "other writes":
                    new = b"other %d" % number
                    other.commit(Batch(objects={name_of(new): new}))
                case "other deletes":
                    delete(other, wanted)
                case "other puts":
                    other.commit(Batch(objects={wanted: data}))
                case "refresh":
                    source.refresh()


def test_a_commit_of_another_recorder_of_the_same_source_does_not_hide_what_came_before(tmp_path):
    """As with a sub-run: it commits through the same source, after somebody else has deleted what the run has read."""
    with LmdbSource(tmp_path / "store") as source:
        gone = name_of(b"gone")
        source.commit(Batch(objects={gone: b"gone"}))
        moment = source.moment()
        assert source.get(gone) == b"gone"
        with LmdbSource(tmp_path / "store") as other:
            delete(other, gone)
        source.commit(Batch(objects={name_of(b"of the other"): b"of the other"}))
        with pytest.raises(MissingLinks):
            source.commit(Batch(objects={name_of(b"new"): b"new"}, read=[gone], moment=moment))


def test_nothing_is_looked_up_again_while_nobody_else_writes(tmp_path, monkeypatch):
    looked = []
    check = Commits.missing
    monkeypatch.setattr(Commits, "missing", lambda self, txn, links: (looked.append(set(links)), check(self, txn, links))[1])
    many = {name_of(b"%d" % number): b"%d" % number for number in range(100)}
    with LmdbSource(tmp_path / "store") as source:
        source.commit(Batch(objects=many))
        for number in range(3):
            data = b"next %d" % number
            source.commit(Batch(objects={name_of(data): data}, read=list(many), moment=source.moment()))
    assert looked == [set(), set(), set(), set()]


def test_a_deletion_meanwhile_has_everything_looked_up(tmp_path):
    with LmdbSource(tmp_path / "store") as source:
        gone = name_of(b"gone")
        source.commit(Batch(objects={gone: b"gone"}))
        moment = source.moment()
        assert source.get(gone) == b"gone"
        with LmdbSource(tmp_path / "store") as other:
            delete(other, gone)
        with pytest.raises(MissingLinks):
            source.commit(Batch(objects={name_of(b"new"): b"new"}, read=[gone], moment=moment))
