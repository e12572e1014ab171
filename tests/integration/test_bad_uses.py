"""Every bad use of every command: one message on standard error, nothing on standard output, status 1 or 2, no traceback of ours.

Two parts. What can be made wrong with any option (left without its value, a flag given one, an unknown choice, no number) is made from
the commands themselves, so that a new command is covered as it comes. The rest is the table in
`bad_uses.txt`, to be extended: a line is the status, the words, and after `=>` a part of the message. All of it runs in this process;
`test_in_processes` runs some as a user does.
"""

from __future__ import annotations

import os
import shlex
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from redun.cli.main import main
from redun.cli.verbs import VERBS, group

from .conftest import Cli

SCRIPT = """
import enum
from redun import task
redun_namespace = "b"

class Color(enum.Enum):
    red = 1
    blue = 2

@task()
def count(n: int, color: Color = Color.red, xs: list[float] = (), pair: tuple[int, str] = (1, "a"), flag: bool = False):
    return n

@task()
def boom():
    raise ValueError("boom")
"""

TABLE = Path(__file__).with_name("bad_uses.txt").read_text()

STATES = {
    "nothing": "nothing has been run here yet",
    "configuration is a file": "folder",
    "broken configuration": "line 1",
    "store is a file": "folder",
    "not a store": "not a redun store",
    "cut short": "cut short",
    "data is a folder": "directory",
}

# What reads or writes the store; a command that makes one if need be stands below.
READERS = """
log
log -
log --job --count
tag list
tag list --history -
tag add - x=1
tag update - x=1
tag rm - x
export
export -
repl
"""
MAKERS = """
init
import -f good.jsonl
run flow.py count --n 77
run --rerun - flow.py
launch --wait --executor default true
"""


def _table() -> list[tuple[int, str, str]]:
    rows = []
    for line in TABLE.splitlines():
        if line and not line.startswith("#"):
            words, _, part = line.partition(" => ")
            status, _, words = words.partition(" ")
            rows.append((int(status), words.strip(), part.strip()))
    return rows


