"""Blocks of large arrays: written as they lie in memory, once, whatever becomes of the array afterwards."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from redun import Scheduler, encoding, task
from redun.encoding import ValueEncoder
from redun.errors import EncodeError
from redun.evaluation.recorder import Recorder
from redun.records import ExecutionRecord
from redun.store.blobs import Blobs
from redun.store.gc import Plan
from redun.store.ids import object_id
from redun.store.repository import Store

LENGTH = 50_000


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(encoding, "AHEAD_BYTES", 8 * LENGTH)


@task(namespace="blocks")
def make(n: int) -> np.ndarray:
    return np.arange(n, dtype=np.int64)


@task(namespace="blocks")
def change(array: np.ndarray) -> int:
    array[:] = -1
    return int(array.sum())


@task(namespace="blocks")
def main(n: int) -> list:
    array = make(n)
    return [change(array), array.shape]


def test_the_bytes_are_those_of_a_copy() -> None:
    array = np.arange(LENGTH, dtype=np.int64)
    copied, ahead = {}, {}
    encoder = ValueEncoder(copied.__setitem__)
    whole = encoder.object(array)
    other = ValueEncoder(copied.__setitem__, ahead=lambda oid, data, look: ahead.__setitem__(oid, bytes(data)))
    assert other.object(array) == whole
    ((oid, data),) = ahead.items()
    assert object_id(data) == oid
    assert copied[oid] == data


def test_what_a_later_task_does_to_an_array_is_not_recorded(tmp_path: Path) -> None:
    with Store.open(tmp_path) as store:
        assert Scheduler(store=store, logger=False).run(main(LENGTH))[0] == -LENGTH
    with Store.open(tmp_path) as store:
        scheduler = Scheduler(store=store, logger=False)
        found = scheduler.run(make(LENGTH))
        assert scheduler.get_job_status_report()
        assert found.flags.writeable
        assert not found.flags.owndata
        assert (found == np.arange(LENGTH)).all()
        found[0] = 7
        assert scheduler.run(make(LENGTH))[0] == 0


def test_equal_blocks_are_one_file_written_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written = []
    rename = os.rename
    monkeypatch.setattr(os, "rename", lambda old, new: (written.append(str(new)), rename(old, new)))
    with Store.open(tmp_path) as store:
        scheduler = Scheduler(store=store, logger=False)
        scheduler.run([make(LENGTH), make.options(cache=False)(LENGTH)])
        scheduler.run(change(np.arange(LENGTH, dtype=np.int64)))
    assert len([name for name in written if "/blobs/" in name]) == 1


def test_a_block_that_gc_takes_is_written_again(tmp_path: Path) -> None:
    """What was there when the value was encoded goes before the commit."""
    array = np.arange(LENGTH, dtype=np.int64)
    with Store.open(tmp_path) as store, store.another() as other:
        scheduler = Scheduler(store=store, logger=False)
        scheduler.run(make(LENGTH))
        recorder = Recorder(other.source, ExecutionRecord(b"x" * 16, [], 1))
        recorder.commit()
        value = recorder.encoder.encode(array)
        recorder.needs_value(value, array)
        recorder.tag_value(array, (("a", 1),))
        names = [name for name, _ in store.source.refs() if not name.endswith("7878")]
        other.source.let_go()
        Plan(store, names).carry_out(readers_wait_s=0.0, stray_after_s=-10.0)
        recorder.commit()
        store.source.refresh()
        assert store.source.contains(value[1:])
        assert all(store.source.contains(link) for link in store.source.links(value[1:]))


def test_an_array_that_changes_meanwhile_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    array = np.arange(LENGTH, dtype=np.int64)
    write = Blobs.write

    def changing(self, oid, data, **options):
        array[5] += 1
        return write(self, oid, data, **options)

    monkeypatch.setattr(Blobs, "write", changing)
    with Store.open(tmp_path) as store:
        recorder = Recorder(store.source, ExecutionRecord(b"x" * 16, [], 1))
        with pytest.raises(EncodeError, match="being changed"):
            recorder.encoder.encode(array)
