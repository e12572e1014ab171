"""`redun oneshot` and `redun launch`."""

from __future__ import annotations

import json
import pickle
import tarfile
from pathlib import Path

import pytest

from .conftest import Cli

SCRIPT = """
import os
from redun import task
redun_namespace = "one"

class Odd(Exception):
    def __init__(self, function):
        super().__init__()
        self.function = function

@task()
def add(x: int, y: int = 1):
    print("called")
    return x + y

@task()
def fail(x: int):
    raise ValueError(f"bad {x}")

@task()
def odd():
    raise Odd(lambda: 1)

@task()
def process():
    return os.getpid()
"""


@pytest.fixture
def flow(tmp_path: Path) -> Path:
    (tmp_path / "flow.py").write_text(SCRIPT)
    return tmp_path


def test_a_task_is_called_once(cli: Cli, flow: Path) -> None:
    assert cli("oneshot", "flow.py", "one.add", "--x", "2").stdout == "called\n3\n"
    (flow / "in").write_bytes(pickle.dumps([(5,), {"y": 6}]))
    assert cli("oneshot", "--input", "in", "--output", "out", "flow.py", "add").stdout == "called\n"
    assert pickle.loads((flow / "out").read_bytes()) == 11
    assert cli("oneshot", "--output", "out", "flow.py", "add", "--x", "1").stdout == ""
    assert pickle.loads((flow / "out").read_bytes()) == 11
    cli("oneshot", "--no-cache", "--output", "out", "flow.py", "add", "--x", "1")
    assert pickle.loads((flow / "out").read_bytes()) == 2
    assert not (flow / ".redun").exists()


def test_errors_are_kept(cli: Cli, flow: Path) -> None:
    ended = cli("oneshot", "--error", "err", "flow.py", "fail", "--x", "3")
    assert (ended.status, ended.errors[-1]) == (1, "ValueError: bad 3")
    assert not [line for line in ended.errors if "redun/cli" in line]
    error, traceback = pickle.loads((flow / "err").read_bytes())
    assert str(error) == "bad 3"
    assert "raise ValueError" in "\n".join(traceback.format())
    assert len(traceback.frames) == 1
    cli("oneshot", "--error", "err", "flow.py", "odd")
    error, _ = pickle.loads((flow / "err").read_bytes())
    assert type(error) is Exception
    assert cli("oneshot", "--error", "err", "--input", "nope", "flow.py", "add").status == 1
    assert isinstance(pickle.loads((flow / "err").read_bytes())[0], FileNotFoundError)


def test_arrays_and_packages(cli: Cli, flow: Path) -> None:
    (flow / "in").write_bytes(pickle.dumps([[(1,), (2,)], [{}, {"y": 9}]]))
    (flow / "outs").write_text(json.dumps(["out0", "out1"]))
    with tarfile.open(flow / "code.tar.gz", "w:gz") as package:
        package.add(flow / "flow.py", "inside/flow.py")
    ended = cli(
        *("oneshot", "--code", "code.tar.gz", "--import-path", "inside", "--array-job", "--input", "in", "--output", "outs"),
        *("flow", "one.add"),
        env={"AWS_BATCH_JOB_ARRAY_INDEX": "1"},
    )
    assert ended.status == 0, ended
    assert pickle.loads((flow / "out1").read_bytes()) == 11
    assert not (flow / "out0").exists()


def test_bad_uses_of_oneshot(cli: Cli, flow: Path, refused) -> None:  # type: ignore[no-untyped-def]
    refused(cli("oneshot", "flow.py", "nope"), "no task 'nope'")
    refused(cli("oneshot", "flow.py", "add"), "missing argument --x")
    refused(cli("oneshot", "--array-job", "flow.py", "add", "--x", "1"), "environment variable")
    refused(cli("oneshot", "--input", "flow.py", "flow.py", "add"), "holds no arguments")
    refused(cli("oneshot", "--code", "flow.py", "flow.py", "add", "--x", "1"), "no code package")
    refused(cli("oneshot", "--input", "nope", "flow.py", "add"), "--input", "'nope'")
    refused(cli("oneshot", "flow.py"), "missing argument", status=2)


def test_launch(cli: Cli, flow: Path, refused) -> None:  # type: ignore[no-untyped-def]
    ended = cli("launch", "--executor", "default", "redun", "run", "flow.py", "add", "--x", "4")
    assert (ended.status, ended.stdout) == (0, "")
    assert cli("run", "flow.py", "add", "--x", "4").jobs("Cached") == ["add"]
    ended = cli(
        "launch", "--wait", "--executor", "default", "redun", "--log-level", "ERROR", "run", "flow.py", "add", "--x", "4"
    )
    assert ended.stdout == r"b'5\n'" + "\n"
    ended = cli("launch", "--executor", "default", "redun", "run", "flow.py", "fail", "--x", "4")
    assert ended.status == 1
    assert "bad 4" in ended.stderr
    refused(cli("launch", "--executor", "nope", "ls"), "unknown executor 'nope'")
    refused(cli("launch", "ls"), "--executor", status=2)
    refused(cli("launch", "--executor", "default"), "missing argument", status=2)
