"""What the shell completes, as the scripts of `redun completion` ask for it."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from .conftest import Cli

SCRIPT = """
import redun
from redun import task

print("a script is not run by pressing a key")

@task(namespace="c")
def first(my_number: int, *, loud: bool = False):
    '''The first one.'''
    return my_number

@redun.task(cache=False)
async def second():
    pass

@task(name="third")
def hidden():
    pass

def plain():
    pass
"""


@pytest.fixture
def flow(tmp_path: Path) -> Path:
    (tmp_path / "flow.py").write_text(SCRIPT)
    (tmp_path / "pkg").mkdir()
    (tmp_path / "pkg" / "flow.py").write_text(SCRIPT)
    return tmp_path


def complete(cli: Cli, *words: str) -> list[str]:
    """Return what bash is offered for the last word."""
    line = " ".join(["redun", *words])
    ended = cli(env={"_REDUN_COMPLETE": "bash_complete", "COMP_WORDS": line, "COMP_CWORD": str(len(words))})
    assert ended.stderr == "", ended
    return [line.split(",", 1)[1] for line in ended.stdout.splitlines()]


def test_commands_tasks_and_arguments(cli: Cli, flow: Path) -> None:
    assert {"run", "log", "config"} <= set(complete(cli, ""))
    assert "--no-cache" in complete(cli, "run", "--no")
    for script in ("flow.py", "pkg.flow", "pkg/flow.py"):
        assert complete(cli, "run", script, "") == ["first", "second", "third", "help"]
    assert complete(cli, "run", "flow.py", "f") == ["first"]
    assert complete(cli, "run", "flow.py", "first", "--") == ["--my-number", "--loud"]
    assert complete(cli, "run", "flow.py", "c.first", "--l") == ["--loud"]
    assert complete(cli, "run", "nope.py", "") == ["help"]


def test_ids(cli: Cli, flow: Path) -> None:
    assert complete(cli, "log", "") == [""]
    assert cli("run", "flow.py", "first", "--my-number", "3").status == 0
    (execution,) = complete(cli, "export", "")
    assert complete(cli, "log", execution[:6]) == [execution]
    assert complete(cli, "run", "--rerun", "") == [execution]
    assert complete(cli, "launch", "--executor", "d") == ["default"]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_scripts_for_shells(cli: Cli, shell: str) -> None:
    ended = cli("completion", shell)
    assert (ended.status, ended.stderr) == (0, "")
    assert f"_REDUN_COMPLETE={shell}_complete" in ended.stdout


def test_bash_takes_its_script(cli: Cli, flow: Path, redun_environ: dict[str, str]) -> None:
    program = """
        eval "$(redun completion bash)"
        COMP_WORDS=(redun run flow.py s) COMP_CWORD=3
        _redun_completion redun
        echo "${COMPREPLY[@]}"
    """
    done = subprocess.run(
        ["bash", "-c", program], cwd=flow, env=redun_environ, capture_output=True, text=True, timeout=300, check=False
    )
    assert (done.stdout, done.returncode) == ("second\n", 0), done


def test_bad_shell(cli: Cli, refused) -> None:  # type: ignore[no-untyped-def]
    refused(cli("completion", "tcsh"), "tcsh", "bash", status=2)
