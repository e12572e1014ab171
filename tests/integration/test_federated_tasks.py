"""Tasks that only a configuration names: called as sub-runs, started as commands, packed for servers."""

from __future__ import annotations

import pickle
import subprocess
import sys
from pathlib import Path

import pytest

from redun import Scheduler, task
from redun.config import Config
from redun.errors import FederatedTaskError, SchedulerError
from redun.federated_tasks import InvocationException, federated_task, launch_federated_task, rest_federated_task

from .conftest import Cli

CODE = """
from redun import task
redun_namespace = "far"

@task()
def add(x, y=3, path=None):
    if path:
        with open(path, "w") as stream:
            stream.write(str(x + y))
    return x + y
"""

INI = """
[scheduler]
federated_configs = far
ignore_warnings = namespace
"""

FAR = """
[executors.there]
type = local
scratch = {folder}/scratch

[federated_tasks.sum]
executor = there
namespace = far
task_name = add
load_module = far_code
config_dir = {folder}/far
description = Adds.
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "far").mkdir()
    (tmp_path / "far" / "redun.ini").write_text(FAR.format(folder=tmp_path))
    (tmp_path / ".redun").mkdir()
    (tmp_path / ".redun" / "redun.ini").write_text(INI)
    (tmp_path / "far_code.py").write_text(CODE)
    (tmp_path / "flow.py").write_text(
        "from redun import task\nfrom redun.federated_tasks import federated_task\n"
        "@task()\ndef main(n: int):\n    return [federated_task('sum', n), federated_task('sum', x=n, y=n)]\n"
    )
    return tmp_path


def test_a_federated_task_is_called(cli: Cli, folder: Path) -> None:
    ended = cli("run", "flow.py", "main", "--n", "4")
    assert (ended.status, ended.stdout) == (0, "[7, 8]\n"), ended
    assert "far.add" in cli("log", "--job").stdout


@pytest.mark.parametrize(
    ("section", "error", "part"),
    [
        (None, FederatedTaskError, "Could not find the entrypoint `sum`"),
        ({"executor": "default"}, FederatedTaskError, "does not have the required keys"),
        (
            {"executor": "no", "namespace": "a", "task_name": "b", "load_module": "c", "config_dir": "d"},
            SchedulerError,
            'Unknown executor "no"',
        ),
    ],
)
def test_incomplete_sections(section: dict[str, str] | None, error: type[Exception], part: str) -> None:
    config = Config({} if section is None else {"federated_tasks.sum": section})
    with pytest.raises(error, match=part):
        Scheduler(config, logger=False).run(federated_task("sum", 1))


def test_a_server_is_asked_with_arguments_in_a_file(tmp_path: Path) -> None:
    @task(namespace="asks")
    def plus(n: int) -> int:
        return n + 1

    ask = rest_federated_task("conf", "sum", url="http://localhost:1/x", scratch_prefix=str(tmp_path), dryrun=True, x=plus(1))
    execution_id, message = Scheduler(logger=False).run(ask)
    assert message["execution_id"] == execution_id
    assert (message["config_name"], message["entrypoint"], message["cache"]) == ("conf", "sum", True)
    assert Path(message["input_path"]).is_relative_to(tmp_path)


def test_a_server_that_is_not_there(tmp_path: Path) -> None:
    ask = rest_federated_task("conf", "sum", "http://localhost:1/x", str(tmp_path), False, 1)
    with pytest.raises(InvocationException, match="localhost:1"):
        Scheduler(logger=False).run(ask)


def test_a_federated_task_is_launched(folder: Path, redun_environ: dict[str, str]) -> None:
    """As a server does that got the message of `rest_federated_task`."""
    program = (
        "from redun.federated_tasks import launch_federated_task as launch\n"
        f"print(launch('far', 'sum', (8,), {{'path': {str(folder / 'out')!r}}}))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=folder, env=redun_environ, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stderr
    assert (folder / "out").read_text() == "11"
    assert pickle.loads(next((folder / "scratch").rglob("input")).read_bytes()) == [(8,), {"path": str(folder / "out")}]


def test_what_cannot_be_launched(folder: Path) -> None:
    with pytest.raises(FederatedTaskError, match="`nope`"):
        launch_federated_task(str(folder / "far"), "nope", (), {})
    with pytest.raises(FederatedTaskError, match="expected a tuple"):
        launch_federated_task(str(folder / "far"), "sum")
