"""One task that takes a list of many results, with dask.delayed on threads, which keeps nothing."""

import sys

import dask


@dask.delayed
def inc(i: int) -> int:
    """Do next to nothing."""
    return i + 1


@dask.delayed
def total(items: list[int]) -> int:
    """Take one list."""
    return sum(items)


if __name__ == "__main__":
    n = int(sys.argv[2])
    assert total([inc(i) for i in range(n)]).compute(scheduler="threads") == n * (n + 1) // 2
    print("keeps nothing")
