"""Recursion whose calls come back many times: fib, as the textbooks write it."""

from redun import task

redun_namespace = "bench"


@task()
def add(a: int, b: int) -> int:
    """Add two lazy values."""
    return a + b


@task()
def fib(n: int) -> int:
    """Call itself twice."""
    return n if n < 2 else add(fib(n - 1), fib(n - 2))


@task()
def main(n: int = 16) -> int:
    """Begin."""
    return fib(n)
