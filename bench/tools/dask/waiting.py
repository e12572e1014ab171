"""Jobs that sleep on 200 threads, and trivial ones in two processes, with dask.delayed, which keeps nothing."""

import sys
import time

import dask


@dask.delayed
def nap(i: int) -> int:
    """Sleep 10 ms."""
    time.sleep(0.01)
    return i


@dask.delayed
def trivial(i: int) -> int:
    """Do next to nothing."""
    return i + 1


if __name__ == "__main__":
    task, n = sys.argv[1], int(sys.argv[2])
    if task == "main":
        results = dask.compute(*[nap(i) for i in range(n)], scheduler="threads", num_workers=200)
        assert list(results) == list(range(n))
    else:
        results = dask.compute(*[trivial(i) for i in range(n)], scheduler="processes", num_workers=2)
        assert list(results) == list(range(1, n + 1))
    print("keeps nothing")
