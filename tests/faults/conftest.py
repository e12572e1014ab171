"""Processes that are made to suffer."""

from __future__ import annotations

import contextlib
import os
import pickle
import signal
import sys
import traceback
from collections.abc import Callable
from typing import Any

import pytest


class Child:
    """A forked process that runs a function; what it reports or returns can be read, line by line or at the end."""

    def __init__(self, work: Callable[..., Any], *args: Any) -> None:
        read, write = os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            status = 1
            try:
                os.close(read)
                self._out = os.fdopen(write, "wb", buffering=0)
                result = work(self, *args)
                self.report(result)
                status = 0
            except BaseException:
                traceback.print_exc(file=sys.stderr)
            finally:
                os._exit(status)
        os.close(write)
        self._in = os.fdopen(read, "rb")
        self._status: int | None = None

    def report(self, thing: Any) -> None:
        """In the child: tell the parent something, in one write."""
        self._out.write(pickle.dumps(thing))

    def read(self) -> Any:
        """Return the next thing that the child reported.

        Raises:
            EOFError: it died before saying more.
        """
        try:
            return pickle.load(self._in)
        except pickle.UnpicklingError:
            raise EOFError("the child died while it spoke") from None

    def read_all(self) -> list[Any]:
        """Return everything that is still to be read, up to the child's end."""
        things = []
        with contextlib.suppress(EOFError):
            while True:
                things.append(self.read())
        return things

    def result(self) -> Any:
        """Return what the function returned.

        Raises:
            AssertionError: it raised; its traceback is on standard error.
        """
        things = self.read_all()
        assert self.wait() == 0, "the child failed"
        return things[-1]

    def kill(self) -> None:
        """Kill it as nothing can be prepared for."""
        os.kill(self.pid, signal.SIGKILL)

    def wait(self) -> int:
        """Wait for its end and return its status (negative: the signal)."""
        if self._status is None:
            self._status = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
        return self._status


@pytest.fixture
def fork():
    """Return a function that starts a `Child`; what is left of them in the end is killed."""
    children: list[Child] = []

    def start(work: Callable[..., Any], *args: Any) -> Child:
        child = Child(work, *args)
        children.append(child)
        return child

    yield start
    for child in children:
        with contextlib.suppress(ProcessLookupError):
            if child._status is None:
                child.kill()
                child.wait()
        child._in.close()
