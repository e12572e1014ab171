"""Many files as one value: `FileSet` by a pattern, `Dir` by a folder, and their relatives by content or by path.

The stamp is a digest of the listing: path and stamp of each file. The listing itself is recorded too, as one text, so that the
read side finds every file of a folder by its path; no `File` is made until somebody iterates.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from xxhash import xxh3_128_hexdigest

from redun.files import stamping
from redun.files.file import File, FileBase, content_stamp
from redun.files.filesystem import MISSING
from redun.value import MEMBERS, Value

if TYPE_CHECKING:
    from redun.files.staging import StagingDir


class FileSet(FileBase):
    """The files that match a pattern, equal to another set if the pattern is and every file has the same path and stamp.

    Args:
        pattern: as in a shell; `**` stands for any number of folders.
    """

    type_name = "redun.FileSet"
    type_basename = "FileSet"
    _place = "pattern"

    pattern: str

    def __init__(self, pattern: str | os.PathLike[str]) -> None:
        super().__init__(pattern)

    _listing: tuple[str, str] = ("", "")
    """When the stamp was taken: the beginning that all paths share; the rest of each and its stamp, joined by zero bytes."""

    def _look(self) -> tuple[str, tuple[str, str]]:
        """Return stamp and listing of what is there now."""
        rows = self._scan()
        if rows is None:
            return MISSING, ("", "")
        prefix = self._prefix if rows and all(path.startswith(self._prefix) for path, _ in rows) else ""
        start = len(prefix)
        text = "\0".join([text for path, stamp in rows for text in (path[start:], stamp)])
        return xxh3_128_hexdigest(text.encode("utf-8", "surrogateescape")), (prefix, text)

    def _calc_stamp(self) -> str:
        return self._look()[0]

    def _one_stamp(self) -> str:
        return self._listing[1].rpartition("\0")[2]

    def _take_stamp(self) -> None:
        self.kept = None
        self._stamp, self._listing = self._look()

    def members(self) -> list[tuple[str, str]]:
        """List path and stamp of each file when the stamp was taken."""
        prefix, listing = self._listing
        parts = listing.split("\0") if listing else []
        return [(prefix + path, stamp) for path, stamp in zip(parts[::2], parts[1::2], strict=False)]

    @property
    def _prefix(self) -> str:
        return ""

    def _scan(self) -> list[tuple[str, str]] | None:
        if stamping.by_content() and self.filesystem.name == "local":
            return _contents(self, unless_known=True)
        return self.filesystem.scan_matches(self.pattern)

    def _plain_state(self) -> dict[str, Any]:
        state = super()._plain_state()
        return state | self._listed() if self._members_count else state

    _members_count = True

    def _listed(self) -> dict[str, Any]:
        prefix, listing = self._listing
        return {MEMBERS: [self.classes.File.type_name, prefix, listing]} if listing else {}

    def _members(self) -> Any:
        # They stand in the state.
        return None

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        members = state.get(MEMBERS)
        self._listing = (members[1], members[2]) if members else ("", "")

    def paths(self) -> list[str]:
        """List the paths of the files there are now, sorted."""
        return self.filesystem.list_matches(self.pattern)

    def files(self) -> list[File]:
        """List the files there are now, sorted by path."""
        return list(self)

    def __iter__(self) -> Iterator[File]:
        return map(self.classes.File, self.paths())

    def iter_subvalues(self) -> Iterator[Value]:
        """Yield the files, so that each can be found by itself."""
        return iter(self)


class Dir(FileSet):
    """A folder with all files below it, equal to another if its path is and what is below; hidden files do not count.

    Args:
        path: of the folder; slashes at its end are taken off.
    """

    type_name = "redun.Dir"
    type_basename = "Dir"
    _place = "path"

    path: str

    def __init__(self, path: str | os.PathLike[str]) -> None:
        super().__init__(path)
        self.path = _without_end(self.path)

    @property
    def pattern(self) -> str:  # type: ignore[override]
        """The pattern that all files of the folder match."""
        return f"{self.path.rstrip('/')}/**"

    @property
    def _prefix(self) -> str:
        return f"{self.path.rstrip('/')}/"

    def _scan(self) -> list[tuple[str, str]] | None:
        if stamping.by_content() and self.filesystem.name == "local":
            return _contents(self, unless_known=True)
        return self.filesystem.scan_files(self.path)

    def paths(self) -> list[str]:
        """List the paths of all files below the folder, sorted."""
        return self.filesystem.list_files(self.path)

    def exists(self) -> bool:
        """Tell whether the folder is there."""
        return self.filesystem.exists(self.path)

    def mkdir(self) -> None:
        """Make the folder and those above it; nothing happens if it is there."""
        self.filesystem.mkdir(self.path)
        self.update_hash()

    def rmdir(self, recursive: bool = False) -> None:
        """Remove the folder, with `recursive` even if it holds something."""
        self.filesystem.rmdir(self.path, recursive=recursive)
        self.update_hash()

    def file(self, rel_path: str) -> File:
        """Return a file of the folder, there or not."""
        return self.classes.File(os.path.join(self.path, rel_path))

    def rel_path(self, path: str) -> str:
        """Return a path as seen from the folder."""
        prefix = f"{self.path.rstrip('/')}/"
        return path[len(prefix) :] if path.startswith(prefix) else os.path.relpath(path, self.path)

    def copy_to(self, dest_dir: Dir, skip_if_exists: bool = False) -> Dir:
        """Copy all files into another folder, of any file system, and return that.

        Args:
            skip_if_exists: leave files that exist there as they are.

        Raises:
            FileNotFoundError: there is no such folder.
        """
        files = self.files()
        if not files and not self.exists():
            raise FileNotFoundError(2, "No such folder", self.path)
        dest_dir.filesystem.mkdir(dest_dir.path)
        for file in files:
            file.copy_to(dest_dir.file(self.rel_path(file.path)), skip_if_exists)
        dest_dir.update_hash()
        return dest_dir

    def shell_copy_to(self, dest_path: str, as_mount: bool = False) -> str:
        """Return shell commands that copy what the folder holds into another."""
        return self.filesystem.shell_copy(self.path, dest_path, recursive=True, as_mount=as_mount)

    def stage(self, local: str | None = None) -> StagingDir:
        """Return the folder paired with a local path, for `script` to copy it to or from; by default its own name."""
        return self.classes.StagingDir(self.classes.Dir(local or os.path.basename(self.path)), self)


class ContentFileSet(FileSet):
    """The files that match a pattern, equal to another set if paths and contents are."""

    type_name = "redun.ContentFileSet"
    type_basename = "ContentFileSet"

    def _scan(self) -> list[tuple[str, str]] | None:
        return _contents(self)


class ContentDir(Dir):
    """A folder, equal to another if its path is and the names and contents of the files below."""

    type_name = "redun.ContentDir"
    type_basename = "ContentDir"

    def _scan(self) -> list[tuple[str, str]] | None:
        return _contents(self)


class IFileSet(FileSet):
    """The files that match a pattern, equal to another set if the pattern is, and always valid."""

    type_name = "redun.IFileSet"
    type_basename = "IFileSet"
    _members_count = False

    def _look(self) -> tuple[str, tuple[str, str]]:
        return "", ("", "")

    def _members(self) -> Any:
        return _uncounted(self)


class IDir(Dir):
    """A folder, equal to another if its path is, and always valid."""

    type_name = "redun.IDir"
    type_basename = "IDir"
    _members_count = False

    def _look(self) -> tuple[str, tuple[str, str]]:
        return "", ("", "")

    def _members(self) -> Any:
        return _uncounted(self)


def _uncounted(files: FileSet) -> dict[str, Any]:
    """List the files of one that is always valid, the first time it is recorded; local ones: no run waits for a bucket's listing."""
    if not files._listing[1] and files.filesystem.name == "local":
        prefix = files._prefix
        paths = files.paths()
        if not all(path.startswith(prefix) for path in paths):
            prefix = ""
        files._listing = prefix, "\0".join([text for path in paths for text in (path[len(prefix) :], "")])
    return files._listed()


def _contents(files: FileSet, unless_known: bool = False) -> list[tuple[str, str]] | None:
    filesystem = files.filesystem
    paths = files.paths()
    if not paths and isinstance(files, Dir) and not files.exists():
        return None
    return [(path, content_stamp(filesystem, path, unless_known)) for path in paths]


def _without_end(path: str) -> str:
    stripped = path.rstrip("/")
    # "/" is a folder, and "s3://" not a name without it.
    return path if not stripped or stripped.endswith(":") else stripped
