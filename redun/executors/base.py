"""What an executor is: takes jobs, runs their functions somewhere, hands each back once.

There are two ways to write one. The plain way is a class with `submit(job)` and `submit_script(job)`, which get one job each and later
call `scheduler.done_job(job, result)` or `scheduler.reject_job(job, error)`, from any thread. The fast way is `submit_jobs(jobs)`, which
gets as many as there are, and hands back (job, succeeded, result or error), or lists of such, through the queue that `begin` was given.
The scheduler only knows the fast one; that of this class falls back on the plain one.

The duties, which `tests/contract/test_executor.py` holds every executor to:

- Submitting does not block: the scheduler never waits inside an executor.
- Every job is handed back exactly once, unless `drop_waiting` or `cancel` gave it back before.
- A job whose function cannot be run is handed back as failed, with an error that says why. An executor that loses a worker goes on.
- `stop` leaves nothing behind that would act on a later run. The same executor may be started again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from redun.errors import ExecutorError
from redun.store.journal import STDERR, STDOUT

if TYPE_CHECKING:
    from queue import SimpleQueue

    from redun.evaluation.job import Job


class Executor:
    """Runs jobs somewhere.

    Args:
        name: under which tasks ask for it (`executor=...`).
        scheduler: the scheduler that it belongs to, None if it is made before there is one.
        config: its section of the configuration.

    Attributes:
        options: task options that its configuration gives to every job.
    """

    # Classes written elsewhere may not call our __init__.
    name: str = ""
    options: Mapping[str, Any] = {}
    _scheduler: Any = None
    _completions: SimpleQueue[Any] | None = None

    def __init__(self, name: str, scheduler: Any = None, config: Mapping[str, Any] | None = None) -> None:
        self.name = name
        self._scheduler = scheduler
        self.config: Mapping[str, Any] = {} if config is None else config
        self.options = {}

    @property
    def scheduler(self) -> Any:
        """The scheduler that it belongs to, or None."""
        return self._scheduler

    def set_scheduler(self, scheduler: Any) -> None:
        """The executor belongs to this scheduler from now on."""
        self._scheduler = scheduler

    def supports_async(self) -> bool:
        """Tell whether it runs `async def` tasks."""
        return False

    def log(self, *messages: Any, **kwargs: Any) -> None:
        """Tell the user something, in the scheduler's log."""
        if self._scheduler is not None:
            self._scheduler.log(f"Executor[{self.name}]:", *messages, **kwargs)

    def busy_jobs(self) -> list[Job] | None:
        """List the jobs that run, others being handed over but waiting still; None if that is not known. Any thread may ask."""
        return None

    def keep_output(self, job: Job, text: str, stream: str = "stdout") -> None:
        """Keep what a job has written elsewhere, for `redun log --output`. Any thread, until the job is handed back.

        Args:
            stream: `stdout` or `stderr`.
        """
        outputs = getattr(self._scheduler, "outputs", None)
        if outputs is not None and text:
            outputs.add(job, STDERR if stream == "stderr" else STDOUT, text)

    def tells_begin(self) -> bool:
        """Tell whether it reports when a job with a time-out begins (`Attempt.begun`); else its time counts from submission on."""
        return False

    def takes_names(self, job: Job) -> bool:
        """Tell whether arguments of a job may be `redun.evaluation.undecoded.Undecoded`: values that only workers read."""
        return False

    # The plain way.

    def start(self) -> None:
        """A run begins."""

    def submit(self, job: Job) -> None:
        """Take a job; must not block."""
        self._hand_back(job, False, ExecutorError(f"executor {self.name!r} ({type(self).__qualname__}) cannot run tasks"))

    def submit_script(self, job: Job) -> None:
        """Take a job whose task is a script; must not block."""
        self._hand_back(job, False, ExecutorError(f"executor {self.name!r} ({type(self).__qualname__}) cannot run scripts"))

    def stop(self) -> None:
        """The run has ended: let workers end; jobs that run may finish."""

    def scratch_root(self) -> str:
        """Return the folder or URL for files that jobs exchange with the executor.

        Raises:
            NotImplementedError: it needs none.
        """
        raise NotImplementedError(f"executor {self.name!r} has no scratch folder")

    # The fast way.

    def begin(self, completions: SimpleQueue[Any]) -> None:
        """A run begins: hand jobs back through this queue from now on."""
        self._completions = completions
        self.start()

    def submit_jobs(self, jobs: Sequence[Job]) -> None:
        """Take jobs; must not block."""
        for job in jobs:
            try:
                if job.plan.is_async and not self.supports_async():
                    raise ExecutorError(f"executor {self.name!r} does not support async tasks")
                if job.plan.task.script:
                    self.submit_script(job)
                else:
                    self.submit(job)
            except Exception as error:
                self._hand_back(job, False, error)

    def _hand_back(self, job: Job, succeeded: bool, result: Any) -> None:
        if self._completions is None:
            raise ExecutorError(f"executor {self.name!r} was given a job though no run is going on")
        self._completions.put((job, succeeded, result))

    def grow_after_s(self) -> float | None:
        """Seconds without any completion after which `grow` should be called, None if there is no use in it."""
        return None

    def grow(self) -> None:
        """Nothing has come back for a while: start more workers if jobs are waiting."""

    def drop_waiting(self) -> list[Job]:
        """Give back the jobs that have not begun; they will not be handed back otherwise."""
        return []

    def cancel(self, job: Job) -> bool:
        """Stop a job, whether it has begun or not.

        Returns:
            True if it has been stopped and will not be handed back. False if it cannot be: it ends by itself and is handed back
            then, and the executor sees to it that it takes no worker from other jobs.
        """
        return False

    def kill(self) -> None:
        """The run was interrupted: stop at once, with everything that can be killed."""
        self.stop()


def run_job(job: Job) -> Any:
    """Call the function of a job's task, here and now; what every in-process worker does."""
    plan = job.plan
    result = call_task(plan.task, job.positional, job.keywords)
    if plan.keeps_files is not False:
        capture_files(job, result)
    return result


def capture_files(job: Job, result: Any) -> None:
    """Keep the content of the files in what a job returned (`capture_files`), on the thread that it ran on."""
    stage = job.recorder.stage
    if stage is not None:
        from redun.files.capture import capture

        capture(result, stage, job.plan.keeps_files)


def call_task(task: Any, positional: Sequence[Any], keywords: Mapping[str, Any]) -> Any:
    """Call the function of a task, or run the shell script that it gives."""
    if task.script:
        from redun.scripting import exec_script, get_task_command

        return exec_script(get_task_command(task, tuple(positional), dict(keywords)))
    return task.func(*positional, **keywords)


def __getattr__(name: str) -> Any:
    # What makes executors knows their classes, so it cannot be imported here before them.
    if name in (
        "get_executor_class",
        "get_executor_from_config",
        "get_executors_from_config",
        "load_task_module",
        "register_executor",
    ):
        from redun.executors import registry

        return getattr(registry, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
