"""`redun gc --remote` and `redun fsck --remote`, as a user runs them."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from .conftest import Cli

FLOW = """
from redun import task

redun_namespace = "flow"

@task()
def part(i: int, seed: int):
    return f"part {i} {seed} " * 100

@task()
def main(n: int = 3, seed: int = 0):
    return [part(i, seed) for i in range(n)]
"""


@pytest.fixture
def team(cli: Cli, tmp_path: Path) -> Path:
    """Return a remote to which three executions were pushed, the first of them tagged."""
    (tmp_path / "flow.py").write_text(FLOW)
    assert cli("init").status == 0
    assert cli("repo", "add", "team", str(tmp_path / "team"), "--trust", "all").status == 0
    for seed in range(3):
        assert cli("run", "flow.py", "main", "--seed", str(seed)).status == 0
        if not seed:
            assert cli("tag", "add", "-", "keep=yes").status == 0
        assert cli("push").status == 0
    return tmp_path / "team"


def said(cli: Cli, *words: str, status: int = 0, **options: Any) -> dict[str, Any]:
    ended = cli(*words, "--format", "json", **options)
    assert ended.status == status, ended
    found: dict[str, Any] = json.loads(ended.stdout)
    return found


def there(cli: Cli) -> list[str]:
    ended = cli("-r", "team", "log", "--exec", "--format", "json")
    assert ended.status == 0, ended
    return [json.loads(line)["id"] for line in ended.stdout.splitlines()]


def test_executions_go_by_the_rules(cli: Cli, team: Path) -> None:
    ids = there(cli)
    assert len(ids) == 3
    dry = said(cli, "gc", "--remote", "team", "--keep-last", "1", "--keep-tag", "keep", "-n")
    assert (dry["dropped"], dry["dry_run"]) == ([ids[1]], True)
    assert there(cli) == ids
    assert said(cli, "gc", "--remote", "team")["dropped"] == []
    done = said(cli, "gc", "--remote", "team", "--keep-last", "1", "--keep-tag", "keep")
    assert done["dropped"] == [ids[1]]
    assert {one["execution"]: one["reason"] for one in done["kept"]} == {ids[0]: "among the last", ids[2]: "tagged"}
    assert done["deleted"]["files"] == 0
    assert done["waiting"]["files"] == 1
    assert there(cli) == [ids[0], ids[2]]
    # A day is not over; who cannot wait is told what that means.
    impatient = cli("gc", "--remote", "team", "--grace", "0s")
    assert "may have to start again" in impatient.stderr
    assert "deleted 1 file" in impatient.stdout
    assert said(cli, "fsck", "--remote", "team", "--full")["verdict"] == "sound"
    # What was dropped is not pushed again unless somebody asks for it.
    assert "1 execution was dropped from team by a gc and not pushed again" in cli("push").stdout
    assert there(cli) == [ids[0], ids[2]]
    assert cli("push", "team", ids[1]).status == 0
    assert there(cli) == ids
    assert cli("log", ids[1][:8]).status == 0


def test_what_is_pinned_here_stays_there(cli: Cli, team: Path) -> None:
    ids = there(cli)
    assert cli("pin", ids[2]).status == 0
    done = said(cli, "gc", "--remote", "team", "--keep-last", "0", "--grace", "0s")
    assert done["dropped"] == ids[:2]
    assert there(cli) == [ids[2]]


def test_a_colleague_pulls_what_is_left_and_replays_it(cli: Cli, team: Path, tmp_path: Path) -> None:
    said(cli, "gc", "--remote", "team", "--keep-last", "1", "--grace", "0s")
    other = tmp_path / "other"
    other.mkdir()
    (other / "flow.py").write_text(FLOW)
    assert cli("init", cwd=other).status == 0
    assert cli("repo", "add", "team", str(team), "--trust", "all", cwd=other).status == 0
    assert cli("pull", cwd=other).status == 0
    ended = cli("run", "flow.py", "main", "--seed", "2", cwd=other)
    assert "Run    Job" not in ended.stderr
    assert "Cached Job" in ended.stderr


def test_damage_is_told_and_repaired(cli: Cli, team: Path) -> None:
    ids = there(cli)
    packs = sorted((team / "packs").iterdir(), key=os.path.getmtime)
    packs[0].unlink()
    packs[1].write_bytes(b"damage")
    found = said(cli, "fsck", "--remote", "team", status=1)
    assert found["verdict"] == "damaged"
    assert set(found["bad_packs"]) == {packs[0].name, packs[1].name}
    # The task is in the first pack, so all that ran it are touched.
    assert set(found["executions"]) == set(ids)
    text = cli("fsck", "--remote", "team")
    assert "it is missing" in text.stdout
    assert f"execution {ids[1][:8]} is touched" in text.stdout
    assert "--repair' puts back" in text.stdout
    refused = cli("gc", "--remote", "team", "--keep-last", "1")
    assert refused.status == 1
    # Packs are fetched side by side: whichever is met first is told of.
    assert "lacks pack" in refused.stderr or "has 6 bytes, expected" in refused.stderr
    done = said(cli, "fsck", "--remote", "team", "--repair", status=3)
    assert done["verdict"] == "repaired"
    assert done["repair"]["left"] == []
    assert said(cli, "fsck", "--remote", "team", "--full")["verdict"] == "sound"


def test_what_is_missing_comes_from_another_repo(cli: Cli, team: Path, tmp_path: Path) -> None:
    assert cli("repo", "add", "backup", str(tmp_path / "backup"), "--trust", "all").status == 0
    assert cli("push", "backup").status == 0
    for path in (team / "packs").iterdir():
        path.unlink()
    other = tmp_path / "other"
    other.mkdir()
    assert cli("init", cwd=other).status == 0
    for name in ("team", "backup"):
        assert cli("repo", "add", name, str(tmp_path / name), "--trust", "all", cwd=other).status == 0
    assert said(cli, "fsck", "--remote", "team", "--repair", status=1, cwd=other)["verdict"] == "lost"
    done = said(cli, "fsck", "--remote", "team", "--full", cwd=other)
    assert (done["verdict"], done["absent"] > 0) == ("sound", True)
    # The store that has it all brings it back.
    assert cli("pull", "team", cwd=other).status in (0, 1)


def test_read_only_and_other_stores_are_refused(cli: Cli, team: Path, tmp_path: Path) -> None:
    config = tmp_path / ".redun" / "redun.ini"
    config.write_text(config.read_text().replace("[repos.team]", "[repos.team]\nreadonly = true"))
    for words in (("gc",), ("fsck", "--repair")):
        ended = cli(*words, "--remote", "team")
        assert ended.status == 1
        assert "read-only" in ended.stderr
    assert cli("gc", "--remote", "team", "-n").status == 0
    assert cli("fsck", "--remote", "team").status == 0
    other = tmp_path / "other"
    other.mkdir()
    assert cli("init", cwd=other).status == 0
    ended = cli("gc", "--remote", str(other / ".redun"))
    assert "another store of this machine" in ended.stderr


def test_a_log_that_is_damaged_is_told_once(cli: Cli, team: Path) -> None:
    (team / "log" / "000000000003").write_bytes(b"damage")
    ended = cli("fsck", "--remote", "team")
    assert ended.status == 1
    assert ended.stdout.count("entry 3 cannot be read") == 1
    assert "push to a new place" in ended.stdout.splitlines()[-1]
    assert cli("fsck", "--remote", "team", "--repair").status == 1
