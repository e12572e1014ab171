"""Keeping the content of files that tasks return, so that a cached result can give them back (`redun.files.restore`).

It happens where the function ran, right after it: in the worker's thread or process, so that the scheduler never waits for a disk. Small
contents ride along with the result; large ones go straight into the store's files, and only their ids ride.

Files of this machine only: what lies in S3 or elsewhere is there for others as well.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import suppress
from hashlib import sha256
from typing import IO, Any

from redun.content import PAGE_BYTES, RAW, SMALL_MAX, Content
from redun.errors import EncodeError
from redun.files import stamping
from redun.files.file import ContentFile, File, FileBase
from redun.files.fileset import FileSet
from redun.files.local import native
from redun.nested import iter_leaves

Stage = Callable[[Iterator[bytes]], tuple[bytes, Any]]
"""`Source.stage`: writes the pieces of an object and returns its id and what stands for it in a batch."""

_CHUNK_BYTES = 1 << 20
_TRIES = 3


class _Changing(Exception):
    """A file was written to while it was read."""


def capture(result: Any, stage: Stage, wanted: bool | None) -> None:
    """Keep the content of the files of this machine in a task's result: they know it from then on (`FileBase.kept`).

    A file that is missing, unreadable or being written to is left as it is.

    Args:
        result: any nested value.
        stage: takes large contents.
        wanted: of all files; None: of those whose class says so.
    """
    with suppress(EncodeError):
        # Of a value that contains itself; whoever records it says so.
        _capture(result, stage, wanted)


def _capture(result: Any, stage: Stage, wanted: bool | None) -> None:
    for leaf in iter_leaves(result):
        if not isinstance(leaf, FileBase) or leaf.kept is not None:
            continue
        if (wanted if leaf.capture_files is None else leaf.capture_files) and leaf.filesystem.name == "local":
            _keep(leaf, stage)


def _keep(file: FileBase, stage: Stage) -> None:
    try:
        if isinstance(file, FileSet):
            stamp = file.stamp
            kept = [_entry(path, known, stage) for path, known in file.members()]
            if file.stamp == stamp:
                file.kept = kept
        elif isinstance(file, File):
            if not isinstance(file, ContentFile) and file.stamp in ("missing", "folder"):
                return
            file.kept = _entry(file.path, file.stamp, stage)
    except (OSError, _Changing):
        file.kept = None


def _entry(path: str, stamp: str, stage: Stage) -> list[Any]:
    """Return the content of a file, its time (nil where the stamp is of the content) and whether it can be executed.

    Raises:
        OSError: it cannot be read. _Changing: it does not hold still.
    """
    for _ in range(_TRIES):
        with open(native(path), "rb", buffering=0) as stream:
            before = os.fstat(stream.fileno())
            content, digest = _read(stream, before.st_size, stage)
            after = os.fstat(stream.fileno())
        if (before.st_size, before.st_mtime_ns) == (after.st_size, after.st_mtime_ns):
            of_content = stamping.is_of_content(stamp)
            if of_content and digest != stamp:
                raise _Changing
            content.path = path
            return [content, None if of_content else before.st_mtime_ns, bool(before.st_mode & 0o100)]
    raise _Changing


def _read(stream: IO[bytes], size: int, stage: Stage) -> tuple[Content, str]:
    digest = sha256()

    def pieces() -> Iterator[bytes]:
        while piece := stream.read(_CHUNK_BYTES):
            digest.update(piece)
            yield piece

    if size <= SMALL_MAX:
        data = b"".join(pieces())
        if len(data) > SMALL_MAX:
            raise _Changing
        return Content.small(data), digest.hexdigest()[:40]

    def whole() -> Iterator[bytes]:
        yield RAW + bytes(PAGE_BYTES - len(RAW))
        yield from pieces()

    oid, staged = stage(whole())
    return Content(oid, PAGE_BYTES, staged), digest.hexdigest()[:40]


def content_again(content: Content) -> bytes | None:
    """Return the object of a content, made once more from the file that was seen to hold it; None if that has changed."""
    if not content.path:
        return None
    try:
        with open(native(content.path), "rb") as stream:
            data = RAW + bytes(content.start - len(RAW)) + stream.read()
    except OSError:
        return None
    return data if sha256(data).digest()[:20] == content.oid else None
