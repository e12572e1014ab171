"""Chains of nested lazy calls, also through operators, lists and `catch`."""

from redun import catch, task

redun_namespace = "bench"


@task()
def inc(x: int) -> int:
    """Do next to nothing."""
    return x + 1


@task()
def first(items: list[int]) -> int:
    """Look into a list."""
    return items[0] + 1


@task()
def zero(error: Exception) -> int:
    """Recover."""
    return 0


@task()
def main(n: int) -> int:
    """f(f(f(...)))"""
    x = 0
    for _ in range(n):
        x = inc(x)
    return x


@task()
def operators(n: int) -> int:
    """f() + 1 + 1 + ..."""
    x = inc(-1)
    for _ in range(n):
        x = x + 1
    return x


@task()
def lists(n: int) -> int:
    """f([f([...])])"""
    x = 0
    for _ in range(n):
        x = first([x])
    return x


@task()
def catches(n: int) -> int:
    """catch(f(catch(f(...))))"""
    x = 0
    for _ in range(n):
        x = catch(inc(x), ValueError, zero)
    return x
