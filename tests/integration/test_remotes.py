"""`redun repo`, `push`, `pull` and `--repo`, from outside."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from .conftest import Cli, Exchange


@pytest.fixture
def b(exchange: Exchange) -> Path:
    """Return another project with the same script; here, two executions have run."""
    return exchange("b", 3, 4)


def both_add(cli: Cli, b: Path, *options: str) -> None:
    for folder in (b.parent, b):
        done = cli("repo", "add", "team", str(b.parent / "remote"), *options, cwd=folder)
        assert done.status == 0, done
        assert done.errors == []


def test_results_travel_through_a_folder(cli: Cli, b: Path) -> None:
    both_add(cli, b, "--trust", "all")
    assert cli("tag", "add", "-", "env=prod").status == 0
    dry = cli("push", "--dry-run")
    assert "would push" in dry.stdout
    assert not (b.parent / "remote").exists()
    pushed = cli("push")
    assert "made a repo" in pushed.stdout
    assert "pushed" in pushed.stdout
    assert cli("push").stdout == "team has everything\n"
    # Looking at it fetches nothing into the store here.
    assert cli("-r", "team", "log", "--format", "json", cwd=b).stdout == cli("log", "--format", "json").stdout
    assert cli("-r", "team", "log", "-", "--format", "json", cwd=b).stdout == cli("log", "-", "--format", "json").stdout
    assert "Exec" not in cli("log", cwd=b).stdout
    pulled = json.loads(cli("pull", "--format", "json", cwd=b).stdout)
    assert pulled["refs"] == 3
    assert pulled["untrusted_executions"] == 0
    assert cli("log", "--format", "json", cwd=b).stdout == cli("log", "--format", "json").stdout
    assert cli("run", "flow.py", "main", "--n", "4", cwd=b).jobs("Run") == []
    assert cli("pull", cwd=b).stdout == "everything of team is here\n"
    assert "pushed" in cli("push", "team", cwd=b).stdout
    back = json.loads(cli("pull", "--format", "json").stdout)
    assert back["refs"] == 1


def test_without_trust_nothing_that_came_is_used(cli: Cli, b: Path, refused) -> None:  # type: ignore[no-untyped-def]
    both_add(cli, b)
    cli("push")
    pulled = cli("pull", cwd=b)
    assert "results of 2 executions can be looked at, but no run uses them" in "\n".join(pulled.errors)
    assert "Exec" in cli("log", cwd=b).stdout
    assert cli("run", "flow.py", "main", "--n", "3", cwd=b).jobs("Run") == ["inner", "inner", "inner", "main"]
    # Neither does a memo that is made again take it in, nor is it handed on in our name.
    assert cli("fsck", "--rebuild", cwd=b).status == 0
    assert cli("run", "flow.py", "main", "--n", "4", cwd=b).jobs("Run") == ["inner", "main"]
    stranger = json.loads(cli("-r", "team", "log", "--exec", "--format", "json", cwd=b).stdout.splitlines()[0])["id"]
    refused(cli("push", str(b / "other"), stranger, cwd=b), "nobody here trusts")
    refused(cli("export", "-o", "x.bundle", stranger, cwd=b), "nobody here trusts")
    assert json.loads(cli("push", str(b / "other"), "--format", "json", cwd=b).stdout)["refs"] == 2
    # What one has run oneself is used, of course.
    assert cli("run", "flow.py", "main", "--n", "3", cwd=b).jobs("Run") == []
    ini = b / ".redun/redun.ini"
    ini.write_text(ini.read_text() + "trust = all\n")
    assert cli("pull", cwd=b).status == 0
    assert cli("run", "flow.py", "main", "--n", "4", cwd=b).jobs("Run") == []


def test_only_what_is_asked_for_travels(cli: Cli, b: Path) -> None:
    both_add(cli, b, "--trust", "all")
    assert cli("tag", "add", "~1", "env=prod").status == 0
    first = json.loads(cli("log", "--exec", "--format", "json").stdout.splitlines()[-1])["id"]
    assert json.loads(cli("push", "team", first[:8], "--format", "json").stdout)["refs"] == 2
    assert json.loads(cli("pull", first[:8], "--format", "json", cwd=b).stdout)["refs"] == 2
    assert "env=prod" in cli("log", cwd=b).stdout
    # The last one ran on results of the first: they come along, and are found.
    cli("push", "team", "-")
    assert json.loads(cli("pull", "team", "-", "--format", "json", cwd=b).stdout)["refs"] == 1
    assert cli("run", "flow.py", "main", "--n", "4", cwd=b).jobs("Run") == []


def test_a_value_travels_by_its_id(cli: Cli, b: Path, refused) -> None:  # type: ignore[no-untyped-def]
    both_add(cli, b)
    values = [json.loads(line) for line in cli("log", "--value", "--format", "json").stdout.splitlines()]
    value = next(record["value_hash"] for record in values if record["text"] == repr("x" * 80))
    assert json.loads(cli("push", value, "--format", "json").stdout)["objects"] == 1
    assert json.loads(cli("pull", value[:10], "--format", "json", cwd=b).stdout)["objects"] == 1
    assert value in cli("pin", "--list", cwd=b).stdout
    small = next(record["value_hash"] for record in values if record["text"] == "2")
    refused(cli("push", small), "stands inside the calls that have it")


def test_another_project_of_the_same_user(cli: Cli, b: Path) -> None:
    assert "2 executions" in cli("repo", "add", "first", str(b.parent / ".redun"), cwd=b).stdout
    assert cli("-r", "first", "log", "--format", "json", cwd=b).stdout == cli("log", "--format", "json").stdout
    assert "pulled" in cli("pull", cwd=b).stdout
    assert cli("run", "flow.py", "main", "--n", "4", cwd=b).jobs("Run") == []
    assert "pushed" in cli("push", "first", cwd=b).stdout
    assert len(cli("log", "--exec", "--format", "json").stdout.splitlines()) == 3


def test_a_store_is_no_repo_of_its_own(cli: Cli, b: Path, refused) -> None:  # type: ignore[no-untyped-def]
    cli("repo", "add", "me", ".redun")
    refused(cli("push", "me"), "this very store")
    refused(cli("repo", "add", "default", "/tmp"), "'default'")


def test_the_configuration_keeps_what_is_in_it(cli: Cli, b: Path) -> None:
    ini = b / ".redun/redun.ini"
    before = "# mine\n\n[limits]\ndb  =  4\n; four\n\n[repos.old]\nurl = /nowhere/x\n# after old\n\n[backend]\n# last"
    ini.write_text(before)
    cli("repo", "add", "team", str(b / "r$1"), cwd=b)
    assert ini.read_text() == f"{before}\n\n[repos.team]\nurl = {b}/r$$1\n"
    assert [json.loads(line)["name"] for line in cli("repo", "list", "--format", "json", cwd=b).stdout.splitlines()] == [
        "default",
        "old",
        "team",
    ]
    assert cli("repo", "remove", "team", cwd=b).status == 0
    assert ini.read_text() == before + "\n"
    assert cli("repo", "remove", "old", cwd=b).status == 0
    assert ini.read_text() == "# mine\n\n[limits]\ndb  =  4\n; four\n\n# after old\n\n[backend]\n# last\n"


def test_wrong_uses(cli: Cli, b: Path, refused) -> None:  # type: ignore[no-untyped-def]
    refused(cli("push"), "no repo is configured", status=2)
    refused(cli("push", "nope"), "no repo is configured", status=2)
    refused(cli("-r", "nope", "log"), "unknown repo 'nope'")
    refused(cli("repo", "add", "a b", "/tmp"), "cannot be named")
    refused(cli("repo", "add", "x", "nonsense://y"), "nonsense")
    refused(cli("repo", "add", "x", "https://example.org/y"), "nothing can be written by HTTP")
    refused(cli("repo", "add", "x", "s3://"), "names no bucket")
    refused(cli("repo", "add", "x", str(b / "no/such/folder")), "is the drive mounted")
    refused(cli("repo", "remove", "x"), "no repo 'x'")
    both_add(cli, b)
    refused(cli("repo", "add", "team", "/tmp/y"), "there is a repo 'team' already")
    refused(cli("pull", cwd=b), "is empty: nobody has pushed")
    refused(cli("-r", "team", "log", cwd=b), "is empty")
    cli("push")
    refused(cli("push", "team", "ffffffffffff"), "has an id that begins with 'ffffffffffff'")
    refused(cli("pull", "team", "ffffffffffff", cwd=b), "has an id that begins with 'ffffffffffff'")
    refused(cli("-r", "team", "tag", "add", "-", "a=b", cwd=b), "can only look at")
    refused(cli("push", "--bandwidth", "fast"), "bytes a second", status=2)


def test_a_password_is_not_told(cli: Cli, b: Path) -> None:
    url = "ftp://me:hunter2secret@127.0.0.1:1/x"
    added = cli("repo", "add", "box", url)
    assert added.status == 1
    assert cli("repo", "add", "box", url, "--no-check").status == 0
    for words in (
        ("repo", "list"),
        ("repo", "list", "--format", "json"),
        ("push", "box"),
        ("pull", "box"),
        ("-r", "box", "log"),
    ):
        done = cli("--log-level", "DEBUG", *words)
        assert "hunter2" not in done.stdout + done.stderr, done
    assert "hunter2" not in added.stdout + added.stderr


def test_a_folder_that_cannot_be_written(cli: Cli, b: Path, refused) -> None:  # type: ignore[no-untyped-def]
    if os.geteuid() == 0:
        pytest.skip("root may write everywhere")
    both_add(cli, b)
    (b.parent / "remote").mkdir()
    (b.parent / "remote").chmod(0o500)
    refused(cli("push"), "permission")


LARGE = """
from redun import task
redun_namespace = "ex"

