"""Push and pull: to a folder beside, and to S3."""

from __future__ import annotations

import json
import re

from bench.measure import BenchError, Sample
from bench.site import Site
from bench.workload import Metric, workload

WAYS = ("push", "pull")


def _move(site: Site, way: str, place: str, nothing: bool = False) -> tuple[Sample, int]:
    """Push or pull; return what it cost and how many objects it moved."""
    ours = site.side.name != "peer"
    sample = site.redun(site.folder / place, way, "team", *(["--format", "json"] if ours else []))
    said = site.out.read_text() + site.log.read_text()
    moved = int(json.loads(said)["objects"]) if ours else sum(map(int, re.findall(r"(\d+) (?:new )?record", said)))
    if (moved == 0) != nothing:
        raise BenchError(f"{way} moved {moved} objects: {said}")
    return sample, moved


@workload(
    "push",
    "push and pull of a fan-out of N tasks, to and from a folder, whole processes",
    size=20_000,
    tiny=5,
    beside=500,
    sides=("peer",),
    metrics=[
        Metric("objects", "objects in all", "objects"),
        *[
            metric
            for way in WAYS
            for metric in (
                Metric(f"{way}.rate", f"{way}, objects a second, wall clock, without start-up", "objects/s", 50_000),
                Metric(f"{way}.whole", f"{way}, objects a second, wall clock, whole process", "objects/s"),
                Metric(f"{way}.cpu", f"{way}, CPU", "s"),
                Metric(f"{way}.peak", f"{way}, peak memory", "MB"),
                Metric(f"{way}.again", f"{way} when nothing is new, CPU", "s", 0.1),
                Metric(f"{way}.again.wall", f"{way} when nothing is new, wall clock", "s"),
            )
        ],
    ],
)
def push(site: Site, size: int) -> dict[str, float]:
    """From one store to a repo, from there to another store. With nothing new all that is left is start-up."""
    here, there = site.place("here"), site.place("there")
    site.flow(here, "fanout", "--n", size)
    if site.side.name == "peer":
        repo = site.place("repo")
        site.redun(repo, "init")
        site.redun(there, "init")
        words: tuple[object, ...] = (repo / ".redun",)
    else:
        words = (site.folder / "repo", "--trust", "all")
    for place in (here, there):
        site.redun(place, "repo", "add", "team", *words)
    found: dict[str, float] = {}
    for way, name in zip(WAYS, ("here", "there"), strict=True):
        first, moved = _move(site, way, name)
        again, _ = _move(site, way, name, nothing=True)
        found["objects"] = moved
        found[f"{way}.rate"] = moved / max(first.wall_s - again.wall_s, 1e-6)
        found[f"{way}.whole"] = moved / first.wall_s
        found[f"{way}.cpu"] = first.cpu_s
        found[f"{way}.peak"] = first.peak_rss_bytes / 1e6
        found[f"{way}.again"] = again.cpu_s
        found[f"{way}.again.wall"] = again.wall_s
    return found


@workload(
    "s3",
    "push and pull of N objects of 300 bytes, to and from S3 (moto, on this machine)",
    size=100_000,
    tiny=20,
    rounds=1,
    metrics=[
        metric
        for way, most in (("push", 10), ("push.again", 3), ("pull", None), ("pull.again", None))
        for metric in (
            Metric(f"{way}.requests", f"{way.replace('.again', ' when nothing is new')}, requests", "requests", most),
            Metric(f"{way}.cpu", f"{way.replace('.again', ' when nothing is new')}, CPU of the client", "s"),
            Metric(f"{way}.wall", f"{way.replace('.again', ' when nothing is new')}, wall clock, server included", "s"),
        )
    ],
)
def s3(site: Site, size: int) -> dict[str, float]:
    """The client counts its own requests."""
    return site.driver("s3", size, site.place("s3"))
