"""What the read side gives out: plain, immutable facts, free of any formatting.

Ids are hex strings: 40 digits for tasks, calls and values, UUIDs with dashes for executions and jobs. Times are UTC integer
microseconds. Nothing here holds a store: to follow a link, ask `redun.provenance.Provenance`.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from redun.store.ids import ref_id
from redun.store.journal import Status


class Execution(NamedTuple):
    """One run.

    Attributes:
        id: UUID.
        argv: its command line.
        status: INTERRUPTED if it never recorded an end and its process is gone.
        start_us: when it began.
        end_us: when it ended; None while it runs, and for an interrupted one.
        tags: (key, value) pairs as the run gave them, values being JSON data; a key may stand several times. What holds now,
            after later changes, is told by `Provenance.tags`.
    """

    id: str
    argv: tuple[str, ...]
    status: Status
    start_us: int
    end_us: int | None
    host: str
    user: str
    pid: int
    cwd: str
    version: str
    tags: tuple[tuple[str, Any], ...]

    @property
    def duration_us(self) -> int | None:
        """How long it ran, None if it has no end."""
        return None if self.end_us is None else max(0, self.end_us - self.start_us)

    def _repr_html_(self) -> str:
        """How a notebook shows it."""
        from redun.provenance.html import execution_html

        return execution_html(self)


class Job(NamedTuple):
    """One evaluation of one task call in one execution.

    Attributes:
        id: UUID.
        execution: UUID of its execution.
        number: place in the order of creation within the execution, from 1.
        parent: number of the parent job, 0 for the root.
        task_hash, task_name: the task that was called, and its full name.
        call: id of its call; None while it runs or if none was recorded.
        duration_us: None if it has no end.
    """

    id: str
    execution: str
    number: int
    parent: int
    task_hash: str
    task_name: str
    call: str | None
    status: Status
    start_us: int
    duration_us: int | None

    @property
    def end_us(self) -> int | None:
        """When it ended, None if it has no end."""
        return None if self.duration_us is None else self.start_us + self.duration_us

    def _repr_html_(self) -> str:
        """How a notebook shows it."""
        from redun.provenance.html import job_html

        return job_html(self)


class Attempt(NamedTuple):
    """One try at a job that needed more than one.

    Attributes:
        number: from 1.
        status: DONE or FAILED.
        error: class and text of the error, None if it went well.
    """

    number: int
    status: Status
    start_us: int
    duration_us: int
    error: str | None


class Written(NamedTuple):
    """Something that a job wrote to standard output or error, or that was not kept of it.

    Attributes:
        stream: `stdout` or `stderr`; `cut` for what was not kept.
        text: empty for what was not kept.
        cut: how many characters were not kept.
    """

    stream: str
    text: str
    cut: int = 0


class Output(NamedTuple):
    """What a job wrote while it ran.

    Attributes:
        job: the job that ran: for a cached job the one whose result it took.
        attempts: number of the attempt -> what it wrote, in order.
    """

    job: Job
    attempts: dict[int, tuple[Written, ...]]

    @property
    def pieces(self) -> tuple[Written, ...]:
        """What all attempts wrote."""
        return tuple([piece for pieces in self.attempts.values() for piece in pieces])

    def text(self, stream: str | None = None) -> str:
        """What was written to a stream, or to both in order."""
        return "".join([piece.text for piece in self.pieces if stream in (None, piece.stream)])


class Value(NamedTuple):
    """A value by its name.

    Attributes:
        ref: how the store names it (`redun.store.ids`): its id, or its bytes if it is small.
    """

    ref: bytes

    @property
    def id(self) -> str:
        """The value's hash, 40 hex digits."""
        return ref_id(self.ref).hex()

    def _repr_html_(self) -> str:
        from redun.provenance.html import value_html

        return value_html(self)


class Argument(NamedTuple):
    """One argument of a call.

    Attributes:
        slot: place (int) if it was given by position, else its name.
        name: the parameter that it went to, as far as the task's source tells.
    """

    slot: int | str
    name: str
    value: Value


class Call(NamedTuple):
    """One call (call node): a task with its arguments and its result, shared by all jobs that made it.

    Attributes:
        result: the concrete value in the end; an error if `failed`.
        children: ids of the calls that it made directly.
    """

    id: str
    task_hash: str
    task_name: str
    arguments: tuple[Argument, ...]
    result: Value
    failed: bool
    children: tuple[str, ...]

    def _repr_html_(self) -> str:
        from redun.provenance.html import call_html

        return call_html(self)


class Task(NamedTuple):
    """A task as it was at the time.

    Attributes:
        source: its text; None if it was not recorded.
        version: what stands for the source in the hash, None if the source itself does.
    """

    hash: str
    fullname: str
    source: str | None
    version: str | None

    def _repr_html_(self) -> str:
        from redun.provenance.html import task_html

        return task_html(self)


class FileUse(NamedTuple):
    """A file as some calls saw it: a path at one state.

    Attributes:
        value: the File value; its id is the file's hash.
        reads: it was, or was part of, an argument of a call.
        writes: it was, or was part of, the result of a call.
        time_us: start of the newest job that used it.
    """

    path: str
    value: Value
    reads: bool
    writes: bool
    time_us: int

    @property
    def mode(self) -> str:
        """Two columns: `r ` read, ` w` written, `rw` both."""
        return f"{'r' if self.reads else ' '}{'w' if self.writes else ' '}"


class FailureInfo(NamedTuple):
    """What a failed call recorded of its error.

    Attributes:
        type_name: like `builtins.ZeroDivisionError`.
        traceback: lines of the Python traceback, without a heading.
    """

    type_name: str
    message: str
    traceback: tuple[str, ...]

    @property
    def summary(self) -> str:
        """`ZeroDivisionError: division by zero`."""
        name = self.type_name.removeprefix("builtins.")
        return f"{name}: {self.message}" if self.message else name


class Candidate(NamedTuple):
    """Something that an id prefix may mean.

    Attributes:
        kind: `execution`, `job`, `call`, `task` or `value`.
        id: the whole id, as in the other classes.
    """

    kind: str
    id: str
