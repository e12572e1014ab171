"""Sections of a redun.ini come and go, and the rest of the file stays as it is."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from redun.config import Config
from redun.config_edit import add_section, remove_section
from redun.errors import ConfigError

lines = st.lists(
    st.sampled_from(
        ["", "# a comment", "; another", "[backend]", "[limits]", "db = 4", "  indented", "key = [not.a.section]", "path=x # y"]
    ),
    max_size=12,
)


@settings(max_examples=200, deadline=None)
@given(lines, st.sampled_from(["", "\n", "\n\n"]))
def test_what_was_added_can_be_removed_without_a_trace(
    tmp_path_factory: pytest.TempPathFactory, text: list[str], end: str
) -> None:
    path = tmp_path_factory.mktemp("ini") / "redun.ini"
    before = "\n".join(text) + end
    path.write_text(before)
    add_section(path, "repos.team", {"url": "s3://b/$x", "trust": "all"})
    added = path.read_text()
    assert added.startswith(before)
    assert added.endswith("[repos.team]\nurl = s3://b/$$x\ntrust = all\n")
    assert remove_section(path, "repos.team")
    assert path.read_text().rstrip("\n") == before.rstrip("\n")
    assert not remove_section(path, "repos.team")


def test_what_is_written_is_what_is_read(tmp_path: Path) -> None:
    path = tmp_path / "redun.ini"
    add_section(path, "repos.team", {"url": "ftp://a:$p%ss@h/${x}"})
    config = Config()
    config.read_path(path)
    assert config["repos"]["team"]["url"] == "ftp://a:$p%ss@h/${x}"


def test_a_section_in_the_middle(tmp_path: Path) -> None:
    path = tmp_path / "redun.ini"
    path.write_text("[a]\nx = 1\n\n# about b\n[b]\ny = 2\n  more\n\n# about c\n[c]\nz = 3\n")
    assert remove_section(path, "b")
    assert path.read_text() == "[a]\nx = 1\n\n# about b\n\n# about c\n[c]\nz = 3\n"


def test_permissions_links_and_line_ends_stay(tmp_path: Path) -> None:
    real = tmp_path / "shared.ini"
    real.write_bytes(b"[a]\r\nx = 1\r\n")
    real.chmod(0o640)
    link = tmp_path / "redun.ini"
    link.symlink_to(real)
    add_section(link, "b", {"y": "2"})
    assert link.is_symlink()
    assert real.stat().st_mode & 0o777 == 0o640
    assert real.read_bytes() == b"[a]\r\nx = 1\r\n\n[b]\ny = 2\n"
    assert sorted(os.listdir(tmp_path)) == ["redun.ini", "shared.ini"]


def test_bad_uses(tmp_path: Path) -> None:
    path = tmp_path / "redun.ini"
    path.write_text("[b]\n")
    with pytest.raises(ConfigError, match="there already"):
        add_section(path, "b", {})
    with pytest.raises(ConfigError, match="line break"):
        add_section(path, "c", {"x": "1\n[d]"})
    path.write_bytes(b"\xff")
    with pytest.raises(ConfigError, match="UTF-8"):
        add_section(path, "c", {})
