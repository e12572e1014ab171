"""Tasks around tasks: `@wraps_task` makes decorators that put a task in front of another.

    @wraps_task()
    def _twice(inner_task):
        def call_twice(*args, **kwargs):
            return [inner_task(*args, **kwargs), inner_task(*args, **kwargs)]
        return call_twice

    @_twice
    @task(memory=4)
    def throw_dice(seed): ...

The outer task takes over name and namespace; the inner one moves to a hidden namespace, here `ns._twice.throw_dice`, and keeps its
options. Wrapped once more by `_log`, the tasks are `ns.throw_dice`, `ns._log.throw_dice` and `ns._twice._log.throw_dice`. A task's
hash includes that of the task it wraps, so a change anywhere in the chain changes every hash from there outwards.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ParamSpec, Protocol, TypeVar, overload

from redun.errors import TaskDefinitionError
from redun.namespace import check_namespace
from redun.task import PartialTask, Task, get_task_registry, task

P = ParamSpec("P")
Q = ParamSpec("Q")
R = TypeVar("R")
S = TypeVar("S")


class MakesTaskMaker(Protocol):
    """What `wraps_task(...)` is to type checkers."""

    def __call__(self, wrapper: Callable[[Task[P, R]], Callable[Q, S]], /) -> Callable[[Callable[P, R]], Task[Q, S]]:
        """Make a decorator of tasks."""


@overload
def wraps_task(wrapper_name: Callable[[Task[P, R]], Callable[Q, S]]) -> Callable[[Callable[P, R]], Task[Q, S]]: ...


@overload
def wraps_task(
    wrapper_name: str | None = None,
    wrapper_hash_includes: list[Any] | None = None,
    use_wrapper_signature: bool = False,
    *,
    wrapper_extra_hash_data: list[Any] | None = None,
    **wrapper_task_options_base: Any,
) -> MakesTaskMaker: ...


def wraps_task(
    wrapper_name: str | Callable[..., Any] | None = None,
    wrapper_hash_includes: list[Any] | None = None,
    use_wrapper_signature: bool = False,
    *,
    wrapper_extra_hash_data: list[Any] | None = None,
    **wrapper_task_options_base: Any,
) -> Any:
    """Turn a function from inner task to outer function into a decorator of tasks.

    Args:
        wrapper_name: last part of the hidden namespace; the decorated function's name by default.
        wrapper_hash_includes: values and functions that join in the outer task's hash, such as what the wrapper was made with.
        use_wrapper_signature: the outer task has the outer function's signature; by default, the inner task's.
        wrapper_extra_hash_data: older name of `wrapper_hash_includes`; both count.
        wrapper_task_options_base: options of the outer task, as of `@task`.

    Raises:
        TaskDefinitionError: a wrapper name that cannot be part of a namespace, or something wrapped that is no task.
    """
    if callable(wrapper_name):
        # Used as `@wraps_task`, without parentheses.
        return wraps_task()(wrapper_name)
    includes = [*(wrapper_hash_includes or ()), *(wrapper_extra_hash_data or ())]

    def decorate(make_outer: Callable[[Task[..., Any]], Callable[..., Any]]) -> Callable[[Callable[..., Any]], Task[..., Any]]:
        hidden = wrapper_name if wrapper_name is not None else make_outer.__name__
        check_namespace(hidden, f"wrapper {make_outer.__name__!r}")

        def wrap(function: Callable[..., Any]) -> Task[Any, Any]:
            inner = _as_own(function, hidden)
            name, namespace = inner.name, inner.namespace
            _hide(inner, hidden)
            outer_function = make_outer(inner)
            if isinstance(outer_function, Task):
                raise TaskDefinitionError(
                    f"wrapper {hidden!r} of task {inner.fullname!r} must return a plain function, found a task: remove its @task "
                    "and give the options to @wraps_task"
                )
            make = task(
                name=name,
                namespace=namespace or "",
                hash_includes=[*includes, inner],
                load_module=inner.load_module,
                use_wrapper_signature=use_wrapper_signature,
                wrapped_task=inner.fullname,
                **wrapper_task_options_base,
            )
            outer: Task[Any, Any] = make(outer_function)
            outer.wrap(inner)
            return outer

        return wrap

    return decorate


def _as_own(function: Any, wrapper: str) -> Task[Any, Any]:
    """Return the task to be wrapped, registered: a plain function becomes one, other options than the definition's a new one."""
    if isinstance(function, PartialTask) or not callable(function):
        raise TaskDefinitionError(f"wrapper {wrapper!r} needs a task, found {type(function).__name__}")
    if not isinstance(function, Task):
        made: Task[Any, Any] = task(function)
        return made
    if get_task_registry().get(function.fullname) is function:
        return function
    own = function.redefined()
    get_task_registry().add(own)
    return own


def _hide(inner: Task[Any, Any], wrapper: str) -> None:
    """Move a task and those that it wraps into a hidden namespace; the innermost first, since hashes are made of theirs."""
    if inner.wrapped_task is not None:
        _hide(inner.wrapped_task, wrapper)
        inner.task_options_base["wrapped_task"] = inner.wrapped_task.fullname
    namespace = f"{inner.namespace}.{wrapper}" if inner.namespace else wrapper
    get_task_registry().rename(inner.fullname, namespace, inner.name)


__all__ = ["wraps_task"]
