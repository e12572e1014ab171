"""What a scheduler tells its user, and whom it tells it through.

By default lines are written to standard error without going through `logging`, which costs more per line than many a job. They go
through a logger as soon as somebody takes part in logging: gives the scheduler a logger, asks it for its logger, has a handler that
would get records of the logger `redun`, or has changed that logger (its level, say).
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Mapping
from importlib import import_module
from typing import TYPE_CHECKING, Any

from redun.errors import DryRunResult
from redun.evaluation.events import EventLog
from redun.evaluation.status import format_status_table
from redun.evaluation.text import error_text
from redun.store.journal import Status

if TYPE_CHECKING:
    from redun.evaluation.calls import Calls

COLUMNS = (Status.PENDING, Status.RUNNING, Status.FAILED, Status.CACHED, Status.DONE)

_INFO = 20  # logging.INFO
_MOST_FAILURES = 20


class Reports:
    """The reporting side of a scheduler.

    Args:
        logger: has `log(level, text)` and `warning(text)`; None for the logger `redun`, False for none at all.

    Attributes:
        on_leave: called before the process leaves at once, for whoever has something on the screen.
        use_task_traceback: the traceback of a failure begins with the jobs that led there.
        all_frames: tracebacks show redun's own frames, too.
        line_width: columns that a line of the log has where it is read, None for any number.
    """

    on_leave: Callable[[], None] | None = None
    line_width: int | None = None
    use_task_traceback = True
    all_frames = False

    def __init__(self, logger: Any = None) -> None:
        self._logger = logger
        self._log: EventLog | None = None
        self._counts: Mapping[str, list[int]] = {}

    @property
    def given_logger(self) -> Any:
        """What another scheduler takes as `logger` to report as this one does."""
        return self._logger

    @property
    def logger(self) -> Any:
        """The logger that lines go through from now on."""
        if self._logger is None or self._logger is False:
            from redun.logging import logger

            if self._logger is False:
                return logger
            self._logger = logger
        return self._logger

    @logger.setter
    def logger(self, logger: Any) -> None:
        self._logger = logger

    def _event_log(self) -> EventLog:
        """Return where a run puts its lines."""
        if self._logger is False:
            return EventLog(enabled=False)
        if self._logger is None and not _logging_in_use():
            return EventLog()
        import logging

        logger = self.logger
        return EventLog(logger, enabled=not isinstance(logger, logging.Logger) or logger.isEnabledFor(_INFO))

    def log(self, *messages: Any, indent: int = 0, multiline: bool = False, level: int = _INFO) -> None:
        """Log a text, line by line; on the scheduler's thread or any other, in its place among the lines of a run.

        Args:
            messages: joined by spaces.
            indent: spaces before each line.
            multiline: log it as one record instead.
            level: of the standard library's logging.
        """
        if self._logger is False:
            return
        text = " ".join(map(str, messages))
        for line in [text] if multiline else text.split("\n"):
            if self._log is not None and level == _INFO:
                self._log.line(" " * indent + line)
            else:
                self.logger.log(level, " " * indent + line)

    def get_job_status_report(self) -> list[str]:
        """Return the lines of the table of jobs by task and status, for the run that goes on or the last one."""
        counts: dict[str, Mapping[Status | str, int]] = {
            name: dict(zip(COLUMNS, row, strict=True)) for name, row in self._counts.items()
        }
        return [*format_status_table(counts, time.time(), self.line_width), ""]

    def log_job_statuses(self) -> None:
        """Log that table."""
        self.log()
        for line in self.get_job_status_report():
            self.log(line)
        self.log()

    def _show_status_now(self) -> None:
        """Log that table while a run goes on: its lines are not to wait for others."""
        self.log_job_statuses()
        if self._log is not None:
            self._log.flush()

    def _tell_failure(self, calls: Calls, error: BaseException | None, log: EventLog) -> None:
        """Tell why a run has failed, with the jobs that led there; and what else has failed, if it was to go on."""
        if error is None:
            return
        if isinstance(error, DryRunResult):
            log.line("Dryrun: Additional jobs would run.")
            return
        from redun.evaluation.failure import job_traceback

        log.line("*** Execution failed. Traceback (most recent task last):")
        for line in job_traceback(calls.origin(error) if self.use_task_traceback else None, error, self.all_frames):
            log.line(line)
        others = calls.uncaught(error) if calls.evaluation.keep_going else []
        for job, other in others[:_MOST_FAILURES]:
            log.line(f"*** Failed as well: Job {job.short_id} {job.task_name}: {type(other).__qualname__}: {error_text(other)}")
        if len(others) > _MOST_FAILURES:
            log.line(f"*** and {len(others) - _MOST_FAILURES} more: redun log --job --status FAILED lists them")


def _logging_in_use() -> bool:
    """True if lines that go through the logger `redun` would end otherwise than by being written to standard error."""
    logging = sys.modules.get("logging")
    if logging is None:
        return False
    redun_logging = sys.modules.get("redun.logging")
    return not redun_logging.is_untouched() if redun_logging is not None else bool(_touched_before(logging))


def _touched_before(logging: Any) -> Any:
    """True if somebody has set up logging, or the logger `redun`, though `redun.logging` has not done so yet."""
    logger = logging.getLogger("redun")
    return logger.hasHandlers() or logger.level or logger.filters or logger.disabled or logger.manager.disable >= _INFO


if "logging" in sys.modules:
    import_module("redun.logging")  # now, so that what a program changes of it afterwards is heeded
