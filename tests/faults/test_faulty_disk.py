"""Kills and failing writes at every kind of moment: in runs, imports, garbage collections, beside another writer, in fresh stores.

`programs.py` says what is done and what must hold: each round ends with a full check of the store and of all that was acknowledged.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from .faulty_disk import build, run_program

ROUNDS = int(os.environ.get("REDUN_FAULT_ROUNDS", "30"))
SEED = os.environ.get("REDUN_FAULT_SEED", "1")


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(tmp_path_factory.mktemp("shim"))


@pytest.mark.parametrize("sliced", ["", "1"], ids=["whole", "sliced"])
@pytest.mark.parametrize(("what", "status"), [("kill", "status -9"), ("enospc", "status 1"), ("eio", "status 1")])
def test_at_any_change(
    library: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, what: str, status: str, sliced: str
) -> None:
    monkeypatch.setenv("REDUN_FAULT_SLICES", sliced)
    (tmp_path / "root").mkdir()
    happened = json.loads(run_program(library, tmp_path / "root", "faults", what, SEED, str(ROUNDS)))
    print(what, happened)
    assert happened[status] > ROUNDS // 4
    assert happened["acknowledged"] > 0
    assert happened["beside another writer"] > 0
