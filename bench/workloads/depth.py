"""Depth: recursion, and chains of lazy calls."""

from __future__ import annotations

import json

from bench.cycle import run_cycle
from bench.measure import BenchError
from bench.site import Site
from bench.workload import Metric, workload


@workload(
    "fib",
    "recursion: fib(N)",
    size=16,
    tiny=3,
    sides=("peer",),
    metrics=[
        Metric("cold.jobs", "cold, jobs", "jobs"),
        Metric("replay.jobs", "replay, jobs", "jobs"),
        Metric("ratio", "jobs of the replay against those of the cold run", "x", 1),
        Metric("cold.cpu", "cold, CPU, whole process", "ms"),
        Metric("cold.marginal", "cold, CPU, without start-up", "ms"),
        Metric("replay.cpu", "replay, CPU, whole process", "ms"),
        Metric("replay.marginal", "replay, CPU, without start-up", "ms"),
    ],
)
def fib(site: Site, size: int) -> dict[str, float]:
    """Run it, and run it again; how many jobs that took, the log says."""
    cycle = run_cycle(site, "fib", size, replays=1, twins=True)
    replayed = sum(site.counts())
    again = site.place("again")
    site.flow(again, "fib", "--n", size)
    jobs = sum(site.counts())
    figures = cycle.figures(1, 1e3)
    kept = {key: figures[key] for key in ("cold.cpu", "cold.marginal", "replay.cpu", "replay.marginal")}
    return {"cold.jobs": jobs, "replay.jobs": replayed, "ratio": replayed / jobs, **kept}


CHAIN = [
    Metric("cold", "run, CPU per link, without start-up", "us"),
    Metric("replay", "replayed, CPU per link, without start-up", "us"),
    Metric("peak", "run, peak memory", "MB"),
    Metric("log", "`redun log -`, CPU", "s"),
    Metric("push", "`redun push` to a folder, CPU", "s"),
    Metric("gc", "`redun gc --keep-last 0`, CPU", "s"),
]


def _chain(name: str, what: str, kind: str, size: int, rounds: int, task: str) -> None:
    @workload(name, f"{what}, N deep", size=size, tiny=20, kind=kind, rounds=rounds, metrics=CHAIN)
    def chain(site: Site, size: int) -> dict[str, float]:
        cycle = run_cycle(site, "chain", size, task=task, replays=1)
        figures = cycle.figures(size, 1e6)
        log = site.redun(cycle.place, "log", "-")
        site.redun(cycle.place, "repo", "add", "team", site.folder / "team", "--trust", "all")
        push = site.redun(cycle.place, "push", "team", "--format", "json")
        if json.loads(site.out.read_text())["refs"] != 2:
            raise BenchError(f"two executions were to be pushed: see {site.out}")
        gc = site.redun(cycle.place, "gc", "--keep-last", "0")
        return {
            "cold": figures["cold.marginal"],
            "replay": figures["replay.marginal"],
            "peak": figures["cold.peak"],
            "log": log.cpu_s,
            "push": push.cpu_s,
            "gc": gc.cpu_s,
        }


_chain("chain-20k", "a chain f(f(f(...)))", "quick", 20_000, 1, "main")
_chain("chain", "a chain f(f(f(...)))", "slow", 100_000, 1, "main")
_chain("chain-operators", "a chain of operators, f() + 1 + 1 ...", "slow", 100_000, 1, "operators")
_chain("chain-lists", "a chain through lists, f([f([...])])", "slow", 100_000, 1, "lists")
_chain("chain-catch", "a chain through `catch`", "slow", 100_000, 1, "catches")
