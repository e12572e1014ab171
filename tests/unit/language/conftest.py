"""Fixtures for tests of what scripts write: tasks, wrappers, tools."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from textwrap import dedent
from types import ModuleType
from typing import Any

import pytest

from redun import Scheduler, get_task_registry
from redun.store.repository import Store


class Runs:
    """Runs expressions on one store; tasks of loaded modules append to their module's `done` what they do."""

    def __init__(self, store: Store) -> None:
        self.store = store

    def __call__(self, expr: Any, config: Any = None, **kwargs: Any) -> Any:
        return Scheduler(config=config, store=self.store, logger=False).run(expr, **kwargs)


@pytest.fixture
def runs() -> Iterator[Runs]:
    with Store.in_memory() as store:
        yield Runs(store)


@pytest.fixture
def load(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., ModuleType]:
    """Import a program from text, each time under the same module name, as a new process would after an edit."""
    count = 0

    def import_text(text: str, **changes: str) -> ModuleType:
        nonlocal count
        count += 1
        text = dedent(text)
        for old, new in changes.items():
            text = text.replace(old, new)
        path = tmp_path / f"program{count}.py"
        path.write_text(text)
        spec = spec_from_file_location("program", path)
        assert spec is not None
        assert spec.loader is not None
        module = module_from_spec(spec)
        monkeypatch.setitem(sys.modules, "program", module)
        spec.loader.exec_module(module)
        return module

    return import_text


@pytest.fixture(autouse=True)
def _own_registry() -> Iterator[None]:
    """Tasks that a test defines are gone after it."""
    registry = get_task_registry()
    before = dict(registry._tasks)
    yield
    registry._tasks.clear()
    registry._tasks.update(before)
