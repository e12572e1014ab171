"""A store with very many objects: opened, looked up, logged."""

from __future__ import annotations

from bench.site import Site
from bench.workload import Metric, workload

_SECOND = "00000000-0000-0000-0000-000000000002"


@workload(
    "objects",
    "a store of N objects: N / 2 jobs in 20 executions, each with a call and a value",
    size=10_000_000,
    tiny=200,
    kind="giant",
    rounds=1,
    metrics=[
        Metric("store", "data.mdb", "MB"),
        Metric("open", "opened from Python, CPU", "ms"),
        Metric("get", "an object got by its id, CPU", "us"),
        Metric("memo", "a row of the memo looked up, CPU", "us"),
        Metric("find", "an object found by 12 digits of its id, CPU", "us"),
        Metric("peak", "peak memory of these look-ups, mapped pages included", "MB"),
        Metric("log", "`redun log`, CPU, whole process", "ms"),
        Metric("log.wall", "`redun log`, wall clock", "ms"),
        Metric("log.peak", "`redun log`, peak memory", "MB"),
        Metric("index", "the first `redun log EXECUTION`, which makes the index, CPU", "s"),
        Metric("index.wall", "the first `redun log EXECUTION`, wall clock", "s"),
        Metric("index.peak", "the first `redun log EXECUTION`, peak memory", "MB"),
        Metric("execution", "`redun log EXECUTION` of N / 40 jobs from then on, CPU", "s"),
        Metric("job", "`redun log --job --limit 10`, CPU", "s"),
        Metric("grown", "data.mdb with the index", "MB"),
    ],
)
def objects(site: Site, size: int) -> dict[str, float]:
    """Make the store as runs do, then look at it from Python and from the command line."""
    place = site.place("full")
    site.redun(place, "init")
    folder = place / ".redun" / "store"
    found = site.driver("collection", "fill", folder, size)
    found |= site.driver("lookups", folder, size // 2)
    log = site.redun(place, "log")
    found |= {"log": log.cpu_s * 1e3, "log.wall": log.wall_s * 1e3, "log.peak": log.peak_rss_bytes / 1e6}
    index = site.redun(place, "log", _SECOND)
    found |= {"index": index.cpu_s, "index.wall": index.wall_s, "index.peak": index.peak_rss_bytes / 1e6}
    found["execution"] = site.redun(place, "log", _SECOND).cpu_s
    found["job"] = site.redun(place, "log", "--job", "--limit", 10).cpu_s
    found["grown"] = (folder / "data.mdb").stat().st_size / 1e6
    return found
