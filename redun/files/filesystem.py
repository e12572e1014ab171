"""The protocol of file systems, and the one place that knows which serves a path.

Local paths are served natively, every other protocol by fsspec (`redun.files.remote`), which is imported when the first such
path is touched. A user's own file system is a subclass of `FileSystem` under `register_filesystem`.

A file's *stamp* is a short text that changes when the file does; what it is made of is each file system's own matter. It need
not tell what the content is: for that see `ContentFile`.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from typing import IO, Any, ClassVar

from xxhash import xxh3_128_hexdigest

from redun.errors import RedunError

MISSING = "missing"
"""Stamp of a path where there is nothing."""

FOLDER = "folder"
"""Stamp of a path where a file was expected and a folder is."""

_PROTOCOL = re.compile(r"([A-Za-z][A-Za-z0-9+.\-]*)(?:://|::)")
_CHUNK_BYTES = 1 << 20


class FileSystemError(RedunError, ValueError):
    """No file system can serve a path: unknown protocol, or a package that it needs is not installed."""


class FileSystem(ABC):
    """What `File`, `Dir` and `FileSet` need of the place where they are. Safe for any number of threads.

    Paths are as the user wrote them, protocol included. Failures are Python's own OSErrors.

    Attributes:
        name: the protocol, such as `s3`.
    """

    name: ClassVar[str] = ""

    @abstractmethod
    def exists(self, path: str) -> bool:
        """Tell whether there is a file or folder."""

    @abstractmethod
    def isfile(self, path: str) -> bool:
        """Tell whether there is a file."""

    @abstractmethod
    def isdir(self, path: str) -> bool:
        """Tell whether there is a folder."""

    @abstractmethod
    def filesize(self, path: str) -> int:
        """Return a file's size in bytes."""

    @abstractmethod
    def get_hash(self, path: str) -> str:
        """Return a file's stamp, `MISSING` if there is nothing, `FOLDER` if there is a folder."""

    @abstractmethod
    def open(
        self, path: str, mode: str, encoding: str | None = None, on_close: Callable[[], None] | None = None, **kwargs: Any
    ) -> IO[Any]:
        """Open a file as the builtin `open` does; opened for writing, missing folders on its way are made.

        Args:
            on_close: called once when a stream opened for writing has been closed and everything is written.
            kwargs: what the file system knows besides.
        """

    @abstractmethod
    def remove(self, path: str) -> None:
        """Remove a file; nothing happens if there is none."""

    @abstractmethod
    def mkdir(self, path: str) -> None:
        """Make a folder and those above it; nothing happens if there is one already."""

    @abstractmethod
    def rmdir(self, path: str, recursive: bool = False) -> None:
        """Remove an empty folder, or with `recursive` whatever is in it as well."""

    @abstractmethod
    def glob(self, pattern: str) -> list[str]:
        """List the files (not the folders) that match a pattern, sorted; `**` stands for any number of folders.

        Names that begin with a dot match only what begins with a dot.
        """

    def list_files(self, path: str) -> list[str]:
        """List all files below a folder, sorted, hidden ones and those in hidden folders left out."""
        return self.glob(f"{path.rstrip('/')}/**")

    def iter_file_hashes(self, paths: Iterable[str]) -> Iterable[str]:
        """Yield the stamps of files, in order."""
        return map(self.get_hash, paths)

    def glob_stamp(self, pattern: str) -> str:
        """Return a stamp of all files that match a pattern."""
        return _joined_stamp(zip(paths := self.glob(pattern), self.iter_file_hashes(paths), strict=True))

    def tree_stamp(self, path: str) -> str:
        """Return a stamp of all files below a folder."""
        return _joined_stamp(zip(paths := self.list_files(path), self.iter_file_hashes(paths), strict=True))

    def touch(self, path: str, time: tuple[float, float] | None = None) -> None:
        """Make an empty file, or set the times of one that exists.

        Args:
            time: access and modification time in seconds since 1970; now by default.

        Raises:
            NotImplementedError: the file system keeps no times that could be set.
        """
        if time is not None:
            raise NotImplementedError(f"times of files cannot be set on {self.name!r}")
        with self.open(path, "ab" if self.exists(path) else "wb"):
            pass

    def copy(self, src_path: str, dest_path: str) -> None:
        """Copy a file within this file system."""
        copy_stream(self, src_path, self, dest_path)

    def shell_copy(self, src_path: str | None, dest_path: str | None, recursive: bool = False, as_mount: bool = False) -> str:
        """Return a shell command that copies a file or folder; see `redun.files.shell.copy_command`."""
        from redun.files.shell import copy_command

        return copy_command(src_path, dest_path, recursive)


def _joined_stamp(pairs: Iterable[tuple[str, str]]) -> str:
    return xxh3_128_hexdigest("\0".join([text for pair in pairs for text in pair]).encode("utf-8", "surrogateescape"))


def copy_stream(src: FileSystem, src_path: str, dest: FileSystem, dest_path: str) -> None:
    """Copy a file piece by piece between any two file systems."""
    with src.open(src_path, "rb") as source, dest.open(dest_path, "wb") as sink:
        while piece := source.read(_CHUNK_BYTES):
            sink.write(piece)


_classes: dict[str, type[FileSystem]] = {}
_instances: dict[str, FileSystem] = {}


def register_filesystem(cls: type[FileSystem]) -> type[FileSystem]:
    """Class decorator: let a file system serve the paths of its protocol (`name`)."""
    _classes[cls.name] = cls
    _instances.pop(cls.name, None)
    return cls


def get_proto(url: str | None = None) -> str:
    """Return the protocol of a path: `s3` of `s3://bucket/key`, `local` of a plain path or `file://...`."""
    found = _PROTOCOL.match(url or "")
    if found is None:
        return "local"
    proto = found[1].lower()
    return "local" if proto in ("file", "local") else proto


def get_filesystem_class(proto: str | None = None, url: str | None = None) -> type[FileSystem]:
    """Return the class that serves a protocol, or the protocol of a path."""
    proto = proto or get_proto(url)
    if proto not in _classes:
        if proto == "local":
            import redun.files.local  # noqa: F401
        else:
            from redun.files.remote import make_class

            register_filesystem(make_class(proto))
    return _classes[proto]


def get_filesystem(proto: str | None = None, url: str | None = None) -> FileSystem:
    """Return the file system that serves a protocol, or the protocol of a path; one instance per process.

    Raises:
        FileSystemError: nobody serves it.
    """
    proto = proto or get_proto(url)
    found = _instances.get(proto)
    if found is None:
        found = _instances[proto] = get_filesystem_class(proto)()
    return found


def list_filesystems() -> list[type[FileSystem]]:
    """List the classes of file systems in use so far."""
    get_filesystem_class("local")
    return list(_classes.values())
