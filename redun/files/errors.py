"""Errors of opening files: Python's own, with the path as the user wrote it."""

from __future__ import annotations

import errno
import os
from typing import Any


class _Named(OSError):
    """What the errors below share.

    Args:
        path: as the user wrote it.
        args: those of the OSError, mostly number and text.
    """

    path: str

    def __init__(self, path: str, *args: Any) -> None:
        super().__init__(*args)
        self.path = path

    def __reduce__(self) -> Any:
        return type(self), (self.path, *self.args)

    def __str__(self) -> str:
        if len(self.args) >= 2:
            return f"[Errno {self.errno}] {self.strerror}. {self.path}"
        text = " ".join(map(str, self.args))
        return f"{text}. {self.path}" if text else self.path


class RedunOSError(_Named):
    """A file cannot be opened."""


class RedunFileNotFoundError(_Named, FileNotFoundError):
    """A file is not there."""


class RedunPermissionError(_Named, PermissionError):
    """A file may not be read or written."""


class RedunIsADirectoryError(RedunOSError, IsADirectoryError):
    """There is a folder where a file was expected."""


class RedunNotADirectoryError(RedunOSError, NotADirectoryError):
    """There is a file where a folder was expected."""


class RedunFileExistsError(RedunOSError, FileExistsError):
    """A file is there that should not be."""


_KINDS: dict[type[OSError], type[_Named]] = {
    FileNotFoundError: RedunFileNotFoundError,
    PermissionError: RedunPermissionError,
    IsADirectoryError: RedunIsADirectoryError,
    NotADirectoryError: RedunNotADirectoryError,
    FileExistsError: RedunFileExistsError,
    OSError: RedunOSError,
}

_NUMBERS: dict[type[OSError], int] = {
    FileNotFoundError: errno.ENOENT,
    PermissionError: errno.EACCES,
    IsADirectoryError: errno.EISDIR,
    NotADirectoryError: errno.ENOTDIR,
    FileExistsError: errno.EEXIST,
}


def named_error(path: str, error: OSError) -> OSError:
    """Return an error of the same kind that says which path it was about; one that says so already stays as it is."""
    if isinstance(error, _Named):
        return error
    kind = _KINDS.get(type(error))
    if kind is not None:
        number = _NUMBERS.get(type(error))
        # Services leave the number out and give their own form of the path.
        args = error.args[:2] if number is None or error.errno is not None else (number, os.strerror(number))
        return kind(path, *args)
    # Of a kind of its own (time-outs, errors of services), which callers may look for.
    return error
