"""What worker processes write to standard output and error: Python, C code and child processes alike.

Descriptors 1 and 2 of a worker are two files without a name, which the scheduler's process has open, too. A pipe would be simpler, and
would stop the worker for ever when C code that holds the interpreter fills it. With files nothing waits, and what a worker had written
before it was killed is still there.

With each result comes how long the files were at its end (`ends`), so what lies before is what that job wrote. `marks` tell the order
between the two: their lengths whenever Python changed from one to the other. While a job runs its text is passed on to the streams of the
scheduler's process now and then (`pass_on`).
"""

from __future__ import annotations

import codecs
import contextlib
import io
import os
import sys
from collections.abc import Iterator
from typing import Any

from redun.output import Kept
from redun.store.journal import CUT, STDERR, STDOUT

Ends = tuple[int, int]
"""Lengths of standard output and error, in bytes."""

Mark = tuple[int, int]
"""As `Ends`, at a moment between two writes."""

_MOST_MARKS = 2000
_EMPTY_ABOVE = 1 << 20
_READ_BYTES = 1 << 20


class Descriptor:
    """A file descriptor, which goes along when a process is started that it is an argument of."""

    def __init__(self, number: int) -> None:
        self.number = number

    def __reduce__(self) -> Any:
        from multiprocessing.reduction import DupFd

        # Not before: only while a process is being started it rides with that, else it would have to be fetched.
        return _fetched, (DupFd(self.number),)


def _fetched(duplicate: Any) -> Descriptor:
    return Descriptor(duplicate.detach())


Given = tuple[Descriptor, Descriptor]


# The worker's side.


class WorkerStreams:
    """The standard streams of a worker process."""

    def __init__(self, given: Given) -> None:
        for number, one in zip((STDOUT, STDERR), given, strict=True):
            os.dup2(one.number, number)
            os.close(one.number)
        self._last: _Text | None = None
        self._marks: list[Mark] = []
        sys.stdout, sys.stderr = _Text(STDOUT, self), _Text(STDERR, self)
        _unbuffered()

    def writes(self, stream: _Text) -> None:
        """Note where Python changes from one stream to the other."""
        if self._last is not stream:
            if self._last is not None and len(self._marks) < _MOST_MARKS:
                self._marks.append(self.ends())
            self._last = stream

    def ends(self) -> Ends:
        """Return how long the files are."""
        return os.fstat(STDOUT).st_size, os.fstat(STDERR).st_size

    def take_marks(self) -> list[Mark]:
        """Return the marks of the job that ends."""
        marks, self._marks, self._last = self._marks, [], None
        return marks


class _Text(io.TextIOWrapper):
    """Writes at once: what a job has written is to be there when it is killed."""

    def __init__(self, number: int, streams: WorkerStreams) -> None:
        raw: Any = open(number, "wb", buffering=0, closefd=False)  # noqa: SIM115
        super().__init__(raw, encoding="utf-8", errors="backslashreplace", write_through=True)
        self._streams = streams

    def write(self, text: str) -> int:
        """Write text."""
        self._streams.writes(self)
        return super().write(text)


def _unbuffered() -> None:
    """Have C code write at once, too: it buffers what goes into a file."""
    with contextlib.suppress(Exception):
        import ctypes

        libc = ctypes.CDLL(None)
        prefix = "__" if sys.platform == "darwin" else ""
        suffix = "p" if sys.platform == "darwin" else ""
        for name in ("stdout", "stderr"):
            stream = ctypes.c_void_p.in_dll(libc, f"{prefix}{name}{suffix}")
            libc.setvbuf(stream, None, 2, 0)


# The scheduler's side.


