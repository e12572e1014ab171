"""`redun log --output`: what jobs have printed, wherever they ran."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from redun.cli.render.job_output import OutputView
from redun.cli.render.selection import Filters, Form, LogView
from redun.provenance import Provenance, Status
from tests.integration.conftest import Cli, assert_refused

WORKFLOW = """
import ctypes, logging, os, signal, subprocess, sys, time
from redun import catch, script, task

redun_namespace = "out"
logger = logging.getLogger("mine")

@task()
def talk(x: int) -> int:
    print("says", x)
    print("errs", x, file=sys.stderr)
    logger.warning("warns %s", x)
    return x

@task()
def quiet() -> int:
    return 1

@task(capture_output=False)
def secret() -> int:
    print("password")
    return 1

@task(cache=False)
async def waits(x: int) -> int:
    import asyncio
    print("before", x)
    await asyncio.sleep(0.01)
    print("after", x)
    return x

@task()
def fails() -> None:
    for i in range(50):
        print("line", i)
    raise ValueError("wrong")

@task(retries=1)
def twice(folder: str) -> int:
    path = os.path.join(folder, "tried")
    print("second" if os.path.exists(path) else "first")
    if not os.path.exists(path):
        open(path, "w").close()
        raise ValueError("again")
    return 2

@task()
def deep() -> int:
    subprocess.run(["sh", "-c", "echo from a child; echo errors of a child >&2"], check=True)
    libc = ctypes.CDLL(None)
    libc.printf(b"from C\\n")
    return 1

@task()
def dies() -> None:
    print("last words")
    os.kill(os.getpid(), signal.SIGKILL)

@task()
def much(lines: int) -> int:
    for i in range(lines):
        print(i)
    return lines

@task()
def sleeps() -> None:
    print("sleeping")
    open("started", "w").close()
    time.sleep(100)

@task()
def main(x: int = 1) -> list:
    return [talk(x), talk(x + 1), quiet()]
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "flow.py").write_text(WORKFLOW)
    return tmp_path


def output(folder: Path, what: str | None = None, **filters: Any) -> list[dict[str, Any]]:
    """What `redun log --output --format json` prints, in this process: there are many of these."""
    with Provenance.open(folder / ".redun") as provenance:
        view = OutputView(LogView(provenance, Form(as_json=True)), as_json=True)
        return [json.loads(line) for line in view.lines(what, (), Filters(**filters))]


def run(cli: Cli, *words: str, mode: str = "thread", status: int = 0) -> Any:
    options = ["--option", f"mode={mode}"] if mode != "thread" else []
    ended = cli("run", *options, "flow.py", *words)
    assert ended.status == status, ended.stderr
    return ended


def test_of_an_execution_of_a_job_and_again_from_the_cache(folder: Path, cli: Cli) -> None:
    ended = run(cli, "main")
    # It goes where it always went, too.
    assert "says 1\n" in ended.stdout
    assert "errs 2" in ended.errors
    assert "warns 1" in ended.errors
    assert [json.loads(line) for line in cli("log", "--output", "--format", "json", "-").stdout.splitlines()] == output(
        folder, "-"
    )
    shown = cli("log", "--output", "-").stdout
    for x in (1, 2):
        assert f"says {x}\nerrs {x}\nwarns {x}\n" in shown
        assert f"out.talk({x})\nsays {x}\n" in shown
    assert "quiet" not in shown
    first, _ = output(folder, "-")
    assert (first["stdout"], first["stderr"]) == ("says 1\n", "errs 1\nwarns 1\n")
    assert first["attempts"][0]["pieces"][0] == {"stream": "stdout", "text": "says 1\n"}
    assert cli("log", "--output", first["job_id"][:8]).stdout == "says 1\nerrs 1\nwarns 1\n"
    assert f"redun log --output {first['job_id'][:8]}" in cli("log", first["job_id"]).stdout

    run(cli, "main")
    cached = output(folder, "-")[0]
    assert cached["status"] == "CACHED"
    assert cached["printed_by"] == first["job_id"]
    assert cached["stdout"] == "says 1\n"
    told = cli("log", "--output", cached["job_id"]).stdout
    assert told.startswith(f"(cached: printed by Job {first['job_id'][:8]} of Execution {first['execution_id'][:8]})\nsays 1\n")
    assert len(output(folder, task_name=("talk",))) == 4
    assert cli("log", "--output", "--task-name", "talk", "--limit", "1").stdout.count("==>") == 1
    assert len(output(folder, status=frozenset([Status.DONE]), task_name=("talk",))) == 2


@pytest.mark.parametrize("mode", ["thread", "process"])
def test_of_tasks_that_fail_or_are_tried_again(folder: Path, cli: Cli, mode: str) -> None:
    run(cli, "fails", mode=mode, status=1)
    [failed] = output(folder, "-")
    assert failed["status"] == "FAILED"
    assert failed["stdout"].splitlines() == [f"line {i}" for i in range(50)]
    shown = cli("log", failed["job_id"]).stdout
    assert "Output (last 20 of 50 lines" in shown
    assert "    line 30\n" in shown
    assert "line 29\n" not in shown.split("Output (")[1]
    run(cli, "twice", "--folder", ".", mode=mode)
    [tried] = output(folder, "-")
    assert [attempt["pieces"][0]["text"] for attempt in tried["attempts"]] == ["first\n", "second\n"]
    assert cli("log", "--output", tried["job_id"]).stdout == "-- attempt 1\nfirst\n-- attempt 2\nsecond\n"


