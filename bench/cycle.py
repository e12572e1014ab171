"""A workflow run in a fresh folder and then again, as most workloads are measured, and the figures that come of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from bench.measure import Sample, folder_bytes
from bench.site import Site
from bench.workload import Metric

# Figures of a cycle; each is there cold and replayed.
NAMES = ("cpu", "marginal", "wall", "peak", "store")


@dataclass
class Cycle:
    """What was measured.

    Attributes:
        start, restart: the whole process with nothing to do, in a fresh folder and once more: the cost of starting.
        cold, replays: the whole process.
        place: the folder in which it ran.
        cold_bytes, replay_bytes: the store after the cold run, and what one replay added.
    """

    start: Sample
    restart: Sample
    cold: Sample
    replays: Sequence[Sample]
    place: Path
    cold_bytes: int
    replay_bytes: float

    def figures(self, units: int, per: float, names: Sequence[str] = NAMES) -> dict[str, float]:
        """Return the figures of `cycle_metrics`.

        Args:
            units: among how many jobs (or whatever it is) the cost is divided.
            per: how many of the unit of time make a second: 1e6 for us.
            names: which of them.
        """
        found: dict[str, float] = {}
        for key, sample, start in (("cold", self.cold, self.start), ("replay", middle(self.replays), self.restart)):
            found[f"{key}.cpu"] = sample.cpu_s * per / units
            found[f"{key}.marginal"] = (sample.cpu_s - start.cpu_s) * per / units
            found[f"{key}.wall"] = sample.wall_s * per / units
            found[f"{key}.peak"] = sample.peak_rss_bytes / 1e6
        found["cold.store"] = self.cold_bytes / units
        found["replay.store"] = self.replay_bytes / units
        return {key: figure for key, figure in found.items() if key.partition(".")[2] in names}


def middle(samples: Sequence[Sample]) -> Sample:
    """Return the medians of samples, each figure by itself."""
    return Sample(
        median(sample.cpu_s for sample in samples),
        median(sample.wall_s for sample in samples),
        int(median(sample.peak_rss_bytes for sample in samples)),
    )


def cycle_metrics(each: str, unit: str, names: Sequence[str] = NAMES, goals: Mapping[str, float] = {}) -> list[Metric]:
    """Return the metrics of a cycle.

    Args:
        each: what the cost is divided by, such as `per job`; may be empty.
        unit: of time.
        names: which of the figures.
        goals: by key.
    """
    metrics = []
    for key in ("cold", "replay"):
        for name, what, of in (
            ("cpu", f"CPU {each}".strip() + ", whole process", unit),
            ("marginal", f"CPU {each}".strip() + ", without start-up", unit),
            ("wall", f"wall clock {each}".strip() + ", whole process", unit),
            ("peak", "peak memory", "MB"),
            ("store", f"store {each}".strip(), "B"),
        ):
            if name in names:
                metrics.append(Metric(f"{key}.{name}", f"{key}, {what}", of, goals.get(f"{key}.{name}")))
    return metrics


def run_cycle(
    site: Site,
    flow: str,
    size: int,
    *,
    task: str = "main",
    replays: int = 2,
    least: int = 0,
    twins: bool = False,
    fails: bool = False,
    prepare: Callable[[Path], None] | None = None,
) -> Cycle:
    """Run `bench/flows/FLOW.py` with `--n SIZE` cold and then again; before that with `--n LEAST`, in a folder of its own.

    Every run is checked: cold ones take nothing from the cache, replays run nothing.

    Args:
        task: which one of the flow.
        least: the size at which it does next to nothing.
        twins: a cold run, too, finds some of its own calls in the cache.
        fails: some jobs of a cold run fail.
        prepare: puts into a folder what the flow needs.
    """

    def once(place: Path, n: int, again: bool) -> Sample:
        sample = site.flow(place, flow, *(("--n", n) if site.side.is_redun else (n,)), task=task)
        site.expect(None if again or twins else 0, 0 if again else None, fails and not again)
        return sample

    places = []
    for name in ("small", "full"):
        places.append(site.place(name))
        if prepare is not None:
            prepare(places[-1])
    small, place = places
    start, restart = once(small, least, False), once(small, least, True)
    before = folder_bytes(place)
    cold = once(place, size, False)
    cold_bytes = folder_bytes(place) - before - _source_bytes(place)
    samples = [once(place, size, True) for _ in range(replays)]
    grown = (folder_bytes(place) - before - _source_bytes(place) - cold_bytes) / max(replays, 1)
    return Cycle(start, restart, cold, samples, place, cold_bytes, grown)


def _source_bytes(place: Path) -> int:
    """Return the space of scripts and of their bytecode, which are no part of a store."""
    return folder_bytes(place / "__pycache__") + sum(path.lstat().st_blocks * 512 for path in place.glob("*.py"))
