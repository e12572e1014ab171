"""`redun.run`: a workflow from a Python program or a notebook, with the configuration and the store that the command line would use."""

from __future__ import annotations

from pathlib import Path
from typing import Any, TypeVar, overload

from redun.expression import Expression

T = TypeVar("T")


@overload
def run(expr: Expression[T], config_dir: str | None = None, **run_config: Any) -> T: ...


@overload
def run(expr: T, config_dir: str | None = None, **run_config: Any) -> T: ...


def run(expr: Any, config_dir: str | None = None, **run_config: Any) -> Any:
    """Evaluate an expression and return its value; results are kept in the store of the configuration.

    Args:
        expr: an expression, or a value with expressions in it.
        config_dir: configuration folder, made if it is not there; by default as for the command line: `REDUN_CONFIG`, the nearest
            `.redun`, else a new one here.
        run_config: arguments of `Scheduler.run`: `cache`, `dryrun`, `tags`, `context`, `execution_id`, ...

    Raises:
        ConfigError: the configuration cannot be read.
        StoreError: the store cannot be opened, or fails.
        Exception: whatever the workflow's failing task raised.
    """
    from redun.config import find_folder, load_config, make_folder, open_store
    from redun.fetching import fetch_when_needed
    from redun.scheduler_setup import make_scheduler

    __tracebackhide__ = True
    folder = find_folder() if config_dir is None else Path(config_dir).absolute()
    make_folder(folder)
    config = load_config(folder)
    with open_store(folder, config) as store:
        scheduler = make_scheduler(config, store)
        with fetch_when_needed(store, config, lambda text: scheduler.logger.warning(text)):
            return scheduler.run(expr, **run_config)
