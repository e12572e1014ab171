"""Disks that are full or read-only, and maps that do not fit: one clear error, a sound store, and on again once there is room."""

from __future__ import annotations

import contextlib
import hashlib
import os
import resource
import subprocess
import tempfile

import pytest

from redun.store.errors import StoreUnavailable
from redun.store.repository import Store
from redun.store.sources.base import Batch, RefUpdate
from redun.store.sources.lmdb import LmdbSource


def oid(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()[:20]


def fill(source, size: int, total: int, done: list[bytes]) -> None:
    """Commit objects of `size` bytes, `total` bytes altogether; `done` is what was acknowledged."""
    for number in range(total // size):
        data = b"%08d" % number * (size // 8)
        source.commit(Batch(objects={oid(data): data}, refs=[RefUpdate("last", oid(done[-1]) if done else None, oid(data))]))
        done.append(data)


def fill_until_refused(source, size: int) -> tuple[list[bytes], StoreUnavailable]:
    """Commit until the disk is full; return what was acknowledged, and the error."""
    done: list[bytes] = []
    with pytest.raises(StoreUnavailable) as caught:
        fill(source, size, 64 << 20, done)
    return done, caught.value


@contextlib.contextmanager
def mounted(kind: str, folder, options: str):
    """Mount a file system for root; yields False where that is not allowed."""
    made = (
        subprocess.run(["mount", "-t", kind, "-o", options, "none", str(folder)], capture_output=True, check=False).returncode
        == 0
    )
    try:
        yield made
    finally:
        if made:
            subprocess.run(["umount", "-l", str(folder)], check=False)


@pytest.mark.parametrize("size", [4000, 60_000, 200_000])
def test_a_full_disk_is_told_and_harms_nothing(tmp_path, fork, size):
    """On a small tmpfs where we may mount one, else with a limit on the size of files."""
    folder = tmp_path / "disk"
    folder.mkdir()

    def in_child(child, limited: bool):
        if limited:
            resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20 if size < 65536 else 150_000, resource.RLIM_INFINITY))
        with Store.open(folder / "store") as store:
            done, error = fill_until_refused(store.source, size)
            # The same open store still reads, and says the same again.
            assert all(store.source.get(oid(data)) == data for data in done)
            assert store.source.read_ref("last") == (oid(done[-1]) if done else None)
            if not limited or size <= 65536:
                for _ in range(2):
                    with pytest.raises(StoreUnavailable):
                        store.source.commit(Batch(objects={oid(b"big"): b"b" * 4_000_000}))
            (folder / "ballast").unlink(missing_ok=True)
            if limited:
                resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
            store.source.commit(Batch(objects={oid(b"again"): b"again"}))
        return len(done), str(error)

    with mounted("tmpfs", folder, "size=3m") as is_mounted:
        (folder / "ballast").write_bytes(bytes(1_000_000))
        count, message = fork(in_child, not is_mounted).result()
        assert str(folder / "store") in message
        assert "make room" in message
        assert "full" in message or "no space" in message or "file too large" in message
        with Store.open(folder / "store") as store:
            for number in range(count):
                data = b"%08d" % number * (size // 8)
                assert store.source.get(oid(data)) == data
            assert store.source.get(oid(b"again")) == b"again"


def test_a_limit_on_the_size_of_files_is_told(tmp_path, fork):
    def in_child(child):
        resource.setrlimit(resource.RLIMIT_FSIZE, (400_000, resource.RLIM_INFINITY))
        with Store.open(tmp_path / "store") as store:
            done, error = fill_until_refused(store.source, 60_000)
            return len(done), str(error)

    count, message = fork(in_child).result()
    assert "make room" in message
    assert count > 0


@contextlib.contextmanager
def as_nobody(folder):
    """Stop being root, to whom permissions mean nothing; the way to `folder` is opened for others."""
    if os.geteuid() != 0:
        yield
        return
    for parent in [folder, *folder.parents]:
        if str(parent).startswith(tempfile.gettempdir() + os.sep):
            os.chmod(parent, os.stat(parent).st_mode | 0o055)
    os.setegid(65534)
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)
        os.setegid(0)


@contextlib.contextmanager
def read_only_by_permissions(folder):
    """Take everybody's permission to write below a folder."""
    subprocess.run(["chmod", "-R", "a-w", str(folder)], check=True)
    try:
        with as_nobody(folder.parent):
            yield
    finally:
        subprocess.run(["chmod", "-R", "u+w", str(folder)], check=True)


@contextlib.contextmanager
def read_only_by_mount(folder):
    """Mount a folder read-only over itself; where that is not allowed, take the permissions."""
    if subprocess.run(["mount", "--bind", str(folder), str(folder)], capture_output=True, check=False).returncode != 0:
        with read_only_by_permissions(folder):
            yield
        return
    try:
        subprocess.run(["mount", "-o", "remount,ro,bind", str(folder)], check=True)
        yield
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


@pytest.mark.parametrize("read_only", [read_only_by_mount, read_only_by_permissions])
def test_a_store_on_a_read_only_disk_is_read(tmp_path, read_only):
    large = b"large" * 20_000
    with Store.open(tmp_path / "disk" / "store") as store:
        store.source.commit(Batch(objects={oid(b"a"): b"a", oid(large): large}, refs=[RefUpdate("r", None, oid(b"a"))]))
        store.source.table("times").put_many([(b"k", b"v")])
    with read_only(tmp_path / "disk"):
        with Store.open(tmp_path / "disk" / "store") as store:
            assert store.readonly
            assert store.source.get(oid(b"a")) == b"a"
            assert store.source.get(oid(large)) == large
            assert store.source.refs() == [("r", oid(b"a"))]
            assert store.source.table("times").get(b"k") == b"v"
            assert store.source.table("none").get(b"k") is None
            assert list(store.source.table("none").scan()) == []
            with pytest.raises(StoreUnavailable, match="reading only"):
                store.source.commit(Batch(objects={oid(b"b"): b"b"}))
            with pytest.raises(StoreUnavailable, match="reading only"):
                store.source.table("times").put_many([(b"k", b"w")])
            with pytest.raises(StoreUnavailable, match="lease"), store.lease("12345678-1234-5678-1234-567812345678"):
                pass
            assert not store.is_alive("12345678-1234-5678-1234-567812345678")
            index = store.index_source()
            assert index is store.index_source()
            index.table("times").put_many([(b"k", b"w")])
            assert index.table("times").get(b"k") == b"w"
            temporary = index.environment().folder
        assert not temporary.exists()
        with pytest.raises(StoreUnavailable, match=r"(?i)read-only|permission"):
            Store.open(tmp_path / "disk" / "another")
    with Store.open(tmp_path / "disk" / "store") as store:
        assert not store.readonly
        assert store.index_source() is store.source


def test_an_unreadable_store_is_told(tmp_path):
    Store.open(tmp_path / "store").close()
    os.chmod(tmp_path / "store", 0)
    with as_nobody(tmp_path), pytest.raises(StoreUnavailable, match=r"(?i)permission denied") as caught:
        Store.open(tmp_path / "store")
    os.chmod(tmp_path / "store", 0o755)
    assert str(tmp_path / "store") in str(caught.value)


def test_a_store_that_its_owner_may_be_writing_is_never_read_without_locks(tmp_path):
    """Who can read a store but take no part in its locks would see pages that its owner recycles."""
    Store.open(tmp_path / "store").close()
    os.chmod(tmp_path / "store" / "data.mdb", 0o644)
    os.chmod(tmp_path / "store" / "lock.mdb", 0o444)
    os.chmod(tmp_path / "store" / "lock", 0o444)
    with as_nobody(tmp_path / "store"), pytest.raises(StoreUnavailable, match=r"(?i)permission denied"):
        Store.open(tmp_path / "store")


def test_limited_address_space_gets_a_smaller_map(tmp_path, fork):
    def in_child(child):
        resource.setrlimit(resource.RLIMIT_AS, (4 << 30, resource.RLIM_INFINITY))
        with Store.open(tmp_path / "store") as store:
            done: list[bytes] = []
            fill(store.source, 60_000, 6_000_000, done)
            return store.source.environment()._env.info()["map_size"], len(done)

    size, count = fork(in_child).result()
    assert size < 4 << 30
    assert count == 100


def test_a_full_map_grows_and_other_processes_follow(tmp_path, fork):
    with LmdbSource(tmp_path / "store", map_size_bytes=1 << 20) as small:
        small.commit(Batch(objects={oid(b"a"): b"a"}))
        assert small.get(oid(b"a")) == b"a"

        def in_child(child):
            with LmdbSource(tmp_path / "store", map_size_bytes=1 << 20) as grown:
                grown.commit(Batch(objects={oid(b"%d" % number): b"%d" % number * 3000 for number in range(3000)}))
            return True

        assert fork(in_child).result()
        small.refresh()
        assert small.get(oid(b"2999")) == b"2999" * 3000
        small.commit(Batch(objects={oid(b"%d" % number): b"%d" % number * 3000 for number in range(3000, 9000)}))
        assert small.get(oid(b"8999")) == b"8999" * 3000
        assert small.get(oid(b"a")) == b"a"


def test_a_listing_that_a_growing_map_cuts_off_says_so(tmp_path):
    with LmdbSource(tmp_path / "store", map_size_bytes=1 << 20) as source:
        table = source.table("t")
        table.put_many([(b"%05d" % number, b"") for number in range(3000)])
        scan = table.scan()
        next(scan)
        source.commit(Batch(objects={oid(b"%d" % number): b"%d" % number * 3000 for number in range(3000)}))
        with pytest.raises(StoreUnavailable, match="list again"):
            list(scan)
        assert len(list(table.scan())) == 3000


def test_a_failing_disk_ends_all_writing(tmp_path, monkeypatch):
    """After a failed fsync nothing that the disk reports can be believed; reading goes on."""
    import lmdb

    with LmdbSource(tmp_path / "store") as source:
        source.commit(Batch(objects={oid(b"a"): b"a"}))
        environment = source.environment()

        def fail(work):
            raise lmdb.Error("mdb_txn_commit: " + os.strerror(5))

        with monkeypatch.context() as patch:
            patch.setattr(environment, "_write_once", fail)
            with pytest.raises(StoreUnavailable, match=r"input/output error.*check it"):
                source.commit(Batch(objects={oid(b"b"): b"b"}))
        with pytest.raises(StoreUnavailable, match="input/output error"):
            source.commit(Batch(objects={oid(b"b"): b"b"}))
        assert source.get(oid(b"a")) == b"a"
    with LmdbSource(tmp_path / "store") as source:
        source.commit(Batch(objects={oid(b"b"): b"b"}))
