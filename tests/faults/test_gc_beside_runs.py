"""A short sample of `gc_beside_runs.py`: gcs in a loop beside workflows in a loop."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from . import gc_beside_runs

# The long form runs for as many seconds as REDUN_FAULT_ROUNDS says.
SECONDS = max(4.0, float(os.environ.get("REDUN_FAULT_ROUNDS", "0")))


@pytest.mark.parametrize("collectors", [1, 2])
def test_no_job_fails_and_nothing_dangles(tmp_path: Path, collectors: int) -> None:
    figures = gc_beside_runs.campaign(tmp_path, SECONDS, runners=2, collectors=collectors)
    assert figures["runs"] > 0
    assert all(found["rounds"] > 0 for found in figures["collectors"])
