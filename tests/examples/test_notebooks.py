"""Every notebook runs, and each cell shows what is stored beside it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from console import Ids, match
from notebook import code_cells, run_cells, shown

from redun.task import get_task_registry

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
NOTEBOOKS = sorted(EXAMPLES.glob("*/*.ipynb"))


def test_there_is_one() -> None:
    assert NOTEBOOKS


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_cells_show_what_is_stored(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    ran = 0
    for cell, printed, result in run_cells(path):
        expected = shown(cell).splitlines()
        found = [line.rstrip() for text in (printed, result) if text for line in text.splitlines()]
        if match(expected, found, Ids()) is None:
            lines = ["".join(cell["source"]), "--- the notebook shows", *expected, "--- it showed", *found]
            pytest.fail("\n".join(lines), pytrace=False)
        ran += 1
    assert ran == len(code_cells(json.loads(path.read_text()))) > 0
    assert list(tmp_path.iterdir()) == [], "a notebook leaves nothing behind"
    assert get_task_registry().get("steps.main") is not None


def test_a_cell_that_shows_something_else_is_noticed(tmp_path: Path) -> None:
    cell = {
        "cell_type": "code",
        "source": ["print('one')\n", "x = 2\n", "x"],
        "outputs": [
            {"output_type": "stream", "text": ["one\n"]},
            {"output_type": "execute_result", "data": {"text/plain": ["3"]}},
        ],
    }
    path = tmp_path / "wrong.ipynb"
    path.write_text(json.dumps({"cells": [{"cell_type": "markdown", "source": []}, cell]}))
    ((found, printed, result),) = run_cells(path)
    assert (printed, result) == ("one", "2")
    assert shown(found) == "one\n3"
