"""Going on as another process, because the store is open under this one's pid already: in another container.

LMDB tells its readers apart by their pid alone. The first process of every container has pid 1, so two of them on one folder would be
taken for one, and LMDB refuses the second. A forked child has another pid; so the program goes on there, and this process does nothing
but wait for it, hand signals on, and end as it ended.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from types import FrameType

_HANDED_ON = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2)


def go_on_as_child() -> None:
    """Fork; returns in the child. No other thread may run yet."""
    sys.stdout.flush()
    sys.stderr.flush()
    pid = os.fork()
    if pid == 0:
        return

    def hand_on(number: int, frame: FrameType | None) -> None:
        # What is typed at a terminal reaches the child by itself.
        if number != signal.SIGINT or not _is_typed():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)

    for number in _HANDED_ON:
        signal.signal(number, hand_on)
    _, status = os.waitpid(pid, 0)
    code = os.waitstatus_to_exitcode(status)
    if code < 0:
        signal.signal(-code, signal.SIG_DFL)
        os.kill(os.getpid(), -code)
    os._exit(code if code >= 0 else 128 - code)


def _is_typed() -> bool:
    try:
        return os.tcgetpgrp(0) == os.getpgrp()
    except OSError:
        return False
