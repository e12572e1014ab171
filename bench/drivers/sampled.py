"""Run `redun` with a sampler beside it; arguments: a file for what it saw, then those of `redun`.

Every millisecond of CPU time of the process the main thread's stack is looked at, which the system does by a signal (`setitimer`,
ITIMER_PROF). Work in C shows up at the next line of Python, so what is written is (function, file) of every frame, not lines.
"""

import json
import signal
import sys
from collections import Counter
from types import FrameType

EVERY_S = 0.001


def main() -> None:
    """Measure."""
    out = sys.argv[1]
    del sys.argv[1]
    sys.argv[0] = "redun"
    seen: Counter[tuple[tuple[str, str], ...]] = Counter()

    def look(number: int, frame: FrameType | None) -> None:
        stack = []
        while frame is not None:
            stack.append((frame.f_code.co_filename, frame.f_code.co_name))
            frame = frame.f_back
        seen[tuple(stack)] += 1

    from redun.cli.main import main as redun

    signal.signal(signal.SIGPROF, look)
    signal.setitimer(signal.ITIMER_PROF, EVERY_S, EVERY_S)
    try:
        status = redun()
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        with open(out, "w") as file:
            json.dump([[count, stack] for stack, count in seen.items()], file)
    sys.exit(status)


main()
