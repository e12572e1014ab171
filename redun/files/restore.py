"""Files written back from the content that the store keeps of them.

Names of files come out of a store that may have come from elsewhere, so a restored file stays below one folder, and never passes a
symbolic link on its way: each folder is opened from the one above it, without following. A file appears under its name when it is
whole. Pages are shared with the store's own file where the file system can (`copy_file_range`), else copied; never a hard link, through
which a task would write into the store.
"""

from __future__ import annotations

import contextlib
import os
import secrets
from pathlib import Path
from typing import Any, NamedTuple

from redun.content import Content
from redun.errors import RedunError
from redun.files.file import File, FileBase
from redun.files.fileset import FileSet
from redun.files.filesystem import MISSING
from redun.files.local import native

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


class RestoreError(RedunError, OSError):
    """A file cannot be written back."""


class Kept(NamedTuple):
    """A file whose content the store keeps.

    Attributes:
        path: as it was written. content: names the object.
        time_ns: modification time that it must have, None if any will do. executable: whether it was.
    """

    path: str
    content: Content
    time_ns: int | None
    executable: bool


def kept_files(file: FileBase) -> list[Kept]:
    """List what the store keeps of a file, or of the members of a folder or set."""
    if file.kept is None:
        return []
    try:
        entries = file.kept if isinstance(file, FileSet) else [file.kept]
        paths = [path for path, _ in file.members()] if isinstance(file, FileSet) else [str(file._where)]
        found = [Kept(path, *entry) for path, entry in zip(paths, entries, strict=True)]
    except (TypeError, ValueError):
        return []
    good = all(type(one.content) is Content and isinstance(one.time_ns, int | None) for one in found)
    return found if good else []


def restore(file: FileBase, source: Any) -> int:
    """Write back what is missing or different of a file or folder that a cached result names.

    Args:
        source: the store's (`Source.view`).

    Returns:
        bytes written; 0 if there was nothing to do.

    Raises:
        RestoreError: a name leads out of the working folder or through a link, or the disk refuses.
        StoreError: a content is not in the store.
    """
    written = 0
    stamps = dict(file.members()) if isinstance(file, FileSet) else {}
    for one in kept_files(file):
        there = file.classes.File.__new__(file.classes.File) if isinstance(file, FileSet) else file
        if isinstance(file, FileSet):
            there._set(one.path, stamps[one.path])
        if os.path.isfile(native(one.path)) and there.is_valid():
            continue
        written += write_back(one, source, Path.cwd())
    return written


def is_missing(file: FileBase) -> bool:
    """Tell whether there is no file where there was one; files that are valid in any case (`IFile`) do not say so themselves."""
    return isinstance(file, File) and file.stamp != MISSING and not file.exists()


def can_restore(file: FileBase, source: Any) -> bool:
    """Tell whether all that the store keeps of a file or folder is there and may be written back."""
    try:
        return all(_parts(one.path, Path.cwd()) and source.contains(one.content.oid) for one in kept_files(file))
    except RestoreError:
        return False


def mark(file: FileBase) -> None:
    """Note that a file was seen to be what it says: its content could be taken from it once more."""
    for one in kept_files(file):
        one.content.path = one.path


def write_back(one: Kept, source: Any, below: Path) -> int:
    """Write a file back; returns its size in bytes. See `restore`."""
    parts = _parts(one.path, below)
    content = memoryview(source.view(one.content.oid))[one.content.start :]
    blob = getattr(source, "blob_path", None)
    folder = os.open(below, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        for part in parts[:-1]:
            folder = _enter(folder, part, one.path)
        _write(folder, parts[-1], content, None if blob is None else blob(one.content.oid), one)
    except OSError as error:
        if isinstance(error, RestoreError):
            raise
        raise RestoreError(f"cannot restore {one.path!r}: {(error.strerror or str(error)).lower()}") from error
    finally:
        os.close(folder)
    return len(content)


def _parts(path: str, below: Path) -> list[str]:
    """Return the names that lead from a folder to a file, having refused those that would leave it."""
    text = native(path)
    if os.path.isabs(text):
        prefix = os.path.join(str(below), "")
        if not text.startswith(prefix):
            raise RestoreError(f"cannot restore {path!r}: it is not below {str(below)!r}")
        text = text[len(prefix) :]
    parts = [part for part in text.split("/") if part not in ("", ".")]
    if not parts or ".." in parts or "\0" in text:
        raise RestoreError(f"cannot restore {path!r}: it is not below {str(below)!r}")
    return parts


def _enter(folder: int, name: str, path: str) -> int:
    """Open a folder inside another, made if need be, and close the outer one."""
    with contextlib.suppress(FileExistsError):
        os.mkdir(name, dir_fd=folder)
    try:
        inner = os.open(name, _FOLDER, dir_fd=folder)
    except OSError as error:
        raise RestoreError(
            f"cannot restore {path!r}: {name!r} on its way is a link or no folder, which is never followed"
        ) from error
    os.close(folder)
    return inner


def _write(folder: int, name: str, content: memoryview, blob: str | None, one: Kept) -> None:
    with contextlib.suppress(FileNotFoundError):
        if os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode & 0o170000 not in (0o100000,):
            raise RestoreError(f"cannot restore {one.path!r}: a link or folder stands in its place")
    partial = f".{name[:200]}.{secrets.token_hex(4)}.partial"
    mode = 0o777 if one.executable else 0o666
    handle = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, mode, dir_fd=folder)
    try:
        try:
            if not _share(blob, one.content.start, len(content), handle):
                _copy(content, handle)
            if one.time_ns is not None:
                os.utime(handle, ns=(one.time_ns, one.time_ns))
        finally:
            os.close(handle)
        os.replace(partial, name, src_dir_fd=folder, dst_dir_fd=folder)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(partial, dir_fd=folder)
        raise


def _copy(content: memoryview, handle: int) -> None:
    at = 0
    while at < len(content):
        at += os.write(handle, content[at : at + (1 << 24)])


def _share(blob: str | None, start: int, size: int, handle: int) -> bool:
    """Copy inside the kernel, which lets both files share pages where the file system knows how; False if it cannot."""
    if blob is None or not hasattr(os, "copy_file_range"):
        return False
    done = 0
    try:
        with open(blob, "rb", buffering=0) as source:
            while done < size:
                count = os.copy_file_range(source.fileno(), handle, size - done, start + done, done)
                if count == 0:
                    break
                done += count
    except OSError:
        pass
    if done < size:
        os.ftruncate(handle, 0)
        os.lseek(handle, 0, os.SEEK_SET)
        return False
    return True
