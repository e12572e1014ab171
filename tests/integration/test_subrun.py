"""Sub-runs in worker processes, by the command line: one tree, one store, errors and code changes told as ever."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

INI = """\
[executors.workers]
type = local
mode = process
max_workers = 2
start_method = {method}
"""

WORKFLOW = """\
import os

from redun import task
from redun.scheduler import subrun

redun_namespace = "flow"

@task()
def work(x):
    return [2 * x, os.getpid()]

@task()
def fan(n):
    return [work(i) for i in range(n)]

@task()
def boom():
    raise KeyError("no such thing")

@task()
def main(n: int = 3):
    return {"here": os.getpid(), "there": subrun(fan(n), executor="workers")}

@task(executor="workers")
def apply(a_task, x):
    return a_task(x)

@task()
def higher(x: int = 4):
    return apply(work, x)[0]

@task()
def bad():
    return subrun(boom(), executor="workers")
"""


def redun(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    env = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}
    env.pop("REDUN_CONFIG", None)
    return subprocess.run(
        [sys.executable, "-m", "redun", *words], cwd=folder, env=env, capture_output=True, text=True, check=False
    )


@pytest.fixture(params=["forkserver", "fork", "spawn"])
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    (tmp_path / ".redun").mkdir()
    (tmp_path / ".redun" / "redun.ini").write_text(INI.format(method=request.param))
    (tmp_path / "flow.py").write_text(WORKFLOW)
    return tmp_path


def test_a_subrun_in_a_process(folder: Path) -> None:
    first = redun(folder, "run", "flow.py", "main")
    assert first.returncode == 0, first.stderr
    value = eval(first.stdout)
    assert [item for item, _ in value["there"]] == [0, 2, 4]
    assert value["here"] not in {pid for _, pid in value["there"]}

    listed = json.loads(redun(folder, "log", "-", "--format", "json").stdout)
    assert "flow.work" in json.dumps(listed)

    again = redun(folder, "run", "flow.py", "main")
    assert eval(again.stdout) == value

    (folder / "flow.py").write_text(WORKFLOW.replace("2 * x", "3 * x"))
    changed = redun(folder, "run", "flow.py", "main")
    assert [item for item, _ in eval(changed.stdout)["there"]] == [0, 3, 6]


def test_tasks_as_arguments_of_tasks_in_processes(folder: Path) -> None:
    done = redun(folder, "run", "flow.py", "higher")
    assert done.stdout.strip() == "8", done.stderr


def test_an_error_in_a_process_ends_in_the_line_of_the_user(folder: Path) -> None:
    failed = redun(folder, "run", "flow.py", "bad")
    assert failed.returncode == 1
    assert "KeyError: 'no such thing'" in failed.stderr
    assert "flow.boom" in redun(folder, "log", "-").stdout
