"""The content of files, kept in the store: what lets a cached result give its files back after they were removed, or elsewhere.

A content is an object of raw bytes, named by what is in it, so equal files are kept once:

    up to 64 KiB   header (4) | content
    larger         header (4) | 4092 zero bytes | content        which begins at a page of the file that the object is

A file system that shares pages between files can then make a restored file of the object without copying a byte.
"""

from __future__ import annotations

from typing import Any

from redun.store.ids import object_id
from redun.store.objects import HEADER_BYTES, Codec, Kind, header
from redun.store.rows import BLOB_ABOVE

KEPT = "redun:content"
"""Key in the state of a file: [content, modification time in nanoseconds or nil, executable]; of a folder or set of files, a list of
one for each member. It says nothing of which file it is: it counts in no eval hash."""

RAW = header(Kind.VALUE, Codec.RAW)
PAGE_BYTES = 4096
SMALL_MAX = BLOB_ABOVE - HEADER_BYTES
"""Most bytes of a content that stands in one row with its header."""

EXT_BYTES = 22


class Content:
    """The content of one file.

    Args:
        oid: id of the object.
        start: where in the object the content begins.
        data: the object, as long as it has to be put into the store: bytes, or what `Source.stage` gave.

    Attributes:
        path: of the file that was found to have this content, by which the object could be made again.
    """

    __slots__ = ("data", "oid", "path", "start")

    def __init__(self, oid: bytes, start: int, data: Any = None) -> None:
        self.oid = oid
        self.start = start
        self.data = data
        self.path = ""

    @classmethod
    def small(cls, content: bytes) -> Content:
        """Return the content of a file of at most `SMALL_MAX` bytes."""
        data = RAW + content
        return cls(object_id(data), HEADER_BYTES, data)

    def ext(self) -> bytes:
        """Return what stands for it in a value: id (20) and start (2)."""
        return self.oid + self.start.to_bytes(2, "big")

    @classmethod
    def of_ext(cls, data: bytes) -> Content:
        """Return what `ext` stood for.

        Raises:
            ValueError: the bytes are something else.
        """
        start = int.from_bytes(data[20:], "big")
        if len(data) != EXT_BYTES or start not in (HEADER_BYTES, PAGE_BYTES):
            raise ValueError("not the content of a file")
        return cls(bytes(data[:20]), start)

    def __repr__(self) -> str:
        return f"<content {self.oid.hex()[:8]}>"
