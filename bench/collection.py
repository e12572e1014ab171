"""`python -m bench.collection`: gc of a large store, its CPU, memory and longest transaction.

The store is made as runs make it: executions of 2,000 jobs to a segment, each job with a call and a stored value, memo rows for all.
Half of the executions go. What is measured is a process of its own that does nothing else.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
import uuid
from pathlib import Path

from redun.records import ExecutionRecord, TaskRecord, encode_call
from redun.store.ids import link_ref, object_id
from redun.store.journal import JobRecord, Segment, Status, encode_segment
from redun.store.objects import Codec, Kind, header
from redun.store.repository import Store
from redun.store.sources.base import Batch, RefUpdate

_JOBS = 2000
_EXECUTIONS = 20
_INT = header(Kind.VALUE, Codec.MSGPACK)


def fill(folder: Path, objects: int, memo: bool = True) -> list[str]:
    """Make a store; return the names of the refs of its executions."""
    names = []
    task = TaskRecord("bench.step", "def step(i): ...").encode()
    with Store.open(folder) as store:
        number = 0
        for place in range(_EXECUTIONS):
            run = uuid.UUID(int=place + 1)
            name = f"executions/{run}"
            names.append(name)
            execution = ExecutionRecord(run.bytes, ["redun"], 1_700_000_000_000_000 + place).encode()
            head = None
            left = objects // (2 * _EXECUTIONS)
            sequence = 0
            while left > 0:
                contents = {object_id(task): task, object_id(execution): execution}
                batch = Batch(objects=contents)
                jobs, made = [], []
                for _ in range(min(left, _JOBS)):
                    number += 1
                    value = header(Kind.VALUE, Codec.RAW) + b"%d" % number * 12
                    oid = object_id(value)
                    argument = _INT + b"\xcf" + number.to_bytes(8, "big")
                    call, data = encode_call(object_id(task), [argument], [], None, link_ref(oid))
                    contents[oid] = value
                    contents[call] = data
                    key = object_id(b"key%d" % number)
                    if memo:
                        batch.memo[key] = call + link_ref(oid)
                    made.append((key, call))
                    jobs.append(JobRecord(number, uuid.uuid4().bytes, 0, object_id(task), number, 1, Status.DONE, call))
                segment = encode_segment(Segment(object_id(execution), sequence, head, jobs, memo=made))
                contents[object_id(segment)] = segment
                batch.refs = [RefUpdate(name, head, object_id(segment))]
                store.source.commit(batch)
                head = object_id(segment)
                sequence += 1
                left -= _JOBS
    return names


def _peak_mb() -> float:
    """Return the most memory that this process has had; getrusage would count that of its parent, too."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM"))


def measure(folder: Path, drop: list[str]) -> dict[str, float]:
    """Collect, in this process; return figures."""
    from redun.pruning import prune
    from redun.store.gc import Plan
    from redun.store.sources.environment import Environment

    write = Environment._write_once
    walls, cpus = [], []

    def timed(self, work):  # type: ignore[no-untyped-def]
        began, cpu = time.perf_counter(), time.process_time()
        try:
            return write(self, work)
        finally:
            walls.append(1000 * (time.perf_counter() - began))
            cpus.append(1000 * (time.process_time() - cpu))

    Environment._write_once = timed  # type: ignore[method-assign]
    before = resource.getrusage(resource.RUSAGE_SELF)
    began = time.perf_counter()
    with Store.open(folder) as store:
        plan = Plan(store, drop)
        report = plan.carry_out()
        prune(store, plan)
    used = resource.getrusage(resource.RUSAGE_SELF)
    return {
        "objects before": report.before.total[0],
        "objects after": report.after.total[0],
        "CPU s": used.ru_utime + used.ru_stime - before.ru_utime - before.ru_stime,
        "wall s": time.perf_counter() - began,
        "peak MB": _peak_mb(),
        "transactions": len(walls),
        "transaction ms, median": sorted(walls)[len(walls) // 2],
        "transaction ms, longest": max(walls),
        "its CPU ms, longest": max(cpus),
    }


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m bench.collection", description=__doc__.splitlines()[0])
    parser.add_argument("--objects", type=int, default=1_000_000, metavar="N")
    parser.add_argument("--keep", type=int, default=_EXECUTIONS // 2, metavar="N", help="executions that stay, of 20")
    parser.add_argument("--folder", type=Path, help="where to make the store; a temporary folder by default")
    parser.add_argument("--drop", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.drop is not None:
        print(json.dumps(measure(asked.folder, asked.drop.split())))
        return
    with tempfile.TemporaryDirectory(prefix="gc-bench-", dir=asked.folder) as folder:
        names = fill(Path(folder), asked.objects)
        size = (Path(folder) / "data.mdb").stat().st_size
        words = ["--folder", folder, "--drop", " ".join(names[: _EXECUTIONS - asked.keep])]
        done = subprocess.run([sys.executable, "-m", "bench.collection", *words], capture_output=True, text=True, check=True)
        found = {"data.mdb MB": size / 1e6, **json.loads(done.stdout)}
        for name, figure in found.items():
            print(f"{name:<24} {figure:>12,.1f}" if isinstance(figure, float) else f"{name:<24} {figure:>12,}")


if __name__ == "__main__":
    main()
