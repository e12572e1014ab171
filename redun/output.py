"""What a job writes while it runs, kept for `redun log --output`: the beginning and the end of it, if it is much.

On threads of this process `sys.stdout` and `sys.stderr` are replaced while a run goes on (`capturing`): text goes on to the real stream as
ever, and to the job that this thread, or this coroutine, is running. Handlers of `logging` that hold one of the real streams are led to
the replaced one. What C code and child processes write past Python is seen in worker processes only (`redun.executors.streams`).

Who runs jobs says so: `run_for` once per thread gives a `Current`, whose `job` is set for each job. That is all that a job costs which writes
nothing.
"""

from __future__ import annotations

import contextlib
import io
import os
import sys
import threading
from collections import deque
from collections.abc import Iterator
from contextvars import ContextVar
from typing import Any, Protocol

from redun.store.journal import CUT, STDERR, STDOUT

Piece = tuple[int, "str | int"]
"""Stream and text, or CUT and how much."""


class Kept:
    """The beginning and the end of what was written, in order. One writer at a time.

    Args:
        most: characters to keep; half of them from the beginning.
    """

    __slots__ = ("_cut", "_half", "_head", "_room", "_tail", "_tail_size")

    def __init__(self, most: int) -> None:
        self._half = most // 2
        self._room = most - self._half
        self._head: list[tuple[int, str]] = []
        self._tail: deque[tuple[int, str]] = deque()
        self._tail_size = 0
        self._cut = 0

    def add(self, stream: int, text: str | int) -> None:
        """Take what was written to a stream; CUT and a number: so much was written that is not at hand."""
        if not isinstance(text, str):
            self._skip(text)
            return
        if self._room > 0:
            head, text = text[: self._room], text[self._room :]
            self._room -= len(head)
            self._head.append((stream, head))
            if not text:
                return
        tail = self._tail
        if len(text) > self._half:
            self._skip(len(text) - self._half)
            text = text[-self._half :] if self._half else ""
        tail.append((stream, text))
        self._tail_size += len(text)
        while tail and self._tail_size - len(tail[0][1]) >= self._half:
            size = len(tail.popleft()[1])
            self._tail_size -= size
            self._cut += size

    def _skip(self, size: int) -> None:
        """With what was kept of the end so far, so much is left out."""
        self._cut += size + self._tail_size
        self._room = 0
        self._tail.clear()
        self._tail_size = 0

    def pieces(self) -> list[Piece]:
        """List what was kept: texts of a stream, and in the middle how much was cut."""
        tail = list(self._tail)
        over = self._tail_size - self._half
        cut = self._cut
        if over > 0:
            stream, text = tail[0]
            tail[0] = stream, text[over:]
            cut += over
        if not cut:
            return list(_joined([*self._head, *tail]))
        return [*_joined(self._head), (CUT, cut), *_joined(tail)]


def _joined(written: list[tuple[int, str]]) -> Iterator[Piece]:
    """Join neighbours of one stream."""
    texts: list[str] = []
    before = CUT
    for stream, text in written:
        if stream != before and texts:
            yield before, "".join(texts)
            texts = []
        before = stream
        texts.append(text)
    if joined := "".join(texts):
        yield before, joined


class Outputs(Protocol):
    """Where the output of jobs goes."""

    def add(self, job: Any, stream: int, text: str | int) -> None:
        """A job has written to a stream (`Kept.add`); any thread."""


class Current:
    """What a thread or coroutine is running.

    Attributes:
        job: None while it runs none.
        streams: what it writes to the streams of this process counts; False where these are files that somebody else reads.
    """

    __slots__ = ("_outputs", "job", "streams")

    def __init__(self, outputs: Outputs | None, streams: bool = True) -> None:
        self._outputs = outputs
        self.streams = streams
        self.job: Any = None

    def add(self, stream: int, text: str | int) -> None:
        """Something was written (`Kept.add`)."""
        if self._outputs is not None and self.job is not None:
            self._outputs.add(self.job, stream, text)


_current: ContextVar[Current | None] = ContextVar("redun_output", default=None)


