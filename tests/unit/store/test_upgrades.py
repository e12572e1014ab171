"""Stores of older formats, kept in tests/golden: opened by this release, upgraded if they can be, read if they cannot."""

from __future__ import annotations

import os
import subprocess
import tarfile
import tempfile
from pathlib import Path

import pytest

from redun.store import upgrades
from redun.store.errors import StoreLocked, StoreUnavailable
from redun.store.repository import Store
from redun.store.rows import guarded
from redun.store.sources.base import Batch
from redun.store.sources.environment import Environment

GOLDEN = Path(__file__).resolve().parents[2] / "golden"
EXECUTIONS = ["executions/2bcc7160", "executions/5f3d4f07"]


@pytest.fixture
def old(tmp_path) -> Path:
    """Return the folder of a store of format 1."""
    with tarfile.open(GOLDEN / "store1" / "store.tar.xz") as archive:
        archive.extractall(tmp_path, filter="data")
    return tmp_path / "store"


def test_there_is_a_golden_store_of_every_older_format():
    assert [GOLDEN / f"store{number}" for number in range(1, upgrades.STORE_FORMAT)] == sorted(GOLDEN.glob("store*"))


def check(store: Store) -> None:
    source = store.source
    assert [name[:19] for name, _ in source.refs("executions/")] == EXECUTIONS
    assert len(source.refs("tags/")) == 1
    assert [entry.seq for entry in source.reflog()] == list(range(1, len(list(source.reflog())) + 1))
    assert len(list(source.ids())) > 30
    for oid in source.ids():
        assert source.get(oid)
    assert source.read_ref(source.refs()[0][0]) == source.refs()[0][1]


def test_an_old_store_is_upgraded_when_it_is_opened(old):
    with Store.open(old) as store:
        check(store)
        assert store.source.environment().format == upgrades.STORE_FORMAT
        assert list(store.source.table("prov_jobs").scan()) == []
        store.source.table("prov_jobs").put_many([(b"key", b"row")])
    with Store.open(old, readonly=True) as store:
        check(store)
        assert store.source.table("prov_jobs").get(b"key") == b"row"


def test_an_old_store_that_may_only_be_read_is_read(old):
    before = (old / "data.mdb").read_bytes()
    with Store.open(old, readonly=True) as store:
        assert store.source.environment().format == 1
        check(store)
        assert store.source.table("prov_jobs").get(b"key") is None
        assert list(store.source.table("prov_jobs").scan()) == []
        with pytest.raises(StoreUnavailable):
            store.source.commit(Batch(memo={b"k" * 20: b"v"}))
    assert (old / "data.mdb").read_bytes() == before


def test_damage_stays_damage(old):
    env_path = old / "data.mdb"
    data = env_path.read_bytes()
    # The row of the reflog's first entry, of which LMDB may keep older copies.
    with Store.open(old, readonly=True) as store:
        entry = next(store.source.reflog())
    at = data.find(entry.message.encode() if entry.message else entry.name.encode())
    assert at > 0
    with open(env_path, "r+b") as file:
        while at >= 0:
            file.seek(at)
            file.write(b"#")
            at = data.find(entry.message.encode(), at + 1)
    with Store.open(old) as store, pytest.raises(ValueError, match="entry 1 of the reflog is damaged"):
        list(store.source.reflog())


def test_an_upgrade_that_is_cut_off_is_taken_up_again(old, monkeypatch):
    class Cut(BaseException):
        pass

    def stop(txn, tables):
        upgrades._keys_under_checksums(txn, tables)
        raise Cut

    with monkeypatch.context() as patch:
        patch.setitem(upgrades._STEPS, 1, stop)
        with pytest.raises(Cut):
            Store.open(old)
    with Store.open(old, readonly=True) as store:
        assert store.source.environment().format == 1
        check(store)
    with Store.open(old) as store:
        check(store)


def test_who_else_has_it_open_is_named(old, tmp_path):
    """Another process holds it open as format 1; the upgrade waits for it, but not for ever."""
    code = "import sys; from redun.store.locks import FolderLock; from pathlib import Path\n"
    code += f"lock = FolderLock(Path({str(old)!r}), readonly=False, timeout_s=1)\nprint('open', flush=True); sys.stdin.read()"
    Path(old, "lock").touch()
    with subprocess.Popen([os.sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout.readline() == "open\n"
        with pytest.raises(StoreLocked, match=rf"be upgraded from format 1 to 2.*process {other.pid} has.*run again"):
            Store.open(old)
        other.communicate()
    with Store.open(old) as store:
        check(store)


def test_a_store_that_is_being_upgraded_says_so(old, monkeypatch, tmp_path):
    script = f"import sys; from redun.store.repository import Store; Store.open({str(old)!r})"
    seen: list[str] = []

    def look(txn, tables):
        upgrades._keys_under_checksums(txn, tables)
        other = subprocess.run([os.sys.executable, "-c", script], capture_output=True, text=True, check=False)
        seen.append(other.stderr)

    with monkeypatch.context() as patch:
        patch.setitem(upgrades._STEPS, 1, look)
        Store.open(old).close()
    assert f"used by process {os.getpid()} alone, which compacts, repairs or upgrades it: wait for it" in seen[0]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_an_old_store_of_another_user_is_read(old):
    for parent in [old, *old.parents]:
        if str(parent).startswith(tempfile.gettempdir() + os.sep):
            os.chmod(parent, os.stat(parent).st_mode | 0o055)
    subprocess.run(["chmod", "-R", "a-w", str(old)], check=True)
    os.seteuid(65534)
    try:
        with Store.open(old) as store:
            assert store.readonly
            check(store)
    finally:
        os.seteuid(0)


def test_rows_of_format_1_are_what_they_were(old):
    """The golden store really is of the old form: nothing was made for this test."""
    with Store.open(old, readonly=True) as store:
        environment: Environment = store.source.environment()
        with environment.begin() as txn:
            assert txn.get(b"format", db=environment.table("meta")) == b"1"
            rows = list(txn.cursor(environment.table("refs")))
        assert all(row == guarded(row[8:]) for _, row in rows)
