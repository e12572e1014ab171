"""A file as a value: `File`, and its relatives that count as equal by content or by path."""

from __future__ import annotations

import os
from typing import IO, TYPE_CHECKING, Any, ClassVar

from redun.content import KEPT
from redun.files import known_contents, stamping
from redun.files.filesystem import FOLDER, MISSING, FileSystem, FileSystemError, get_filesystem
from redun.value import Value

if TYPE_CHECKING:
    from redun.files.families import FileClasses
    from redun.files.staging import StagingFile

_CHUNK_BYTES = 1 << 20


class FileBase(Value):
    """What single files, folders and sets of files share: a stamp taken when first needed, and the hash made from it.

    The state that is recorded is the path (or pattern) as written and the stamp, so the hash is the id of that record. Reading
    never moves the stamp; writing through the value takes a new one.
    """

    type_basename: ClassVar[str] = ""
    classes: ClassVar[type[FileClasses]]
    _place: ClassVar[str] = "path"

    _stamp: str | None
    _id: str | None
    capture_files: ClassVar[bool | None] = None
    """In a class of one's own: True has the store keep the content of such files whenever a task returns them, False never."""
    kept: Any = None
    """The content, if the store keeps it (`redun.files.capture`): what stands under `redun.content.KEPT` in the state."""

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if cls.capture_files:
            stamping.classes_captured = True

    def __init__(self, place: str | os.PathLike[str]) -> None:
        try:
            text = os.fspath(place)
        except TypeError:
            text = None
        if not isinstance(text, str):
            raise TypeError(f"{type(self).__name__} needs a path as text, found {type(place).__qualname__} {place!r}")
        self._set(text, None)

    def _set(self, place: str, stamp: str | None) -> None:
        setattr(self, self._place, place)
        self._stamp = stamp
        self._id = None

    @property
    def _where(self) -> str:
        return str(getattr(self, self._place))

    @property
    def filesystem(self) -> FileSystem:
        """The file system that serves the path.

        Raises:
            FileSystemError: nobody serves its protocol.
        """
        return get_filesystem(url=self._where)

    def _calc_stamp(self) -> str:
        """Return the stamp of what is there now."""
        raise NotImplementedError

    def _calc_same(self) -> str:
        """Return the stamp of what is there now, taken in the way in which the known one was."""
        with stamping.taken_by(content=stamping.is_of_content(self._one_stamp())):
            return self._calc_stamp()

    def _one_stamp(self) -> str:
        """Return the stamp of a file, by which one sees how it was taken."""
        return self._stamp or ""

    @property
    def stamp(self) -> str:
        """What tells one state of the file from another; taken when first asked for."""
        if self._stamp is None:
            self._take_stamp()
        return str(self._stamp)

    def _take_stamp(self) -> None:
        self.kept = None
        self._stamp = self._calc_stamp()

    @property
    def hash(self) -> str:
        """The value's hash, 40 hex digits."""
        if self._id is None:
            from redun.encoding import counted_id

            self._id = counted_id(self).hex()
        return self._id

    @property
    def _hash(self) -> str | None:
        """The hash as far as it is known; scripts written for other releases set it to None to have it taken anew."""
        return self._id

    @_hash.setter
    def _hash(self, value: str | None) -> None:
        self._stamp = None
        self._id = value

    def update_hash(self) -> None:
        """Take a new stamp from what is there now."""
        self._take_stamp()
        self._id = None

    def forget_hash(self) -> None:
        """Take a new stamp when one is asked for."""
        self.kept = None
        self._stamp = None
        self._id = None

    def is_valid(self) -> bool:
        """Tell whether what is there now is what was recorded.

        What cannot be looked at (permissions, network, no such file system here) is not: the job that made it runs again, and
        if that needs the file it fails with the cause.
        """
        try:
            if self._stamp is not None:
                return self._calc_same() == self._stamp
            # Nobody has looked yet: from now on, this is the state. A hash without a stamp is one that was set by hand.
            self._take_stamp()
            return self._id is None
        except (OSError, FileSystemError):
            return False

    @classmethod
    def parse_arg(cls, raw_type: Any, arg: str) -> Any:
        """Return the file or files of a path."""
        return raw_type(arg)

    def __getstate__(self) -> dict[str, Any]:
        state = self._plain_state()
        if self.kept is not None:
            state[KEPT] = self.kept
        return state

    def _plain_state(self) -> dict[str, Any]:
        return {self._place: self._where, "stamp": self.stamp}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self._set(state[self._place], state["stamp"])
        if KEPT in state:
            self.kept = state[KEPT]

    def __fspath__(self) -> str:
        from redun.files.local import native

        return native(self._where)

    def __repr__(self) -> str:
        try:
            shown = self.hash[:8]
        except Exception:
            # A repr is asked for in the middle of log lines and tracebacks: it never fails.
            shown = "?"
        return f"{self.type_basename or type(self).__name__}({self._place}={self._where}, hash={shown})"


