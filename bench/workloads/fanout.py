"""Fan-outs: many trivial jobs under one, and what changes as they grow in number or have run before."""

from __future__ import annotations

import shutil
from statistics import median

from bench.cycle import cycle_metrics, run_cycle
from bench.site import Site
from bench.workload import Metric, workload

GOALS = {"cold.cpu": 45, "replay.cpu": 21, "cold.store": 650, "replay.store": 60}
TOOLS = ("peer", "joblib", "dask", "doit")


@workload(
    "fanout-1m",
    "a fan-out of N trivial tasks, huge",
    size=1_000_000,
    tiny=6,
    kind="giant",
    metrics=cycle_metrics("per job", "us", goals={**GOALS, "cold.peak": 1200, "replay.peak": 1200}),
    rounds=1,
)
@workload(
    "fanout-20k",
    "a fan-out of N trivial tasks, larger",
    size=20_000,
    tiny=5,
    metrics=cycle_metrics("per job", "us", goals={**GOALS, "cold.peak": 70, "replay.peak": 70}),
    rounds=2,
)
@workload(
    "fanout",
    "a fan-out of N trivial tasks",
    size=5000,
    tiny=4,
    metrics=cycle_metrics("per job", "us", goals=GOALS),
    sides=TOOLS,
)
def fanout(site: Site, size: int) -> dict[str, float]:
    """Run it, and run it again."""
    return run_cycle(site, "fanout", size, replays=2 if size < 100_000 else 1).figures(size, 1e6)


GROWTH = ("cold", "replay")


@workload(
    "growth",
    "CPU per job, without start-up, with 1,000, 20,000 and N jobs",
    size=200_000,
    tiny=30,
    kind="slow",
    rounds=2,
    metrics=[
        *[
            Metric(f"{key}.{name}", f"{key}, CPU per job with {title} jobs", "us")
            for key in GROWTH
            for name, title in (("small", "N / 200"), ("middle", "N / 10"), ("large", "N"))
        ],
        *[Metric(f"{key}.ratio", f"{key}, N jobs against N / 200", "x", 1.5) for key in GROWTH],
    ],
)
def growth(site: Site, size: int) -> dict[str, float]:
    """Run fan-outs of three sizes; the smallest several times, for its figure is small."""
    found: dict[str, float] = {}
    for name, jobs, times in (
        ("small", max(size // 200, 1), 5 if size >= 1000 else 1),
        ("middle", max(size // 10, 1), 1),
        ("large", size, 1),
    ):
        rounds = []
        for number in range(times):
            part = Site(site.side, site.place(f"{name}{number}"))
            rounds.append(run_cycle(part, "fanout", jobs, replays=2 if jobs <= 20_000 else 1).figures(jobs, 1e6))
            shutil.rmtree(part.folder)
        for key in GROWTH:
            found[f"{key}.{name}"] = median(each[f"{key}.marginal"] for each in rounds)
    for key in GROWTH:
        found[f"{key}.ratio"] = found[f"{key}.large"] / found[f"{key}.small"]
    return found


@workload(
    "earlier",
    "replay of a fan-out of N tasks after 100 earlier executions, against the first",
    size=2000,
    tiny=3,
    kind="slow",
    rounds=1,
    metrics=[
        Metric("first", "CPU per job, whole process, after 1 to 5 executions", "us"),
        Metric("later", "CPU per job, whole process, after 100 executions", "us"),
        Metric("ratio", "later against first", "x", 1.1),
    ],
)
def earlier(site: Site, size: int) -> dict[str, float]:
    """Replay again and again; five of the first and five of the last are compared."""
    place = site.place("full")
    site.flow(place, "fanout", "--n", size)
    times = 105 if size >= 100 else 12
    samples = []
    for _ in range(times):
        samples.append(site.flow(place, "fanout", "--n", size).cpu_s * 1e6 / size)
        site.expect(size + 1, 0)
    first, later = median(samples[:5]), median(samples[-5:])
    return {"first": first, "later": later, "ratio": later / first}
