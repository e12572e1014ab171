"""What `@task(...)` and `@scheduler_task(...)` return, for type checkers: decorators that keep the signature."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Concatenate, ParamSpec, Protocol, TypeVar, overload

from redun.promise import Promise
from redun.task import SchedulerTask, Task

P = ParamSpec("P")
R = TypeVar("R")


class TaskDecorator(Protocol):
    """What `task(...)` is to type checkers."""

    def __call__(self, func: Callable[P, R], /) -> Task[P, R]: ...


class ScriptDecorator(Protocol):
    """What `task(script=True)` is to type checkers: the function returns a command, a call what comes of that."""

    def __call__(self, func: Callable[P, Any], /) -> Task[P, Any]: ...


class SchedulerTaskDecorator(Protocol):
    """What `scheduler_task(...)` is to type checkers: a call takes what comes after the first three parameters of the function."""

    @overload
    def __call__(self, func: Callable[Concatenate[Any, Any, Any, P], Promise[R]], /) -> SchedulerTask[P, R]: ...

    @overload
    def __call__(self, func: Callable[Concatenate[Any, Any, Any, P], R], /) -> SchedulerTask[P, R]: ...
