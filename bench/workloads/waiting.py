"""Executors: jobs on threads that sleep, jobs in processes."""

from __future__ import annotations

from pathlib import Path

from bench.cycle import Cycle, run_cycle
from bench.site import Site
from bench.workload import Metric, workload


def _configure(place: Path, executor: str, mode: str, workers: int) -> None:
    (place / ".redun").mkdir()
    lines = [f"[executors.{executor}]", "type = local", f"mode = {mode}", f"max_workers = {workers}"]
    (place / ".redun" / "redun.ini").write_text("\n".join(lines) + "\n")


def _cycle(site: Site, size: int, task: str, executor: str, mode: str, workers: int, least: int = 0) -> Cycle:
    def configure(place: Path) -> None:
        _configure(place, executor, mode, workers)

    return run_cycle(site, "waiting", size, task=task, replays=1, least=least, prepare=configure)


@workload(
    "threads",
    "N jobs that sleep 10 ms on 200 threads; without start-up, N / 200 * 10 ms would be perfect",
    size=2000,
    tiny=4,
    beside=200,
    sides=("peer", "joblib", "dask"),
    metrics=[
        Metric("wall", "wall clock, without start-up", "ms", 150),
        Metric("excess", "of which beyond the sleep", "ms"),
        Metric("whole", "wall clock, whole process", "ms"),
        Metric("cpu", "CPU per job, without start-up", "us"),
    ],
)
def threads(site: Site, size: int) -> dict[str, float]:
    """All cost beyond N / 200 sleeps is the engine's."""
    cycle = _cycle(site, size, "main", "default", "thread", 200)
    wall_ms = (cycle.cold.wall_s - cycle.start.wall_s) * 1e3
    cpu_us = (cycle.cold.cpu_s - cycle.start.cpu_s) * 1e6 / size
    return {"wall": wall_ms, "excess": wall_ms - size * 10 / 200, "whole": cycle.cold.wall_s * 1e3, "cpu": cpu_us}


@workload(
    "processes",
    "N trivial jobs on 2 worker processes",
    size=200,
    tiny=2,
    sides=("peer", "joblib", "dask"),
    metrics=[
        Metric("wall", "wall clock per job, start of the workers included, without that of redun", "ms", 1),
        Metric("whole", "wall clock per job, whole process", "ms"),
        Metric("cpu", "CPU per job, workers included, whole process", "ms"),
    ],
)
def processes(site: Site, size: int) -> dict[str, float]:
    """Few jobs: what counts is how soon the workers are there."""
    cycle = _cycle(site, size, "processes", "process", "process", 2)
    wall_s = cycle.cold.wall_s - cycle.start.wall_s
    return {"wall": wall_s * 1e3 / size, "whole": cycle.cold.wall_s * 1e3 / size, "cpu": cycle.cold.cpu_s * 1e3 / size}


@workload(
    "arrivals",
    "N jobs of 8 ms sleep on 8 worker processes: at most 1,000 come back in a second",
    size=3000,
    tiny=4,
    rounds=1,
    metrics=[
        Metric("rate", "jobs that came back, without start-up", "jobs/s"),
        Metric("cpu", "CPU per job, workers included, without start-up", "us"),
    ],
)
def arrivals(site: Site, size: int) -> dict[str, float]:
    """Eight jobs, one for each worker, stand for starting up."""
    cycle = _cycle(site, size + 8, "arrivals", "process", "process", 8, least=8)
    wall_s = max(cycle.cold.wall_s - cycle.start.wall_s, 1e-9)
    return {"rate": size / wall_s, "cpu": (cycle.cold.cpu_s - cycle.start.cpu_s) * 1e6 / size}
