"""Files of every other protocol, through fsspec: s3, gs, az, http(s), ftp, memory, and whatever a user registers there.

Nothing is imported until the first such path is touched. Listings that fsspec remembers are dropped before a file is looked at,
since a stamp must tell what is there now.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import IO, Any

from xxhash import xxh3_128_hexdigest

from redun.boto import get_boto_config
from redun.files.filesystem import FOLDER, MISSING, FileSystem, FileSystemError

# What object stores call a digest or version of an object's content, best first.
_DIGESTS = ("ETag", "etag", "md5Hash", "crc32c", "sha256", "checksum", "content_md5", "contentHash", "Content-MD5", "Digest")
_TIMES = ("mtime", "LastModified", "last_modified", "updated", "modified", "modify", "created")


class FsspecFileSystem(FileSystem):
    """One protocol of fsspec. Stamp: etag or checksum where there is one, else size and modification time."""

    def _at(self, path: str) -> tuple[Any, str]:
        """Return fsspec's file system and its form of the path.

        Raises:
            FileSystemError: fsspec does not know the protocol, or a package that it needs is missing.
        """
        try:
            import fsspec

            fsspec.get_filesystem_class(self.name)
            options = {"config_kwargs": get_boto_config()} if self.name == "s3" and get_boto_config() else {}
            found: tuple[Any, str] = fsspec.core.url_to_fs(path, **options)
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
        return _stamp(path, info)

    def open(
        self, path: str, mode: str, encoding: str | None = None, on_close: Callable[[], None] | None = None, **kwargs: Any
    ) -> IO[Any]:
        """Open a file; what is written is there when the stream is closed."""
        fs, inner = self._at(path)
        writes = any(letter in mode for letter in "wax+")
        if writes:
            self._make_folder_of(fs, inner)
        if "b" not in mode and encoding is not None:
            kwargs["encoding"] = encoding
        stream = fs.open(inner, mode.replace("t", ""), **kwargs)
        return _Tells(stream, on_close) if writes and on_close is not None else stream  # type: ignore[return-value]

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
        """List the files that match a pattern, sorted."""
        return [path for path, _ in self._matches(pattern)]

    def list_files(self, path: str) -> list[str]:
        """List all files below a folder, sorted."""
        return [path for path, _ in self._below(path)]

    def glob_stamp(self, pattern: str) -> str:
        """Return a stamp of all files that match a pattern, from what listing them tells."""
        return _listing_stamp(self._matches(pattern))

    def tree_stamp(self, path: str) -> str:
        """Return a stamp of all files below a folder, from what listing them tells."""
        return _listing_stamp(self._below(path))

    def _matches(self, pattern: str) -> list[tuple[str, dict[str, Any]]]:
        fs, inner = self._fresh(pattern)
        return self._files(fs, fs.glob(inner, detail=True))

    def _below(self, path: str) -> list[tuple[str, dict[str, Any]]]:
        fs, inner = self._fresh(path)
        return self._files(fs, fs.find(inner, detail=True))

    def _files(self, fs: Any, found: dict[str, dict[str, Any]]) -> list[tuple[str, dict[str, Any]]]:
        return sorted(
            [(str(fs.unstrip_protocol(path)), info) for path, info in found.items() if info.get("type") != "directory"],
            key=lambda row: row[0],
        )

    def copy(self, src_path: str, dest_path: str) -> None:
        """Copy a file, without its bytes coming here where the store can do that."""
        fs, src = self._fresh(src_path)
        other, dest = self._at(dest_path)
        if fs is not other:
            super().copy(src_path, dest_path)
            return
        self._make_folder_of(fs, dest)
        fs.cp_file(src, dest)


def make_class(proto: str) -> type[FsspecFileSystem]:
    """Return a class of file systems for a protocol of fsspec."""
    return type(f"{proto.capitalize()}FileSystem", (FsspecFileSystem,), {"name": proto, "__doc__": f"Files of {proto}://."})


def _stamp(path: str, info: dict[str, Any]) -> str:
    if info.get("type") == "directory":
        return FOLDER
    return xxh3_128_hexdigest("\0".join((path, *_facts(info))).encode("utf-8", "surrogateescape"))


def _facts(info: dict[str, Any]) -> list[str]:
    """Return what tells one state of a file from another."""
    for name in _DIGESTS:
        if info.get(name):
            return [name, str(info[name])]
    return [str(info.get("size")), *(str(info[name]) for name in _TIMES if info.get(name) is not None)]


def _listing_stamp(rows: Iterable[tuple[str, dict[str, Any]]]) -> str:
    return xxh3_128_hexdigest("\0".join([_stamp(path, info) for path, info in rows]).encode())


class _Tells:
    """A stream that tells when it has been closed, and is in all else the stream that it wraps."""

    def __init__(self, stream: Any, on_close: Callable[[], None]) -> None:
        self._stream = stream
        self._on_close: Callable[[], None] | None = on_close

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def __enter__(self) -> _Tells:
        self._stream.__enter__()
        return self

    def __exit__(self, *failure: Any) -> None:
        self.close()

    def __iter__(self) -> Any:
        return iter(self._stream)

    def __next__(self) -> Any:
        return next(self._stream)

    def close(self) -> None:
        """Close the stream, then tell."""
        self._stream.close()
        told, self._on_close = self._on_close, None
        if told is not None:
            told()
