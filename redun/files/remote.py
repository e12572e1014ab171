"""Files of every other protocol, through fsspec: s3, gs, az, http(s), ftp, memory, and whatever a user registers there.

Nothing is imported until the first such path is touched. Listings that fsspec remembers are dropped before a file is looked at,
since a stamp must tell what is there now.
"""

from __future__ import annotations

from contextlib import suppress
from typing import IO, Any

from xxhash import xxh3_128_hexdigest

from redun.files.filesystem import FOLDER, MISSING, FileSystem, FileSystemError, get_proto, register_filesystem

# What object stores call a digest or version of an object's content, best first.
_DIGESTS = ("ETag", "etag", "md5Hash", "crc32c", "sha256", "checksum", "content_md5", "contentHash", "Content-MD5", "Digest")
_TIMES = ("mtime", "LastModified", "last_modified", "updated", "modified", "modify", "created")


class FsspecFileSystem(FileSystem):
    """One protocol of fsspec. Stamp: etag or checksum where there is one, else size and modification time."""

    name = "fsspec"

    @property
    def fs(self) -> Any:
        """fsspec's own file system for the protocol.

        Raises:
            FileSystemError: a package that it needs is missing.
        """
        return self._at(f"{self.name}://")[0]

    def _at(self, path: str) -> tuple[Any, str]:
        """Return fsspec's file system and its form of the path.

        Raises:
            FileSystemError: fsspec does not know the protocol, or a package that it needs is missing.
        """
        try:
            import fsspec

            found: tuple[Any, str] = fsspec.core.url_to_fs(path)
        except ImportError as error:
            raise FileSystemError(f"path {path!r} needs a package that is not installed: {error}") from error
        except ValueError as error:
            raise FileSystemError(f"path {path!r} cannot be used: {error}") from error
        return found

    def _fresh(self, path: str) -> tuple[Any, str]:
        fs, inner = self._at(path)
        fs.invalidate_cache()
        return fs, inner

    def exists(self, path: str) -> bool:
        """Tell whether there is a file or folder."""
        fs, inner = self._fresh(path)
        return bool(fs.exists(inner))

    def isfile(self, path: str) -> bool:
        """Tell whether there is a file."""
        fs, inner = self._fresh(path)
        return bool(fs.isfile(inner))

    def isdir(self, path: str) -> bool:
        """Tell whether there is a folder; object stores have those that hold something."""
        fs, inner = self._fresh(path)
        return bool(fs.isdir(inner))

    def filesize(self, path: str) -> int:
        """Return a file's size in bytes."""
        fs, inner = self._fresh(path)
        return int(fs.size(inner))

    def get_hash(self, path: str) -> str:
        """Return a file's stamp; one request for its facts."""
        fs, inner = self._fresh(path)
        try:
            info = fs.info(inner)
        except (FileNotFoundError, NotADirectoryError):
            return MISSING
        return file_stamp(path, info)

    def _open(self, path: str, mode: str, **kwargs: Any) -> IO[Any]:
        fs, inner = self._at(path)
        if any(letter in mode for letter in "wax+"):
            self._make_folder_of(fs, inner)
        else:
            # What fsspec remembers of a file's size would cut short what has grown since.
            fs.invalidate_cache()
        stream: IO[Any] = fs.open(inner, mode.replace("t", ""), **kwargs)
        return stream

    def _make_folder_of(self, fs: Any, inner: str) -> None:
        # On object stores this does nothing, or finds that the bucket is not ours to make: writing will tell.
        parent = fs._parent(inner)
        if parent and self.name not in ("http", "https"):
            with suppress(OSError, NotImplementedError):
                fs.makedirs(parent, exist_ok=True)

    def remove(self, path: str) -> None:
        """Remove a file, if there is one."""
        fs, inner = self._fresh(path)
        with suppress(FileNotFoundError):
            fs.rm_file(inner)

    def mkdir(self, path: str) -> None:
        """Make a folder; on object stores nothing happens."""
        fs, inner = self._at(path)
        fs.makedirs(inner, exist_ok=True)

    def rmdir(self, path: str, recursive: bool = False) -> None:
        """Remove a folder."""
        fs, inner = self._fresh(path)
        if recursive:
            fs.rm(inner, recursive=True)
        else:
            fs.rmdir(inner)

    def glob(self, pattern: str) -> list[str]:
        """List the files and folders that match a pattern."""
        fs, inner = self._fresh(pattern)
        return sorted(self._full(pattern, fs, path) for path in fs.glob(inner))

    def list_matches(self, pattern: str) -> list[str]:
        """List the files that match a pattern, sorted."""
        return [path for path, _ in self.scan_matches(pattern)]

    def list_files(self, path: str) -> list[str]:
        """List all files below a folder, sorted."""
        return [path for path, _ in self._below(path)]

    def scan_matches(self, pattern: str) -> list[tuple[str, str]]:
        """List path and stamp of all files that match a pattern, from what listing them tells."""
        fs, inner = self._fresh(pattern)
        return self._files(pattern, fs, fs.glob(inner, detail=True))

    def scan_files(self, path: str) -> list[tuple[str, str]] | None:
        """List path and stamp of all files below a folder, from what listing them tells; None if there is no folder."""
        rows = self._below(path)
        return rows if rows or self.exists(path) else None

    def _below(self, path: str) -> list[tuple[str, str]]:
        fs, inner = self._fresh(path)
        return self._files(path, fs, fs.find(inner, detail=True))

    def _files(self, asked: str, fs: Any, found: dict[str, dict[str, Any]]) -> list[tuple[str, str]]:
        rows = [(self._full(asked, fs, path), info) for path, info in found.items() if info.get("type") != "directory"]
        return sorted((path, file_stamp(path, info)) for path, info in rows)

    def _full(self, asked: str, fs: Any, inner: str) -> str:
        """Return fsspec's form of a path with its protocol, as it was asked for."""
        proto, _, rest = asked.partition("://")
        host = rest.partition("/")[0]
        if host and host not in fs._strip_protocol(asked):
            # ftp, sftp, ...: the host belongs to the connection, and fsspec leaves it out of paths.
            return f"{proto}://{host}/{inner.lstrip('/')}"
        full = str(fs.unstrip_protocol(inner))
        if "::" in asked or not proto:
            return full
        # fsspec writes the first of the names that a protocol has (abfs for az), and a slash before paths of memory.
        found = full.partition("://")[2]
        return f"{proto}://{found if rest.startswith('/') else found.lstrip('/')}"

    def copy(self, src_path: str, dest_path: str) -> None:
        """Copy a file, without its bytes coming here where the store can do that."""
        if not get_proto(src_path) == get_proto(dest_path) == self.name:
            super().copy(src_path, dest_path)
            return
        fs, src = self._fresh(src_path)
        other, dest = self._at(dest_path)
        if fs is not other:
            super().copy(src_path, dest_path)
            return
        self._make_folder_of(fs, dest)
        fs.cp_file(src, dest)


