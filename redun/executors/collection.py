"""The executors of a scheduler, by name: a mapping that makes each when it is first asked for."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, MutableMapping, Sequence
from typing import TYPE_CHECKING, Any

from redun.errors import ExecutorError
from redun.executors.base import Executor

if TYPE_CHECKING:
    from queue import SimpleQueue

    from redun.evaluation.job import Job


class Executors(MutableMapping[str, Executor]):
    """The executors of a scheduler.

    Args:
        make: name -> function that makes the executor.
        scheduler: what they belong to.
    """

    def __init__(self, make: Mapping[str, Callable[[], Executor]], scheduler: Any = None) -> None:
        self._make = dict(make)
        self._made: dict[str, Executor] = {}
        self._scheduler = scheduler
        self._completions: SimpleQueue[Any] | None = None

    # The mapping.

    def __getitem__(self, name: str) -> Executor:
        executor = self._made.get(name)
        if executor is None:
            executor = self._make[name]()
            self[name] = executor
        return executor

    def __setitem__(self, name: str, executor: Executor) -> None:
        self._made[name] = executor
        executor.set_scheduler(self._scheduler)
        if self._completions is not None:
            executor.begin(self._completions)

    def __delitem__(self, name: str) -> None:
        if name not in self:
            raise KeyError(name)
        self._made.pop(name, None)
        self._make.pop(name, None)

    def __iter__(self) -> Iterator[str]:
        return iter({**self._make, **self._made})

    def __len__(self) -> int:
        return len({**self._make, **self._made})

    def __contains__(self, name: object) -> bool:
        return name in self._made or name in self._make

    def require(self, name: str) -> Executor:
        """Return an executor.

        Raises:
            ExecutorError: there is none of that name.
        """
        if name not in self:
            known = ", ".join(map(repr, sorted(self)))
            raise ExecutorError(
                f"unknown executor {name!r}: expected one of {known}, or a section [executors.{name}] in redun.ini"
            )
        return self[name]

    def add(self, executor: Executor) -> None:
        """Add an executor under its name, replacing what had it."""
        self[executor.name] = executor

    def options(self, name: str) -> Mapping[str, Any]:
        """Return the task options that an executor's configuration gives."""
        return self.require(name).options

    # All of them.

    def begin(self, completions: SimpleQueue[Any]) -> None:
        """A run begins."""
        self._completions = completions
        for executor in self._made.values():
            executor.begin(completions)

    def submit(self, jobs: Sequence[Job]) -> None:
        """Hand each job to its executor."""
        names = {job.plan.executor for job in jobs}
        if len(names) == 1:
            self.require(names.pop()).submit_jobs(jobs)
            return
        by_name: dict[str, list[Job]] = {}
        for job in jobs:
            by_name.setdefault(job.plan.executor, []).append(job)
        for name, some in by_name.items():
            self.require(name).submit_jobs(some)

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

    def busy_jobs(self) -> dict[str, list[Job] | None]:
        """Name of an executor -> the jobs that it runs, as far as it tells; any thread may ask."""
        return {name: executor.busy_jobs() for name, executor in list(self._made.items())}

    def cancel(self, job: Job) -> bool:
        """Stop a job; see `Executor.cancel`."""
        return self.require(job.plan.executor).cancel(job)

    def stop(self) -> None:
        """The run has ended."""
        self._completions = None
        for executor in self._made.values():
            executor.stop()

    def kill(self) -> None:
        """The run was interrupted: stop at once."""
        self._completions = None
        for executor in self._made.values():
            executor.kill()