class File(FileBase):
    """A file, equal to another if path and stamp are: for local files, size and modification time.

    Args:
        path: a path of this machine or a URL (`s3://bucket/key`); relative paths stay relative.
    """

    type_name = "redun.File"
    type_basename = "File"

    path: str

    def __init__(self, path: str | os.PathLike[str]) -> None:
        super().__init__(path)

    def _calc_stamp(self) -> str:
        filesystem = self.filesystem
        if stamping.by_content() and filesystem.name == "local":
            return content_stamp(filesystem, self.path, unless_known=True)
        return filesystem.get_hash(self.path)

    def exists(self) -> bool:
        """Tell whether there is a file or folder at the path."""
        return self.filesystem.exists(self.path)

    def isfile(self) -> bool:
        """Tell whether there is a file at the path."""
        return self.filesystem.isfile(self.path)

    def isdir(self) -> bool:
        """Tell whether there is a folder at the path."""
        return self.filesystem.isdir(self.path)

    def size(self) -> int:
        """Return the size in bytes."""
        return self.filesystem.filesize(self.path)

    def basename(self) -> str:
        """Return the last part of the path."""
        return os.path.basename(self.path)

    def dirname(self) -> str:
        """Return the path without its last part."""
        return os.path.dirname(self.path)

    def open(self, mode: str = "r", encoding: str | None = None, **kwargs: Any) -> IO[Any]:
        """Open the file as the builtin `open` does; after writing, the hash is taken once, when the stream is closed.

        Folders on the way to a file that is written are made.

        Args:
            kwargs: passed to the file system: `errors`, `newline`, `buffering`, ...

        Raises:
            OSError: FileNotFoundError, IsADirectoryError, PermissionError, ... as Python's own.
        """
        filesystem = self.filesystem
        if any(letter in mode for letter in "wax+"):
            return filesystem.open_writer(self.path, mode, self.update_hash, encoding=encoding, **kwargs)
        return filesystem.open(self.path, mode, encoding=encoding, **kwargs)

    def read(self, mode: str = "r", encoding: str | None = None) -> Any:
        """Return the whole content, text or with mode `rb` bytes."""
        with self.open(mode, encoding=encoding) as stream:
            return stream.read()

    def readlines(self, mode: str = "r", encoding: str | None = None) -> list[Any]:
        """Return the lines, line ends kept."""
        with self.open(mode, encoding=encoding) as stream:
            return stream.readlines()

    def write(self, data: str | bytes, mode: str = "w", encoding: str | None = None) -> None:
        """Replace the content (mode `w`) or add to it (mode `a`); bytes need no `b` in the mode."""
        if isinstance(data, bytes | bytearray | memoryview) and "b" not in mode:
            mode += "b"
        with self.open(mode, encoding=encoding) as stream:
            stream.write(data)

    def touch(self, time: tuple[float, float] | None = None) -> None:
        """Make an empty file, or set the times of one that exists.

        Args:
            time: access and modification time in seconds since 1970; now by default.
        """
        self.filesystem.touch(self.path, time)
        self.update_hash()

    def remove(self) -> None:
        """Remove the file; nothing happens if there is none."""
        self.filesystem.remove(self.path)
        self.update_hash()

    def copy_to(self, dest_file: File, skip_if_exists: bool = False) -> File:
        """Copy the content to another file, of any file system, and return that.

        Args:
            skip_if_exists: leave a destination that exists as it is.
        """
        if skip_if_exists and dest_file.exists():
            return dest_file
        src, dest = self.filesystem, dest_file.filesystem
        # The one that is not this machine knows how to send and fetch whole files.
        (dest if src.name == "local" else src).copy(self.path, dest_file.path)
        dest_file.update_hash()
        return dest_file

    def shell_copy_to(self, dest_path: str | None, as_mount: bool = False) -> str:
        """Return a shell command that copies the file to a path, or to standard output if that is None.

        Args:
            as_mount: the file is mounted where the command runs, if its file system knows how.
        """
        return self.filesystem.shell_copy(self.path, dest_path, as_mount=as_mount)

    def stage(self, local: str | None = None) -> StagingFile:
        """Return the file paired with a local path, for `script` to copy it to or from.

        Args:
            local: by default the file's own name, in the working folder; with a slash at its end, in that folder.

        Raises:
            ValueError: the path ends with a slash, so that it has no name.
        """
        if local is None:
            local = self.basename()
        elif local.endswith("/"):
            local += self.basename()
        if not local or local.endswith("/"):
            raise ValueError(f"file {self.path!r} cannot be staged under its own name, as it has none: give a local path")
        return self.classes.StagingFile(self.classes.File(local), self)


class ContentFile(File):
    """A file, equal to another if path and content are; its modification time does not count."""

    type_name = "redun.ContentFile"
    type_basename = "ContentFile"

    def _calc_stamp(self) -> str:
        return content_stamp(self.filesystem, self.path)


class IFile(File):
    """A file, equal to another if the path is, and valid whatever becomes of it: one that is never written twice."""

    type_name = "redun.IFile"
    type_basename = "IFile"

    def _calc_stamp(self) -> str:
        return ""


def content_stamp(filesystem: FileSystem, path: str, unless_known: bool = False) -> str:
    """Return a digest of a file's content (40 hex digits of SHA-256), `MISSING` or `FOLDER`.

    Args:
        unless_known: take what was found before, of a file of this machine whose size and time are the same.
    """
    from hashlib import sha256

    digest = sha256()
    try:
        if unless_known and filesystem.name == "local":
            return _local_content_stamp(path)
        with filesystem.open(path, "rb") as stream:
            while piece := stream.read(_CHUNK_BYTES):
                digest.update(piece)
    except FileNotFoundError:
        return MISSING
    except NotADirectoryError:
        return MISSING
    except IsADirectoryError:
        return FOLDER
    return digest.hexdigest()[:40]


def _local_content_stamp(path: str) -> str:
    from hashlib import sha256

    from redun.files.local import native

    name = native(path)
    with open(name, "rb", buffering=0) as stream:
        before = os.fstat(stream.fileno())
        known = known_contents.digest_of(name, before)
        if known is not None:
            return known
        digest = sha256()
        while piece := stream.read(_CHUNK_BYTES):
            digest.update(piece)
        found = digest.hexdigest()[:40]
        if known_contents.facts_of(os.fstat(stream.fileno())) == known_contents.facts_of(before):
            known_contents.remember(name, before, found)
        return found
