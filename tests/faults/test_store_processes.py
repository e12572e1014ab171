"""Several processes on one store, forks with an open one, writers that hang, leases of the dead."""

from __future__ import annotations

import hashlib
import os
import signal
import subprocess
import threading
import time
import uuid

import pytest

from redun.store.errors import SamePid, StoreError, StoreLocked
from redun.store.repository import Store
from redun.store.sources.base import Batch, RefUpdate
from redun.store.sources.lmdb import LmdbSource


def oid(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()[:20]


def put(source, *contents: bytes) -> None:
    source.commit(Batch(objects={oid(content): content for content in contents}))


def holds(source, *contents: bytes) -> bool:
    source.refresh()
    return all(source.get(oid(content)) == content for content in contents)


class Hanging:
    """A process that stays in the middle of a commit until it is told to go on."""

    def __init__(self, fork, folder) -> None:
        read, self._go = os.pipe()

        def hang(child) -> None:
            with LmdbSource(folder) as source:

                def work(txn) -> None:
                    child.report("inside")
                    os.read(read, 1)

                source.environment().write(work)

        self.child = fork(hang)
        assert self.child.read() == "inside"

    def go_on(self) -> None:
        os.write(self._go, b"x")
        assert self.child.wait() == 0


def test_a_writer_that_hangs_is_named(tmp_path, fork):
    with LmdbSource(tmp_path, lock_timeout_s=0.2) as source:
        put(source, b"a")
        hanging = Hanging(fork, tmp_path)
        with pytest.raises(StoreLocked, match=rf"process {hanging.child.pid}\b.*0.2 s.*wait"):
            put(source, b"b")
        assert holds(source, b"a")
        hanging.go_on()
        put(source, b"b")
        assert holds(source, b"a", b"b")


def test_a_writer_that_is_killed_lets_others_in(tmp_path, fork):
    with LmdbSource(tmp_path) as source:
        hanging = Hanging(fork, tmp_path)
        timer = threading.Timer(0.1, hanging.child.kill)
        timer.start()
        put(source, b"a")
        assert holds(source, b"a")
        timer.join()


def test_reading_and_opening_for_reading_do_not_wait_for_a_writer(tmp_path, fork):
    with LmdbSource(tmp_path) as source:
        put(source, b"a")
        hanging = Hanging(fork, tmp_path)
        assert holds(source, b"a")

        def read(child) -> bool:
            with Store.open(tmp_path, readonly=True) as store:
                return holds(store.source, b"a")

        assert fork(read).result()
        hanging.go_on()


def test_what_others_commit_is_seen_after_a_refresh(tmp_path, fork):
    with Store.open(tmp_path) as store:
        source = store.source
        source.commit(Batch(memo={oid(b"k"): b"old"}, refs=[RefUpdate("r", None, oid(b"a"))]))
        assert source.memo_get(oid(b"k")) == b"old"

        def write(child) -> None:
            source.commit(Batch(memo={oid(b"k"): b"new"}, refs=[RefUpdate("r", oid(b"a"), oid(b"b"))]))
            source.table("made_by_the_child").put_many([(b"k", b"v")])

        fork(write).result()
        source.refresh()
        assert source.memo_get(oid(b"k")) == b"new"
        assert source.read_ref("r") == oid(b"b")
        assert source.table("made_by_the_child").get(b"k") == b"v"
        assert list(source.table("made_by_the_child").scan()) == [(b"k", b"v")]
        assert len(list(source.reflog())) == 2


def test_links_that_another_process_removed_are_missed(tmp_path, fork):
    """What a source remembers of its last commit must not outlive somebody else's write."""
    with Store.open(tmp_path) as store:
        put(store.source, b"a", b"b")
        store.source.commit(Batch(links=[oid(b"a")]))

        def remove(child) -> None:
            environment = store.source.environment()
            environment.write(lambda txn: txn.delete(oid(b"a"), db=environment.table("objects")))

        fork(remove).result()
        with pytest.raises(StoreError, match=oid(b"a").hex()):
            store.source.commit(Batch(links=[oid(b"a"), oid(b"b")]))


def test_a_store_may_be_carried_over_a_fork(tmp_path, fork):
    store = Store.open(tmp_path)
    put(store.source, b"before")
    store.source.table("t").put_many([(b"%05d" % number, b"x" * 50) for number in range(4000)])
    assert holds(store.source, b"before")
    scan = store.source.table("t").scan()
    seen = [next(scan) for _ in range(20)]

    def use(child) -> int:
        # The scan is the parent's: here it must end with a word, not with wrong rows.
        with pytest.raises(StoreError, match="forked"):
            list(scan)
        for number in range(30):
            put(store.source, b"%d" % number)
            store.source.table("t").put_many([(b"%05d" % other, b"y" * 50) for other in range(4000)])
        found = holds(store.source, b"before", b"0", b"29")
        store.close()
        return found

    assert fork(use).result()
    # The parent's snapshot survived thirty commits of the child, which would have recycled its pages.
    assert [*seen, *scan] == [(b"%05d" % number, b"x" * 50) for number in range(4000)]
    assert holds(store.source, b"before", b"0", b"29")
    put(store.source, b"after")
    assert holds(store.source, b"after")
    store.close()


def test_a_forked_child_that_only_ends_harms_nothing(tmp_path, fork):
    with Store.open(tmp_path) as store:
        put(store.source, b"a")
        for _ in range(5):
            assert fork(lambda child: None).result() is None
            assert fork(lambda child: store.close()).result() is None
            assert holds(store.source, b"a")
            put(store.source, os.urandom(30))


def test_sources_on_one_folder_share_an_environment(tmp_path):
    (tmp_path / "link").symlink_to(tmp_path / "store")
    with (
        LmdbSource(tmp_path / "store") as one,
        LmdbSource(tmp_path / "link") as two,
        LmdbSource(tmp_path / "store", readonly=True) as three,
    ):
        put(one, b"a")
        assert holds(two, b"a")
        put(two, b"b")
        assert holds(one, b"b")
        assert holds(three, b"a", b"b")
        with pytest.raises(StoreError, match="reading only"):
            put(three, b"c")
        one.close()
        put(two, b"d")
        assert holds(three, b"d")
        with pytest.raises(StoreError, match="closed"):
            one.get(oid(b"a"))


def test_threads_with_a_source_each_write_in_turn(tmp_path):
    failed: list[BaseException] = []

    def write(name: bytes) -> None:
        try:
            with LmdbSource(tmp_path) as source:
                for number in range(30):
                    put(source, name + b"%d" % number)
        except BaseException as error:
            failed.append(error)

    threads = [threading.Thread(target=write, args=(name,)) for name in (b"a", b"b", b"c")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failed
    with LmdbSource(tmp_path) as source:
        assert len(list(source.ids())) == 90


def test_other_processes_that_have_it_open_are_listed(tmp_path, fork):
    with Store.open(tmp_path) as store:
        assert store.other_pids() == []

        def stay(child) -> None:
            with Store.open(tmp_path):
                child.report("open")
                time.sleep(60)

        child = fork(stay)
        assert child.read() == "open"
        assert store.other_pids() == [child.pid]
        child.kill()
        child.wait()
        assert store.other_pids() == []


# Leases.


EXECUTION = str(uuid.uuid4())


def lease_and_wait(child, folder) -> None:
    with Store.open(folder) as store, store.lease(EXECUTION):
        child.report("leased")
        time.sleep(60)


def test_a_lease_lives_as_long_as_its_process(tmp_path, fork):
    with Store.open(tmp_path) as store:
        assert not store.is_alive(EXECUTION)
        child = fork(lease_and_wait, tmp_path)
        child.read()
        assert store.is_alive(EXECUTION)
        with pytest.raises(StoreLocked, match=EXECUTION), store.lease(EXECUTION):
            pass
        os.kill(child.pid, signal.SIGSTOP)
        assert store.is_alive(EXECUTION)
        child.kill()
        child.wait()
        assert not store.is_alive(EXECUTION)
        with store.lease(EXECUTION):
            assert store.is_alive(EXECUTION)
        assert not store.is_alive(EXECUTION)


def test_asking_about_ones_own_lease_does_not_end_it(tmp_path, fork):
    def ask(child) -> bool:
        with Store.open(tmp_path) as other:
            return other.is_alive(EXECUTION)

    with Store.open(tmp_path) as store, Store.open(tmp_path) as second:
        with store.lease(EXECUTION) as lease:
            for _ in range(3):
                assert store.is_alive(EXECUTION)
                assert second.is_alive(EXECUTION.upper())
                with pytest.raises(StoreLocked, match="this process"), second.lease(EXECUTION):
                    pass
            assert fork(ask).result() is True
            lease.release()
            assert fork(ask).result() is False
            lease.release()
        assert not second.is_alive(EXECUTION)


def test_a_child_of_a_dead_process_does_not_keep_its_lease(tmp_path, fork):
    def lease_and_fork(child, folder) -> None:
        with Store.open(folder) as store, store.lease(EXECUTION):
            grandchild = os.fork()
            if grandchild == 0:
                time.sleep(60)
                os._exit(0)
            child.report(grandchild)
            time.sleep(60)

    with Store.open(tmp_path) as store:
        child = fork(lease_and_fork, tmp_path)
        grandchild = child.read()
        try:
            assert store.is_alive(EXECUTION)
            child.kill()
            child.wait()
            assert not store.is_alive(EXECUTION)
        finally:
            os.kill(grandchild, signal.SIGKILL)


def test_a_forked_child_does_not_count_its_parents_lease_as_its_own(tmp_path, fork):
    with Store.open(tmp_path) as store, store.lease(EXECUTION):

        def ask(child) -> bool:
            assert store.is_alive(EXECUTION)
            with pytest.raises(StoreLocked), store.lease(EXECUTION):
                pass
            return store.is_alive(EXECUTION)

        assert fork(ask).result()
        assert store.is_alive(EXECUTION)


# Exclusive mode.


def test_exclusive_mode_lets_one_process_in(tmp_path, fork):
    def stay(child) -> None:
        with Store.open(tmp_path, exclusive=True) as store:
            put(store.source, b"a")
            child.report("open")
            time.sleep(60)

    child = fork(stay)
    child.read()
    with pytest.raises(StoreLocked, match=rf"process {child.pid} on host .*one process at a time"):
        Store.open(tmp_path, exclusive=True)
    child.kill()
    child.wait()
    # A dead holder of this host is replaced.
    with Store.open(tmp_path, exclusive=True) as store, Store.open(tmp_path, exclusive=True) as same_process:
        assert store.exclusive
        assert not store.detected
        assert holds(store.source, b"a")
        put(same_process.source, b"b")
        with store.lease(EXECUTION):
            assert store.is_alive(EXECUTION)
        assert not store.is_alive(EXECUTION)
        store.close()
        with pytest.raises(AssertionError):
            fork(lambda child: Store.open(tmp_path, exclusive=True)).result()
    assert not (tmp_path / "exclusive").exists()


def test_a_dead_holder_is_replaced_by_one_of_many(tmp_path, fork):
    def take(child, go: int) -> bool:
        os.read(go, 1)
        try:
            store = Store.open(tmp_path, exclusive=True)
        except StoreLocked:
            return False
        child.report("in")
        time.sleep(0.3)
        store.close()
        return True

    for _ in range(5):
        dead = fork(lambda child: os._exit(0) if Store.open(tmp_path, exclusive=True) else None)
        dead.wait()
        assert (tmp_path / "exclusive").exists()
        read, write = os.pipe()
        children = [fork(take, read) for _ in range(4)]
        os.write(write, b"xxxx")
        assert sum(child.result() for child in children) == 1
        os.close(read)
        os.close(write)


def test_a_holder_on_another_host_is_believed(tmp_path):
    (tmp_path / "exclusive").write_text('{"host": "elsewhere", "pid": 1, "start": "x", "since": "2026-01-02 03:04:05"}')
    with pytest.raises(StoreLocked, match=r"process 1 on host 'elsewhere' since 2026-01-02.*remove .*exclusive"):
        Store.open(tmp_path, exclusive=True)
    (tmp_path / "exclusive").write_text("")
    with pytest.raises(StoreLocked, match="does not name"):
        Store.open(tmp_path, exclusive=True)


# Signals, dead readers, containers.


def test_a_writer_that_was_stopped_is_named(tmp_path, fork):
    """Ctrl-Z, a debugger, a frozen container: it holds the lock, and nobody but the user can tell whether it will go on."""
    with LmdbSource(tmp_path, lock_timeout_s=0.2) as source:
        hanging = Hanging(fork, tmp_path)
        os.kill(hanging.child.pid, signal.SIGSTOP)
        with pytest.raises(
            StoreLocked, match=rf"is locked for writing by process {hanging.child.pid}, for more than 0.2 s: wait"
        ):
            put(source, b"a")
        os.kill(hanging.child.pid, signal.SIGCONT)
        hanging.go_on()
        put(source, b"a")
        assert holds(source, b"a")


def test_a_writer_in_another_container_is_named_with_its_host(tmp_path, fork, monkeypatch):
    with LmdbSource(tmp_path, lock_timeout_s=0.2) as source:
        hanging = Hanging(fork, tmp_path)
        text = (tmp_path / "lock").read_bytes()[8:].split()
        assert text == [str(hanging.child.pid).encode(), os.uname().nodename.encode()]
        with open(tmp_path / "lock", "r+b") as file:
            file.seek(8)
            file.write(b"7 c0ffee".ljust(80))
        # Closing a descriptor of the file dropped the locks of this process, but not those of the writer.
        with pytest.raises(StoreLocked, match="by process 7 on host 'c0ffee'"):
            put(source, b"a")
        hanging.go_on()


def test_readers_that_died_do_not_hold_pages_for_ever(tmp_path, fork):
    """A reader that is killed leaves its slot in LMDB's table; whoever opens the store next clears it, and pages are used again."""

    def read_and_hang(child) -> None:
        with LmdbSource(tmp_path) as source:
            source.get(oid(b"first"))
            child.report(len(source.environment()._env.readers()))
            time.sleep(60)

    with LmdbSource(tmp_path) as source:
        put(source, b"first")
    children = [fork(read_and_hang) for _ in range(5)]
    for child in children:
        child.read()
    for child in children:
        child.kill()
        child.wait()
    with LmdbSource(tmp_path) as source:
        assert "pid" not in source.environment()._env.readers()
        sizes = []
        for _ in range(60):
            source.table("t").put_many([(b"%03d" % number, os.urandom(200)) for number in range(100)])
            sizes.append((tmp_path / "data.mdb").stat().st_size)
        assert sizes[-1] == sizes[20]
        assert holds(source, b"first")


def hold_byte(child, path, place: int) -> None:
    """Take the place of a process of another container: LMDB locks the byte at its pid."""
    import fcntl

    handle = os.open(path, os.O_RDWR)
    fcntl.lockf(handle, fcntl.LOCK_EX, 1, place)
    child.report("held")
    time.sleep(60)


def test_the_same_pid_in_another_container_is_told(tmp_path, fork):
    LmdbSource(tmp_path).close()
    child = fork(hold_byte, tmp_path / "lock.mdb", os.getpid())
    child.read()
    with pytest.raises(SamePid, match=rf"open in another container, by a process that has pid {os.getpid()} there"):
        Store.open(tmp_path)
    child.kill()
    child.wait()
    Store.open(tmp_path).close()


SAME_PID = """
import time
from redun import task
redun_namespace = "same"
@task(cache=False)
def slow(i):
    time.sleep(0.02)
    return i
@task(cache=False)
def main():
    return [slow(i) for i in range(20)]
"""


def test_runs_in_containers_that_all_have_pid_1(tmp_path, redun_environ):
    (tmp_path / "flow.py").write_text(SAME_PID)
    subprocess.run(["redun", "init"], cwd=tmp_path, env=redun_environ, check=True, capture_output=True)
    Store.open(tmp_path / ".redun" / "store").close()
    # Where namespaces are not allowed it is three processes beside one another, as ever.
    alone = ["unshare", "--pid", "--fork", "--mount-proc"]
    if subprocess.run([*alone, "true"], capture_output=True, check=False).returncode != 0:
        alone = []
    runs = [
        subprocess.Popen(
            [*alone, "redun", "run", "flow.py", "main"],
            cwd=tmp_path,
            env=redun_environ,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(3)
    ]
    for run in runs:
        out, err = run.communicate(timeout=60)
        assert (run.returncode, out.strip()) == (0, repr(list(range(20)))), err
    with Store.open(tmp_path / ".redun" / "store") as store:
        assert len(store.source.refs("executions/")) == 3
