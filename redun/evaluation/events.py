"""What a run tells its user while it goes on: one line per event, on standard error.

Lines are collected and written many at a time: a system call per line would cost more than the job it tells of. With a logger they go
through it, a record each (see `redun.evaluation.reports`); without, they are written directly.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from redun.evaluation.text import error_text, format_call, format_value, one_line

if TYPE_CHECKING:
    from redun.evaluation.job import Job

PREFIX = "[redun] "
_INFO = 20  # logging.INFO, without importing logging


class EventLog:
    """Collects lines and writes them in batches.

    Args:
        logger: has `log(level, text)` and `warning(text)`, as loggers of the standard library do; None writes to standard error, as
            it is at the time of writing.
        enabled: False drops everything.
    """

    def __init__(self, logger: Any = None, enabled: bool = True) -> None:
        self._logger = logger
        self.enabled = enabled
        self._lines: list[str] = []

    def line(self, text: str = "") -> None:
        """Add a line; one of several lines gets the prefix on each."""
        if self.enabled:
            self._lines.extend(text.split("\n"))

    def warning(self, text: str) -> None:
        """Add a line that matters more than others."""
        if self._logger is None:
            self.line(f"Warning: {text}")
        else:
            self.flush()
            self._logger.warning(text)

    def job(self, action: str, job: Job, rest: str = "") -> None:
        """Add a line about a job, like `Run    Job 1a2b3c4d:  ns.main(greet='Hello') on default`."""
        if self.enabled:
            plan = job.plan
            call = format_call(plan.fullname, plan.names, job.positional, job.keywords)
            lines = self._lines
            lines.append(f"{action:<6} Job {job.job_id[:4].hex()}:  {call}{rest}")
            if len(lines) >= 500:
                self.flush()

    def run(self, job: Job) -> None:
        """A job is handed to its executor."""
        if self.enabled:
            self.job("Run", job, f" on {job.plan.executor}")

    def cached(self, job: Job, place: str = "") -> None:
        """A job takes a known result.

        Args:
            place: name of where it is from, empty for the store.
        """
        if self.enabled:
            origin = f", from {place}" if place else ""
            self.job("Cached", job, f" (eval_hash={job.eval_key[:4].hex()}{origin})")

    def miss(self, job: Job, reason: str) -> None:
        """A stored result was not taken, for a reason worth telling."""
        if self.enabled:
            self._lines.append(f"Miss   Job {job.job_id[:4].hex()}:  {one_line(reason)}.")

    def invalid(self, job: Job, value: Any) -> None:
        """A stored result holds a value that is not valid any more."""
        self.miss(job, f"Cached result is no longer valid (result={format_value(value)}, eval_hash={job.eval_key[:4].hex()})")

    def restored(self, job: Job, file: Any, size_bytes: int) -> None:
        """Files of a cached result were written back from the store."""
        if self.enabled:
            self._lines.append(f"Restore Job {job.job_id[:4].hex()}:  {file!r} from the store ({size_bytes} bytes)")

    def retry(self, job: Job, failed: int, most: int, pause_s: float, error: BaseException) -> None:
        """An attempt at a job has failed, and there will be another one."""
        if self.enabled:
            when = f" in {pause_s:g} s" if pause_s else ""
            self.job(
                "Retry",
                job,
                f" (attempt {failed + 1} of {most}{when}) after {type(error).__qualname__}: {one_line(error_text(error))}",
            )

    def rejected(self, job: Job) -> None:
        """A job failed."""
        if self.enabled:
            plan = job.plan
            call = format_call(plan.fullname, plan.names, job.positional, job.keywords)
            self._lines.append(f"*** Reject Job {job.job_id[:4].hex()}:  {call}:")

    def flush(self) -> None:
        """Write what has been collected."""
        if not self._lines:
            return
        if self._logger is not None:
            lines, self._lines = self._lines, []
            for line in lines:
                self._logger.log(_INFO, line)
        else:
            text = PREFIX + f"\n{PREFIX}".join(self._lines) + "\n"
            self._lines.clear()
            try:
                sys.stderr.write(text)
                sys.stderr.flush()
            except (OSError, ValueError):
                # A log that nobody can read any more (closed pipe) must not stop the run.
                self.enabled = False
