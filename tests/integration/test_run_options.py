"""Options of `redun run` beyond the first ones: arguments from files and earlier jobs, results to files, setup, debugger."""

from __future__ import annotations

import json
import os
import pickle
import subprocess
from pathlib import Path

import pytest

from .conftest import Cli

SCRIPT = """
from redun import task

redun_namespace = "opt"

@task()
def inner(x: int, y: int = 0):
    return x + y

@task()
def main(x: int, y: int = 5, **more: int):
    return {"sum": inner(x, y=y), "items": [x, y, *more.values()]}

@task()
def fail(x: int):
    secret = x * 7
    raise ValueError(f"bad {x}")
"""

SETUP = """
from redun import Scheduler
from redun.executors.local import LocalExecutor

def setup(config, name: str = "second", extra: int = 1):
    '''Adds an executor.'''
    scheduler = Scheduler(config=config)
    scheduler.add_executor(LocalExecutor(name))
    print("extra is", extra + 1)
    return scheduler

def wrong(config):
    return 3
"""


@pytest.fixture
def flow(tmp_path: Path) -> Path:
    (tmp_path / "flow.py").write_text(SCRIPT)
    return tmp_path


def test_arguments_from_a_file(cli: Cli, flow: Path) -> None:
    (flow / "in.pkl").write_bytes(pickle.dumps([(5,), {"y": 7}]))
    assert cli("run", "--input", "in.pkl", "flow.py", "inner").stdout == "12\n"
    assert cli("run", "--input", "in.pkl", "flow.py", "inner", "--y", "10").stdout == "15\n"
    (flow / "in.json").write_text('{"x": 1, "z": 2}')
    assert cli("run", "-i", "in.json", "flow.py", "main").stdout == "{'sum': 6, 'items': [1, 5, 2]}\n"


@pytest.mark.parametrize(
    ("name", "content", "part"),
    [
        ("missing", None, "No such file"),
        ("in.json", b"{", "no JSON"),
        ("in.json", b'{"q": 1}', "do not fit"),
        ("in.pkl", b"nonsense", "no pickle"),
        ("in.pkl", pickle.dumps(3), "expected positional and named"),
    ],
)
def test_bad_input_files(cli: Cli, flow: Path, refused, name: str, content: bytes | None, part: str) -> None:  # type: ignore[no-untyped-def]
    if content is not None:
        (flow / name).write_bytes(content)
    refused(cli("run", "--input", name, "flow.py", "inner"), part)


def test_results_to_a_file_and_parts_of_them(cli: Cli, flow: Path) -> None:
    ended = cli("run", "--output", "out.json", "--select", "['items'][1:]", "flow.py", "main", "--x", "1")
    assert ended.stdout == "[5]\n"
    assert json.loads((flow / "out.json").read_text()) == [5]
    cli("run", "--output", "out", "flow.py", "main", "--x", "1")
    assert pickle.loads((flow / "out").read_bytes()) == {"sum": 6, "items": [1, 5]}


def test_bad_outputs_and_selections(cli: Cli, flow: Path, refused) -> None:  # type: ignore[no-untyped-def]
    refused(cli("run", "--output", "no/where", "flow.py", "inner", "--x", "1"), "does not exist")
    refused(cli("run", "--output", ".", "flow.py", "inner", "--x", "1"), "is a folder")
    refused(cli("run", "--select", "a()", "flow.py", "inner", "--x", "1"), "is no selection", status=2)
    refused(cli("run", "--select", "[x]", "flow.py", "inner", "--x", "1"), "an index must be", status=2)
    ended = cli("run", "--select", "[3]", "flow.py", "inner", "--x", "1")
    assert (ended.status, ended.stdout) == (1, "")
    assert "is not in the result" in ended.errors[-1]


def test_rerun_of_jobs_and_executions(cli: Cli, flow: Path) -> None:
    cli("run", "flow.py", "main", "--x", "10", "--z", "3")
    jobs = [json.loads(line) for line in cli("log", "--job", "--format", "json").stdout.splitlines()]
    inner = next(job["id"] for job in jobs if job["task_name"] == "opt.inner")
    execution = json.loads(cli("log", "--exec", "--format", "json").stdout)["id"]
    assert cli("run", "--rerun", inner[:8], "flow.py").stdout == "15\n"
    assert cli("run", "--rerun", inner, "flow.py", "inner", "--y", "1").stdout == "11\n"
    whole = "{'sum': 15, 'items': [10, 5, 3]}\n"
    assert cli("run", "--rerun", execution, "flow.py").stdout == whole
    # As the existing package has it.
    assert cli("run", "--rerun", "flow.py", execution).stdout == whole
    assert cli("run", "--rerun", "flow.py", inner, "--x", "1").stdout == "6\n"
    assert cli("run", "--rerun", "-", "flow.py").stdout == "6\n"


