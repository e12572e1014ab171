"""Handles over processes: runs one after the other, killed in a call, and two at once on one store."""

from __future__ import annotations

import contextlib
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from .conftest import TIMEOUT_S, Cli

SCRIPT = """
import os, sys
from redun import Handle, task

redun_namespace = "handles"

class Lines(Handle):
    '''A text file that tasks write to.'''
    # The same in every version of the program, whatever its file is called.
    type_name = "handles.Lines"

    def __init__(self, name):
        pass

    def write(self, text):
        with open("lines.txt", "a") as stream:
            stream.write(text + " ")

@task()
def first(lines):
    lines.write("first")
    return lines

@task(version="VERSION")
def second(lines):
    if "WAIT" in os.environ:
        print("in", flush=True)
        sys.stdin.readline()
    lines.write("second-VERSION")
    return lines

@task()
def third(lines):
    lines.write("third")
    return lines

@task(version="1")
def main():
    return third(second(first(Lines("lines"))))
"""

Process = subprocess.Popen[str]


@pytest.fixture(autouse=True)
def _scripts(tmp_path: Path) -> None:
    for version in "abc":
        (tmp_path / f"{version}.py").write_text(SCRIPT.replace("VERSION", version))


def written(tmp_path: Path) -> list[str]:
    return (tmp_path / "lines.txt").read_text().split()


@contextlib.contextmanager
def waiting(version: str, tmp_path: Path, environ: dict[str, str]) -> Iterator[Process]:
    """Start a run that has come into `second` and waits there for a line."""
    with subprocess.Popen(
        ["redun", "run", f"{version}.py", "main"],
        cwd=tmp_path,
        env={**environ, "WAIT": "1"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "in\n"
            yield process
        finally:
            process.kill()


def finish(process: Process) -> None:
    _, stderr = process.communicate("go on\n", timeout=TIMEOUT_S)
    assert process.returncode == 0, stderr


def test_runs_one_after_the_other(cli: Cli, tmp_path: Path) -> None:
    assert cli("run", "a.py", "main").jobs("Run") == ["first", "main", "second", "third"]
    again = cli("run", "a.py", "main")
    assert again.jobs("Cached") == ["first", "main", "second", "third"]
    assert "handles.lines" in again.stdout
    assert cli("run", "b.py", "main").jobs("Run") == ["second", "third"]
    back = cli("run", "a.py", "main")
    assert back.jobs("Run") == ["second", "third"]
    assert sum("Cached result is no longer valid (result=handles.Lines(" in line for line in back.log) == 2
    assert written(tmp_path) == ["first", "second-a", "third", "second-b", "third", "second-a", "third"]


def test_a_run_killed_in_a_call_has_abandoned_what_was_there(cli: Cli, tmp_path: Path, redun_environ: dict[str, str]) -> None:
    cli("run", "a.py", "main")
    with waiting("b", tmp_path, redun_environ) as process:
        process.kill()
        process.wait(timeout=TIMEOUT_S)
    assert cli("run", "a.py", "main").jobs("Run") == ["second", "third"]
    assert cli("run", "a.py", "main").jobs("Run") == []


def test_of_two_runs_at_once_the_call_that_ends_last_counts(cli: Cli, tmp_path: Path, redun_environ: dict[str, str]) -> None:
    cli("run", "c.py", "main")
    with waiting("a", tmp_path, redun_environ) as slow:
        assert cli("run", "b.py", "main").jobs("Run") == ["second", "third"]
        finish(slow)
    assert written(tmp_path)[3:] == ["second-b", "third", "second-a", "third"]
    assert cli("run", "a.py", "main").jobs("Run") == []
    assert cli("run", "b.py", "main").jobs("Run") == ["second", "third"]


def test_two_runs_that_overlap_in_a_call(cli: Cli, tmp_path: Path, redun_environ: dict[str, str]) -> None:
    cli("run", "c.py", "main")
    with waiting("a", tmp_path, redun_environ) as one, waiting("b", tmp_path, redun_environ) as two:
        finish(one)
        finish(two)
    assert cli("run", "b.py", "main").jobs("Run") == []
    assert cli("run", "a.py", "main").jobs("Run") == ["second", "third"]


def test_a_run_sees_what_another_abandons_while_it_goes_on(cli: Cli, tmp_path: Path, redun_environ: dict[str, str]) -> None:
    """`third` of the first version is in the store, but the second run has been at the file since."""
    cli("run", "a.py", "main")
    with waiting("b", tmp_path, redun_environ) as other:
        assert cli("run", "a.py", "main").jobs("Run") == ["second", "third"]
        finish(other)
    assert cli("run", "a.py", "main").jobs("Run") == ["second", "third"]
    assert written(tmp_path)[-2:] == ["second-a", "third"]


def test_equal_runs_at_once(cli: Cli, tmp_path: Path, redun_environ: dict[str, str]) -> None:
    for version in "aba":
        runs = [
            subprocess.Popen(
                ["redun", "run", f"{version}.py", "main"],
                cwd=tmp_path,
                env=redun_environ,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                text=True,
            )
            for _ in range(2)
        ]
        for run in runs:
            _, stderr = run.communicate(timeout=TIMEOUT_S)
            assert run.returncode == 0, stderr
        # Both may have run a call; one more run may be needed until all agree.
        cli("run", f"{version}.py", "main")
        assert cli("run", f"{version}.py", "main").jobs("Run") == []
        assert f"second-{version}" in written(tmp_path)[-4:]


def test_a_handle_that_cannot_be_opened_again_is_a_miss(cli: Cli, tmp_path: Path) -> None:
    script = tmp_path / "locked.py"
    script.write_text(
        SCRIPT.replace("VERSION", "a").replace("        pass", "        if os.path.exists('locked'): raise OSError('locked')")
    )
    assert cli("run", "locked.py", "main").status == 0
    (tmp_path / "locked").touch()
    ended = cli("run", "locked.py", "main")
    assert ended.status == 1
    assert "OSError: locked" in ended.stderr
    assert "redun/evaluation/" not in ended.stderr
    (tmp_path / "locked").unlink()
    assert cli("run", "locked.py", "main").jobs("Run") == []


def test_gc_forgets_no_branch(cli: Cli, tmp_path: Path) -> None:
    """The run that abandoned the states of another one goes, the other stays: its states must not seem valid again."""
    assert cli("run", "a.py", "main").status == 0
    assert cli("pin", "-").status == 0
    assert cli("run", "b.py", "main").status == 0
    assert cli("gc", "--keep-last", "0").status == 0
    assert cli("log", "--exec").stdout.count("Exec ") == 1
    assert written(tmp_path) == ["first", "second-a", "third", "second-b", "third"]
    assert cli("run", "a.py", "main").status == 0
    assert written(tmp_path)[5:] == ["second-a", "third"]
    assert cli("gc", "--keep-last", "1").status == 0
    assert cli("run", "a.py", "main").status == 0
    assert len(written(tmp_path)) == 7
    assert cli("unpin", "--all").status == 0
    assert cli("gc", "--keep-last", "0").status == 0
    assert cli("run", "a.py", "main").status == 0
    assert written(tmp_path)[7:] == ["first", "second-a", "third"]
