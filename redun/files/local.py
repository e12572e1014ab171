"""Files of this machine, through `os` alone: no imports that cost, no copies, stamps from one `stat`."""

from __future__ import annotations

import errno
import io
import os
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import IO, Any

from xxhash import xxh3_128_hexdigest

from redun.files.errors import named_error
from redun.files.filesystem import FOLDER, MISSING, FileSystem, get_proto, register_filesystem

_S_IFMT = 0o170000
_S_IFDIR = 0o040000


def native(path: str) -> str:
    """Return the path that the operating system understands: without `file://`."""
    return path[7:] if path.startswith("file://") else path.removeprefix("local://")


class _RawWriter(io.FileIO):
    """A file that tells when it has been closed, below whatever buffers and encodes."""

    on_close: Callable[[], None] | None = None

    def write(self, data: Any) -> Any:
        try:
            return super().write(data)
        except OSError as error:
            # A full disk, as a rule: Python does not say of which file.
            raise named_error(str(self.name), error) from error

    def close(self) -> None:
        was_open = not self.closed
        super().close()
        if was_open and self.on_close is not None:
            self.on_close()


@register_filesystem
class LocalFileSystem(FileSystem):
    """The machine's own files. Stamp: path, size and modification time in nanoseconds."""

    name = "local"

    def exists(self, path: str) -> bool:
        """Tell whether there is a file or folder."""
        return os.path.exists(native(path))

    def isfile(self, path: str) -> bool:
        """Tell whether there is a file."""
        return os.path.isfile(native(path))

    def isdir(self, path: str) -> bool:
        """Tell whether there is a folder."""
        return os.path.isdir(native(path))

    def filesize(self, path: str) -> int:
        """Return a file's size in bytes."""
        return os.stat(native(path)).st_size

    def get_hash(self, path: str) -> str:
        """Return a file's stamp; one `stat`."""
        try:
            found = os.stat(native(path))
        except (FileNotFoundError, NotADirectoryError):
            return MISSING
        if found.st_mode & _S_IFMT == _S_IFDIR:
            return FOLDER
        return xxh3_128_hexdigest(f"{path}\0{found.st_size}\0{found.st_mtime_ns}".encode("utf-8", "surrogateescape"))

    def _open(self, path: str, mode: str, **kwargs: Any) -> IO[Any]:
        path = native(path)
        if any(letter in mode for letter in "wax"):
            self._make_folder_of(path)
        return open(path, mode, **kwargs)

    def open_writer(
        self, path: str, mode: str, on_close: Callable[[], None], encoding: str | None = None, **kwargs: Any
    ) -> IO[Any]:
        """Open a file for writing as the builtin does. Takes `buffering`, `errors` and `newline` as well."""
        try:
            if any(letter in mode for letter in "wax"):
                self._make_folder_of(native(path))
            return _open_writer(native(path), mode, on_close, encoding=encoding, **kwargs)
        except OSError as error:
            raise named_error(path, error) from error

    def remove(self, path: str) -> None:
        """Remove a file, if there is one."""
        with suppress(FileNotFoundError):
            os.remove(native(path))

    def mkdir(self, path: str) -> None:
        """Make a folder and those above it."""
        os.makedirs(native(path), exist_ok=True)

    def rmdir(self, path: str, recursive: bool = False) -> None:
        """Remove a folder."""
        if not os.path.lexists(native(path)):
            return
        if recursive:
            import shutil

            shutil.rmtree(native(path))
        else:
            os.rmdir(native(path))

    def glob(self, pattern: str) -> list[str]:
        """List the files and folders that match a pattern; names that begin with a dot match only what begins with a dot."""
        import glob

        found = glob.glob(native(pattern), recursive=True)
        # Python lists the folder before a final `**` even if it is not there.
        return [path for path in found if path[-1:] != "/" or os.path.isdir(path)]

    def list_files(self, path: str) -> list[str]:
        """List all files below a folder, sorted."""
        path = native(path)
        return sorted([os.path.join(path, name) for name, _ in _walk(path)])

    def scan_files(self, path: str) -> list[tuple[str, str]] | None:
        """List path and stamp of all files below a folder. Cost: one `scandir` a folder, one `stat` a file, about 4 us each."""
        root = native(path)
        if not os.path.isdir(root):
            return None
        prefix = os.path.join(root, "")
        rows = []
        digest = xxh3_128_hexdigest
        for name, entry in _walk(root):
            try:
                found = entry.stat()
            except FileNotFoundError:
                # Removed since it was listed, or a link to nowhere.
                continue
            name = prefix + name
            rows.append((name, digest(f"{name}\0{found.st_size}\0{found.st_mtime_ns}".encode("utf-8", "surrogateescape"))))
        rows.sort()
        return rows

    def touch(self, path: str, time: tuple[float, float] | None = None) -> None:
        """Make an empty file, or set the times of one that exists."""
        path = native(path)
        self._make_folder_of(path)
        with open(path, "ab"):
            os.utime(path, time)

    def copy(self, src_path: str, dest_path: str) -> None:
        """Copy a file's content; its permissions and times stay behind, as with any stream."""
        if get_proto(src_path) != "local" or get_proto(dest_path) != "local":
            super().copy(src_path, dest_path)
            return
        import shutil

        src, dest = native(src_path), native(dest_path)
        self._make_folder_of(dest)
        if os.path.exists(dest) and os.path.samefile(src, dest):
            return
        shutil.copyfile(src, dest)

    def _make_folder_of(self, path: str) -> None:
        folder = os.path.dirname(path)
        if folder:
            try:
                os.makedirs(folder, exist_ok=True)
            except FileExistsError:
                raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), path) from None