def test_bad_reruns(cli: Cli, flow: Path, refused) -> None:  # type: ignore[no-untyped-def]
    refused(cli("run", "--rerun", "-", "flow.py"), "nothing has been run here yet")
    cli("run", "flow.py", "inner", "--x", "1")
    refused(cli("run", "--rerun", "0000000000", "flow.py"), "no job or execution")
    refused(cli("run", "--rerun", "-", "flow.py", "main"), "leave the task out")
    refused(cli("run", "--rerun", "-"), "missing argument", status=2)
    refused(cli("run", "flow.py"), "missing argument TASK", status=2)
    refused(cli("run"), "missing argument SCRIPT_OR_MODULE", status=2)


def test_a_failed_job_runs_again_with_its_arguments(cli: Cli, flow: Path) -> None:
    assert cli("run", "flow.py", "fail", "--x", "4").status == 1
    ended = cli("run", "--rerun", "-", "flow.py")
    assert (ended.status, ended.log[-1]) == (1, "ValueError: bad 4")


def test_setup_function(cli: Cli, flow: Path, refused) -> None:  # type: ignore[no-untyped-def]
    (flow / "setup.py").write_text(SETUP)
    (flow / ".redun").mkdir()
    ini = flow / ".redun" / "redun.ini"
    ini.write_text("[scheduler]\nsetup_scheduler = setup.py::setup\n")
    run = ("flow.py", "inner", "--x", "1")
    ended = cli("run", "--option", "executor=second", *run)
    assert ended.stdout == "extra is 2\n1\n"
    assert "on second" in ended.stderr
    # What it computed is in the configuration's store.
    assert cli("run", *run).jobs("Cached") == ["inner"]
    ended = cli("-s", "name=third", "run", "--setup", "extra=8", "--no-cache", "--option", "executor=third", *run)
    assert ended.stdout == "extra is 9\n1\n"
    shown = cli("--setup-help").stdout
    assert "Adds an executor." in shown
    assert "--setup extra=EXTRA (default: 1)" in shown
    refused(cli("-s", "nope=1", "run", *run), "'nope' is unknown", "name, extra")
    refused(cli("-s", "extra=x", "run", *run), "expected an int")
    refused(cli("-s", "extra", "run", *run), "expected name=value")
    for bad, part in (("setup.py::nope", "has no function"), ("nope.py::f", "does not exist"), ("setup", "expected script.py")):
        ini.write_text(f"[scheduler]\nsetup_scheduler = {bad}\n")
        refused(cli("run", *run), "setup_scheduler", part)
    ini.write_text("[scheduler]\nsetup_scheduler = setup.py::wrong\n")
    refused(cli("run", *run), "expected a Scheduler")
    ini.write_text("")
    refused(cli("-s", "a=1", "run", *run), "no setup_scheduler")
    assert "No setup function" in cli("--setup-help").stdout


def test_debugger_starts_where_a_task_failed(flow: Path, redun_environ: dict[str, str]) -> None:
    done = subprocess.run(
        ["redun", "run", "--pdb", "flow.py", "fail", "--x", "6"],
        cwd=flow,
        env={**os.environ, **redun_environ},
        input="p secret\nq\n",
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 1
    assert "42" in done.stdout
    assert "raise ValueError" in done.stdout


def test_a_failure_is_told_where_no_log_is_shown(cli: Cli, flow: Path) -> None:
    ended = cli("--log-level", "ERROR", "run", "flow.py", "fail", "--x", "6")
    assert (ended.status, ended.stdout, ended.log) == (1, "", [])
    assert ended.errors[0].startswith("redun: error: the workflow has failed: ValueError: ")
    assert next(line for line in ended.errors if line.startswith("  File ")).startswith(f'  File "{flow}/flow.py", line ')
    ended = cli("--log-level", "ERROR", "run", "--dryrun", "flow.py", "fail", "--x", "6")
    assert (ended.status, len(ended.errors)) == (1, 1)
    assert "dry run" in ended.errors[0]
