"""What is done to a store while the disk fails, the process is killed or the power goes. Run under the shim by `faulty_disk.py`:

    programs.py record ROOT RUNS                 work, acknowledged in the file `acks`, for power cuts to be made of it
    programs.py faults ROOT WHAT SEED ROUNDS     WHAT: kill, enospc or eio, at a random change in each round; prints what happened

The work, in a forked child, on the store of `ROOT/store`: runs of a workflow with small, middle and large values; taking in exported
lines; garbage collection; compaction. After each round the store is checked in full, and what was acknowledged must be there.

With REDUN_FAULT_SLICES set every commit is written in slices of a page (`redun.store.sources.lmdb_commit`), as only large ones are else.
"""

from __future__ import annotations

import ctypes
import errno
import json
import os
import random
import shutil
import signal
import sys
import traceback
import uuid
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
sys.path[:] = [path for path in sys.path if Path(path or ".").resolve() != HERE]
sys.path.insert(0, str(HERE))

from faulty_disk import AFTER, HALF, KILL, STICKY, Control  # noqa: E402

from redun import Scheduler, task  # noqa: E402
from redun.exchange import export_lines, import_lines  # noqa: E402
from redun.fsck import check  # noqa: E402
from redun.store.errors import StoreError  # noqa: E402
from redun.store.gc import Plan  # noqa: E402
from redun.store.journal import decode_extra  # noqa: E402
from redun.store.repository import Store  # noqa: E402
from redun.store.sources import lmdb_commit, slices  # noqa: E402

if os.environ.get("REDUN_FAULT_SLICES"):
    lmdb_commit._SLICED_ABOVE = 1
    slices.PAGES_AT_ONCE = slices.MOST_PAGES = 1

redun_namespace = "faults"


@task()
def small(i: int) -> int:
    return i + 1


@task()
def middle(i: int) -> str:
    return f"middle {i} " * 400


@task()
def large(i: int) -> bytes:
    return b"%08d" % i * 9_000


@task()
def length(item: Any) -> int:
    return len(item)


@task()
def main(n: int) -> list[Any]:
    return [small(i) for i in range(n, n + 12)] + [length(middle(n)), length(large(n))]


def expected(n: int) -> list[int]:
    return [i + 1 for i in range(n, n + 12)] + [len(f"middle {n} " * 400), 72_000]


def run(folder: Path, n: int, said: Callable[[str], None]) -> None:
    """Run the workflow once; what was said of it is acknowledged."""
    execution = str(uuid.uuid4())
    with Store.open(folder) as store:
        assert Scheduler(store=store, logger=False).run(main(n), execution_id=execution) == expected(n)
    said(f"executions/{execution}")


def take_in(folder: Path, lines: list[str]) -> None:
    with Store.open(folder) as store:
        import_lines(store, lines)


def collect(folder: Path, names: list[str]) -> None:
    """Drop executions, imported ones, and delete what then no ref reaches."""
    if (folder / "data.mdb").exists():
        with Store.open(folder) as store:
            Plan(store, names).carry_out(readers_wait_s=0.0, stray_after_s=0.0)


def compact(folder: Path) -> None:
    """Write the database anew."""
    if (folder / "data.mdb").exists():
        with Store.open(folder) as store:
            store.compact()


def names_in(lines: list[str]) -> list[str]:
    """The refs of the executions in exported lines."""
    return [record["ref"] for record in map(json.loads, lines) if record.get("ref", "").startswith("executions/")]


def exported(folder: Path, ns: range) -> list[str]:
    with Store.open(folder) as store:
        for n in ns:
            Scheduler(store=store, logger=False).run(main(n))
        return list(export_lines(store))


def is_sound(folder: Path, acknowledged: list[str]) -> str:
    """Return what is wrong with a store, "" if nothing is."""
    if not (folder / "data.mdb").exists():
        return f"there is no store, and {len(acknowledged)} runs were acknowledged" if acknowledged else ""
    report = check(folder, full=True)
    if report.verdict != "sound":
        return f"{report.found}"
    with Store.open(folder) as store:
        for name in acknowledged:
            head = store.source.read_ref(name)
            if head is None:
                return f"{name} was acknowledged, and is not there"
            if not any(key == "end" for key, _ in decode_extra(store.source.get(head))):
                return f"{name} was acknowledged, and its end is not there"
    return ""


