"""How this project makes its scheduler."""

from __future__ import annotations

from redun import Scheduler
from redun.config import Config
from redun.executors.local import LocalExecutor


def make_scheduler(config: Config, workers: int = 2, printers: int = 0) -> Scheduler:
    """Add an executor "press"; more printers may be given for a night run."""
    if printers:
        config.read_dict({"limits": {"printer": printers}})
    scheduler = Scheduler(config=config)
    scheduler.add_executor(LocalExecutor("press", config={"max_workers": workers}))
    return scheduler
