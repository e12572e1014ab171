"""What holds for all commands: help with an example, and one message for what cannot be read."""

from __future__ import annotations

import json
from pathlib import Path

import click
import pytest

from redun.cli.verbs import VERBS, group

from .conftest import Cli


def _commands() -> list[tuple[str, ...]]:
    found: list[tuple[str, ...]] = []
    with click.Context(group) as context:
        for name in VERBS:
            command = group.get_command(context, name)
            found.append((name,))
            if isinstance(command, click.Group):
                found += [(name, sub) for sub in command.list_commands(context)]
    return found


@pytest.mark.parametrize("words", _commands(), ids=" ".join)
def test_help_has_an_example(words: tuple[str, ...]) -> None:
    command: click.Command | None = group
    context = click.Context(group)
    for word in words:
        assert isinstance(command, click.Group)
        command = command.get_command(context, word)
    assert command is not None
    text = command.get_help(click.Context(command, info_name=" ".join(words)))
    assert "Example" in text, text
    assert f"redun {' '.join(words)}" in text.split("Example", 1)[1], text


@pytest.mark.parametrize("words", _commands(), ids=" ".join)
def test_unknown_options_are_refused(cli: Cli, refused, words: tuple[str, ...]) -> None:  # type: ignore[no-untyped-def]
    refused(cli(*words, "--no-such-option"), "--no-such-option", status=2)


def test_filters_by_values(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "flow.py").write_text(
        "from redun import task\nredun_namespace = 'v'\n@task()\ndef inc(n: int):\n    return n + 1\n"
        "@task()\ndef main():\n    return [inc(1), inc(2)]\n"
    )
    cli("run", "flow.py", "main")
    values = [json.loads(line) for line in cli("log", "--value", "--format", "json").stdout.splitlines()]
    (two,) = [value["value_hash"] for value in values if value["text"] == "2"]
    assert "v.inc(1)" in cli("log", "--result", two[:8]).stdout
    assert "v.inc(2)" in cli("log", "--job", "--arg", two).stdout
    assert cli("log", "--job", "--arg", two, "--count").stdout.split()[0] == "1"
    assert "Job" not in cli("log", "--result", two, "--arg", two).stdout
