"""Rounds: every side does a workload in turn, so that a noisy minute hits all of them, with the reference between them."""

from __future__ import annotations

import shutil
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

from bench.measure import BenchError, reference_s
from bench.sides import Side
from bench.site import HERE, Site
from bench.workload import Workload


@dataclass
class Found:
    """What was measured of one side with one workload.

    Attributes:
        rounds: the figures of each round, by key.
        references: CPU seconds of the reference before each round.
    """

    workload: Workload
    size: int
    side: str
    rounds: list[dict[str, float]] = field(default_factory=list)
    references: list[float] = field(default_factory=list)

    def figures(self) -> dict[str, float]:
        """Return the median of each figure."""
        return {key: median(each[key] for each in self.rounds) for key in self.rounds[0]}

    def reference_s(self) -> float:
        """Return the median of the reference."""
        return median(self.references)


def measure(chosen: Sequence[tuple[Workload, int]], sides: Sequence[Side], rounds: int | None = None) -> list[Found]:
    """Measure workloads, one after the other, each on all sides that can do it.

    Args:
        chosen: workloads with their sizes.
        sides: who is measured; the first can do all.
        rounds: how often; None leaves it to each workload.

    Raises:
        BenchError: something failed, or did something else than it should.
    """
    found: list[Found] = []
    with tempfile.TemporaryDirectory(prefix="redun-bench-") as scratch:
        for side in sides:
            _warm_up(Site(side, _new(Path(scratch, f"warm-{side.name}"))))
        for workload, size in chosen:
            able = [side for side in sides if side.name in workload.sides or side.tree is not None]
            of = [Found(workload, size, side.name) for side in able]
            found += of
            times = rounds or workload.rounds
            for number in range(times):
                # Every other round in the opposite order: nobody is always the one after the other.
                turns = list(zip(able, of, strict=True))
                for side, entry in turns if number % 2 == 0 else reversed(turns):
                    print(f"{workload.name}={size}, round {number + 1} of {times}, {side.name}: ", end="", file=sys.stderr)
                    sys.stderr.flush()
                    began_s = time.monotonic()
                    folder = _new(Path(scratch, "round"))
                    entry.references.append(reference_s())
                    entry.rounds.append(_checked(workload, workload.measure(Site(side, folder), size)))
                    shutil.rmtree(folder)
                    print(f"{time.monotonic() - began_s:.1f} s", file=sys.stderr)
    return found


def _checked(workload: Workload, figures: dict[str, float]) -> dict[str, float]:
    unknown = figures.keys() - {metric.key for metric in workload.metrics}
    if unknown or not figures:
        raise BenchError(f"workload {workload.name} gave figures that it has no metric for: {sorted(unknown)}")
    return figures


def _new(folder: Path) -> Path:
    folder.mkdir()
    return folder


def _warm_up(site: Site) -> None:
    """Run hello world cold and replayed, and look at its log: all bytecode is compiled, so that no measurement pays for it."""
    if not site.side.is_redun:
        return
    shutil.copy(HERE.parent / "examples" / "01_hello_world" / "hello_world.py", site.folder)
    for _ in range(2):
        site.redun(site.folder, "run", "hello_world.py", "main")
    site.redun(site.folder, "log")
    site.redun(site.folder, "log", "-")
