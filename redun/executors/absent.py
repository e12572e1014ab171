"""Executors that scripts may name already though they are not there yet: importing them works, using them tells."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from redun.errors import ExecutorError
from redun.executors.base import Executor


class AbsentExecutor(Executor):
    """An executor that cannot be made yet.

    Attributes:
        where: where it would run jobs.
    """

    where: ClassVar[str] = ""

    def __init__(self, name: str, scheduler: Any = None, config: Mapping[str, Any] | None = None, **options: Any) -> None:
        raise ExecutorError(
            f"executor {name!r} is of class {type(self).__name__}, which is not there yet: jobs cannot run {self.where}; "
            "use an executor of type 'local', or an alias of one"
        )
