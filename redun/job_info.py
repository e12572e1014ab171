"""What a task may know of the job that runs it: a default argument `info: JobInfo = JobInfo()`.

    @task
    def report(x: int, info: JobInfo = JobInfo()) -> str:
        return f"{x}, made by job {info.job_id}"

Any argument that is a JobInfo, given or by default, is replaced just before the function is called; inside a list it stays what it
is. For the eval hash every JobInfo argument counts the same, so a second run finds the result of the first.
"""

from __future__ import annotations

from typing import Any

from redun.value import Value


class JobInfo(Value):
    """Facts of a job; as an argument, those of the job that it is given to.

    Args:
        execution_id: UUID of the execution, empty below `prov=False` on the root.
        job_id: UUID of the job.
        eval_hash, args_hash: hashes of the call and of its arguments alone, 40 hex digits.
        options: the job's merged options.
        number: the job's place in the order of creation in its execution, from 1; 0 if it is not recorded.
    """

    type_name = "redun.JobInfo"

    def __init__(
        self,
        execution_id: str = "",
        job_id: str = "",
        eval_hash: str = "",
        args_hash: str = "",
        options: dict[str, Any] | None = None,
        number: int = 0,
    ) -> None:
        self.execution_id = execution_id
        self.job_id = job_id
        self.eval_hash = eval_hash
        self.args_hash = args_hash
        self.options = options if options is not None else {}
        self.number = number

    def __repr__(self) -> str:
        facts = ", ".join(f"{name}={fact}" for name, fact in self._facts().items())
        return f"JobInfo({facts})"

    def _facts(self) -> dict[str, Any]:
        return {
            "execution_id": self.execution_id,
            "job_id": self.job_id,
            "eval_hash": self.eval_hash,
            "args_hash": self.args_hash,
            "options": self.options,
        }

    def __getstate__(self) -> dict[str, Any]:
        return {**self._facts(), "number": self.number}


UNKNOWN = JobInfo()
"""What every JobInfo argument counts as."""


def replaced(args: tuple[Any, ...], kwargs: dict[str, Any], info: JobInfo) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Return arguments with `info` in the place of each JobInfo among them."""
    new_args = tuple([info if type(arg) is JobInfo else arg for arg in args])
    return new_args, {name: info if type(arg) is JobInfo else arg for name, arg in kwargs.items()}


def among(args: tuple[Any, ...], kwargs: dict[str, Any]) -> bool:
    """Tell whether an argument is a JobInfo."""
    return JobInfo in map(type, args) or JobInfo in map(type, kwargs.values())