@register_filesystem
class HTTPFileSystem(FsspecFileSystem):
    """Files of http://."""

    name = "http"


@register_filesystem
class HTTPSFileSystem(FsspecFileSystem):
    """Files of https://."""

    name = "https"


@register_filesystem
class FTPFileSystem(FsspecFileSystem):
    """Files of ftp://."""

    name = "ftp"


@register_filesystem
class GSFileSystem(FsspecFileSystem):
    """Files of gs://."""

    name = "gs"


def make_class(proto: str) -> type[FsspecFileSystem]:
    """Return a class of file systems for a protocol of fsspec.

    Raises:
        FileSystemError: fsspec does not know the protocol.
    """
    from fsspec.registry import known_implementations, registry

    if proto not in known_implementations and proto not in registry:
        known = "that fsspec does not know; register a file system of your own with redun.file.register_filesystem"
        raise FileSystemError(f"no file system serves the protocol {proto!r}, {known}")
    return type(f"{proto.capitalize()}FileSystem", (FsspecFileSystem,), {"name": proto, "__doc__": f"Files of {proto}://."})


def file_stamp(path: str, info: dict[str, Any]) -> str:
    """Return a file's stamp from what its file system tells of it."""
    if info.get("type") == "directory":
        return FOLDER
    return xxh3_128_hexdigest("\0".join((path, *_facts(info))).encode("utf-8", "surrogateescape"))


def _facts(info: dict[str, Any]) -> list[str]:
    """Return what tells one state of a file from another."""
    for name in _DIGESTS:
        if info.get(name):
            return [name, str(info[name])]
    return [str(info.get("size")), *(str(info[name]) for name in _TIMES if info.get(name) is not None)]
