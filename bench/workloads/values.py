"""Values: large, wide, deep, and used many times."""

from __future__ import annotations

from collections.abc import Sequence

from bench.cycle import cycle_metrics, run_cycle
from bench.site import Site
from bench.workload import workload

TIMES = ("cpu", "marginal", "wall", "peak")


@workload(
    "bytes",
    "N MB of bytes from one task to another",
    size=100,
    tiny=1,
    sides=("peer", "joblib", "dask"),
    rounds=2,
    metrics=cycle_metrics("", "s", TIMES, {"cold.marginal": 0.3, "replay.marginal": 0.02}),
)
def large_bytes(site: Site, size: int) -> dict[str, float]:
    """Two jobs, one large value."""
    return run_cycle(site, "large", size).figures(1, 1, TIMES)


def _jobs(
    name: str, title: str, flow: str, task: str, size: int, rounds: int, beside: int, sides: Sequence[str], least: int = 0
) -> None:
    """Register a workload of N jobs whose figures are those of one job."""
    metrics = cycle_metrics("per job", "us")

    @workload(name, title, size=size, tiny=4, rounds=rounds, beside=beside, sides=sides, metrics=metrics)
    def jobs(site: Site, size: int) -> dict[str, float]:
        return run_cycle(site, flow, size, task=task, least=least).figures(size, 1e6)


_jobs("wide", "one task that takes a list of N results", "wide", "main", 10_000, 2, 500, ("peer", "dask"))
_jobs("wide-arguments", "one task with N arguments, each a call", "wide", "arguments", 10_000, 2, 500, ("peer",))
# With one job the large value is made: what is left off is that, too.
BYTES = "N tasks that take the same 10 MB of bytes, less the making of it"
LIST = "N tasks that take the same 100,000 numbers, less the making of them"
_jobs("shared-bytes", BYTES, "large", "many", 1000, 3, 20, ("peer",), least=1)
_jobs("shared-list", LIST, "large", "many_lists", 50, 1, 20, ("peer",), least=1)

NESTING = ("cpu", "marginal", "peak")


@workload(
    "nesting",
    "values and expressions N levels deep",
    size=10_000,
    tiny=5,
    metrics=cycle_metrics("per level", "us", NESTING),
)
def nesting(site: Site, size: int) -> dict[str, float]:
    """Five jobs in all."""
    return run_cycle(site, "wide", size, task="nesting").figures(size, 1e6, NESTING)
