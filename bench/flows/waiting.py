"""Jobs that wait rather than work, on threads and in processes."""

import time

from redun import task

redun_namespace = "bench"


@task()
def nap(i: int) -> int:
    """Sleep 10 ms on a thread."""
    time.sleep(0.01)
    return i


@task(executor="process")
def away(i: int) -> int:
    """Sleep 8 ms in a worker process: eight of them end a thousand a second."""
    time.sleep(0.008)
    return i


@task(executor="process")
def trivial(i: int) -> int:
    """Do next to nothing in a worker process."""
    return i + 1


@task()
def main(n: int = 2000) -> list[int]:
    """n naps."""
    return [nap(i) for i in range(n)]


@task()
def arrivals(n: int = 3000) -> list[int]:
    """n jobs that come back from processes at a steady pace."""
    return [away(i) for i in range(n)]


@task()
def processes(n: int = 200) -> list[int]:
    """n trivial jobs in processes."""
    return [trivial(i) for i in range(n)]
