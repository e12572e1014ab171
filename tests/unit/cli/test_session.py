"""What the options before the verb decide: which store is opened, and what is said of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from redun import config
from redun.cli.errors import CommandError
from redun.cli.session import Session
from redun.errors import StoreUnavailable
from redun.store import repository


def test_a_network_file_system_is_said_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(repository, "is_network", lambda folder: True)
    with Session().open_store(tmp_path, create=True) as store:
        assert store.exclusive
    said = capsys.readouterr().err
    assert said.count("exclusive mode") == 1
    assert str(tmp_path / "store") in said


def test_exclusive_by_configuration_needs_no_words(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "redun.ini").write_text("[backend]\nexclusive = true\n")
    with Session().open_store(tmp_path, create=True) as store:
        assert store.exclusive
    assert capsys.readouterr().err == ""


def test_reading_makes_nothing(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="nothing has been run here yet"):
        Session().open_store(tmp_path / ".redun")
    assert list(tmp_path.iterdir()) == []


def test_a_store_that_cannot_be_written_is_refused_for_writing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Session().open_store(tmp_path, create=True).close()
    # Permissions would not stop a test that runs as root.
    plain = config.open_store
    monkeypatch.setattr(
        config, "open_store", lambda folder, found, *, create: plain(folder, found, create=create, readonly=True)
    )
    with Session().open_store(tmp_path) as store:
        assert store.readonly
    with pytest.raises(StoreUnavailable, match="read-only"):
        Session().open_store(tmp_path, write=True)
