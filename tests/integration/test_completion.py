"""What the shell completes, as the scripts of `redun completion` ask for it."""

from __future__ import annotations

import os
import pty
import select
import shutil
import subprocess
from pathlib import Path
from typing import ClassVar

import pytest
from click.shell_completion import BashComplete

from redun.cli.verbs import group

from .conftest import Cli

SCRIPT = """
import enum
import typing
import redun
from redun import task

class Colour(enum.Enum):
    red = 1
    blue = 2

print("a script is not run by pressing a key")

@task(namespace="c")
def first(my_number: int, *, loud: bool = False, colour: Colour = Colour.red, level: typing.Literal["deep", "flat"] = "deep"):
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
def flow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "flow.py").write_text(SCRIPT)
    (tmp_path / "pkg").mkdir()
    (tmp_path / "pkg" / "flow.py").write_text(SCRIPT)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def complete(*words: str) -> list[str]:
    """Return what a shell is offered for the last word, in the working folder."""
    *before, incomplete = words
    found = BashComplete(group, {}, "redun", "_REDUN_COMPLETE").get_completions(before, incomplete)
    return [item.value for item in found]


def test_as_the_scripts_ask(cli: Cli, flow: Path) -> None:
    ended = cli(env={"_REDUN_COMPLETE": "bash_complete", "COMP_WORDS": "redun run flow.py s", "COMP_CWORD": "3"})
    assert (ended.stdout, ended.stderr) == ("plain,second\n", "")


def test_commands_tasks_and_arguments(flow: Path) -> None:
    assert {"run", "log", "config"} <= set(complete(""))
    assert "--no-cache" in complete("run", "--no")
    for script in ("flow.py", "pkg.flow", "pkg/flow.py"):
        assert complete("run", script, "") == ["first", "second", "third", "help"]
    assert complete("run", "flow.py", "f") == ["first"]
    assert complete("run", "flow.py", "first", "--") == ["--my-number", "--loud", "--colour", "--level"]
    assert complete("run", "flow.py", "c.first", "--lo") == ["--loud"]
    assert complete("run", "nope.py", "") == ["help"]


def test_ids(cli: Cli, flow: Path) -> None:
    assert complete("log", "") == [""]
    assert cli("run", "flow.py", "first", "--my-number", "3").status == 0
    (execution,) = complete("export", "")
    assert complete("log", execution[:6]) == [execution]
    assert complete("run", "--rerun", "") == [execution]
    assert complete("launch", "--executor", "d") == ["default"]
    assert complete("run", "--remote", "") == []
    (flow / ".redun").mkdir(exist_ok=True)
    (flow / ".redun" / "redun.ini").write_text("[repos.team]\nurl = /x\n[repos.other]\nurl = /y\n")
    assert complete("run", "--remote", "t") == ["team"]


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


def test_values_and_places(flow: Path) -> None:
    assert complete("run", "flow.py", "c.") == ["c.first"]
    assert complete("run", "flow.py", "first", "--loud", "") == ["true", "false"]
    assert complete("run", "flow.py", "first", "--colour", "") == ["red", "blue"]
    assert complete("run", "flow.py", "first", "--level", "d") == ["deep"]
    # By the shell itself.
    assert complete("run", "flow.py", "first", "--my-number", "fl") == ["fl"]
    assert complete("run", "--input", "fl") == ["fl"]
    assert complete("-c", "fl") == ["fl"]
    assert complete("fs", "cp", "fl") == ["fl"]
    assert complete("log", "--status", "DONE,c") == ["DONE,CACHED", "DONE,CANCELLED"]
    assert complete("config", "scheduler.job") == ["scheduler.job_status_interval"]
    assert sorted(complete("help", "f")) == ["fs", "fsck"]
    assert complete("help", "tag", "u") == ["update"]
    assert complete("help", "run", "") == []


LINES = {
    "redun log --no-p": "redun log --no-pager ",
    "redun run flow.py se": "redun run flow.py second ",
    "redun run flow.py first --my": "redun run flow.py first --my-number ",
    "redun run --input fl": "redun run --input flow.py ",
    "redun run fl": "redun run flow.py ",
    "redun export ": "redun export {id} ",
    "redun log {prefix}": "redun log {id} ",
}


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_in_a_real_shell(cli: Cli, flow: Path, redun_environ: dict[str, str], shell: str) -> None:
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not installed here, so what it completes is not tried")
    assert cli("run", "flow.py", "first", "--my-number", "3").status == 0
    (execution,) = complete("export", "")
    with Terminal(shell, flow, redun_environ) as terminal:
        for typed, wanted in LINES.items():
            names = {"id": execution, "prefix": execution[:6]}
            assert terminal.complete(typed.format(**names)) == wanted.format(**names)


ZSH = """autoload -U compinit; compinit -u -D; eval "$(redun completion zsh)"
tell() { print -n "<$BUFFER>" }; zle -N tell; bindkey "^G" tell"""


class Terminal:
    """A shell that takes completions of redun, with keys to type."""

    COMMANDS: ClassVar = {
        "bash": (
            ["bash", "--norc", "-i"],
            'eval "$(redun completion bash)"; bind -x \'"\\C-g": printf "<%s>" "$READLINE_LINE"\'',
        ),
        "zsh": (
            ["zsh", "-f", "-i"],
            ZSH,
        ),
        "fish": (
            ["fish", "--no-config", "-i"],
            "redun completion fish | source; bind \\cg 'printf \"<%s>\" (commandline)'",
        ),
    }

    def __init__(self, shell: str, folder: Path, environ: dict[str, str]) -> None:
        words, self._setup = self.COMMANDS[shell]
        main, side = pty.openpty()
        environ = {**environ, "TERM": "dumb", "PS1": "$ ", "HOME": str(folder)}
        # Line editors want the terminal to be theirs.
        self._process = subprocess.Popen(
            ["setsid", "--ctty", "--wait", *words], cwd=folder, env=environ, stdin=side, stdout=side, stderr=side
        )
        os.close(side)
        self._main = main
        self._shown = ""

    def __enter__(self) -> Terminal:
        self._type(f"{self._setup}; echo re''ady\r")
        self._until("ready")
        return self

    def __exit__(self, *exception: object) -> None:
        # The end of the terminal is the end of the shell.
        os.close(self._main)
        self._process.wait(timeout=60)

    def complete(self, line: str) -> str:
        """Type a line and the tabulator, and return what the shell has made of it."""
        self._shown = ""
        self._type(f"{line}\t\x07")
        found = self._until(">").rpartition("<")[2].rpartition(">")[0]
        self._type("\x15")
        return found

    def _type(self, text: str) -> None:
        os.write(self._main, text.encode())

    def _until(self, text: str) -> str:
        while text not in self._shown:
            ready, _, _ = select.select([self._main], [], [], 60)
            assert ready, f"the shell has stopped after {self._shown!r}"
            self._shown += os.read(self._main, 4096).decode(errors="replace")
        return self._shown


def test_bad_shell(cli: Cli, refused) -> None:  # type: ignore[no-untyped-def]
    refused(cli("completion", "tcsh"), "tcsh", "bash", status=2)
