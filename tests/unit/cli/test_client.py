"""The command line from Python, and the names that scripts import from `redun.cli`."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from redun.cli import RedunClient, RedunClientError, check_version, find_config_dir, get_config_dir, setup_scheduler
from redun.utils import clear_import_paths, get_import_paths

SCRIPT = """
from redun import task
redun_namespace = "client"

@task()
def main(x: int = 1):
    if x < 0:
        raise KeyError(x)
    return x + 1
"""


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("REDUN_CONFIG", raising=False)
    monkeypatch.setattr("sys.path", list(os.sys.path))  # type: ignore[attr-defined]
    (tmp_path / "flow_of_client.py").write_text(SCRIPT)
    yield tmp_path
    clear_import_paths()


def test_the_result_comes_back() -> None:
    client = RedunClient(stdout=io.StringIO())
    assert client.execute(["redun", "run", "flow_of_client.py", "main", "--x", "4"]) == 5
    assert client.stdout is not None
    assert client.stdout.getvalue() == "5\n"  # type: ignore[attr-defined]
    assert client.scheduler is not None
    assert "default" in client.scheduler.executors
    assert client.execute(["redun", "log"]) is None


def test_a_changed_script_counts(here: Path) -> None:
    client = RedunClient(stdout=io.StringIO())
    assert client.execute(["redun", "run", "flow_of_client.py", "main"]) == 2
    (here / "flow_of_client.py").write_text(SCRIPT.replace("x + 1", "x + 2"))
    assert client.execute(["redun", "run", "flow_of_client.py", "main"]) == 3
    assert get_import_paths() == [str(here)]


def test_errors() -> None:
    client = RedunClient(stdout=io.StringIO())
    with pytest.raises(KeyError):
        client.execute(["redun", "run", "flow_of_client.py", "main", "--x", "-1"])
    with pytest.raises(RedunClientError, match="no task 'nope'"):
        client.execute(["redun", "run", "flow_of_client.py", "nope"])
    with pytest.raises(ValueError, match="argument --x: invalid int value: 'boom'"):
        client.execute(["redun", "run", "flow_of_client.py", "main", "--x", "boom"])
    with pytest.raises(SystemExit) as stop:
        client.execute(["redun", "nope"])
    assert stop.value.code == 2
    with pytest.raises(SystemExit) as stop:
        client.execute(["redun", "run", "--dryrun", "flow_of_client.py", "main", "--x", "99"])
    assert stop.value.code == 1


def test_folders(here: Path) -> None:
    assert get_config_dir() == ".redun"
    assert get_config_dir("other") == "other"
    setup_scheduler()
    assert (here / ".redun" / "redun.ini").exists()
    inner = here / "a" / "b"
    inner.mkdir(parents=True)
    assert find_config_dir(str(inner)) == str(here / ".redun")


def test_versions() -> None:
    assert check_version("1.0", ">0.9,<2")
    assert not check_version("1.9", "<1.9")
    with pytest.raises(ValueError, match="boom"):
        check_version("boom", "0.9")
    with pytest.raises(ValueError, match="boom"):
        check_version("1.0", "boom")
