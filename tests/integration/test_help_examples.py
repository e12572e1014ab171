"""The examples of every `--help`: all can be read, and those that need nothing of the user's own are run."""

from __future__ import annotations

import json
import pickle
import shlex
import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from redun.cli.main import main
from redun.cli.session import Session
from redun.cli.verbs import group

HELLO = Path(__file__).resolve().parents[2] / "examples" / "01_hello_world" / "hello_world.py"
FLOW = """
from redun import File, task
from redun.functools import identity
redun_namespace = "ns"

@task()
def add(a: int, b: int):
    return a + b

@task(tags=[("env", "prod")])
def main():
    file = File("results/table.csv")
    with file.open("w") as stream:
        stream.write("a,b")
    return file
"""
JOB = "3f1a8bc5"
OTHER = "77d0e2f1"

# Nothing of these is there: machines, buckets, mounted folders. Remotes have tests of their own.
ELSEWHERE = (
    "s3://",
    "gs://",
    "https://",
    "/mnt/",
    "ssh",
    " repo ",
    " -r team",
    " push",
    " pull",
    " --remote ",
    " pin 3f1a8bc5 77d0e2f1",
    " unpin 3f1a8bc5",
    "checkout",
    " gc",
    " fsck",
    " keys",
)


def _examples() -> list[str]:
    """Return the command lines that are shown, without the remarks behind them."""

    def commands(command: click.Command) -> Iterator[click.Command]:
        yield command
        if isinstance(command, click.Group):
            with click.Context(command) as context:
                for name in command.list_commands(context):
                    found = command.get_command(context, name)
                    assert found is not None
                    yield from commands(found)

    lines = []
    for command in commands(group):
        _, _, shown = (command.help or "").partition("Example")
        lines += [line.strip().split("  ")[0] for line in shown.splitlines()[1:] if "redun" in line]
    return list(dict.fromkeys(lines))


EXAMPLES = _examples()


def test_there_are_some() -> None:
    assert len(EXAMPLES) >= 40


@pytest.mark.parametrize("line", [line for line in EXAMPLES if line.startswith("redun ")])
def test_can_be_read(line: str) -> None:
    words = shlex.split(line.partition(" | ")[0].partition(" > ")[0])[1:]
    context = group.make_context("redun", words, obj=Session())
    while isinstance(context.command, click.Group) and (rest := [*context._protected_args, *context.args]):
        name, command, more = context.command.resolve_command(context, rest)
        assert command is not None
        context = command.make_context(name, more, parent=context)


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a folder with what the examples name, in which some of it has run."""
    folder = tmp_path_factory.mktemp("project")
    shutil.copy(HELLO, folder)
    (folder / "flow.py").write_text(FLOW)
    (folder / "results").mkdir()
    (folder / "home" / ".config" / "fish" / "completions").mkdir(parents=True)
    (folder / "in.pkl").write_bytes(pickle.dumps(((1, 2), {})))
    (folder / ".redun").mkdir()
    (folder / ".redun" / "redun.ini").write_text("[limits]\ndb = 1\n[executors.default]\nmax_workers = 3\n")
    return folder


@pytest.fixture
def here(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Iterator[tuple[Path, str]]:
    """Go to a copy of the project, and return it and the id of the root job of its last run."""
    handler = signal.getsignal(signal.SIGTERM)
    monkeypatch.chdir(project)
    with open("/dev/null") as nothing:
        monkeypatch.setattr("sys.stdin", nothing)
        if not (project / ".redun" / "store").exists():
            assert main(["run", "flow.py", "main"]) == 0
            assert main(["run", "hello_world.py", "main"]) == 0
            assert main(["export", "-f", "all.jsonl"]) == 0
            assert main(["export", "-o", "run.bundle"]) == 0
        capsys.readouterr()
        assert main(["log", "--job", "--exec-id", "-", "--task-name", "main", "--format", "json"]) == 0
        job = json.loads(capsys.readouterr().out)["id"]
        assert main(["tag", "add", job, "env=prod"]) == 0
        assert main(["pin", job]) == 0
        folder = tmp_path / "project"
        shutil.copytree(project, folder)
        monkeypatch.chdir(folder)
        monkeypatch.setenv("HOME", str(folder / "home"))
        yield folder, job
    signal.signal(signal.SIGTERM, handler)


def with_ids(line: str, job: str) -> str:
    """Return an example with ids that there are."""
    return line.replace(JOB, job[:8]).replace(OTHER, "~1")


@pytest.mark.parametrize("line", [line for line in EXAMPLES if not any(name in line for name in ELSEWHERE)])
def test_runs(here: tuple[Path, str], capsys: pytest.CaptureFixture[str], redun_environ: dict[str, str], line: str) -> None:
    folder, job = here
    if line.startswith("redun ") and not any(sign in line for sign in "|>~"):
        words = shlex.split(with_ids(line, job))[1:]
        status = main(words)
        shown = capsys.readouterr()
        assert status == 0, shown.err
        return
    shell = "zsh" if "completion zsh" in line else "bash"
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not installed here")
    before = "autoload -U compinit; compinit -u -D; " if shell == "zsh" else ""
    done = subprocess.run(
        [shell, "-c", before + with_ids(line, job)],
        cwd=folder,
        env={**redun_environ, "HOME": str(folder / "home")},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert (done.returncode, [row for row in done.stderr.splitlines() if row.startswith("redun: ")]) == (0, []), done
