"""Short commands: what a user waits for most often."""

from __future__ import annotations

import shutil

from bench.measure import Sample
from bench.site import HERE, Site
from bench.workload import Metric, workload

HELLO = HERE.parent / "examples" / "01_hello_world" / "hello_world.py"


def _both(key: str, title: str, goal: float | None) -> list[Metric]:
    return [Metric(key, f"{title}, CPU", "ms", goal), Metric(f"{key}.wall", f"{title}, wall clock", "ms")]


def _figures(samples: dict[str, Sample]) -> dict[str, float]:
    found = {}
    for key, sample in samples.items():
        found[key], found[f"{key}.wall"] = sample.cpu_s * 1e3, sample.wall_s * 1e3
    return found


@workload(
    "start",
    "commands that do next to nothing, whole processes",
    size=1,
    tiny=1,
    sides=("peer",),
    rounds=7,
    metrics=[
        *_both("version", "`redun --version`", 100),
        *_both("help", "`redun --help`", 100),
        *_both("hello", "hello world replayed", 150),
        *_both("log", "`redun log` of two executions", 150),
    ],
)
def start(site: Site, size: int) -> dict[str, float]:
    """Run each once."""
    place = site.place("hello")
    shutil.copy(HELLO, place)
    site.redun(place, "run", HELLO.name, "main")
    samples = {"version": site.redun(place, "--version"), "help": site.redun(place, "--help")}
    samples["hello"] = site.redun(place, "run", HELLO.name, "main")
    site.expect(3, 0)
    samples["log"] = site.redun(place, "log")
    return _figures(samples)


@workload(
    "log",
    "`redun log` after a fan-out of N tasks, whole processes",
    size=10_000,
    tiny=5,
    beside=1000,
    sides=("peer",),
    metrics=[
        *_both("log", "`redun log`, the first since the run", 150),
        *_both("log.again", "`redun log`, once more", 150),
        *_both("tree", "`redun log -`", 400),
        *_both("job", "`redun log JOB`", None),
    ],
)
def log(site: Site, size: int) -> dict[str, float]:
    """Run a fan-out, then look at it."""
    place = site.place("full")
    site.flow(place, "fanout", "--n", size)
    samples = {"log": site.redun(place, "log"), "log.again": site.redun(place, "log"), "tree": site.redun(place, "log", "-")}
    lines = site.out.read_text().splitlines()
    job = next(line.split()[1] for line in reversed(lines) if line.lstrip().startswith("Job "))
    samples["job"] = site.redun(place, "log", job)
    return _figures(samples)
