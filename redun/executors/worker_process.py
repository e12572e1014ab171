"""A worker process as the scheduler's process sees it: how it is started, what it has been sent, how it ends."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import time
from collections import deque
from multiprocessing.connection import Connection
from typing import TYPE_CHECKING, Any

from redun.executors.channel import Channel
from redun.executors.streams import WorkerOutput
from redun.executors.worker import Settings, work

if TYPE_CHECKING:
    from redun.evaluation.job import Job

_lifeline: tuple[Connection, Connection] | None = None
_fork_server_is_set = False


def _own_lifeline() -> Connection:
    """Return the end that workers watch; the other end lives as long as this process."""
    global _lifeline
    if _lifeline is None:
        _lifeline = multiprocessing.Pipe(duplex=False)
    return _lifeline[0]


def _forget_lifeline() -> None:
    # A forked child must not keep its parent's workers alive.
    global _lifeline
    if _lifeline is not None:
        _lifeline[1].close()
        _lifeline = None


os.register_at_fork(after_in_child=_forget_lifeline)


def _context(start_method: str) -> Any:
    global _fork_server_is_set
    if start_method == "forkserver" and not _fork_server_is_set:
        # redun itself, but not the user's modules: they may change between runs of one program.
        multiprocessing.set_forkserver_preload(["redun.executors.worker"])
        _fork_server_is_set = True
    return multiprocessing.get_context(start_method)


class WorkerProcess:
    """A worker.

    Attributes:
        channel: to and from it.
        ready: it has been heard of.
        set_up: it has imported what its first job needs. started_s: when it was started (monotonic).
        running: (key, job) of the jobs that it has, the one that runs first.
        cancelled: the job that it was killed for, if any.
        output: what it writes, None if that is not kept.
    """

    def __init__(self, process: Any, connection: Connection, output: WorkerOutput | None) -> None:
        self.process = process
        self.channel = Channel(connection)
        self.output = output
        self.ready = False
        self.set_up = False
        self.started_s = time.monotonic()
        self.running: deque[tuple[int, Job]] = deque()
        self.cancelled: Job | None = None

    def kill(self) -> None:
        """End it at once, with all that it has started."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            try:
                os.killpg(self.process.pid, signal.SIGKILL)
            except ProcessLookupError:
                os.kill(self.process.pid, signal.SIGKILL)


def start_worker(start_method: str, name: str, settings: Settings, keeps_output: bool) -> WorkerProcess:
    """Start a worker.

    Raises:
        Exception: it cannot be started.
    """
    context = _context(start_method)
    ours, theirs = context.Pipe()
    output = None
    try:
        output = WorkerOutput() if keeps_output else None
        given = None if output is None else output.given()
        process = context.Process(target=work, args=(theirs, _own_lifeline(), settings, given), name=name)
        process.start()
    except BaseException:
        ours.close()
        if output is not None:
            output.close()
        raise
    finally:
        theirs.close()
    return WorkerProcess(process, ours, output)


def how_it_ended(code: int | None) -> str:
    """Return what the exit code of a worker says, in words."""
    if code is None:
        return "has ended"
    if code >= 0:
        return f"ended with status {code}"
    try:
        name = signal.Signals(-code).name
    except ValueError:
        name = str(-code)
    hint = ": maybe it ran out of memory" if -code == signal.SIGKILL else ""
    return f"was killed by signal {name}{hint}"
