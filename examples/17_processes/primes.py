"""Count primes in worker processes."""

import os

from redun import task

redun_namespace = "redun.examples.processes"


@task(executor="process")
def count_primes(start: int, stop: int) -> int:
    """Plain Python holds the interpreter's lock: on threads one such task would run at a time."""
    found = 0
    for number in range(max(start, 2), stop):
        if all(number % divisor for divisor in range(2, int(number**0.5) + 1)):
            found += 1
    return found


@task()
def total(parts: list[int]) -> int:
    return sum(parts)


@task()
def main(limit: int = 20_000, parts: int = 4) -> int:
    size = limit // parts
    return total([count_primes(i * size, (i + 1) * size) for i in range(parts)])


@task(executor="process", retries=2, retry_delay=0.1)
def fragile(path: str) -> str:
    """Ends its own process the first time, as running out of memory would."""
    if not os.path.exists(path):
        open(path, "w").close()
        os.kill(os.getpid(), 9)
    return "done"


@task(executor="process", timeout=0.5)
def endless() -> None:
    while True:
        pass
