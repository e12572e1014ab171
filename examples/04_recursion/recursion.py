"""Tasks that call themselves: a series, a sort, and a recursion that is far deeper than Python's own would be."""

from redun import cond, task

redun_namespace = "redun.examples.recursion"


@task()
def add(a: int, b: int) -> int:
    return a + b


@task()
def fib(n: int) -> int:
    """Return a Fibonacci number the naive way."""
    if n < 2:
        return n
    return add(fib(n - 1), fib(n - 2))


@task()
def merge(left: list[int], right: list[int]) -> list[int]:
    merged = []
    left, right = list(left), list(right)
    while left and right:
        merged.append((left if left[0] <= right[0] else right).pop(0))
    return merged + left + right


@task()
def sort(items: list[int]) -> list[int]:
    """Sort by halves; halves that are equal are sorted once."""
    if len(items) < 2:
        return items
    middle = len(items) // 2
    return merge(sort(items[:middle]), sort(items[middle:]))


@task()
def halve_or_triple(n: int) -> int:
    return n // 2 if n % 2 == 0 else 3 * n + 1


@task()
def collatz(n: int, steps: int = 0) -> int:
    """Count the steps down to 1. How many there are is not known beforehand: the next call depends on a result."""
    return cond(n == 1, steps, collatz(halve_or_triple(n), steps + 1))


@task()
def count_down(n: int) -> int:
    """Go n calls deep."""
    return n if n == 0 else count_down(n - 1)


@task()
def main() -> dict:
    return {"fib": fib(20), "sort": sort([3, 1, 2, 3, 1, 2, 3, 1]), "collatz": collatz(27)}