def _commands(command: click.Command = group, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    yield path, command
    if isinstance(command, click.Group):
        with click.Context(command) as context:
            for name in command.list_commands(context):
                found = command.get_command(context, name)
                assert found is not None
                yield from _commands(found, (*path, name))


def _wrong_options() -> list[str]:
    """Make command lines that are wrong by the kinds of options alone."""
    lines = []
    for path, command in _commands():
        words = " ".join(path)
        lines.append(f"{words} --no-such-option")
        for option in command.params:
            if not isinstance(option, click.Option) or option.name == "help":
                continue
            for name in option.opts:
                if option.is_flag:
                    lines += [f"{words} {name}=x"] if name.startswith("--") else []
                else:
                    lines.append(f"{words} {name}")
                    if isinstance(option.type, click.Choice | click.IntRange | click.types.IntParamType):
                        lines.append(f"{words} {name} no-such-thing")
    return lines


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a folder in which one task has run, with all kinds of files that cannot be used."""
    folder = tmp_path_factory.mktemp("bad")
    for name in ("folder", "folder.py", "broken", "packages", "pkg"):
        (folder / name).mkdir()
    texts = {
        "flow.py": SCRIPT,
        "empty.py": "",
        "pkg/__init__.py": "",
        "pkg/relative.py": "from . import nothing\n",
        "syntax.py": "def f(:",
        "crash.py": "1 / 0\n",
        "leaves.py": "import sys\nsys.exit(3)\n",
        "bad.json": "{",
        "list.json": "[1]",
        "deep.json": "[" * 100_000,
        "unknown.json": '{"zz": 1}',
        "broken/redun.ini": "nonsense\n",
        "packages/redun.ini": "[executors.closed]\ncode_package = false\n[executors.wrong]\ncode_package = perhaps\n",
    }
    for name, text in texts.items():
        (folder / name).write_text(text)
    (folder / "latin.py").write_bytes(b"x = '\xff'\n")
    (folder / "bin.dat").write_bytes(b"\x00\xff\x80")
    return folder


@pytest.fixture
def here(project: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Run commands in this process, in the project, and leave the process as it was."""
    monkeypatch.chdir(project)
    monkeypatch.setenv("HOME", str(project))
    for name in ("REDUN_CONFIG", "AWS_BATCH_JOB_ARRAY_INDEX", "JOB_COMPLETION_INDEX", "BATCH_TASK_INDEX", "NOPE"):
        monkeypatch.delenv(name, raising=False)
    handler = signal.getsignal(signal.SIGTERM)
    with open(os.devnull) as nothing:
        monkeypatch.setattr("sys.stdin", nothing)
        if not (project / ".redun").exists():
            assert main(["run", "flow.py", "count", "--n", "1"]) == 0
        yield project
    signal.signal(signal.SIGTERM, handler)


def refused(capsys: pytest.CaptureFixture[str], words: str, part: str = "") -> int:
    """Run a command that is to be refused, and return its status."""
    capsys.readouterr()
    status = main(shlex.split(words))
    shown = capsys.readouterr()
    lines = [line for line in shown.err.splitlines() if not line.startswith("[redun]")]
    assert [line.startswith("redun: error: ") for line in lines[:1]] == [True], shown.err
    assert not [line for line in lines[1:] if line.startswith("redun: ")], shown.err
    # A second line is the user's own: of a script that cannot be imported.
    assert len(lines) == 1 or "import" in lines[0] or "syntax error" in lines[0], shown.err
    assert part in lines[0], shown.err
    assert "redun/cli/" not in shown.err, shown.err
    assert "redun/evaluation/" not in shown.err, shown.err
    assert shown.out == ""
    return status


@pytest.mark.parametrize(("status", "words", "part"), _table(), ids=[words for _, words, _ in _table()])
def test_refused(here: Path, capsys: pytest.CaptureFixture[str], status: int, words: str, part: str) -> None:
    assert refused(capsys, words, part) == status


@pytest.mark.parametrize("words", _wrong_options())
def test_options_of_the_wrong_kind(here: Path, capsys: pytest.CaptureFixture[str], words: str) -> None:
    assert refused(capsys, words) == 2


def test_the_table_covers_what_was_there_when_it_was_made() -> None:
    lines = [shlex.split(words) for _, words, _ in _table()]
    own = {"init", "run", "log", "oneshot", "launch", "repl", "export", "import", "config", "tag", "fs", "completion", "help"}
    assert own <= set(VERBS)
    missing = [name for name in own if not any(name in words for words in lines)]
    for path, command in _commands():
        if not path or path[0] in own:
            below = [words for words in lines if set(path) <= set(words)]
            missing += [
                f"{' '.join(path)} {option.opts[0]}"
                for option in command.params
                # What takes any text can only be left without one, which the other part tries.
                if isinstance(option, click.Option)
                and not (option.is_flag or option.type is click.STRING)
                and not any(name in words for name in option.opts for words in below)
            ]
    assert missing == []


@pytest.fixture(params=STATES)
def damaged(request: pytest.FixtureRequest, here: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Go to a folder whose store is in some state in which it cannot be used; return a part of the message."""
    state = request.param
    shutil.copy(here / "flow.py", tmp_path)
    shutil.copy(here / "empty.py", tmp_path / "good.jsonl")
    folder = tmp_path / ".redun"
    data = folder / "store" / "data.mdb"
    if state == "configuration is a file":
        folder.write_text("")
    elif state != "nothing":
        shutil.copytree(here / ".redun", folder)
    if state == "broken configuration":
        (folder / "redun.ini").write_text("nonsense\n")
    elif state == "store is a file":
        shutil.rmtree(folder / "store")
        (folder / "store").write_text("")
    elif state == "not a store":
        data.write_bytes(bytes(range(256)) * 400)
    elif state == "cut short":
        os.truncate(data, 5000)
    elif state == "data is a folder":
        data.unlink()
        data.mkdir()
    monkeypatch.chdir(tmp_path)
    return str(STATES[state])


def test_a_store_that_cannot_be_used(damaged: str, capsys: pytest.CaptureFixture[str]) -> None:
    makes = damaged == STATES["nothing"]
    for words in [*READERS.split("\n"), *([] if makes else MAKERS.split("\n"))]:
        if words:
            assert refused(capsys, words, damaged) == 1, words
    assert not makes or not Path(".redun").exists()


def test_in_processes(cli: Cli, project: Path, refused) -> None:  # type: ignore[no-untyped-def]
    for status, words, part in _table()[::25]:
        refused(cli(*shlex.split(words), cwd=project, env={"HOME": str(project)}), part, status=status)
