"""The fan-out with doit: a task for each number, done again when its number changes; results are kept as values of tasks."""

import atexit
import sys
from collections.abc import Iterator
from typing import Any

import doit
from doit.tools import config_changed

DOIT_CONFIG = {"verbosity": 1}
ran = 0


def inc(i: int) -> dict[str, int]:
    """Do next to nothing; what an action returns as a dict is kept."""
    global ran
    ran += 1
    return {"result": i + 1}


def task_inc() -> Iterator[dict[str, Any]]:
    """Make the tasks."""
    for i in range(N):
        yield {"name": str(i), "actions": [(inc, [i])], "uptodate": [config_changed(str(i))]}


if __name__ == "__main__":
    N = int(sys.argv.pop())
    del sys.argv[1:]
    atexit.register(lambda: print("ran", ran))
    doit.run(globals())
