"""100 MB from one function to the next with joblib.Memory, which hashes arguments and pickles results."""

import sys

from joblib import Memory

memory = Memory("cache", verbose=0)
ran = 0


@memory.cache
def make(megabytes: int) -> bytes:
    """Make bytes, at little cost."""
    global ran
    ran += 1
    return b"0123456789abcdef" * (62_500 * megabytes)


@memory.cache
def measure(data: bytes) -> int:
    """Take them."""
    global ran
    ran += 1
    return len(data)


if __name__ == "__main__":
    n = int(sys.argv[2])
    assert measure(make(n)) == n * 1_000_000
    print("ran", ran)
