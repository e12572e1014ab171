"""gc of a large store: its CPU, memory and longest transaction.

The store is made as runs make it: 20 executions with 2,000 jobs to a segment, each job with a call and a stored value, memo rows for all.

Arguments: `fill FOLDER OBJECTS`; then, in a process of its own that does nothing else, `collect FOLDER EXECUTIONS`, which drops that
many of them.
"""

from __future__ import annotations

import json
import resource
import sys
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
        "before": report.before.total[0],
        "after": report.after.total[0],
        "cpu": used.ru_utime + used.ru_stime - before.ru_utime - before.ru_stime,
        "wall": time.perf_counter() - began,
        "peak": _peak_mb(),
        "transactions": len(walls),
        "median": sorted(walls)[len(walls) // 2],
        "longest": max(walls),
        "longest.cpu": max(cpus),
    }


def main() -> None:
    """Do a part."""
    part, folder, count = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])
    if part == "fill":
        fill(folder, count)
        print(json.dumps({"store": (folder / "data.mdb").stat().st_size / 1e6}))
    else:
        print(json.dumps(measure(folder, [f"executions/{uuid.UUID(int=place + 1)}" for place in range(count)])))


if __name__ == "__main__":
    main()
