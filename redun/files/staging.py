"""A file or folder paired with a local path: what `script` copies in before a command runs and out when it has.

What counts of such a pair is its two paths only; content counts where the file itself is an argument or a result.
"""

from __future__ import annotations

import os
from shlex import quote
from typing import TYPE_CHECKING, Any, ClassVar, Generic, TypeVar

from redun.files.file import File
from redun.files.fileset import Dir
from redun.files.filesystem import get_proto
from redun.files.shell import local_folder_copy, word
from redun.value import Value

if TYPE_CHECKING:
    from redun.files.families import FileClasses

T = TypeVar("T", File, Dir)


class Staging(Value, Generic[T]):
    """A local file or folder and the remote one that it stands for.

    Args:
        local, remote: files or folders, or their paths.
    """

    type_basename: ClassVar[str] = "Staging"
    classes: ClassVar[type[FileClasses]]

    local: T
    remote: T

    @classmethod
    def _side(cls) -> type[T]:
        raise NotImplementedError

    def __init__(self, local: T | str, remote: T | str) -> None:
        side = self._side()
        self.local = side(local) if isinstance(local, str) else local
        self.remote = side(remote) if isinstance(remote, str) else remote

    def stage(self) -> T:
        """Copy the remote side to the local one, and return that."""
        return self.local if self.is_in_place() else self._copy(self.remote, self.local)

    def unstage(self) -> T:
        """Copy the local side to the remote one, and return that."""
        return self.remote if self.is_in_place() else self._copy(self.local, self.remote)

    def _copy(self, src: T, dest: T) -> T:
        src.copy_to(dest)
        return dest

    def is_in_place(self) -> bool:
        """Tell whether both sides are one and there is nothing to copy."""
        if self.local.path == self.remote.path:
            return True
        both_local = get_proto(self.local.path) == get_proto(self.remote.path) == "local"
        return both_local and os.path.normpath(self.local.path) == os.path.normpath(self.remote.path)

    def render_stage(self, as_mount: bool = False) -> str:
        """Return shell commands that copy the remote side to the local one; empty if both are one."""
        return self._render(self.remote, self.local, as_mount)

    def render_unstage(self, as_mount: bool = False) -> str:
        """Return shell commands that copy the local side to the remote one; empty if both are one."""
        return self._render(self.local, self.remote, as_mount)

    def _render(self, src: T, dest: T, as_mount: bool) -> str:
        if self.is_in_place():
            return ""
        # The remote side knows how its place is reached.
        return self.remote.filesystem.shell_copy(src.path, dest.path, recursive=isinstance(src, Dir), as_mount=as_mount)

    def stage_lines(self, as_mount: bool = False) -> str:
        """Return `render_stage` as lines of a script, which may run where folders are missing or there already."""
        return self._lines(self.render_stage(as_mount), self.remote, self.local)

    def unstage_lines(self, as_mount: bool = False) -> str:
        """Return `render_unstage` as lines of a script, which may run where folders are missing or there already."""
        return self._lines(self.render_unstage(as_mount), self.local, self.remote)

    def _lines(self, command: str, src: T, dest: T) -> str:
        if not command or get_proto(dest.path) != "local":
            return command
        if isinstance(src, Dir):
            return local_folder_copy(word(src.path), word(dest.path)) if command.startswith("cp ") else command
        folder = os.path.dirname(dest.path)
        return f"mkdir -p {quote(folder)}\n{command}" if folder else command

    @classmethod
    def parse_arg(cls, raw_type: Any, arg: str) -> Any:
        """Refuse: a pair of paths cannot be given as one text."""
        raise ValueError(
            f"a {raw_type.__name__} cannot be given as text, found {arg!r}: take a File or Dir and stage it in the task"
        )

    def __getstate__(self) -> dict[str, Any]:
        return {"local": self.local.path, "remote": self.remote.path}

    def __setstate__(self, state: dict[str, Any]) -> None:
        side = self._side()
        self.local, self.remote = side(state["local"]), side(state["remote"])

    def __repr__(self) -> str:
        # Paths only, as in the hash: a repr must not reach out to where the remote side is.
        side = self._side().__name__
        return f"{self.type_basename}(local={side}(path={self.local.path}), remote={side}(path={self.remote.path}))"


class StagingFile(Staging[File]):
    """A file and its local copy."""

    type_name = "redun.StagingFile"
    type_basename = "StagingFile"

    @classmethod
    def _side(cls) -> type[File]:
        return cls.classes.File


class StagingDir(Staging[Dir]):
    """A folder and its local copy."""

    type_name = "redun.StagingDir"
    type_basename = "StagingDir"

    @classmethod
    def _side(cls) -> type[Dir]:
        return cls.classes.Dir


class ContentStagingFile(StagingFile):
    """A file, equal by content, and its local copy."""

    type_name = "redun.ContentStagingFile"
    type_basename = "ContentStagingFile"


class ContentStagingDir(StagingDir):
    """A folder, equal by contents, and its local copy."""

    type_name = "redun.ContentStagingDir"
    type_basename = "ContentStagingDir"


class IStagingFile(StagingFile):
    """A file, equal by path, and its local copy."""

    type_name = "redun.IStagingFile"
    type_basename = "IStagingFile"


class IStagingDir(StagingDir):
    """A folder, equal by path, and its local copy."""

    type_name = "redun.IStagingDir"
    type_basename = "IStagingDir"
