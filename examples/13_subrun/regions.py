"""A part of a workflow with a scheduler of its own, in another process."""

import os

from redun import task
from redun.scheduler import subrun

redun_namespace = "redun.examples.subrun"


@task()
def read(region: str, day: int) -> int:
    return len(region) * day


@task()
def total(counts: list[int]) -> int:
    return sum(counts)


@task()
def summarize(region: str, days: int) -> int:
    """Many small calls: these are what the sub-run's scheduler does."""
    return total([read(region, day) for day in range(days)])


@task(cache=False)
def where() -> int:
    """Return the process that runs this."""
    return os.getpid()


@task()
def compare(regions: dict[str, int]) -> str:
    return max(regions, key=lambda region: regions[region])


@task()
def main(regions: list[str] = ["north", "southeast"], days: int = 20) -> str:
    """Summarize each region in a sub-run, then compare."""
    return compare({region: subrun(summarize(region, days), executor="process") for region in regions})


@task()
def elsewhere() -> bool:
    """Show that a sub-run's jobs are in a process of their own."""
    return where() != subrun(where(), executor="process")
