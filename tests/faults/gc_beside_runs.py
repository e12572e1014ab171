"""gc in a loop beside workflows in a loop, on one store: no job may fail, no link may dangle, and in the end nothing is left.

    python tests/faults/gc_beside_runs.py --minutes 10 --runners 4

Short samples of it are in `test_gc_beside_runs.py`. Each runner runs one workflow after the other, with a scheduler and an open
store for a while and then new ones: cold jobs and replayed ones, checked fully and shallowly, values that all of them share, files of
values, expressions that are objects of their own, recovered errors, jobs that take longer than a commit. The collector changes its
policy from round to round: it keeps the last few, none, drops values, forgets one task.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

FLOW = """
import time
from redun import catch, task
from redun.functools import seq

redun_namespace = "beside"

@task()
def text(i):
    return f"a text that is no part of anything else: {i} " * 5

@task()
def large(i):
    return bytes([i % 256]) * 70_000 + str(i).encode()

@task(check_valid="shallow")
def below(i):
    return [text(i), inner(text(i + 1), i)]

@task()
def inner(given, i):
    return [given, large(i % 3)]

@task()
def slow(given, pause):
    time.sleep(pause)
    return len(given)

@task()
def fails(given):
    raise ValueError(given)

@task()
def recovers(error):
    return f"recovered from {error} " * 5

@task()
def total(parts):
    return len(str(parts))

@task()
def main(seed: int, pause: float):
    many = [below(seed + i) for i in range(3)]
    bad = catch(fails(text(seed)), ValueError, recovers)
    return [total(many), total([inner(text(i), i) for i in range(seed, seed + 4)]), slow(text(seed), pause), slow(text(-seed), 0), bad]
"""


def expected(seed: int, pause: float) -> Any:
    """Return what `main` gives, computed anew, without a store."""
    from redun import Scheduler

    return Scheduler(logger=False).run(_main()(seed, pause))


def _main() -> Any:
    import flow

    return flow.main


def run_in_a_loop(folder: Path, number: int, until_s: float) -> None:
    """Run workflows; says how many on standard output, and what went wrong."""
    from redun import Scheduler
    from redun.config import load_config, open_store

    sys.path.insert(0, str(folder))
    draw = random.Random(number)
    known: dict[int, Any] = {}
    count = 0
    config = folder / ".redun"
    while time.time() < until_s:
        with open_store(config, load_config(config)) as store:
            scheduler = Scheduler(store=store, logger=False)
            for _ in range(draw.randint(1, 8)):
                seed, pause = draw.randint(0, 12), draw.choice([0, 0, 0, 0.05, 0.3])
                if seed not in known:
                    known[seed] = expected(seed, 0)
                found = scheduler.run(_main()(seed, pause))
                assert found == known[seed], (seed, found, known[seed])
                count += 1
    print(json.dumps({"runs": count}))


def collect_in_a_loop(folder: Path, until_s: float) -> None:
    """Collect, one gc after the other."""
    from redun.collect import collect
    from redun.config import load_config, open_store
    from redun.retention import Policy

    sys.path.insert(0, str(folder))
    draw = random.Random(0)
    rounds = deleted = dropped = waited = 0
    longest_s = 0.0
    config = folder / ".redun"
    with open_store(config, load_config(config)) as store:
        while time.time() < until_s:
            policy = draw.choice([Policy(keep_last=0), Policy(keep_last=3), Policy(), Policy(keep_last=5, max_size=200_000)])
            began = time.monotonic()
            done = collect(store, policy, readers_wait_s=30.0)
            longest_s = max(longest_s, time.monotonic() - began)
            rounds += 1
            deleted += done.report.before.total[0] - done.report.after.total[0]
            dropped += len(done.values)
            waited += done.report.waited_for is not None
    print(
        json.dumps({"rounds": rounds, "deleted": deleted, "dropped": dropped, "waited in vain": waited, "longest_s": longest_s})
    )


def campaign(folder: Path, seconds: float, runners: int, collectors: int = 1) -> dict[str, Any]:
    """Run all of it; return figures.

    Raises:
        AssertionError: something that must hold did not.
    """
    from redun.collect import collect
    from redun.config import load_config, open_store
    from redun.retention import Policy

    (folder / "flow.py").write_text(FLOW)
    config = folder / ".redun"
    config.mkdir()
    (config / "redun.ini").write_text("")
    open_store(config, load_config(config)).close()
    until = str(time.time() + seconds)
    here = [sys.executable, __file__, "--folder", str(folder), "--until", until]
    environ = {**os.environ, "PYTHONPATH": os.pathsep.join([str(folder), os.environ.get("PYTHONPATH", "")])}
    processes = [
        subprocess.Popen(
            [*here, "--role", f"run{number}"], env=environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        for number in range(runners)
    ]
    processes += [
        subprocess.Popen([*here, "--role", "gc"], env=environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for _ in range(collectors)
    ]
    figures: dict[str, Any] = {"runs": 0, "collectors": []}
    try:
        for process in processes:
            out, err = process.communicate(timeout=seconds + 300)
            assert process.returncode == 0, err[-3000:]
            found = json.loads(out.splitlines()[-1])
            if "runs" in found:
                figures["runs"] += found["runs"]
            else:
                figures["collectors"].append(found)
    finally:
        for process in processes:
            if process.poll() is None:
                process.send_signal(signal.SIGKILL)
                process.wait()
    with open_store(config, load_config(config)) as store:
        check_links(store)
        done = collect(store, Policy(keep_last=0))
        figures["left before"] = done.report.before.total[0]
        source: Any = store.source
        source.refresh()
        assert list(source.ids()) == []
        assert source.refs() == []
        assert len(list(source.reflog())) == 1
        assert [path for _, path, _ in source.blobs.files()] == []
        assert done.report.after.memo == 0
        assert done.report.after.dropped == 0
    return figures


def check_links(store: Any) -> None:
    """Check that every object has all that it links, or that it is noted why not, and that its bytes are those of its id."""
    from redun.store.ids import object_id
    from redun.store.objects import Kind, links
    from redun.store.reach import reachable

    source = store.source
    named = reachable(source, [oid for _, oid in source.refs()])
    wrong = []
    for oid in list(source.ids()):
        data = source.get(oid)
        assert object_id(data) == oid
        for link in links(data):
            if not source.contains(link) and source.away(link) is None:
                what = f"{'reachable' if oid in named else 'loose'} {Kind(data[0]).name}"
                wrong.append(f"{what} {oid.hex()} links {link.hex()}, which is gone")
    assert not wrong, "\n".join(wrong)
    for name, oid in source.refs():
        assert source.contains(oid), name


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description="gc in a loop beside workflows in a loop")
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--runners", type=int, default=4)
    parser.add_argument("--collectors", type=int, default=1)
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--until", type=float, default=0.0, help=argparse.SUPPRESS)
    parser.add_argument("--role", default="", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.role == "gc":
        collect_in_a_loop(asked.folder, asked.until)
    elif asked.role:
        run_in_a_loop(asked.folder, int(asked.role.removeprefix("run")), asked.until)
    else:
        with tempfile.TemporaryDirectory(prefix="gc-beside-") as folder:
            print(json.dumps(campaign(Path(folder), asked.minutes * 60, asked.runners, asked.collectors), indent=1))


if __name__ == "__main__":
    main()
