"""Fixtures for tests of the engine through its public API."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from redun import Scheduler, get_task_registry
from redun.store.repository import Store


class Runs:
    """Runs expressions on one store and tells what was executed.

    `done` lists the names of tasks whose functions ran since it was cleared last; tasks append to it themselves.
    """

    def __init__(self, store: Store) -> None:
        self.store = store
        self.done: list[str] = []

    def __call__(self, expr: Any, config: Any = None, **kwargs: Any) -> Any:
        self.done.clear()
        return Scheduler(config=config, store=self.store, logger=False).run(expr, **kwargs)


@pytest.fixture
def runs() -> Iterator[Runs]:
    with Store.in_memory() as store:
        yield Runs(store)


@pytest.fixture(autouse=True)
def _own_registry() -> Iterator[None]:
    """Tasks that a test defines are gone after it."""
    registry = get_task_registry()
    before = dict(registry._tasks)
    yield
    registry._tasks.clear()
    registry._tasks.update(before)