def test_of_coroutines_and_scripts(folder: Path, cli: Cli) -> None:
    (folder / "more.py").write_text(
        "from flow import waits\nfrom redun import script, task\nredun_namespace = 'more'\n"
        "@task()\ndef main():\n    return [waits(1), waits(2), script('echo result; echo complaint >&2')]\n"
    )
    cli("run", "more.py", "main")
    found = {one["task_name"]: one for one in output(folder, "-")}
    assert found["out.waits"]["stdout"] in ("before 1\nafter 1\n", "before 2\nafter 2\n")
    assert found["redun.script_task"]["stdout"] == "result\n"
    assert found["redun.script_task"]["stderr"].endswith("complaint\n")
    script_job = json.loads(cli("log", "--job", "--task-name", "redun.script", "--format", "json").stdout)
    assert output(folder, script_job["id"])[0]["stdout"] == "result\n"


def test_of_a_sub_run_in_a_worker(folder: Path, cli: Cli) -> None:
    (folder / "nested.py").write_text(
        "from flow import talk\nfrom redun import task\nfrom redun.scheduler import subrun\nredun_namespace = 'nested'\n"
        "@task()\ndef main():\n    return subrun(talk(7), executor='process')\n"
    )
    cli("run", "nested.py", "main")
    found = {one["task_name"]: one for one in output(folder, "-")}
    assert found["out.talk"]["stdout"] == "says 7\n"
    # The job that the sub-run belongs to has the lines of its scheduler as well, each once.
    assert found["redun.subrun_root_task"]["stdout"] == "says 7\n"
    assert found["redun.subrun_root_task"]["stderr"].count("Start sub-run") == 1


@pytest.mark.parametrize("method", ["fork", "forkserver", "spawn"])
def test_of_processes(folder: Path, cli: Cli, method: str) -> None:
    cli("init")
    (folder / ".redun" / "redun.ini").write_text(f"[executors.default]\ntype = process\nstart_method = {method}\n")
    ended = run(cli, "main")
    assert "says 1\n" in ended.stdout
    assert "warns 2" in ended.errors
    assert [one["stdout"] for one in output(folder, "-")] == ["says 1\n", "says 2\n"]
    assert [one["stderr"] for one in output(folder, "-")] == ["errs 1\nwarns 1\n", "errs 2\nwarns 2\n"]
    assert output(folder, "-")[0]["attempts"][0]["pieces"][0] == {"stream": "stdout", "text": "says 1\n"}
    ended = run(cli, "deep")
    assert "from C\n" in ended.stdout
    [deep] = output(folder, "-")
    assert deep["stdout"] == "from a child\nfrom C\n"
    assert deep["stderr"] == "errors of a child\n"
    run(cli, "dies", status=1)
    [dead] = output(folder, "-")
    assert dead["stdout"] == "last words\n"
    assert "last words" in cli("log", dead["job_id"]).stdout


@pytest.mark.parametrize("mode", ["thread", "process"])
def test_much_is_cut_in_the_middle(folder: Path, cli: Cli, mode: str) -> None:
    run(cli, "much", "--lines", "200000", mode=mode)
    [one] = output(folder, "-")
    size = sum(len(f"{i}\n") for i in range(200_000))
    assert len(one["stdout"]) + one["cut"] == size
    assert len(one["stdout"]) == 262_144
    assert one["stdout"].startswith("0\n1\n2\n")
    assert one["stdout"].endswith("199998\n199999\n")
    assert f"[... {one['cut']:,} characters were not kept ...]" in cli("log", "--output", one["job_id"]).stdout


def test_it_can_be_switched_off(folder: Path, cli: Cli) -> None:
    assert "password" in run(cli, "secret").stdout
    assert output(folder, "-") == []
    assert cli("log", "--output", "-").stdout == "No output was kept.\n"
    (folder / ".redun" / "redun.ini").write_text("[scheduler]\ncapture_output_size = 10\n")
    run(cli, "main", "--x", "5")
    assert output(folder, "-")[0]["cut"] > 0
    (folder / ".redun" / "redun.ini").write_text("[scheduler]\ncapture_output = false\n")
    assert "says 7\n" in run(cli, "main", "--x", "7").stdout
    assert output(folder, "-") == []
    (folder / ".redun" / "redun.ini").write_text("[scheduler]\ncapture_output = maybe\n")
    assert_refused(cli("run", "flow.py", "main"), "capture_output", "maybe", "true or false")


@pytest.mark.parametrize("mode", ["thread", "process"])
def test_of_jobs_that_were_interrupted(folder: Path, cli: Cli, redun_environ: dict[str, str], mode: str) -> None:
    program = subprocess.Popen(
        ["redun", "run", "--option", f"mode={mode}", "flow.py", "sleeps"],
        cwd=folder,
        env=redun_environ,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    while not (folder / "started").exists():
        assert program.poll() is None
        time.sleep(0.01)
    os.kill(program.pid, signal.SIGINT)
    assert program.wait(60) == 130
    [one] = output(folder, "-")
    assert (one["status"], one["stdout"]) == ("CANCELLED", "sleeping\n")


def test_bad_use_is_told(folder: Path, cli: Cli) -> None:
    run(cli, "quiet")
    assert_refused(cli("log", "--output"), "--output needs a job or an execution")
    assert_refused(cli("log", "--output", "ffffffff"), "ffffffff")
    assert_refused(cli("log", "--output", "out.quiet", "--task"), "--output", status=2)
    job = json.loads(cli("log", "--job", "--format", "json").stdout)
    assert_refused(cli("log", "--output", job["task_hash"]), "is no job, call node or execution")
    assert cli("log", "--output", job["id"]).stdout == f"No output of Job {job['id'][:8]} out.quiet was kept.\n"
