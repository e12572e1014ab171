"""100 MB from one task to the next with dask.delayed on threads, which keeps nothing."""

import sys

import dask


@dask.delayed
def make(megabytes: int) -> bytes:
    """Make bytes, at little cost."""
    return b"0123456789abcdef" * (62_500 * megabytes)


@dask.delayed
def measure(data: bytes) -> int:
    """Take them."""
    return len(data)


if __name__ == "__main__":
    n = int(sys.argv[2])
    assert measure(make(n)).compute(scheduler="threads") == n * 1_000_000
    print("keeps nothing")
