"""Many small executions in one process, as a service or a notebook has them."""

from __future__ import annotations

from bench.site import Site
from bench.workload import Metric, workload

METRICS = [
    Metric(f"{key}.{name}", f"{key}, {what} per execution of 3 jobs", "us")
    for key in ("cold", "replay")
    for name, what in (("cpu", "CPU"), ("wall", "wall clock"))
]


@workload(
    "executions",
    "N executions in one process, store in memory",
    size=1000,
    tiny=3,
    beside=30,
    sides=("peer",),
    metrics=METRICS,
)
def in_memory(site: Site, size: int) -> dict[str, float]:
    """Without a disk: what an execution costs by itself."""
    return site.driver("executions", size)


@workload("executions-disk", "N executions in one process, store on disk", size=500, tiny=3, metrics=METRICS)
def on_disk(site: Site, size: int) -> dict[str, float]:
    """Each execution is acknowledged, so each waits for the disk."""
    return site.driver("executions", size, site.folder / "store")
