"""The side of a scheduler that executors talk to: how they hand jobs back."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from redun.errors import ExecutorError, SchedulerError
from redun.tag_records import JOB
from redun.tags import check_tags

if TYPE_CHECKING:
    from redun.evaluation.evaluation import Evaluation
    from redun.evaluation.job import Job
    from redun.evaluation.outputs import Outputs


class TakesBack:
    """Takes jobs back from executors that hand them back one by one. Any thread."""

    _evaluation: Evaluation | None = None

    @property
    def outputs(self) -> Outputs | None:
        """What keeps the output of jobs of the run that goes on, None if it is not to be kept."""
        return None if self._evaluation is None else self._evaluation.calls.outputs

    def done_job(self, job: Job, result: Any, job_tags: Sequence[tuple[str, Any]] = ()) -> None:
        """An executor hands back a job that has succeeded. Any thread; a job that was handed back already is ignored.

        Args:
            result: what its function returned.
            job_tags: keys and JSON values of tags that the job gets.
        """
        self._hand_back(job, True, result, job_tags)

    def reject_job(
        self, job: Job | None, error: Any, error_traceback: Any = None, job_tags: Sequence[tuple[str, Any]] = ()
    ) -> None:
        """An executor hands back a job that has failed. Any thread; a job that was handed back already is ignored.

        Args:
            job: None if it is the executor that has failed: the run ends.
            error: the exception; anything else is told as the text of an `ExecutorError`.
            error_traceback: accepted; the exception's own one is used.
            job_tags: as in `done_job`.
        """
        if not isinstance(error, BaseException):
            error = ExecutorError(str(error))
        self._hand_back(job, False, error, job_tags)

    def _hand_back(self, job: Job | None, succeeded: bool, result: Any, job_tags: Sequence[tuple[str, Any]]) -> None:
        evaluation = self._evaluation
        if evaluation is None:
            # The run has ended in the meantime: nobody waits for this any more.
            return
        if job is None:
            evaluation.completions.put(Abort(result))
            return
        if job_tags:
            self.add_job_tags(job, job_tags)
        evaluation.completions.put((job, succeeded, result))

    def add_job_tags(self, job: Job, tags: Sequence[tuple[str, Any]]) -> None:
        """Give tags to a job of the run that goes on. Any thread.

        Raises:
            TypeError, ValueError: a tag that cannot be one.
        """
        evaluation = self._evaluation
        pairs = check_tags(tags)
        if evaluation is not None:
            evaluation.completions.put(lambda _: job.real.recorder.tag(JOB, job.job_id, pairs))


class Abort:
    """A request to the loop: end the run with an error."""

    def __init__(self, error: BaseException) -> None:
        self._error = error

    def __call__(self, evaluation: Evaluation) -> None:
        raise self._error


def refuse_in_importing_worker() -> None:
    """Raise SchedulerError if a worker process imports the main script, and that runs its workflow right away."""
    multiprocessing = sys.modules.get("multiprocessing.process")
    if multiprocessing is not None and getattr(multiprocessing.current_process(), "_inheriting", False):
        raise SchedulerError(
            "a worker process has imported the script that started it, and the script runs its workflow at the top: put what starts "
            "it below `if __name__ == '__main__':`"
        )