def record(root: Path, runs: int) -> None:
    """Work for power cuts: acknowledgements are written to a file, so that they have their place among the changes."""
    lines = exported(root.parent / "elsewhere", range(900, 902))
    acks = os.open(root / "acks", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666)
    for n in range(runs):
        run(root / "store", 20 * n, lambda name: os.write(acks, json.dumps(name).encode() + b"\n") and None)
        if n == runs // 2:
            take_in(root / "store", lines)
            collect(root / "store", names_in(lines))
            compact(root / "store")


def forked(work: Callable[[Callable[[str], None]], None]) -> tuple[int, list[str], str]:
    """Do something in a child; return its status, what it acknowledged, and its errors."""
    read, write = os.pipe()
    read_error, write_error = os.pipe()
    pid = os.fork()
    if pid == 0:
        status = 9
        try:
            signal.alarm(100)
            work(lambda name: os.write(write, name.encode() + b"\n") and None)
            status = 0
        except StoreError as error:
            os.write(write_error, str(error).encode())
            status = 1
        except BaseException:
            os.write(write_error, traceback.format_exc().encode()[:60_000])
        finally:
            os._exit(status)
    os.close(write)
    os.close(write_error)
    with os.fdopen(read) as acks, os.fdopen(read_error) as errors:
        names, told = acks.read().split(), errors.read()
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), names, told


ACTIONS = {"kill": KILL, "enospc": errno.ENOSPC, "eio": errno.EIO}


def faults(root: Path, what: str, seed: int, rounds: int) -> dict[str, int]:
    """Have a change fail in each round."""
    control = Control()
    dice = random.Random(seed)
    lines = exported(root.parent / f"elsewhere-{os.getpid()}", range(900, 903))
    acknowledged: list[str] = []
    happened: Counter[str] = Counter()
    number = folders = 0
    folder = root / "store0"
    for _ in range(rounds):
        if dice.random() < 0.04:
            # A fresh one: how a store comes into being is among what may be cut off; and stores stay small.
            folders += 1
            folder, acknowledged = root / f"store{folders}", []
        number += 20
        kind = dice.choices(("runs", "import", "gc", "compact", "two"), (5, 1, 1, 1, 2))[0]

        def work(said: Callable[[str], None], kind: str = kind, folder: Path = folder, number: int = number) -> None:
            if kind == "import":
                take_in(folder, lines)
            elif kind == "gc":
                collect(folder, names_in(lines))
            elif kind == "compact":
                compact(folder)
            run(folder, number, said)
            run(folder, number + 10, said)

        flags = (AFTER if what == "kill" else STICKY | (HALF if dice.random() < 0.3 else 0)) if dice.random() < 0.5 else 0
        other = forked_beside(folder, number + 1_000_000) if kind == "two" else None
        control.arm(int(dice.expovariate(1 / 60)) + 1, ACTIONS[what], flags)
        status, names, told = forked(work)
        control.disarm()
        acknowledged += names
        if other is not None:
            acknowledged += other()
            happened["beside another writer"] += 1
        happened[f"status {status}"] += 1
        happened["acknowledged"] += len(names)
        if status not in (0, 1, -signal.SIGKILL):
            raise AssertionError(f"{what} {kind}: status {status}: {told}")
        if status == 1 and (what == "kill" or not any(word in told for word in ("space", "make room", "input/output", "full"))):
            raise AssertionError(f"{what} {kind}: told {told}")
        # The long form checks each third round: what one leaves the next ones begin with.
        wrong = is_sound(folder, acknowledged) if rounds < 500 or dice.random() < 0.34 else ""
        if wrong:
            raise AssertionError(f"{what} {kind}, round {sum(happened.values())}: {wrong}; {told}")
        if rounds >= 500 and dice.random() < 0.04 and folder.exists():
            # Room for the next ones.
            assert not is_sound(folder, acknowledged)
            shutil.rmtree(folder)
            acknowledged = []
    happened["stores"] = folders + 1
    return dict(happened)


def forked_beside(folder: Path, n: int) -> Callable[[], list[str]]:
    """Begin runs in a child that nothing happens to; return what gives its acknowledgements when it has ended."""
    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        status = 9
        try:
            ctypes.CDLL(None).be_immune()
            for number in range(n, n + 60, 20):
                run(folder, number, lambda name: os.write(write, name.encode() + b"\n") and None)
            status = 0
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(status)
    os.close(write)

    def result() -> list[str]:
        with os.fdopen(read) as acks:
            names = acks.read().split()
        status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        if status:
            raise AssertionError(f"the writer beside ended with {status}")
        return names

    return result


if __name__ == "__main__":
    program, place, *rest = sys.argv[1:]
    if program == "record":
        record(Path(place), int(rest[0]))
    else:
        print(json.dumps(faults(Path(place), rest[0], int(rest[1]), int(rest[2]))))
