"""`redun log` for programs: lines of strict JSON with the keys that docs/provenance.md names, whatever was recorded; filters together."""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from redun.cli.main import main

DOC = Path(__file__).resolve().parents[2] / "docs" / "provenance.md"
SCRIPT = r"""
from redun import File, catch, task
redun_namespace = "w"

class Odd:
    pass

@task(tags=[("k", {"a": [1, None, 1.5]})])
def same(x):
    return x

@task()
def fail(x):
    raise ValueError("b\u00f6se \n two")

@task()
def recover(error):
    return "recovered"

@task()
def write(path):
    file = File(path)
    file.write("h\u00e9")
    return file

@task()
def read(file):
    return file.read()

@task()
def main():
    odd = [float("nan"), float("inf"), b"\xff", "\ud800", {1: {2, 3}}, 10**40, Odd(), None, "x" * 30_000, 7]
    file = write("o.txt")
    return [same(one) for one in odd] + [catch(fail(1), ValueError, recover), file, read(file)]

@task()
def bad():
    return fail(2)
"""
KINDS = ("--exec", "--job", "--call-node", "--task", "--value", "--file")

Log = Callable[..., str]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("log")


@pytest.fixture
def log(folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Log:
    """Return a function that runs `redun log` with words and returns what it shows."""
    monkeypatch.chdir(folder)
    if not (folder / ".redun").exists():
        (folder / "odd.py").write_text(SCRIPT)
        assert [main(["run", "odd.py", name]) for name in ("main", "bad", "main")] == [0, 1, 0]
        assert main(["tag", "add", "-", "x=nan", "y=inf"]) == 0

    def shown(*words: str) -> str:
        capsys.readouterr()
        status = main(["log", *words])
        found = capsys.readouterr()
        assert (status, found.err) == (0, ""), (words, found.err)
        return found.out

    return shown


def records(text: str) -> list[dict[str, Any]]:
    def refuse(constant: str) -> None:
        raise ValueError(f"{constant} is no JSON")

    return [json.loads(line, parse_constant=refuse) for line in text.splitlines()]


def name(record: dict[str, Any]) -> tuple[str, ...]:
    """Return what tells a record from all others."""
    if record["_type"] == "File":
        return record["path"], record["value_hash"]
    return (str(next(record[key] for key in ("id", "call_hash", "hash", "value_hash") if key in record)),)


def documented() -> dict[str, tuple[set[str], set[str]]]:
    """Return the keys in the lists of each type, and those that a single record has as well."""
    found = {}
    for row in re.findall(r"^\| `(\w+)` \| (.*) \|$", DOC.read_text(), re.MULTILINE):
        listed, _, more = re.sub(r"\([^)]*\)", "", row[1]).partition("of a single one")
        found[row[0]] = (set(re.findall(r"`(\w+)`", listed)), set(re.findall(r"`(\w+)`", more)))
    return found


@pytest.mark.parametrize("kind", KINDS)
def test_keys_and_counts(log: Log, kind: str) -> None:
    listed = records(log(kind, "--format", "json"))
    (type_name,) = {record["_type"] for record in listed}
    keys, more = documented()[type_name]
    assert {frozenset(record) for record in listed} == {frozenset(keys | {"_type", "_version"})}
    assert len({name(record) for record in listed}) == len(listed)
    assert int(log(kind, "--count").split()[0]) == len(listed)
    whole = records(log(kind, "--detail", "--format", "json"))
    assert {frozenset(record) for record in whole} == {frozenset(keys | more | {"_type", "_version"})}
    for record in listed:
        if kind != "--file":
            (one,) = records(log(name(record)[0], kind, "--format", "json"))
            assert set(one) == keys | more | {"_type", "_version"} or one["_type"] == "File"
            assert log(name(record)[0])


def test_filters_together_show_what_each_of_them_shows(log: Log) -> None:
    jobs = records(log("--job", "--format", "json"))
    call = next(one for one in records(log("--call-node", "--format", "json")) if one["args"] and not one["failed"])
    filters = {
        "--exec-id": "-",
        "--exec-status": "DONE",
        "--status": "FAILED,DONE",
        "--job-id": jobs[0]["id"][:6],
        "--task-name": "same,w.fail",
        "--result": call["result"]["value_hash"][:8],
        "--arg": call["args"][0]["value_hash"],
        "--value-type": "int,builtins.str",
        "--file-path": "*.txt",
        "--tag": "k",
        "--exec-tag": "user",
    }

    def names(kind: str, *words: str) -> set[tuple[str, ...]]:
        return {name(record) for record in records(log(kind, *words, "--format", "json"))}

    some = False
    for kind in KINDS:
        single = {option: names(kind, option, value) for option, value in filters.items()}
        assert all(found <= names(kind) for found in single.values())
        for one, two in itertools.combinations(filters, 2):
            both = names(kind, one, filters[one], two, filters[two])
            assert both <= single[one] & single[two], (kind, one, two)
            if kind in ("--exec", "--job"):
                assert both == single[one] & single[two], (kind, one, two)
            some = some or 0 < len(both) < len(names(kind))
    assert some
