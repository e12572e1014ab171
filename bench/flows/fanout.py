"""A fan-out of trivial tasks, as for the existing package."""

from redun import task

redun_namespace = "bench"


@task()
def inc(i: int) -> int:
    """Do next to nothing, so that all the cost is the engine's."""
    return i + 1


@task()
def main(n: int = 5000) -> list[int]:
    """Call `inc` n times."""
    return [inc(i) for i in range(n)]
