"""`cli`: the command line of this tree, run as a user runs it."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import pytest

TIMEOUT_S = 300


@dataclass(frozen=True)
class Ended:
    """What came of a command."""

    stdout: str
    stderr: str
    status: int

    @property
    def log(self) -> list[str]:
        """The lines of the run's log, without their prefix."""
        return [line.removeprefix("[redun] ") for line in self.stderr.splitlines() if line.startswith("[redun]")]

    def jobs(self, action: str) -> list[str]:
        """The bare names of the tasks whose jobs the log shows with an action (`Run`, `Cached`, ...), sorted."""
        found = [line.split(":  ", 1)[1] for line in self.log if line.startswith(f"{action:<6} Job ")]
        return sorted([call.split("(")[0].rpartition(".")[2] for call in found])

    @property
    def errors(self) -> list[str]:
        """The lines of standard error that are no log."""
        return [line for line in self.stderr.splitlines() if not line.startswith("[redun]")]


class Cli(Protocol):
    """Runs `redun` with words, in a folder, with further environment variables."""

    def __call__(self, *words: str, cwd: Path | None = None, env: Mapping[str, str] | None = None) -> Ended: ...


@pytest.fixture
def cli(redun_environ: dict[str, str], tmp_path: Path) -> Cli:
    """Return a function that runs `redun` in a subprocess, in the test's own folder unless another is given."""

    def run(*words: str, cwd: Path | None = None, env: Mapping[str, str] | None = None) -> Ended:
        done = subprocess.run(
            ["redun", *words],
            cwd=cwd or tmp_path,
            env={**redun_environ, **(env or {})},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=TIMEOUT_S,
            check=False,
        )
        return Ended(done.stdout, done.stderr, done.returncode)

    return run


Exchange = Callable[..., Path]
"""Makes another project beside the test's own, with the same script, and executions here: name of its folder, `n` of each execution, and
what a job of the script returns for `i`."""
EXCHANGED = """
from redun import task
redun_namespace = "ex"

@task(tags=[("step", "inner")])
def inner(i: int):
    return {result}

@task()
def main(n: int):
    return [inner(i) for i in range(n)]
"""


@pytest.fixture
def exchange(cli: Cli, tmp_path: Path) -> Exchange:
    """Return a function that makes two projects, for something to travel from one to the other."""

    def make(name: str, *counts: int, result: str = '"x" * i * 40') -> Path:
        (tmp_path / name).mkdir()
        for folder in (tmp_path, tmp_path / name):
            (folder / "flow.py").write_text(EXCHANGED.format(result=result))
            assert cli("init", cwd=folder).status == 0
        for count in counts:
            assert cli("run", "flow.py", "main", "--n", str(count)).status == 0
        return tmp_path / name

    return make


def assert_refused(ended: Ended, *parts: str, status: int = 1) -> None:
    """Check that a command ended with one error message that holds all of `parts`, and without a traceback of ours."""
    assert ended.status == status, ended
    assert len([line for line in ended.errors if line.startswith("redun: ")]) == 1, ended.stderr
    message = "\n".join(ended.errors)
    for part in parts:
        assert part in message, f"{part!r} is not in {message!r}"
    assert "redun/cli/" not in message, message
    assert "redun/evaluation/" not in message, message
    assert "internal error" not in message, message
    assert ended.stdout == ""


@pytest.fixture
def refused() -> object:
    """Return `assert_refused`, which test modules cannot import from here."""
    return assert_refused
