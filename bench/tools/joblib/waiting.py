"""Jobs that sleep on 200 threads, and trivial ones in two processes, with joblib.Parallel, which keeps nothing."""

import sys
import time

from joblib import Parallel, delayed


def nap(i: int) -> int:
    """Sleep 10 ms."""
    time.sleep(0.01)
    return i


def trivial(i: int) -> int:
    """Do next to nothing."""
    return i + 1


if __name__ == "__main__":
    task, n = sys.argv[1], int(sys.argv[2])
    if task == "main":
        results = Parallel(n_jobs=200, backend="threading")(delayed(nap)(i) for i in range(n))
        assert list(results) == list(range(n))
    else:
        results = Parallel(n_jobs=2)(delayed(trivial)(i) for i in range(n))
        assert list(results) == list(range(1, n + 1))
    print("keeps nothing")
