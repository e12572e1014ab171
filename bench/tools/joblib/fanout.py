"""The fan-out with joblib.Memory, which keeps results in files."""

import sys

from joblib import Memory

memory = Memory("cache", verbose=0)
ran = 0


@memory.cache
def inc(i: int) -> int:
    """Do next to nothing."""
    global ran
    ran += 1
    return i + 1


if __name__ == "__main__":
    n = int(sys.argv[2])
    assert sum([inc(i) for i in range(n)]) == n * (n + 1) // 2
    print("ran", ran)
