"""A store of an older release: what it has computed is taken by this one."""

from __future__ import annotations

import shutil
import tarfile
from pathlib import Path

import pytest

from redun.store.upgrades import STORE_FORMAT

from .conftest import Cli

GOLDEN = Path(__file__).resolve().parents[1] / "golden"


@pytest.mark.parametrize("number", range(1, STORE_FORMAT))
def test_results_of_an_older_format_are_replayed(cli: Cli, tmp_path: Path, number: int) -> None:
    (tmp_path / ".redun").mkdir()
    with tarfile.open(GOLDEN / f"store{number}" / "store.tar.xz") as archive:
        archive.extractall(tmp_path / ".redun", filter="data")
    shutil.copy(GOLDEN / f"store{number}" / "flow.py", tmp_path)
    assert "sound" in cli("fsck", "--full").stdout
    done = cli("run", "flow.py", "main")
    assert done.status == 0, done.stderr
    assert "Run    Job" not in done.stderr
    assert "row 1" in done.stdout.replace("', '", "")
    log = cli("log")
    assert log.stdout.count("Exec ") == 3
    assert "note=kept" in log.stdout
    done = cli("fsck", "--full")
    assert (done.status, "sound" in done.stdout) == (0, True)
