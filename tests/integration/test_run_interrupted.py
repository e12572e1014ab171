"""Ctrl-C, and what else may end a run early."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path

import pytest

from .conftest import TIMEOUT_S, Cli

SCRIPT = """
import sys, time
from redun import task
redun_namespace = "i"

@task()
def nap():
    print("napping", flush=True)
    time.sleep(600)

@task()
def main():
    return nap()

@task()
def leave():
    sys.exit(7)

@task()
def strange():
    class Strange:
        def __reduce__(self):
            return (int, (3,))
        def __repr__(self):
            raise RuntimeError("no words")
    return Strange()

@task()
def large():
    return 10 ** 5000
"""


SHELL = """
from redun import script, task
redun_namespace = "i"

@task()
def main():
    return script("trap '' INT; exec 3> alive; sleep 600 & echo began >&3; sleep 601")
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_scripts_end_with_the_run(tmp_path: Path, redun_environ: dict[str, str], cli: Cli, number: signal.Signals) -> None:
    (tmp_path / "flow.py").write_text(SHELL)
    os.mkfifo(tmp_path / "alive")
    with (
        subprocess.Popen(
            ["redun", "run", "flow.py", "main"], cwd=tmp_path, env=redun_environ, stderr=subprocess.PIPE, text=True
        ) as process,
        open(tmp_path / "alive") as alive,
    ):
        assert alive.readline() == "began\n"
        process.send_signal(number)
        _, stderr = process.communicate(timeout=TIMEOUT_S)
        # The pipe ends when the last of the script's processes has.
        assert alive.read() == ""
    assert process.returncode == 130, stderr
    assert "[CANCEL]" in cli("log").stdout


def test_ctrl_c_ends_with_130_and_one_line(tmp_path: Path, redun_environ: dict[str, str], cli: Cli) -> None:
    (tmp_path / "flow.py").write_text(SCRIPT)
    with subprocess.Popen(
        ["redun", "run", "flow.py", "main"],
        cwd=tmp_path,
        env=redun_environ,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "napping\n"
        process.send_signal(signal.SIGINT)
        _, stderr = process.communicate(timeout=TIMEOUT_S)
    assert process.returncode == 130, stderr
    assert [line for line in stderr.splitlines() if not line.startswith("[redun]")] == ["redun: interrupted"]
    assert "[CANCEL]" in cli("log").stdout


def test_sys_exit_in_a_task_is_a_failure(tmp_path: Path, cli: Cli) -> None:
    (tmp_path / "flow.py").write_text(SCRIPT)
    ended = cli("run", "flow.py", "leave")
    assert (ended.status, ended.stdout, ended.errors) == (1, "", [])
    assert ended.log[-1] == "SystemExit: 7"


def test_results_that_are_hard_to_show(tmp_path: Path, cli: Cli) -> None:
    (tmp_path / "flow.py").write_text(SCRIPT)
    strange = cli("run", "flow.py", "strange")
    assert strange.status == 0, strange
    assert strange.stdout.endswith("Strange: repr failed: no words>\n")
    large = cli("run", "flow.py", "large")
    assert (large.status, large.stdout) == (0, "1" + "0" * 5000 + "\n")
