"""Another name for an executor: tasks say what they need (`executor="gpu"`), the configuration says what that is here.

[executors.gpu]
type = alias
target = default
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from redun.errors import ConfigError, ExecutorError
from redun.executors.base import Executor

if TYPE_CHECKING:
    from redun.evaluation.job import Job


class AliasTargetError(ConfigError, AssertionError):
    """An alias names no target, or two."""


class AliasExecutor(Executor):
    """Hands its jobs to another executor of the same scheduler, which is looked up each time.

    Args:
        name: under which tasks ask for it.
        scheduler: the scheduler that it belongs to.
        config: `target`, the name of the other executor, which may be an alias too.
        target: the other executor itself, instead of a section.

    Raises:
        AliasTargetError: there is no target, or there are two.
    """

    def __init__(
        self,
        name: str,
        scheduler: Any = None,
        config: Mapping[str, Any] | None = None,
        target: Executor | None = None,
    ) -> None:
        super().__init__(name, scheduler, config)
        if (config is None) is (target is None):
            raise AliasTargetError(f"alias {name!r}: exactly one of config and target must be given")
        self.target_name = target.name if target is not None else str(self.config.get("target") or "")
        if not self.target_name:
            raise AliasTargetError(f"executor {name!r} is an alias, but of what is not said: give it target = NAME")
        self._given = target

    @property
    def options(self) -> Mapping[str, Any]:
        """Task options of the target's configuration, those of its own on top.

        Raises:
            ExecutorError: there is no such target, or aliases go round in a circle.
        """
        return {**self.find_target().options, **self._own}

    @options.setter
    def options(self, options: Mapping[str, Any]) -> None:
        self._own = options

    def set_scheduler(self, scheduler: Any) -> None:
        """Note where to find the target by name."""
        super().set_scheduler(scheduler)
        if self._given is not None and self.target_name not in scheduler.executors:
            scheduler.add_executor(self._given)

    def supports_async(self) -> bool:
        """Tell what the target says."""
        return self.find_target().supports_async()

    def tells_begin(self) -> bool:
        """Tell what the target says."""
        return self.find_target().tells_begin()

    def takes_names(self, job: Job) -> bool:
        """Tell what the target says."""
        return self.find_target().takes_names(job)

    def busy_jobs(self) -> list[Job] | None:
        """Tell what the target says."""
        return self.find_target().busy_jobs()

    def submit(self, job: Job) -> None:
        """Hand a job on."""
        self.find_target().submit(job)

    def submit_script(self, job: Job) -> None:
        """Hand a script on."""
        self.find_target().submit_script(job)

    def submit_jobs(self, jobs: Sequence[Job]) -> None:
        """Hand jobs on."""
        self.find_target().submit_jobs(jobs)

    def cancel(self, job: Job) -> bool:
        """Have the target stop a job."""
        return self.find_target().cancel(job)

    def scratch_root(self) -> str:
        """Return the target's."""
        return self.find_target().scratch_root()

    def find_target(self) -> Executor:
        """Return the executor that does the work, at the end of all aliases.

        Raises:
            ExecutorError: there is no such target, or aliases go round in a circle.
        """
        passed: list[str] = []
        at: Executor = self
        while isinstance(at, AliasExecutor):
            if at.name in passed:
                raise ExecutorError(f"executor {self.name!r} is an alias of itself: {' -> '.join([*passed, at.name])}")
            passed.append(at.name)
            if at.scheduler is None:
                raise ExecutorError(f"executor {at.name!r} is an alias of {at.target_name!r} and belongs to no scheduler")
            executors = at.scheduler.executors
            if at.target_name not in executors:
                known = ", ".join(repr(name) for name in sorted(executors) if name not in passed)
                raise ExecutorError(
                    f"executor {at.name!r} is an alias of {at.target_name!r}, which does not exist: expected one of {known}"
                )
            at = executors[at.target_name]
        return at