def _open_writer(
    path: str,
    mode: str,
    on_close: Callable[[], None],
    encoding: str | None = None,
    buffering: int = -1,
    errors: str | None = None,
    newline: str | None = None,
) -> IO[Any]:
    """Do what the builtin `open` does, over a raw file that calls `on_close`."""
    binary = "b" in mode
    if binary and "t" in mode:
        raise ValueError(f"mode {mode!r} cannot be both text and binary")
    if binary and (encoding is not None or errors is not None or newline is not None):
        raise ValueError("a binary mode takes no encoding, errors or newline")
    if buffering == 0 and not binary:
        raise ValueError("text cannot be unbuffered")
    raw = _RawWriter(path, mode.replace("b", "").replace("t", ""))
    try:
        stream: Any = raw
        if buffering != 0:
            size = buffering if buffering > 1 else io.DEFAULT_BUFFER_SIZE
            stream = io.BufferedRandom(raw, size) if "+" in mode else io.BufferedWriter(raw, size)
        if not binary:
            stream = io.TextIOWrapper(stream, encoding, errors, newline, line_buffering=buffering == 1)
            stream.mode = mode
    except BaseException:
        raw.close()
        raise
    # Set last, so that a stream that could not be opened does not count as one that was written.
    raw.on_close = on_close
    return stream  # type: ignore[no-any-return]


def _walk(root: str) -> Iterator[tuple[str, os.DirEntry[str]]]:
    """Yield relative path and entry of every file below a folder that is not hidden, following links, in no order."""
    stack: list[tuple[str, str, tuple[tuple[int, int], ...]]] = [(root, "", ())]
    while stack:
        folder, prefix, above = stack.pop()
        try:
            entries = os.scandir(folder)
        except (FileNotFoundError, NotADirectoryError):
            continue
        with entries:
            for entry in entries:
                name = entry.name
                if name[0] == ".":
                    continue
                if entry.is_dir():
                    trail = above
                    if entry.is_symlink():
                        # A link may lead back up; a folder that is its own ancestor is not entered again.
                        found = entry.stat()
                        trail = (*above, (found.st_dev, found.st_ino))
                        if trail[-1] in above or os.path.samefile(entry.path, root):
                            continue
                    stack.append((entry.path, f"{prefix}{name}/", trail))
                elif entry.is_file():
                    yield prefix + name, entry
