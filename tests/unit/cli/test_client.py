"""The command line from Python, and the names that scripts import from `redun.cli`."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from redun.cli import (
    RedunClient,
    RedunClientError,
    arg_name2cli_name,
    check_version,
    find_config_dir,
    get_abs_path,
    get_anno_origin,
    get_config_dir,
    get_default_execution_tags,
    get_username,
    import_script,
    main,
    setup_scheduler,
)
from redun.utils import clear_import_paths, get_import_paths
from redun.version import __version__

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


def test_names_of_the_existing_package(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert arg_name2cli_name("my_Name") == "--my-name"
    assert get_abs_path("x") == os.path.abspath("x")
    assert get_abs_path("s3://bucket/x") == "s3://bucket/x"
    assert get_anno_origin(list[int]) is list
    monkeypatch.setenv("REDUN_USER", "ada")
    assert get_username() == "ada"
    tags = dict(get_default_execution_tags(project="p", doc="d"))
    assert (tags["user"], tags["project"], tags["doc"]) == ("ada", "p", "d")
    # The module is what the function is there.
    monkeypatch.setattr("sys.argv", ["redun", "--version"])
    main()
    assert capsys.readouterr().out == f"{__version__}\n"
    monkeypatch.setattr("sys.argv", ["redun", "nope"])
    with pytest.raises(SystemExit, match="2"):
        main()


def test_scripts_and_modules_of_one_name(here: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    name = "same_of_client"
    for folder, value in (("one", 1), ("two", 2), ("path", 3)):
        (here / folder).mkdir()
        (here / folder / f"{name}.py").write_text(f"value = {value}")
    monkeypatch.chdir(here / "one")
    assert import_script(name).value == 1
    # A module of the user's gives way, one that is installed does not.
    assert import_script(str(here / "two" / f"{name}.py")).value == 2
    (here / "msgpack.py").write_text("")
    with pytest.raises(ImportError, match="another name"):
        import_script(str(here / "msgpack.py"))
    # A module that was a script already is not run once more.
    monkeypatch.chdir(here / "two")
    assert import_script(name) is import_script(name)
    # A bare name that is not here is looked for where Python looks.
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(here / "path"))
    assert import_script(f"{name}.py").value == 3
    with pytest.raises(ModuleNotFoundError, match="does not exist"):
        import_script(f"nope/{name}.py")


def test_the_package_names_what_the_client_has() -> None:
    import redun.cli
    from redun.cli import client

    assert redun.cli.__all__ == client.__all__
