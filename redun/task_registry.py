"""All tasks of this process, by name."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from redun.errors import TaskNotFound

if TYPE_CHECKING:
    from redun.task import Task


class TaskRegistry:
    """All tasks of this process, by fullname; a later definition replaces an earlier one."""

    def __init__(self) -> None:
        self._tasks: dict[str, Task[Any, Any]] = {}

    def add(self, task: Task[Any, Any]) -> None:
        """Register a task under its fullname."""
        self._tasks[task.fullname] = task

    def get(self, task_name: str | None = None, hash: str | None = None) -> Task[Any, Any] | None:
        """Return the task of a fullname, or of a hash, or None."""
        if task_name is not None:
            return self._tasks.get(task_name)
        return next((task for task in self._tasks.values() if task.hash == hash), None)

    def require(self, task_name: str) -> Task[Any, Any]:
        """Return the task of a fullname.

        Raises:
            TaskNotFound: there is none.
        """
        task = self._tasks.get(task_name)
        if task is None:
            # Special forms and functools register themselves when first imported.
            import redun.library  # noqa: F401

            task = self._tasks.get(task_name)
        if task is None:
            raise TaskNotFound(f"task {task_name!r} is not defined any more")
        return task

    def rename(self, old_name: str, new_namespace: str, new_name: str) -> Task[Any, Any]:
        """Move a task to another fullname and return it."""
        task = self._tasks.pop(old_name)
        task.namespace, task.name = new_namespace, new_name
        task.fullname = f"{new_namespace}.{new_name}" if new_namespace else new_name
        task.recompute_hash()
        self._tasks[task.fullname] = task
        return task

    @property
    def task_hashes(self) -> set[str]:
        """Hashes of all registered tasks."""
        return {task.hash for task in self._tasks.values()}

    def __iter__(self) -> Iterator[Task[Any, Any]]:
        return iter(list(self._tasks.values()))


_registry = TaskRegistry()


def get_task_registry() -> TaskRegistry:
    """Return the registry of this process."""
    return _registry


def split_task_fullname(task_fullname: str) -> tuple[str, str]:
    """Split a fullname into namespace ("" if none) and name."""
    namespace, _, name = task_fullname.rpartition(".")
    return namespace, name
