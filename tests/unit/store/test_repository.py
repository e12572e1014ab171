"""Stores opened, and what they refuse to open."""

from __future__ import annotations

import uuid

import pytest

import redun.store.repository as repository
from redun.store.errors import StoreError, StoreLocked, StoreUnavailable
from redun.store.repository import Store
from redun.store.sources.base import Batch

A = b"A" * 20
EXECUTION = "3f1a8bc5-a7a8-48bd-9e92-1614311c15ab"


@pytest.fixture(params=["disk", "memory"])
def store(request, tmp_path):
    with Store.in_memory() if request.param == "memory" else Store.open(tmp_path / "store") as made:
        yield made


def test_a_store_is_made_and_found_again(tmp_path):
    folder = tmp_path / "new" / "store"
    with Store.open(folder) as store:
        store.source.commit(Batch(objects={A: b"a"}))
        assert store.folder == folder
        assert (store.readonly, store.exclusive, store.detected) == (False, False, False)
    with Store.open(folder, create=False) as store:
        assert store.source.get(A) == b"a"


def test_closing_twice_is_fine(store):
    store.close()
    store.close()


@pytest.mark.parametrize("options", [{"create": False}, {"readonly": True}, {"create": True, "readonly": True}])
def test_a_store_that_is_not_there_is_told(tmp_path, options):
    with pytest.raises(StoreUnavailable, match=r"there is no store at .*nowhere"):
        Store.open(tmp_path / "nowhere", **options)
    assert not (tmp_path / "nowhere").exists()


def test_an_empty_folder_becomes_a_store(tmp_path):
    with Store.open(tmp_path) as store:
        store.source.commit(Batch(objects={A: b"a"}))


def test_a_store_opened_for_reading_refuses_to_write(tmp_path):
    with Store.open(tmp_path) as store:
        store.source.commit(Batch(objects={A: b"a"}))
    with Store.open(tmp_path, readonly=True) as store:
        assert store.readonly
        assert store.source.get(A) == b"a"
        with pytest.raises(StoreUnavailable, match="reading only"):
            store.source.commit(Batch())
        store.index_source().table("t").put_many([(b"k", b"v")])
        with pytest.raises(StoreLocked, match="already open in this process, for reading only"):
            Store.open(tmp_path)
    with Store.open(tmp_path) as store, Store.open(tmp_path, readonly=True) as second:
        assert second.source.table("t").get(b"k") is None
        assert store.index_source() is store.source


def test_a_network_file_system_means_exclusive_mode(tmp_path, monkeypatch):
    monkeypatch.setattr(repository, "is_network", lambda folder: True)
    with Store.open(tmp_path) as store:
        assert (store.exclusive, store.detected) == (True, True)
        assert (tmp_path / "exclusive").exists()
        store.source.commit(Batch(objects={A: b"a"}))
        assert list(store.source.ids()) == [A]
    assert not (tmp_path / "exclusive").exists()
    with Store.open(tmp_path, exclusive=False) as store:
        assert (store.exclusive, store.detected) == (False, False)
    with Store.open(tmp_path, exclusive=True) as store:
        assert (store.exclusive, store.detected) == (True, False)


def test_a_store_in_memory_is_whole(store):
    store.source.commit(Batch(objects={A: b"a"}))
    assert store.source.get(A) == b"a"
    assert store.index_source() is store.source
    assert store.other_pids() == []


def test_leases_come_and_go(store):
    assert not store.is_alive(EXECUTION)
    with store.lease(EXECUTION):
        assert store.is_alive(EXECUTION)
        assert not store.is_alive(str(uuid.uuid4()))
        with pytest.raises(StoreLocked, match="already running"), store.lease(EXECUTION):
            pass
        assert store.is_alive(EXECUTION)
    assert not store.is_alive(EXECUTION)
    with store.lease(EXECUTION):
        assert store.is_alive(EXECUTION)


def test_a_lease_ends_with_its_block_whatever_happens(store):
    with pytest.raises(ZeroDivisionError), store.lease(EXECUTION):
        raise ZeroDivisionError
    assert not store.is_alive(EXECUTION)


@pytest.mark.parametrize("name", ["", "x", "../../etc/passwd", "1234", EXECUTION + "0", "/" + EXECUTION])
def test_ids_that_are_no_uuid_are_refused(store, name):
    with pytest.raises(StoreError, match="expected a UUID"):
        store.lease(name)
    with pytest.raises(StoreError, match="expected a UUID"):
        store.is_alive(name)
