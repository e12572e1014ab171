"""Words `key=value`, version requirements, and what a git checkout tells."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from redun.cli.commands.tag import split_words
from redun.cli.default_tags import execution_tags, git_tags, without_credentials
from redun.cli.errors import CommandError
from redun.cli.tags import nested, split_pair
from redun.cli.versions import fits
from redun.tags import ANY_VALUE

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@pytest.mark.parametrize(
    ("text", "pair"),
    [
        ("a=1", ("a", 1)),
        ("a=x=y", ("a", "x=y")),
        ("a=", ("a", "")),
        ('a={"b": [1]}', ("a", {"b": [1]})),
        ("a.b=true", ("a.b", True)),
    ],
)
def test_pairs(text: str, pair: tuple[str, Any]) -> None:
    assert split_pair(text) == pair


@pytest.mark.parametrize("text", ["a", "=1", " =1", ""])
def test_what_is_no_pair(text: str) -> None:
    with pytest.raises(ValueError, match="expected key=value"):
        split_pair(text)


def test_dotted_keys_nest() -> None:
    assert nested([("a.b", 1), ("a.c", 2), ("d", 3), ("a.b", 4)]) == {"a": {"b": 4, "c": 2}, "d": 3}


@pytest.mark.parametrize(
    ("requirement", "answer"),
    [
        ("0.1.0", True),
        ("0.1", True),
        ("==0.1", True),
        ("0.2", False),
        (">=0.1,<1", True),
        (">0.1", False),
        ("!=0.1.0", False),
        ("<0.10", True),
        (" >= 0.0.9 ", True),
    ],
)
def test_versions(requirement: str, answer: bool) -> None:
    assert fits("0.1.0", requirement) is answer


@pytest.mark.parametrize("requirement", ["", "new", ">=", ">=1,", "1.x"])
def test_requirements_that_cannot_be_read(requirement: str) -> None:
    with pytest.raises(CommandError, match="cannot be read"):
        fits("0.1.0", requirement)


def make_checkout(folder: Path) -> Path:
    git = folder / ".git"
    (git / "refs" / "heads").mkdir(parents=True)
    (git / "HEAD").write_text("ref: refs/heads/main\n")
    (git / "config").write_text(
        '[remote "other"]\n\turl = no\n[remote "origin"]\n\turl = git@host:me/flows.git\n[user]\n\tname = me\n'
    )
    (git / "refs" / "heads" / "main").write_text(COMMIT + "\n")
    return git


def test_git_checkout(tmp_path: Path) -> None:
    expected = {"git_commit": COMMIT, "git_origin_url": "git@host:me/flows.git"}
    git = make_checkout(tmp_path)
    inner = tmp_path / "a" / "b"
    inner.mkdir(parents=True)
    assert git_tags(inner) == expected
    (git / "refs" / "heads" / "main").unlink()
    (git / "packed-refs").write_text(f"# pack-refs with: peeled\n{COMMIT} refs/heads/main\n")
    assert git_tags(inner) == expected
    (git / "HEAD").write_text(COMMIT + "\n")
    assert git_tags(inner) == expected


def test_git_worktree(tmp_path: Path) -> None:
    git = make_checkout(tmp_path / "main")
    tree = git / "worktrees" / "side"
    tree.mkdir(parents=True)
    (tree / "HEAD").write_text("ref: refs/heads/main\n")
    (tree / "commondir").write_text("../..\n")
    (tmp_path / "side").mkdir()
    (tmp_path / "side" / ".git").write_text(f"gitdir: {tree}\n")
    assert git_tags(tmp_path / "side") == {"git_commit": COMMIT, "git_origin_url": "git@host:me/flows.git"}


def test_what_is_no_checkout_has_no_tags(tmp_path: Path) -> None:
    (tmp_path / ".git").mkdir()
    assert git_tags(tmp_path) == {}
    (tmp_path / "file").mkdir()
    (tmp_path / "file" / ".git").write_bytes(b"\xff\x00")
    assert git_tags(tmp_path / "file") == {}
    assert git_tags(tmp_path / "missing" / "folder") == {}


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("https://me:secret@host/a.git", "https://host/a.git"),
        ("https://token@host/a.git", "https://host/a.git"),
        ("HTTPS://a:b@c@host/x", "HTTPS://host/x"),
        ("ssh://git@host/a.git", "ssh://git@host/a.git"),
        ("ssh://git:secret@host:22/a.git", "ssh://git@host:22/a.git"),
        ("git@host:me/a.git", "git@host:me/a.git"),
        ("/srv/git/a@b.git", "/srv/git/a@b.git"),
        ("https://host/a@b.git", "https://host/a@b.git"),
    ],
)
def test_origins_tell_no_credentials(url: str, told: str) -> None:
    assert without_credentials(url) == told


def test_default_tags(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_checkout(tmp_path)
    monkeypatch.setenv("REDUN_GIT_ORIGIN_URL", "https://me:secret@host/b.git")
    tags = execution_tags([("user", "me"), ("n", 1)], "me", None, None, "flows", tmp_path)
    found = dict(tags)
    assert tags[:2] == [("user", "me"), ("n", 1)]
    assert [key for key, _ in tags].count("user") == 1
    assert found["project"] == "flows"
    assert found["git_commit"] == COMMIT
    assert found["git_origin_url"] == "https://host/b.git"
    assert {"host", "redun.version"} <= found.keys()
    assert "doc" not in found


@pytest.mark.parametrize(
    ("words", "keys_alone", "expected"),
    [
        (["-", "a=1"], False, (["-"], [("a", 1)])),
        (["12ab34", "56cd78", "a=x", "b=[1]"], False, (["12ab34", "56cd78"], [("a", "x"), ("b", [1])])),
        (["-", "a", "b=1"], True, (["-"], [("a", ANY_VALUE), ("b", 1)])),
        (["12ab34", "56cd78", "-", "env"], True, (["12ab34", "56cd78", "-"], [("env", ANY_VALUE)])),
    ],
)
def test_entities_and_tags_are_told_apart(words: list[str], keys_alone: bool, expected: Any) -> None:
    assert split_words(tuple(words), keys_alone) == expected
