"""Garbage collection of a large store."""

from __future__ import annotations

from bench.site import Site
from bench.workload import Metric, workload

METRICS = [
    Metric("store", "data.mdb before", "MB"),
    Metric("before", "objects before", "objects"),
    Metric("after", "objects after", "objects"),
    Metric("cpu", "CPU", "s"),
    Metric("wall", "wall clock", "s"),
    Metric("peak", "peak memory, mapped pages included", "MB"),
    Metric("transactions", "transactions", "transactions"),
    Metric("median", "a transaction, median, sync included", "ms"),
    Metric("longest", "the longest transaction", "ms"),
    Metric("longest.cpu", "CPU of the transaction that took most", "ms"),
]


def _collection(name: str, title: str, dropped: int) -> None:
    @workload(name, title, size=1_000_000, tiny=200, kind="slow", rounds=1, metrics=METRICS)
    def collect(site: Site, size: int) -> dict[str, float]:
        folder = site.place("store")
        return site.driver("collection", "fill", folder, size) | site.driver("collection", "collect", folder, dropped)


_collection("gc", "gc of a store of N objects, half of the executions go", 10)
_collection("gc-all", "gc of a store of N objects, all executions go", 20)
