"""Long runs of bytes inside a value, kept beside its body, so that they are hashed in place and mapped instead of read."""

from __future__ import annotations

INLINE_BUFFER_MAX = 16_384
"""Bytes of the longest buffer that stays inside the body; longer ones are objects of their own."""

BUFFER_PADDING = bytes(60)
"""What stands before the content of a buffer that is an object: with the header 64 bytes, so that numbers lie at even addresses."""


class Buffer:
    """Bytes of a foreign value.

    Args:
        data: written: anything with a contiguous buffer of bytes. Read: a view that belongs to the reader alone and is writable.
    """

    __slots__ = ("data", "oid")

    def __init__(self, data: bytes | bytearray | memoryview) -> None:
        self.data = data
        self.oid: bytes | None = None  # of the object that holds it, once that has been put

    def __len__(self) -> int:
        data = self.data
        return data.nbytes if isinstance(data, memoryview) else len(data)
