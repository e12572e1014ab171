"""A tree of trivial tasks: n parts of n jobs each."""

from redun import task

redun_namespace = "bench"


@task()
def inc(i: int) -> int:
    """Do next to nothing, so that all the cost is the engine's."""
    return i + 1


@task()
def part(base: int, n: int) -> list[int]:
    """Call `inc` n times."""
    return [inc(base + i) for i in range(n)]


@task()
def main(n: int = 1000) -> list[list[int]]:
    """Call `part` n times."""
    return [part(i * n, n) for i in range(n)]
