"""The protocol of file systems, and the one place that knows which serves a path.

Local paths are served natively, every other protocol by fsspec (`redun.files.remote`), which is imported when the first such
path is touched. A user's own file system is a subclass of `FileSystem` under `register_filesystem`.

A file's *stamp* is a short text that changes when the file does; what it is made of is each file system's own matter. It need
not tell what the content is: for that see `ContentFile`.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from importlib import import_module
from typing import IO, Any, ClassVar, cast

from redun.errors import RedunError
from redun.files.errors import named_error

MISSING = "missing"
"""Stamp of a path where there is nothing."""

FOLDER = "folder"
"""Stamp of a path where a file was expected and a folder is."""

_PROTOCOL = re.compile(r"([A-Za-z][A-Za-z0-9+.\-]*)(?:://|::)")
_CHUNK_BYTES = 1 << 20


class FileSystemError(RedunError, ValueError, KeyError):
    """No file system can serve a path: unknown protocol, or a package that it needs is not installed."""

    # A KeyError would show its message in quotes.
    __str__ = Exception.__str__


class FileSystem(ABC):
    """What `File`, `Dir` and `FileSet` need of the place where they are. Safe for any number of threads.

    Paths are as the user wrote them, protocol included. Failures are Python's own OSErrors. One of a user's own defines the
    abstract methods and `_open` (or `open`).

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

    def open(self, path: str, mode: str, encoding: str | None = None, **kwargs: Any) -> IO[Any]:
        """Open a file as the builtin `open` does; opened for writing, missing folders on its way are made.

        Args:
            kwargs: what the file system knows besides.

        Raises:
            RedunFileNotFoundError, RedunPermissionError, RedunOSError: Python's own errors, with the path as it was written.
        """
        if encoding is not None:
            kwargs["encoding"] = encoding
        try:
            return self._open(path, mode, **kwargs)
        except OSError as error:
            raise named_error(path, error) from error

    def _open(self, path: str, mode: str, **kwargs: Any) -> IO[Any]:
        """Open a file; what `open` calls."""
        raise NotImplementedError(f"file system {self.name!r} defines neither open nor _open")

    def open_writer(
        self, path: str, mode: str, on_close: Callable[[], None], encoding: str | None = None, **kwargs: Any
    ) -> IO[Any]:
        """Like `open`, for writing.

        Args:
            on_close: called once when the stream has been closed and everything is written.
        """
        from redun.files.streams import Tells

        return cast("IO[Any]", Tells(self.open(path, mode, encoding=encoding, **kwargs), on_close))

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
        """List the files and folders that match a pattern; `**` stands for any number of folders."""

    def list_matches(self, pattern: str) -> list[str]:
        """List the files (not the folders) that match a pattern, sorted."""
        return sorted([path for path in self.glob(pattern) if self.isfile(path)])

    def list_files(self, path: str) -> list[str]:
        """List all files below a folder, sorted; hidden ones of this machine left out."""
        return self.list_matches(f"{path.rstrip('/')}/**")

    def iter_file_hashes(self, path: str) -> Iterator[str]:
        """Yield the stamps of all files below a folder, in order of their paths."""
        return iter([stamp for _, stamp in self.scan_files(path) or ()])

    def scan_matches(self, pattern: str) -> list[tuple[str, str]]:
        """List path and stamp of all files that match a pattern, sorted."""
        return [(path, self.get_hash(path)) for path in self.list_matches(pattern)]

    def scan_files(self, path: str) -> list[tuple[str, str]] | None:
        """List path and stamp of all files below a folder, sorted; None if there is no folder."""
        rows = [(file, self.get_hash(file)) for file in self.list_files(path)]
        return rows if rows or self.exists(path) else None

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
        """Copy a file; either path may be of another file system."""
        copy_stream(get_filesystem(url=src_path), src_path, get_filesystem(url=dest_path), dest_path)

    def shell_copy(self, src_path: str | None, dest_path: str | None, recursive: bool = False, as_mount: bool = False) -> str:
        """Return a shell command that copies a file or folder; see `redun.files.shell.copy_command`."""
        from redun.files.shell import copy_command

        return copy_command(src_path, dest_path, recursive)


def copy_stream(src: FileSystem, src_path: str, dest: FileSystem, dest_path: str) -> None:
    """Copy a file piece by piece between any two file systems."""
    with src.open(src_path, "rb") as source, dest.open(dest_path, "wb") as sink:
        while piece := source.read(_CHUNK_BYTES):
            sink.write(piece)


# Where the classes of redun's own file systems are, by protocol; imported when first needed.
_OWN = {
    "local": "redun.files.local",
    "http": "redun.files.remote",
    "https": "redun.files.remote",
    "ftp": "redun.files.remote",
    "gs": "redun.files.remote",
    "s3": "redun.files.s3",
    "az": "redun.files.azure",
}

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
    """Return the class that serves a protocol, or the protocol of a path.

    Raises:
        FileSystemError: nobody serves it.
    """
    proto = proto or get_proto(url)
    if proto not in _classes:
        module = _OWN.get(proto)
        if module is not None:
            import_module(module)
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
    """List the classes of file systems: redun's own, those that users registered, and others in use so far."""
    for proto in _OWN:
        get_filesystem_class(proto)
    return list(_classes.values())
