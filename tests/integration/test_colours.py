"""Colours of `redun log` and of messages: on a terminal, when asked for, and never else."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.integration.conftest import Cli
from tests.integration.pty_screen import run_on_terminal

FLOW = """
from redun import task
redun_namespace = "colours"

@task()
def a_name_that_is_much_longer_than_what_would_fit_into_a_row_of_the_table(n: int) -> int:
    raise ValueError("on purpose")

@task()
def main() -> int:
    return a_name_that_is_much_longer_than_what_would_fit_into_a_row_of_the_table(1)
"""
ESCAPE = re.compile(r"\x1b\[[\d;]*m")


@pytest.fixture
def env(cli: Cli, redun_environ: dict[str, str], tmp_path: Path) -> dict[str, str]:
    (tmp_path / "flow.py").write_text(FLOW)
    assert cli("run", "flow.py", "main").status == 1
    unset = ("NO_COLOR", "CLICOLOR_FORCE", "FORCE_COLOR", "LESS")
    return {**{key: value for key, value in redun_environ.items() if key not in unset}, "PAGER": "cat"}


def test_a_terminal_has_them(tmp_path: Path, env: dict[str, str], cli: Cli) -> None:
    shown = run_on_terminal(["redun", "log", "-"], tmp_path, env)
    assert "\x1b[31m[FAILED]\x1b[0m" in shown.raw
    assert shown.terminal.unknown == []
    # The table fits, though the names do not.
    assert re.search(r"^\| \S*of_the_table +(\d+ +){5}\d+$", shown.terminal.text, re.MULTILINE)
    job_id = next(line for line in cli("log", "--job").stdout.splitlines() if "table(" in line).split()[1]
    shown = run_on_terminal(["redun", "log", job_id], tmp_path, env, width=200)
    assert "\x1b[31;1mValueError\x1b[0m: on purpose" in shown.raw
    assert ESCAPE.sub("", shown.raw).replace("\r\n", "\n") == cli("log", job_id).stdout


@pytest.mark.parametrize(
    ("before", "after", "more"),
    [
        (["--no-color"], [], {}),
        ([], ["--no-color"], {}),
        ([], [], {"NO_COLOR": "1"}),
        ([], [], {"TERM": "dumb"}),
        ([], ["--format", "json"], {}),
    ],
)
def test_no_colours(tmp_path: Path, env: dict[str, str], before: list[str], after: list[str], more: dict[str, str]) -> None:
    shown = run_on_terminal(["redun", *before, "log", "-", *after], tmp_path, {**env, **more})
    assert shown.status == 0
    assert shown.terminal.colours == 0


def test_a_pipe_has_none_unless_asked(cli: Cli, env: dict[str, str]) -> None:
    assert "\x1b" not in cli("log", "-").stdout
    coloured = cli("log", "-", "--color").stdout
    assert "\x1b[31m[FAILED]\x1b[0m" in coloured
    assert coloured == cli("log", "-", env={"CLICOLOR_FORCE": "1"}).stdout
    assert ESCAPE.sub("", coloured) == cli("log", "-").stdout


def test_messages(tmp_path: Path, env: dict[str, str]) -> None:
    shown = run_on_terminal(["redun", "log", "nosuch"], tmp_path, env)
    assert "redun: \x1b[31;1merror\x1b[0m: no execution" in shown.raw
    assert run_on_terminal(["redun", "--no-color", "log", "nosuch"], tmp_path, env).terminal.colours == 0
