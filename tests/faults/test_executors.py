"""Runs that are interrupted or lose workers at random moments: a few rounds of the campaigns in `interrupted_runs`."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.faults.interrupted_runs import interrupt, kill_workers

ROUNDS = int(os.environ.get("REDUN_FAULT_ROUNDS", "6"))


@pytest.mark.parametrize("method", ["thread", "fork", "forkserver", "spawn"])
def test_interrupted_runs_leave_nothing_and_go_on(tmp_path: Path, method: str) -> None:
    found = interrupt(tmp_path, method, max(2, ROUNDS // 3))
    assert sum(found["statuses"].values()) == found["rounds"]


def test_the_second_signal_leaves_at_once(tmp_path: Path) -> None:
    interrupt(tmp_path, "forkserver", max(2, ROUNDS // 3), twice=True)


@pytest.mark.parametrize("method", ["fork", "forkserver", "spawn"])
def test_runs_survive_the_death_of_workers(tmp_path: Path, method: str) -> None:
    found = kill_workers(tmp_path, method, max(2, ROUNDS // 3))
    assert found["right_result"] + found["clear_failure"] == found["rounds"]
    assert found["kills"] > 0
