"""Fixtures for tests of workflows. Say `pytest_plugins = ["redun.pytest"]` in `conftest.py`, or import the fixture."""

from __future__ import annotations

import pytest

from redun.evaluation.scheduler import Scheduler

__all__ = ["scheduler"]


@pytest.fixture
def scheduler() -> Scheduler:
    """A scheduler with a store in memory, nothing of which outlasts the test."""
    return Scheduler()
