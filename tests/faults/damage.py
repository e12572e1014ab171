"""Ways to hurt a store, and a store to be hurt."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Callable
from pathlib import Path

from redun.cli.main import main
from redun.records import CallRecord, TaskRecord
from redun.store.pages import Snapshot
from redun.store.repository import Store

SCRIPT = """
from redun import task

redun_namespace = "hurt"

@task()
def word(i: int) -> str:
    return f"word number {i} " * 9

@task()
def large(i: int) -> bytes:
    return bytes([i]) * 80_000

@task(tags=[("kind", "join")])
def join(words: list, ends: list) -> list:
    return [" ".join(words)[:100] * 3, [len(end) for end in ends]]

@task()
def main(n: int = 30):
    return join([word(i) for i in range(n)], [large(i) for i in range(3)])
"""


def make(folder: Path) -> None:
    """Run the script twice, tag what ran, and look at it, so that every table has rows."""
    folder.mkdir()
    (folder / "flow.py").write_text(SCRIPT)
    for words in (
        ("run", "flow.py", "main"),
        ("run", "flow.py", "main", "--n", "40"),
        ("tag", "add", "-", "note=kept"),
        ("log", "--job"),
    ):
        assert run(folder, *words).returncode == 0


def run(folder: Path, *words: str, may_crash: bool = False) -> subprocess.CompletedProcess[str]:
    """Run `redun` in a forked process, which takes a tenth of the time; it must not end by a signal or with a traceback."""
    with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err:
        pid = os.fork()
        if pid == 0:
            status = 99
            try:
                os.dup2(out.fileno(), 1)
                os.dup2(err.fileno(), 2)
                sys.stdout, sys.stderr = os.fdopen(1, "w"), os.fdopen(2, "w")
                os.chdir(folder)
                sys.path.insert(0, str(folder))
                signal.alarm(60)
                status = main(list(words))
                sys.stdout.flush()
                sys.stderr.flush()
            except BaseException:
                traceback.print_exc()
                sys.stderr.flush()
            finally:
                os._exit(status)
        status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        out.seek(0)
        err.seek(0)
        done = subprocess.CompletedProcess(words, status, out.read(), err.read())
    if may_crash and status == -signal.SIGBUS:
        return done
    assert 0 <= status < 99, (status, done.stderr)
    assert "Traceback" not in done.stderr, done.stderr
    assert "internal error" not in done.stderr, done.stderr
    return done


def data_file(folder: Path) -> Path:
    return folder / ".redun" / "store" / "data.mdb"


def overwrite(path: Path, old: bytes, new: bytes) -> int:
    """Change every copy of some bytes in a file; return how many there were."""
    assert len(old) == len(new)
    data = path.read_bytes()
    count = data.count(old)
    path.write_bytes(data.replace(old, new))
    return count


def row(folder: Path, table: str, key: bytes) -> bytes:
    with Snapshot(data_file(folder)) as snapshot:
        found = snapshot.get(table, key)
    assert found is not None
    return found


def hurt_row(folder: Path, table: str, key: bytes) -> None:
    """Flip a bit near the end of a row, in all copies of it."""
    found = row(folder, table, key)
    changed = found[:-3] + bytes((found[-3] ^ 16,)) + found[-2:]
    # The key stands before it, so other rows that end alike stay as they are; unless it is long, and has pages of its own.
    assert overwrite(data_file(folder), key + found, key + changed) or overwrite(data_file(folder), found, changed)


def drop_row(folder: Path, table: str, key: bytes) -> None:
    """Take a row away, as no sound program would; older copies are destroyed."""
    found = row(folder, table, key)
    with Store.open(folder / ".redun" / "store") as store:
        environment = store.source.environment()
        environment.write(lambda txn: txn.delete(key, db=environment.table(table)))
    overwrite(data_file(folder), key + found[:-1], key + found[:-2] + b"\x00")


def objects(folder: Path, kind: int) -> list[bytes]:
    """Ids of all objects of a kind."""
    with Store.open(folder / ".redun" / "store") as store:
        return [oid for oid in store.source.ids() if store.source.get(oid)[0] == kind]


def find(folder: Path, wanted: Callable[[bytes, Callable[[bytes], bytes]], bool]) -> list[bytes]:
    with Store.open(folder / ".redun" / "store") as store:
        get = store.source.get
        return [oid for oid in store.source.ids() if wanted(get(oid), get)]


def calls_of(folder: Path, name: str) -> list[bytes]:
    """Ids of the calls of a task."""

    def is_call(data: bytes, get: Callable[[bytes], bytes]) -> bool:
        return data[0] == 3 and TaskRecord.decode(get(CallRecord.decode(data).task)).fullname == name

    return find(folder, is_call)


def heads(folder: Path) -> list[tuple[str, bytes]]:
    """Names and targets of the refs of executions, the first one that ran first."""
    with Store.open(folder / ".redun" / "store") as store:
        names = dict.fromkeys(entry.name for entry in store.source.reflog() if entry.name.startswith("executions/"))
        return [(name, store.source.read_ref(name) or b"") for name in names]
