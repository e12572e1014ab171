"""`redun tag`, `log --tag` and the tags in `log`, run as a user runs them."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from .conftest import Cli

FLOW = """
from redun import File, apply_tags, task

redun_namespace = "flow"

@task(tags=[("step", "calc")])
def double(x: int) -> int:
    return 2 * x

@task()
def write(x: int) -> File:
    file = File("out.txt")
    file.write(str(x))
    return file

@task()
def main(x: int = 4):
    return [apply_tags(double(x), tags=[("good", True)], job_tags=[("level", "top")], execution_tags=[("size", x)]), write(x)]
"""


@pytest.fixture
def flow(cli: Cli, tmp_path: Path) -> Cli:
    (tmp_path / "flow.py").write_text(FLOW)
    ended = cli("run", "--tag", "env=prod", "--tag", "n=[1, 2]", "--doc", "the first", "flow.py", "main")
    assert ended.status == 0, ended
    return cli


def lines(cli: Cli, *words: str) -> list[str]:
    ended = cli(*words)
    assert ended.status == 0, ended
    return ended.stdout.splitlines()


def test_log_shows_tags_everywhere(flow: Cli) -> None:
    shown = lines(flow, "log", "-")
    assert "env=prod" in shown[0]
    assert "n=[1, 2]" in shown[0]
    assert "size=4" in shown[0]
    assert "  the first" in shown
    jobs = [line.split(":  ", 1)[1] for line in shown if line.lstrip().startswith("Job ")]
    assert jobs == [
        "flow.main(x=4) (level=top)",
        "flow.double(4) (step=calc)",
        "flow.write(4)",
    ]
    [task] = lines(flow, "log", "--task", "--task-name", "double")
    assert task.endswith("flow.double (step=calc)")
    assert lines(flow, "log", task.split()[1])[0].endswith("flow.double (step=calc)")
    [value] = lines(flow, "log", "--value", "--tag", "good")
    assert value.endswith("builtins.int 8 (good=true)")
    assert lines(flow, "log", value.split()[1])[0].endswith("builtins.int (good=true)")
    record = json.loads(flow("log", value.split()[1], "--format", "json").stdout)
    assert record["tags"] == [["good", True]]


def test_filters(flow: Cli) -> None:
    flow("run", "--tag", "env=test", "flow.py", "double", "--x", "7")
    assert len(lines(flow, "log", "--exec")) == 2
    [line] = lines(flow, "log", "--exec", "--tag", "env=test")
    assert "double" in line
    assert len(lines(flow, "log", "--exec", "--tag", "env")) == 2
    assert lines(flow, "log", "--exec", "--tag", "env", "--tag", "env=nope") == []
    assert len(lines(flow, "log", "--job", "--tag", "step=calc")) == 2
    assert len(lines(flow, "log", "--job", "--tag", "step=calc", "--exec-tag", "env=test")) == 1
    typed = lines(flow, "log", "--value", "--exec-tag", "env=test", "--value-type", "int")
    assert sorted([line.split()[3] for line in typed]) == ["14", "7"]
    assert lines(flow, "log", "--count", "--task", "--tag", "step=other") == ["       0 Task"]
    assert [line.split()[0] for line in lines(flow, "log", "--all", "--tag", "step")] == ["Job", "Job", "Task"]


def test_list(flow: Cli) -> None:
    shown = lines(flow, "tag", "list")
    assert shown[0] == "Tags:"
    counts = {line.split()[0]: line.split(None, 1)[1] for line in shown[1:]}
    assert counts["step"] == "(1 Job, 1 Task)"
    assert counts["good"] == "(1 Value)"
    assert counts["size"] == "(1 Execution)"
    assert {"doc", "env", "host", "level", "n", "project", "redun.version", "user"} <= counts.keys()
    assert lines(flow, "tag", "list", "--values", "step", "env") == [
        "Tags:",
        "  env=prod                       (1 Execution)",
        "  step=calc                      (1 Job, 1 Task)",
    ]
    assert [line.split()[0] for line in lines(flow, "tag", "list", "step=calc")] == ["Job", "Task"]
    assert lines(flow, "tag", "list", "step=unknown") == []


def test_add_update_remove_and_add_again(flow: Cli) -> None:
    def tags() -> set[str]:
        return {
            f"{key}={value}"
            for key, value in json.loads(flow("log", "-", "--format", "json").stdout)["tags"]
            if key in ("env", "k")
        }

    execution = lines(flow, "log", "--exec")[0].split()[1]
    [told] = lines(flow, "tag", "add", execution, "k=1", "k=x")
    assert told.startswith(f"add tag Execution:{execution}")
    assert told.endswith('k=1 k="x"')
    assert tags() == {"env=prod", "k=1", "k=x"}
    lines(flow, "tag", "add", execution, "k=1")
    assert tags() == {"env=prod", "k=1", "k=x"}
    lines(flow, "tag", "update", "-", "k=2", "env=test")
    assert tags() == {"env=test", "k=2"}
    lines(flow, "tag", "rm", "~0", "k=2", "env")
    assert tags() == set()
    lines(flow, "tag", "add", "-", "k=2", "env=prod")
    assert tags() == {"env=prod", "k=2"}
    history = [line[21:] for line in lines(flow, "tag", "list", "--history", "-") if "k=" in line or "env=" in line]
    assert [line.split(" (by")[0] for line in history] == [
        "   add env=prod",
        "   add k=1",
        "   add k=x",
        "   add k=2 instead of k=1, k=x",
        "   add env=test instead of env=prod",
        "   rm  env=test, k=2",
        " * add k=2",
        " * add env=prod",
    ]
    # Another run does not change what was said of this one.
    flow("run", "flow.py", "main")
    assert "env=prod" in lines(flow, "log", execution)[0]


def test_every_kind_of_thing_can_be_tagged(flow: Cli, tmp_path: Path) -> None:
    for kind in ("exec", "job", "call-node", "task", "value"):
        found = lines(flow, "log", f"--{kind}", "--limit", "1")[0].split()[1]
        lines(flow, "tag", "add", found, f"kind={kind}")
        assert len(lines(flow, "log", f"--{kind}", "--tag", f"kind={kind}")) == 1
        lines(flow, "tag", "rm", found, "kind")
        assert lines(flow, "log", f"--{kind}", "--tag", "kind") == []
    lines(flow, "tag", "add", "out.txt", "checked=true")
    [file] = lines(flow, "log", "--file", "--tag", "checked")
    assert file.endswith("out.txt (checked=true)")
    # Tags outlive the derived tables.
    assert lines(flow, "log", "--value", "--tag", "checked=true")[0].endswith("(checked=true)")


def test_what_is_removed_stays_removed_when_the_run_is_replayed(flow: Cli) -> None:
    value = lines(flow, "log", "--value", "--tag", "good")[0].split()[1]
    lines(flow, "tag", "rm", value, "good")
    flow("run", "flow.py", "main")
    assert lines(flow, "log", "--value", "--tag", "good") == []


@pytest.mark.parametrize(
    ("words", "status", "part"),
    [
        (["tag", "add", "ffff", "a=1"], 1, "has an id that begins so"),
        (["tag", "add", "-"], 2, "expected tags such as env=prod after '-'"),
        (["tag", "add"], 2, "expected the beginning of an id"),
        (["tag", "add", "a=1"], 2, "expected the beginning of an id"),
        (["tag", "add", "-", "a=[1"], 1, "begins like JSON, but is none"),
        (["tag", "add", "-", "=1"], 1, "has no key"),
        (["tag", "rm", "-", "nope"], 1, "has no tag nope: it has"),
        (["tag", "rm", "-", "env=nope"], 1, "has no tag env=nope: it has"),
        (["tag", "nope"], 2, "nope"),
        (["log", "--tag", "=1"], 2, "has no key"),
        (["run", "--tag", "env", "flow.py", "main"], 2, "expected key=value"),
    ],
)
def test_what_cannot_be_done_is_said(flow: Cli, refused: Callable[..., None], words: list[str], status: int, part: str) -> None:
    refused(flow(*words), part, status=status)


def test_tag_without_a_store(cli: Cli, refused: Callable[..., None]) -> None:
    refused(cli("tag", "list"), "nothing has been run here yet")


@pytest.mark.skipif(shutil.which("git") is None, reason="git makes the checkout that is read")
def test_default_tags_are_of_the_checkout_of_the_script(cli: Cli, tmp_path: Path) -> None:
    project = tmp_path / "project"
    project.mkdir()
    (project / "flow.py").write_text(FLOW)
    git = ["git", "-c", "user.name=me", "-c", "user.email=me@host"]
    for words in (
        ["init", "-q"],
        ["remote", "add", "origin", "https://me:secret@example.org/flows.git"],
        ["add", "flow.py"],
        ["commit", "-q", "-m", "one"],
    ):
        subprocess.run([*git, *words], cwd=project, check=True)
    commit = subprocess.run([*git, "rev-parse", "HEAD"], cwd=project, check=True, capture_output=True, text=True).stdout.strip()
    # No git on the path: it is not needed, and nothing fails.
    ended = cli("run", "project/flow.py", "double", "--x", "1")
    assert ended.status == 0, ended
    tags = dict(json.loads(cli("log", "-", "--format", "json").stdout)["tags"])
    assert tags["git_commit"] == commit
    assert tags["git_origin_url"] == "https://example.org/flows.git"
    assert {"user", "host", "redun.version"} <= tags.keys()
    assert tags["project"] == "flow"
