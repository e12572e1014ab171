"""The scheduler of the running thread: what `get_current_scheduler` gives, inside tasks as well."""

from __future__ import annotations

import threading
from typing import Any

from redun.errors import NoCurrentScheduler

_local = threading.local()


def get_current_scheduler(required: bool = True) -> Any:
    """Return the scheduler that this thread works for.

    Raises:
        NoCurrentScheduler: there is none and `required` is set.
    """
    scheduler = getattr(_local, "scheduler", None)
    if scheduler is None and required:
        raise NoCurrentScheduler("no scheduler is running on this thread")
    return scheduler


def set_current_scheduler(scheduler: Any) -> None:
    """Set the scheduler that this thread works for; None for none."""
    _local.scheduler = scheduler
