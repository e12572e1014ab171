"""Another name for an executor: tasks say what they need (`executor="gpu"`), the configuration says what that is here.

[executors.gpu]
type = alias
target = default
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from redun.errors import ConfigError, ExecutorError
from redun.executors.base import Executor, Executors

if TYPE_CHECKING:
    from redun.evaluation.job import Job


class AliasExecutor(Executor):
    """Hands its jobs to another executor of the same scheduler.

    Args:
        name: under which tasks ask for it.
        scheduler: the scheduler that it belongs to.
        config: `target`, the name of the other executor, which may be an alias too.
        target: the other executor itself, instead of its name.

    Raises:
        ConfigError: there is no target.
    """

    def __init__(
        self,
        name: str,
        scheduler: Any = None,
        config: Mapping[str, Any] | None = None,
        target: Executor | None = None,
    ) -> None:
        super().__init__(name, scheduler, config)
        self.target = target.name if target is not None else str(self.config.get("target") or "")
        if not self.target:
            raise ConfigError(f"executor {name!r} is an alias, but of what is not said: give it target = NAME")
        self._given = target
        self._all: Executors | None = None

    @property
    def options(self) -> Mapping[str, Any]:
        """Task options of the target's configuration, those of its own on top.

        Raises:
            ExecutorError: there is no such target, or aliases go round in a circle.
        """
        return {**self._target().options, **self._own}

    @options.setter
    def options(self, options: Mapping[str, Any]) -> None:
        self._own = options

    def join(self, executors: Executors) -> None:
        """Note where to find the target by name."""
        self._all = executors
        if self._given is not None and self.target not in executors:
            executors.add(self._given)

    def submit(self, jobs: Sequence[Job]) -> None:
        """Hand jobs on."""
        self._target().submit(jobs)

    def _target(self) -> Executor:
        """Follow aliases to the executor that does the work."""
        passed: list[str] = []
        at: Executor = self
        while isinstance(at, AliasExecutor):
            if at.name in passed:
                raise ExecutorError(f"executor {self.name!r} is an alias of itself: {' -> '.join([*passed, at.name])}")
            passed.append(at.name)
            if at._all is None:
                raise ExecutorError(f"executor {at.name!r} is an alias of {at.target!r} and belongs to no scheduler")
            if at.target not in at._all:
                known = ", ".join(repr(name) for name in at._all.names() if name not in passed)
                raise ExecutorError(
                    f"executor {at.name!r} is an alias of {at.target!r}, which does not exist: expected one of {known}"
                )
            at = at._all.get(at.target)
        return at