class WorkerOutput:
    """The files of one worker, as the dispatcher sees them."""

    def __init__(self) -> None:
        self._files = [_file(), _file()]
        # Up to where they were passed on, and up to where they belong to jobs that have ended.
        self._passed = [0, 0]
        self._taken = [0, 0]
        self._decoders = [codecs.getincrementaldecoder("utf-8")("replace") for _ in self._files]

    def given(self) -> Given:
        """Return the files as a worker gets them."""
        first, second = [Descriptor(file.fileno()) for file in self._files]
        return first, second

    def _ends(self) -> Ends:
        first, second = [os.fstat(file.fileno()).st_size for file in self._files]
        return first, second

    def pass_on(self, ends: Ends | None = None) -> bool:
        """Write what has come since to the streams of this process; True if anything had."""
        before = list(self._passed)
        for place, end in enumerate(self._ends() if ends is None else ends):
            at = self._passed[place]
            while at < end:
                data = os.pread(self._files[place].fileno(), min(end - at, _READ_BYTES), at)
                if not data:
                    break
                at += len(data)
                _write(STDOUT if place == 0 else STDERR, self._decoders[place].decode(data))
            self._passed[place] = at
        return self._passed != before

    def take(self, most: int, ends: Ends | None = None, marks: list[Mark] | None = None) -> Kept | None:
        """Return what the job wrote that ends, None if that is nothing.

        Args:
            most: characters to keep.
            ends: where it ends; None for all there is.
            marks: see the module text.
        """
        ends = self._ends() if ends is None else ends
        start = (self._taken[0], self._taken[1])
        if ends == start:
            return None
        self.pass_on(ends)
        self._taken = list(ends)
        if most == 0:
            return None
        kept = Kept(most)
        size = sum(ends) - sum(start)
        at = 0
        for place, begin, end in _in_order(start, marks or [], ends):
            at = self._add(kept, place, begin, end, at, size, most)
        return kept

    def _add(self, kept: Kept, place: int, begin: int, end: int, at: int, size: int, most: int) -> int:
        """Add a part of a file that begins `at` bytes into all that was written; leave out what will not be kept."""
        # A character has one to four bytes, so what is kept lies within so many bytes of the beginning, or four times that of the end.
        first = max(0, min(end - begin, most - at))
        last = max(first, min(end - begin, size - 4 * most - at))
        self._read(kept, place, begin, begin + first)
        if last > first:
            kept.add(CUT, last - first)
        self._read(kept, place, begin + last, end)
        return at + end - begin

    def _read(self, kept: Kept, place: int, begin: int, end: int) -> None:
        if begin < end:
            data = os.pread(self._files[place].fileno(), end - begin, begin)
            kept.add(STDOUT if place == 0 else STDERR, data.decode("utf-8", "replace"))

    def empty(self) -> None:
        """The worker is idle: give disk space back."""
        for place, file in enumerate(self._files):
            if self._taken[place] > _EMPTY_ABOVE and self._taken[place] == os.fstat(file.fileno()).st_size:
                os.ftruncate(file.fileno(), 0)
                self._taken[place] = self._passed[place] = 0

    def close(self) -> None:
        """Pass the rest on, and close the files."""
        self.pass_on()
        for file in self._files:
            file.close()


def _file() -> Any:
    import fcntl
    import tempfile

    file = tempfile.TemporaryFile(buffering=0)  # noqa: SIM115
    # Whoever writes does so at the end, child processes of the task, too.
    fcntl.fcntl(file.fileno(), fcntl.F_SETFL, fcntl.fcntl(file.fileno(), fcntl.F_GETFL) | os.O_APPEND)
    return file


def _in_order(start: Ends, marks: list[Mark], ends: Ends) -> Iterator[tuple[int, int, int]]:
    """Yield (0 output or 1 error, begin, end) of the parts of what was written, in order."""
    at = start
    for seen in [*marks, ends]:
        # Threads of a task may note theirs in another order than they looked.
        mark = max(at[0], seen[0]), max(at[1], seen[1])
        for place in (0, 1):
            if at[place] < mark[place]:
                yield place, at[place], mark[place]
        at = mark


def _write(number: int, text: str) -> None:
    stream = sys.stdout if number == STDOUT else sys.stderr
    if stream is None:
        return
    with contextlib.suppress(OSError, ValueError):
        try:
            stream.write(text)
        except UnicodeEncodeError:
            encoding = stream.encoding or "ascii"
            stream.write(text.encode(encoding, "backslashreplace").decode(encoding))
        stream.flush()
