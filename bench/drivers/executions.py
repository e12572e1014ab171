"""Run small executions one after the other in one process; arguments: how many, and a folder for the store or nothing."""

import json
import sys
import time
from pathlib import Path

from redun import Scheduler, task

redun_namespace = "bench"


@task()
def inc(i: int) -> int:
    """Do next to nothing."""
    return i + 1


@task()
def pair(i: int) -> list[int]:
    """Call it twice."""
    return [inc(i), inc(-i)]


def main() -> None:
    """Measure."""
    count = int(sys.argv[1])
    if len(sys.argv) > 2:
        from redun.store.repository import Store

        scheduler = Scheduler(store=Store.open(Path(sys.argv[2])))
    else:
        scheduler = Scheduler()
        scheduler.load()
    assert scheduler.run(pair(10**9)) == [10**9 + 1, 1 - 10**9]
    figures = {}
    for name in ("cold", "replay"):
        began, wall = time.process_time(), time.perf_counter()
        for i in range(1, count + 1):
            scheduler.run(pair(i))
        figures[f"{name}.cpu"] = (time.process_time() - began) * 1e6 / count
        figures[f"{name}.wall"] = (time.perf_counter() - wall) * 1e6 / count
    print(json.dumps(figures))


main()
