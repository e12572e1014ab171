"""The protocol of executors, and the set of them that a scheduler has.

An executor takes jobs and hands each back once, as (job, succeeded, result or error), through the queue it was started with. It may do
so from any thread. The scheduler never waits inside an executor.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from redun.errors import SchedulerError

if TYPE_CHECKING:
    from queue import SimpleQueue

    from redun.evaluation.job import Job


class Executor:
    """Runs jobs somewhere.

    Args:
        name: under which tasks ask for it (`executor=...`).
        scheduler: the scheduler that it belongs to, if it is made before one exists None.
        config: its section of the configuration.

    Attributes:
        options: task options that its configuration gives to every job.
    """

    def __init__(self, name: str, scheduler: Any = None, config: Mapping[str, Any] | None = None) -> None:
        self.name = name
        self.scheduler = scheduler
        self.config = dict(config or {})
        self.options: Mapping[str, Any] = {}
        self._completions: SimpleQueue[Any] | None = None

    def join(self, executors: Executors) -> None:
        """The executor belongs to these from now on; for one that needs others."""

    def start(self, completions: SimpleQueue[Any]) -> None:
        """A run begins: hand jobs back through this queue from now on."""
        self._completions = completions

    def submit(self, jobs: Sequence[Job]) -> None:
        """Take jobs; must not block."""
        raise NotImplementedError

    def grow_after_s(self) -> float | None:
        """Seconds without any completion after which `grow` should be called, None if there is no use in it."""
        return None

    def grow(self) -> None:
        """Nothing has come back for a while: start more workers if jobs are waiting."""

    def drop_waiting(self) -> list[Job]:
        """Give back the jobs that have not begun; they will not be handed back otherwise."""
        return []

    def stop(self) -> None:
        """Let workers end; jobs that run may finish."""


def run_job(job: Job) -> Any:
    """Call the function of a job's task, here and now; what every in-process worker does."""
    task = job.plan.task
    if task.script:
        from redun.scripting import exec_script, get_task_command

        return exec_script(get_task_command(task, job.args, job.kwargs))
    return task.func(*job.args, **job.kwargs)


class Executors:
    """The executors of a scheduler, by name; each is made when the first job asks for it.

    Args:
        make: name -> function that makes the executor.
    """

    def __init__(self, make: Mapping[str, Callable[[], Executor]]) -> None:
        self._make = dict(make)
        self._made: dict[str, Executor] = {}
        self._completions: SimpleQueue[Any] | None = None

    def get(self, name: str) -> Executor:
        """Return an executor.

        Raises:
            SchedulerError: there is none of that name.
        """
        executor = self._made.get(name)
        if executor is None:
            make = self._make.get(name)
            if make is None:
                known = ", ".join(map(repr, self.names()))
                raise SchedulerError(
                    f"unknown executor {name!r}: expected one of {known}, or a section [executors.{name}] in redun.ini"
                )
            executor = self._made[name] = make()
            executor.join(self)
            if self._completions is not None:
                executor.start(self._completions)
        return executor

    def add(self, executor: Executor) -> None:
        """Add an executor under its name, replacing what had it."""
        self._made[executor.name] = executor
        executor.join(self)
        if self._completions is not None:
            executor.start(self._completions)

    def names(self) -> list[str]:
        """Names of all executors, sorted, made already or not."""
        return sorted({*self._make, *self._made})

    def __contains__(self, name: object) -> bool:
        return name in self._made or name in self._make

    def options(self, name: str) -> Mapping[str, Any]:
        """Return the task options that an executor's configuration gives."""
        return self.get(name).options

    def start(self, completions: SimpleQueue[Any]) -> None:
        """A run begins."""
        self._completions = completions
        for executor in self._made.values():
            executor.start(completions)

    def submit(self, jobs: Sequence[Job]) -> None:
        """Hand each job to its executor."""
        first = jobs[0].plan.executor
        if all(job.plan.executor == first for job in jobs):
            self.get(first).submit(jobs)
            return
        by_name: dict[str, list[Job]] = {}
        for job in jobs:
            by_name.setdefault(job.plan.executor, []).append(job)
        for name, some in by_name.items():
            self.get(name).submit(some)

    def grow_after_s(self) -> float | None:
        """The shortest time after which an executor wants to grow."""
        times = [time_s for executor in self._made.values() if (time_s := executor.grow_after_s()) is not None]
        return min(times, default=None)

    def grow(self) -> None:
        """Let executors start more workers."""
        for executor in self._made.values():
            executor.grow()

    def drop_waiting(self) -> list[Job]:
        """Give back all jobs that have not begun."""
        return [job for executor in self._made.values() for job in executor.drop_waiting()]

    def stop(self) -> None:
        """Stop all of them."""
        self._completions = None
        for executor in self._made.values():
            executor.stop()


def __getattr__(name: str) -> Any:
    # What makes executors knows their classes, so it cannot be imported here before them.
    if name == "ExecutorError":
        from redun.errors import ExecutorError

        return ExecutorError
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
