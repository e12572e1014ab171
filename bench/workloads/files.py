"""Files and folders as values."""

from __future__ import annotations

from pathlib import Path

from bench.cycle import cycle_metrics, run_cycle
from bench.site import Site
from bench.workload import Metric, workload


def make_files(place: Path, count: int) -> None:
    """Make small files below `data`, a thousand in a folder."""
    for number in range(count):
        if number % 1000 == 0:
            folder = place / "data" / str(number // 1000)
            folder.mkdir(parents=True)
        (folder / str(number)).write_bytes(b"%d" % number)


def _files(name: str, title: str, task: str, size: int, kind: str) -> None:
    metrics = cycle_metrics("per file", "us")

    @workload(name, title, size=size, tiny=4, kind=kind, rounds=1, beside=200, sides=("peer",), metrics=metrics)
    def files(site: Site, size: int) -> dict[str, float]:
        def prepare(place: Path) -> None:
            make_files(place, size if place.name == "full" else 0)

        return run_cycle(site, "files", size, task=task, prepare=prepare).figures(size, 1e6)


_files("files", "N jobs that take and return a File each", "main", 100_000, "slow")
_files("file-list", "two jobs that hand on N Files in a list", "listed", 100_000, "slow")


@workload(
    "dir",
    "a Dir of N files, hashed by their size and time",
    size=10_000,
    tiny=10,
    sides=("peer",),
    metrics=[
        Metric("first", "CPU per file, the first time", "us", 5),
        Metric("again", "CPU per file, an unchanged folder once more", "us", 5),
    ],
)
def folder(site: Site, size: int) -> dict[str, float]:
    """In one process, without a run."""
    make_files(site.folder, size)
    return site.driver("folder", site.folder / "data")
