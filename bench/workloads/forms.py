"""Graphs full of `catch`, of `cond`, of handles: figures for one of them, which is several jobs."""

from __future__ import annotations

from bench.cycle import cycle_metrics, run_cycle
from bench.site import Site
from bench.workload import workload


def _forms(
    name: str, title: str, task: str, each: str, size: int, beside: int = 200, twins: bool = False, fails: bool = False
) -> None:
    metrics = cycle_metrics(f"per {each}", "us")

    @workload(name, title, size=size, tiny=4, rounds=2, beside=beside, sides=("peer",), metrics=metrics)
    def forms(site: Site, size: int) -> dict[str, float]:
        return run_cycle(site, "forms", size, task=task, twins=twins, fails=fails).figures(size, 1e6)


_forms("catch", "N times `catch`, half of the calls fail", "catches", "catch", 5000, fails=True)
_forms("cond", "N times `cond`: two jobs each", "conds", "cond", 5000)
_forms("handles", "N handles, each changed by two jobs", "handles", "handle", 2000, beside=100)
_forms("handle-chain", "one handle changed by N jobs", "handle_chain", "state", 2000, beside=50)
