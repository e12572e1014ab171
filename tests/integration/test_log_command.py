"""`redun log` as click sees it: its arguments and options, on a store that is recorded by hand."""

from __future__ import annotations

import importlib
import json

import pytest
from click.testing import CliRunner, Result

from redun.cli.session import Session
from redun.provenance import NotRecorded
from tests.unit.provenance.journals import FakeStore, build_compile

log_module = importlib.import_module("redun.cli.commands.log")


class ClosingStore(FakeStore):
    closed = False

    def close(self) -> None:
        self.closed = True


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch) -> ClosingStore:
    store = ClosingStore()
    build_compile(store)
    monkeypatch.setattr(Session, "open_store", lambda self: store)
    return store


def invoke(*args: str) -> Result:
    return CliRunner().invoke(log_module.command, args)


def test_the_command_is_called_log() -> None:
    assert log_module.command.name == "log"


def test_forms_and_options(store: ClosingStore) -> None:
    for args, expected in (
        ((), "Recent executions:\n\nExec 00000001 [ DONE ]"),
        (("-",), "Exec 00000001-"),
        (("~0",), "Exec 00000001-"),
        (("prog",), "File "),
        (("ab000003",), "Job ab000003-"),
        (("--job", "--limit", "1"), "Job ab000009"),
        (("--call-node",), "CallNode "),
        (("--task", "--task-name", "make"), "Task "),
        (("--value",), "Value "),
        (("--file", "--file-path", "lib.*"), "File "),
        (("--all", "--count"), "       1 Execution\n       9 Job\n       8 CallNode\n       4 Task\n"),
        (("--job-status", "cached"), "Job ab000008"),
        (("--status", "DONE,CACHED", "--exec-status", "done", "--exec-id", "0000"), "Job ab000009"),
        (("--exec", "--detail", "--no-pager"), "Exec 00000001-"),
    ):
        result = invoke(*args)
        assert result.exit_code == 0, result.output
        assert result.output.startswith(expected), args
        assert store.closed
        store.closed = False


def test_json_lines(store: ClosingStore) -> None:
    result = invoke("--job", "--format", "json")
    assert {json.loads(line)["_type"] for line in result.output.splitlines()} == {"Job"}


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (("--status", "NONSENSE"), "'NONSENSE' is no status: expected one of PENDING"),
        (("--limit", "-1"), "-1"),
        (("--limit", "x"), "'x'"),
        (("--format", "xml"), "'xml'"),
        (("--nonsense",), "--nonsense"),
        (("a", "b"), "unexpected extra argument"),
    ],
)
def test_bad_usage_is_refused(store: ClosingStore, args: tuple[str, ...], message: str) -> None:
    result = invoke(*args)
    assert result.exit_code == 2
    assert message in result.output


def test_what_is_not_there_is_an_error_of_ours_and_nothing_is_printed(store: ClosingStore) -> None:
    result = invoke("nothing-like-this")
    assert isinstance(result.exception, NotRecorded)
    assert result.output == ""
    assert store.closed


def test_help_has_examples() -> None:
    result = invoke("--help")
    assert result.exit_code == 0
    assert "redun log results/table.csv" in result.output