@task()
def make(size: int):
    return bytes(size)

@task()
def length(data: bytes, more: int):
    return len(data) + more

@task()
def main(more: int = 0):
    return length(make(3_000_000), more)
"""


def test_large_values_stay_there_until_they_are_needed(cli: Cli, b: Path) -> None:
    both_add(cli, b, "--trust", "all")
    for folder in (b.parent, b):
        (folder / "large.py").write_text(LARGE)
    cli("run", "large.py", "main")
    cli("push")
    pulled = cli("pull", "--metadata-only", cwd=b)
    assert "left 1 large value there (3.0 MB): fetched when needed" in pulled.stdout, pulled
    blobs = [path for path in (b / ".redun/store/blobs").rglob("*") if path.is_file()]
    assert blobs == []
    # The call graph is whole, and fsck tells what was left from what is lost.
    checked = cli("fsck", cwd=b)
    assert checked.status == 0, checked
    assert "left in repos, and fetched when needed: 1" in checked.stdout
    assert "3,000,000" in cli("log", "-", cwd=b).stdout or cli("log", "-", cwd=b).status == 0
    # What needs no large value fetches none; what needs it does.
    again = cli("run", "large.py", "main", "--more", "1", cwd=b)
    assert again.jobs("Run") == ["length", "main"]
    assert again.stdout.strip() == "3000001"
    assert [path for path in (b / ".redun/store/blobs").rglob("*") if path.is_file()] != []
    assert "left in repos" not in cli("fsck", cwd=b).stdout


def test_what_was_left_comes_with_a_full_pull_or_is_computed_again(cli: Cli, b: Path) -> None:
    both_add(cli, b, "--trust", "all")
    (b.parent / "c").mkdir()
    for folder in (b.parent, b, b.parent / "c"):
        (folder / "large.py").write_text(LARGE)
    cli("run", "large.py", "main")
    cli("push")
    cli("pull", "--metadata-only", cwd=b)
    assert "everything of team" not in cli("pull", cwd=b).stdout
    assert [path for path in (b / ".redun/store/blobs").rglob("*") if path.is_file()] != []
    c = b.parent / "c"
    cli("init", cwd=c)
    cli("repo", "add", "team", str(b.parent / "remote"), "--trust", "all", cwd=c)
    cli("pull", "--metadata-only", cwd=c)
    for pack in (b.parent / "remote" / "packs").iterdir():
        pack.unlink()
    ended = cli("run", "large.py", "main", "--more", "1", cwd=c)
    assert ended.status == 0, ended
    assert ended.jobs("Run") == ["length", "main", "make"]
    assert "cannot be fetched from repo 'team'" in ended.stderr


def test_a_repair_takes_lost_objects_from_repos(cli: Cli, b: Path) -> None:
    both_add(cli, b)
    (b.parent / "large.py").write_text(LARGE)
    cli("run", "large.py", "main")
    cli("push")
    blob = next(path for path in (b.parent / ".redun/store/blobs").rglob("*") if path.is_file())
    whole = blob.read_bytes()
    blob.write_bytes(whole[:-1] + b"x")
    assert cli("fsck", "--full").status == 1
    repaired = cli("fsck", "--full", "--repair")
    assert "from remotes" in repaired.stdout, repaired
    assert blob.read_bytes() == whole
    assert cli("fsck", "--full").status == 0
