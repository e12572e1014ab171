"""Errors as values, and the traceback of jobs: how a failure is recorded and told."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from redun.evaluation.job import Job
from redun.evaluation.text import error_text, format_call, format_value
from redun.traceback_lines import is_ours, traceback_lines
from redun.value import Value

if TYPE_CHECKING:
    from redun.evaluation.node import Node

_MOST_JOBS = 40
_LARGEST_ERROR = 10_000

TOLD_ELSEWHERE = "__redun_traceback__"
"""Attribute of an exception that came from another process: the lines of its traceback there."""


class ErrorValue(Value):
    """A recorded error: the exception as far as it can be kept, and what is told of it.

    Args:
        error: the exception. One that has no encoding, or a large one, is kept as a plain `Exception` with its type and text.
        traceback: lines of its Python traceback; by default its own, frames of redun itself left out.

    Attributes:
        error_type: full name of the exception's class.
        message: its text.
    """

    type_name = "redun.ErrorValue"

    def __init__(self, error: BaseException, traceback: list[str] | None = None) -> None:
        kind = type(error)
        self.error = error
        self.error_type = f"{kind.__module__}.{kind.__qualname__}"
        self.message = error_text(error)
        self.traceback = python_traceback(error) if traceback is None else traceback

    def __getstate__(self) -> dict[str, Any]:
        state = {"type": self.error_type, "message": self.message, "traceback": self.traceback}
        # A plain one says no more than that.
        return state if type(self.error) is Exception or not _can_be_kept(self.error) else {**state, "error": self.error}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.error_type = state["type"]
        self.message = state["message"]
        self.traceback = state["traceback"]
        error: BaseException | None = state.get("error")
        if error is None:
            plain = self.error_type == "builtins.Exception"
            error = Exception(self.message if plain else f"{self.error_type.rpartition('.')[2]}: {self.message}")
        self.error = error

    def __repr__(self) -> str:
        return f"ErrorValue({self.error_type}: {self.message})"


def _can_be_kept(error: BaseException) -> bool:
    """True if an exception has an encoding, small and whole."""
    from redun.encoding import ValueEncoder
    from redun.errors import EncodeError
    from redun.store.objects import Flag

    encoder = ValueEncoder()
    try:
        data = encoder.object(error)
    except EncodeError:
        return False
    return len(data) <= _LARGEST_ERROR and not encoder.flags & (Flag.LINKS | Flag.EXPRESSION)


def python_traceback(error: BaseException, all_frames: bool = False) -> list[str]:
    """Return the lines of an exception's traceback, ending with the exception itself.

    Args:
        all_frames: redun's own frames too, as far as they came up in this process.
    """
    told: list[str] | None = getattr(error, TOLD_ELSEWHERE, None)
    return told if told is not None else traceback_lines(error, all_frames)


def job_traceback(origin: Node | None, error: BaseException, all_frames: bool = False) -> list[str]:
    """Return the lines that lead from the root job to the line of Python that failed.

    Args:
        origin: the node where the error came up.
        all_frames: see `python_traceback`.
    """
    jobs: list[Job] = []
    job = origin if isinstance(origin, Job) else origin.parent if origin is not None else None
    while job is not None:
        jobs.append(job)
        job = job.parent
    jobs.reverse()
    lines: list[str] = []
    if len(jobs) > _MOST_JOBS:
        half = _MOST_JOBS // 2
        for job in jobs[:half]:
            lines.extend(_job_lines(job))
        lines.append(f"  ... {len(jobs) - 2 * half} more jobs ...")
        jobs = jobs[-half:]
    for job in jobs:
        lines.extend(_job_lines(job))
    lines.extend(python_traceback(error, all_frames))
    return lines


def _job_lines(job: Job) -> list[str]:
    task = job.plan.task
    code = getattr(task.func, "__code__", None)
    if code is not None and is_ours(code.co_filename):
        # Nobody wants to read what redun's own tasks look like inside.
        return [f"  Job {job.short_id}: {format_call(job.plan.fullname, job.plan.names, job.positional, job.keywords)}"]
    definition = next(
        (line.lstrip() for line in task.source.splitlines() if line.lstrip().startswith(("def ", "async def "))), ""
    )
    where = f'File "{code.co_filename}", line {_definition_line(code)}' if code is not None else f"Task {job.plan.fullname}"
    lines = [f"  Job {job.short_id}: {where}, in {task.name}"]
    if definition:
        lines.append(f"    {definition}")
    names = job.plan.names
    shown = [*zip([*names, *["..."] * len(job.positional)], job.positional, strict=False), *job.keywords.items()]
    lines.extend([f"    {name} = {format_value(value, 100)}" for name, value in shown])
    return lines


def _definition_line(code: Any) -> int:
    """The line of `def`: the code object's first line is that of the first decorator."""
    import linecache

    line: int = code.co_firstlineno
    for offset in range(50):
        text = linecache.getline(code.co_filename, line + offset).lstrip()
        if text.startswith(("def ", "async def ")):
            return line + offset
    return line
