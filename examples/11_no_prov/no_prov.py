"""Many small calls whose single steps nobody will ask about: evaluated, but kept as one."""

from redun import task
from redun.functools import no_prov

redun_namespace = "redun.examples.no_prov"


@task()
def square(x: int) -> int:
    return x * x


@task()
def total(numbers: list[int]) -> int:
    return sum(numbers)


@task()
def sum_of_squares(n: int) -> int:
    return total([square(x) for x in range(n)])


@task()
def main(n: int = 100) -> dict:
    """Compute the same, with every step on record and as one step."""
    return {"recorded": sum_of_squares(3), "as one": no_prov(sum_of_squares(n))}


@task(prov=False)
def unrecorded(n: int = 3) -> int:
    """As an option: neither this job nor those below it leave a trace, so nothing is there to be replayed."""
    return sum_of_squares(n)
