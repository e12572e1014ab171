"""One task with many arguments, and values nested deeply."""

from typing import Any

from redun import task

redun_namespace = "bench"


@task()
def inc(i: int) -> int:
    """Do next to nothing."""
    return i + 1


@task()
def total(items: list[int]) -> int:
    """Take one list."""
    return sum(items)


@task()
def add(*items: int) -> int:
    """Take each as an argument of its own."""
    return sum(items)


@task()
def main(n: int = 10_000) -> int:
    """n calls in one list, which is one argument."""
    return total([inc(i) for i in range(n)])


@task()
def arguments(n: int = 10_000) -> int:
    """n calls, each of which is an argument."""
    return add(*[inc(i) for i in range(n)])


@task()
def nest(depth: int) -> list[Any]:
    """Make a list in a list in a list ..."""
    nested: list[Any] = []
    for _ in range(depth):
        nested = [nested]
    return nested


@task()
def depth_of(nested: list[Any]) -> int:
    """Look how deep it is."""
    depth = 0
    while nested:
        (nested,) = nested
        depth += 1
    return depth


@task()
def lazy(depth: int) -> Any:
    """Return a call deep inside lists."""
    nested: Any = inc(depth)
    for _ in range(depth):
        nested = [nested]
    return nested


@task()
def nesting(n: int = 10_000) -> list[int]:
    """Values and expressions n levels deep, as results and as arguments."""
    return [depth_of(nest(n)), innermost(lazy(n))]


@task()
def innermost(nested: Any) -> int:
    """Unpack it."""
    while isinstance(nested, list):
        (nested,) = nested
    return int(nested)