def run_for(outputs: Outputs | None, streams: bool = True) -> Current:
    """This thread or coroutine runs jobs from now on, whose output goes where this says; None for nowhere."""
    current = Current(outputs, streams)
    _current.set(current)
    return current


def add_output(stream: int, text: str | int) -> None:
    """The job that runs here has written something that no stream of this process has seen."""
    current = _current.get()
    if current is not None and text:
        current.add(stream, text)


class _Stream(io.TextIOBase):
    """Stands for `sys.stdout` or `sys.stderr`: passes everything on, and keeps what jobs write."""

    def __init__(self, real: Any, number: int) -> None:
        self.real = real
        self.number = number

    def write(self, text: str) -> int:
        written: int = self.real.write(text)
        current = _current.get()
        if current is not None and current.streams:
            current.add(self.number, text)
        return written

    def writelines(self, lines: Any) -> None:
        for line in lines:
            self.write(line)

    @property
    def buffer(self) -> Any:
        return _Buffer(self.real.buffer, self.number)

    def flush(self) -> None:
        self.real.flush()

    def close(self) -> None:
        self.real.close()

    def __del__(self) -> None:
        # That of io would close the stream.
        return

    def __getattr__(self, name: str) -> Any:
        return getattr(self.real, name)


def _passed_on(name: str) -> Any:
    return property(lambda self: getattr(self.real, name))


# What the base class has an answer of its own to.
for _name in ("encoding", "errors", "newlines", "closed", "fileno", "isatty", "readable", "seekable", "writable", "detach"):
    setattr(_Stream, _name, _passed_on(_name))


class _Buffer:
    """The bytes below a stream."""

    def __init__(self, real: Any, number: int) -> None:
        self._real = real
        self._number = number

    def write(self, data: Any) -> Any:
        written = self._real.write(data)
        current = _current.get()
        if current is not None and current.streams:
            current.add(self._number, bytes(data).decode("utf-8", "replace"))
        return written

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)


class _Replaced:
    """The streams of this process, replaced as long as any run keeps output."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._runs = 0
        self._streams: dict[str, _Stream] = {}
        self._handlers: list[tuple[Any, _Stream]] = []

    def begin(self) -> None:
        with self._lock:
            self._runs += 1
            if self._runs > 1:
                return
            for name, number in (("stdout", STDOUT), ("stderr", STDERR)):
                real = getattr(sys, name)
                if real is not None:
                    stream = self._streams[name] = _Stream(real, number)
                    setattr(sys, name, stream)
            self._lead_handlers()

    def _lead_handlers(self) -> None:
        logging = sys.modules.get("logging")
        if logging is None:
            return
        known = [logging.root, *logging.root.manager.loggerDict.values()]
        for handler in [handler for logger in known for handler in getattr(logger, "handlers", ())]:
            for stream in self._streams.values():
                if vars(handler).get("stream") is stream.real:
                    handler.setStream(stream)
                    self._handlers.append((handler, stream))

    def end(self) -> None:
        with self._lock:
            self._runs -= 1
            if self._runs:
                return
            for name, stream in self._streams.items():
                # Somebody may have put another one on top, and not taken it away.
                if getattr(sys, name) is stream:
                    setattr(sys, name, stream.real)
            for handler, stream in self._handlers:
                if handler.stream is stream:
                    handler.setStream(stream.real)
            self._streams.clear()
            self._handlers.clear()

    def new_lock(self) -> None:
        """A forked child has none of the threads that may hold it."""
        self._lock = threading.Lock()

    def forget(self) -> None:
        """This process has the streams of the one it was forked from, and none of its runs."""
        if self._runs:
            self._runs = 1
            self.end()


_replaced = _Replaced()
os.register_at_fork(after_in_child=_replaced.new_lock)


@contextlib.contextmanager
def capturing(wanted: bool) -> Iterator[None]:
    """Replace the streams of this process while a run goes on, if that is wanted."""
    if not wanted:
        yield
        return
    _replaced.begin()
    try:
        yield
    finally:
        _replaced.end()


def real_streams() -> None:
    """Give the standard streams back to this process: a forked worker has its own way to keep output."""
    _replaced.forget()
