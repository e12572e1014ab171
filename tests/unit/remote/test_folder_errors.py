"""What a shared folder can say, in words."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from redun.store.errors import RemoteBusy, RemoteDenied, RemoteError
from redun.store.remote.backends import base, folder

from .conftest import Site
from .test_push_pull import pull_all, push_all

Sites = Callable[..., Site]


def failing(monkeypatch: pytest.MonkeyPatch, name: str, code: int, times: int = 1_000_000) -> list[int]:
    """Have a call of the system fail for the folder's module, so many times."""
    left = [times]
    real = getattr(os, name)

    def fail(*args, **kwargs):
        if left[0] and "store" not in str(args[0]):
            left[0] -= 1
            raise OSError(code, os.strerror(code))
        return real(*args, **kwargs)

    class Calls:
        def __getattr__(self, other: str):
            return fail if other == name else getattr(os, other)

    monkeypatch.setattr(folder, "os", Calls())
    return left


@pytest.mark.parametrize(
    ("code", "kind", "part"),
    [
        (errno.ENOSPC, RemoteError, "no space left on device .*make room and run again"),
        (errno.EDQUOT, RemoteError, "quota"),
        (errno.EACCES, RemoteDenied, "permission"),
        (errno.EROFS, RemoteDenied, "read-only"),
        (errno.EIO, RemoteError, "input/output error"),
    ],
)
def test_a_folder_that_does_not_take_it(
    site: Sites, monkeypatch: pytest.MonkeyPatch, code: int, kind: type[Exception], part: str
) -> None:
    a = site("a")
    a.fill(20)
    failing(monkeypatch, "fsync", code)
    with pytest.raises(kind, match=part) as caught:
        push_all(a)
    assert type(caught.value) is kind
    assert str(a.backend.url) in str(caught.value)
    assert list(Path(a.backend.url).rglob("tmp-*")) == []
    monkeypatch.undo()
    assert push_all(a).refs == 1


def test_a_folder_that_hangs_for_a_moment_is_asked_again(site: Sites, monkeypatch: pytest.MonkeyPatch) -> None:
    a, b = site("a"), site("b")
    a.fill(20)
    monkeypatch.setattr(base, "backoff", lambda attempt, pause=None: None)
    left = failing(monkeypatch, "fsync", errno.ESTALE, times=3)
    push_all(a)
    assert left == [0]
    monkeypatch.undo()
    monkeypatch.setattr(base, "backoff", lambda attempt, pause=None: None)
    failing(monkeypatch, "fsync", errno.ETIMEDOUT)
    a.fill(5)
    with pytest.raises(RemoteBusy, match="timed out"):
        push_all(a)
    monkeypatch.undo()
    push_all(a)
    pull_all(b)
    assert list(b.source.ids()) == list(a.source.ids())


def test_a_drive_that_is_not_mounted(site: Sites, tmp_path: Path) -> None:
    a = site("a", folder.FolderBackend(tmp_path / "mnt" / "share" / "redun"))
    a.fill(5)
    with pytest.raises(RemoteError, match="is the drive mounted"):
        push_all(a)
    assert not (tmp_path / "mnt").exists()


def test_a_file_in_place_of_the_folder(site: Sites, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    a = site("a", folder.FolderBackend(tmp_path / "file"))
    a.fill(5)
    with pytest.raises(RemoteError, match="not a directory"):
        push_all(a)


def test_without_hard_links_names_are_still_taken_once(site: Sites, monkeypatch: pytest.MonkeyPatch) -> None:
    a, b = site("a"), site("b")
    failing(monkeypatch, "link", errno.EPERM)
    for one in (a, b):
        one.fill(10)
        push_all(one)
    assert not a.backend.put_new("log/000000000001", b"other")
    pull_all(a)
    pull_all(b)
    assert list(a.source.ids()) == list(b.source.ids())
