"""What is measured: a fan-out of trivial tasks. It runs on this redun and on the existing package alike."""

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
