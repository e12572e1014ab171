"""Packs: many objects in one file, after their ids' order of closure (what an object links stands before it).

    "redunpk1" | frames (`redun.store.remote.frames`) of: size of the object (8, big-endian) | object bytes | ...

An object lies at an offset of the raw stream; the sizes of the frames say which part of the file that is, so one object is fetched
with one range of the file. Ids do not stand in a pack: they are computed from what is there, or stated by an index and then checked.
A small object is never cut in two; a large one spans frames.
"""

from __future__ import annotations

import struct
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import IntEnum
from hashlib import sha256
from itertools import accumulate
from typing import BinaryIO, NamedTuple

from redun.store.errors import RemoteDamaged
from redun.store.ids import ID_BYTES, object_id
from redun.store.remote.frames import END, FRAME_BYTES, HEAD, check_head, compress, expand, read_exactly, read_frames

MAGIC = b"redunpk1"
SIZE = struct.Struct(">Q")
LARGE_FRAME_BYTES = 1 << 20
"""Raw bytes in each frame of an object that is too large for a frame with others."""
LARGE_OBJECT_BYTES = 4 << 20
"""An object of more bytes is not held in memory while it is stored."""
PACK_BYTES = 16 << 20
"""A pack is closed when its file has grown to about this."""


class PackKind(IntEnum):
    """What a pack holds, so that the call graph can be read without touching values, and small values without large ones."""

    GRAPH = 0
    """All that links something, and all that is no value."""
    VALUES = 1
    LARGE = 2
    """Values that are files in a store."""
    MIXED = 3
    """A small push, in one file."""


@dataclass(slots=True)
class Pack:
    """What is known of a pack without looking inside.

    Attributes:
        name: digits of the SHA-256 of the file, a dash, and a nonce of whoever wrote it; without its folder.
        size: bytes of the file.
        packed, raw: sizes of its frames in the file (their heads left out) and expanded.
    """

    name: str
    size: int
    kind: PackKind
    packed: list[int] = field(default_factory=list)
    raw: list[int] = field(default_factory=list)
    _ends: tuple[list[int], list[int]] | None = None

    @property
    def file(self) -> str:
        """Its name in the remote."""
        return f"packs/{self.name}"

    @property
    def raw_bytes(self) -> int:
        """Bytes of all objects and their sizes."""
        return self.ends[1][-1] if self.raw else 0

    @property
    def ends(self) -> tuple[list[int], list[int]]:
        """Where each frame ends, in the file and in the raw stream."""
        if self._ends is None:
            files = list(accumulate([size + HEAD.size for size in self.packed], initial=len(MAGIC)))[1:]
            self._ends = files, list(accumulate(self.raw))
        return self._ends

    def frames(self, offset: int, size: int) -> range:
        """Return the places of the frames that hold a part of the raw stream."""
        ends = self.ends[1]
        first = bisect_right(ends, offset)
        return range(first, bisect_right(ends, max(offset, offset + size - 1)) + 1)

    def span(self, frames: range) -> tuple[int, int]:
        """Return where some frames begin in the file, and how many bytes they take with their heads."""
        ends = self.ends[0]
        start = ends[frames[0] - 1] if frames[0] else len(MAGIC)
        return start, ends[frames[-1]] - start

    def check(self, where: str) -> None:
        """Refuse sizes that do not fit together.

        Raises:
            RemoteDamaged: says so.
        """
        if len(self.packed) != len(self.raw):
            raise RemoteDamaged(f"{where}: the sizes of the frames of pack {self.name} do not fit together")
        for packed, raw in zip(self.packed, self.raw, strict=True):
            check_head(packed, raw, f"{where}: pack {self.name}")
        expected = len(MAGIC) + sum(self.packed) + HEAD.size * (len(self.packed) + 1)
        if self.size != expected:
            raise RemoteDamaged(f"{where}: pack {self.name} is said to have {self.size:,} bytes, its frames have {expected:,}")


class PackWriter:
    """Writes a pack to a file that is open for it.

    Args:
        file: written from where it stands.
    """

    def __init__(self, file: BinaryIO) -> None:
        self.file = file
        self.count = 0
        self.size = len(MAGIC)
        self._digest = sha256(MAGIC)
        self._parts: list[bytes | memoryview] = []
        self._waiting = 0
        self._offset = 0
        self._packed: list[int] = []
        self._raw: list[int] = []
        file.write(MAGIC)

    def add(self, data: bytes | memoryview) -> int:
        """Add an object; return the offset of its bytes in the raw stream."""
        size = len(data)
        if self._waiting and self._waiting + SIZE.size + size > FRAME_BYTES:
            self._flush()
        offset = self._offset + SIZE.size
        self._offset = offset + size
        self.count += 1
        head = SIZE.pack(size)
        if SIZE.size + size <= FRAME_BYTES:
            self._parts += (head, data)
            self._waiting += SIZE.size + size
        else:
            view = memoryview(data)
            cut = LARGE_FRAME_BYTES - SIZE.size
            self._frame(head + bytes(view[:cut]))
            for start in range(cut, size, LARGE_FRAME_BYTES):
                self._frame(view[start : start + LARGE_FRAME_BYTES])
        return offset

    @property
    def written(self) -> int:
        """About how many bytes the file will have if nothing is added."""
        return self.size + self._waiting

    def _flush(self) -> None:
        if self._parts:
            self._frame(b"".join(self._parts))
            self._parts = []
            self._waiting = 0

    def _frame(self, raw: bytes | memoryview) -> None:
        frame = compress(raw)
        self._packed.append(len(frame) - HEAD.size)
        self._raw.append(len(raw))
        self._write(frame)

    def _write(self, data: bytes) -> None:
        self._digest.update(data)
        self.file.write(data)
        self.size += len(data)

    def finish(self, kind: PackKind, nonce: str) -> Pack:
        """Close the pack; the file itself stays open."""
        self._flush()
        self._write(END)
        return Pack(f"{self._digest.hexdigest()}-{nonce}", self.size, kind, self._packed, self._raw)


def check_pack(file: BinaryIO, pack: Pack, where: str) -> None:
    """Check the file of a pack against the digest in its name; nothing of it is expanded before.

    Raises:
        RemoteDamaged: it is another file.
    """
    digest = sha256()
    file.seek(0)
    while chunk := file.read(1 << 20):
        digest.update(chunk)
    check_digest(digest.hexdigest(), pack.name, where)


def check_digest(found: str, pack: str, where: str) -> None:
    """Check the digest of a pack's file against the one in the pack's name.

    Raises:
        RemoteDamaged: it is another file.
    """
    if found != pack.partition("-")[0]:
        raise RemoteDamaged(
            f"{where}: pack {pack} is damaged: its bytes have the digest {found[:16]}...: it was changed after it was pushed"
        )


class PackReader:
    """Objects of a pack whose file, or a part of it, is here. Keeps the frames that were used last.

    Args:
        file: holds bytes of the pack's file from `start` on.
        where: names the remote, for messages.
    """

    def __init__(self, pack: Pack, file: BinaryIO, where: str, start: int = 0, keep: int = 4) -> None:
        self.pack = pack
        self._file = file
        self._start = start
        self._where = f"{where}: pack {pack.name}"
        self._keep = keep
        self._frames: dict[int, bytes] = {}
        # The frame of the last small object, and where it stands in the raw stream: the next one is mostly there, too.
        self._last = b""
        self._last_start = self._last_end = 0

    def read(self, offset: int, size: int, oid: bytes) -> bytes:
        """Return the object at a place of the raw stream, checked against its id.

        Raises:
            RemoteDamaged: it is another object.
        """
        if self._last_start <= offset and offset + size <= self._last_end:
            at = offset - self._last_start
            data = self._last[at : at + size]
        else:
            data = self._read(offset, size)
        if sha256(data).digest()[:ID_BYTES] != oid:
            raise RemoteDamaged(
                f"{self._where}: what stands there as object {oid.hex()} has the id {object_id(data).hex()}: nothing of it was used"
            )
        return data

    def _read(self, offset: int, size: int) -> bytes:
        pack = self.pack
        frames = pack.frames(offset, size)
        start = pack.ends[1][frames[0] - 1] if frames[0] else 0
        at = offset - start
        if len(frames) > 1:
            return b"".join([self._frame(place) for place in frames])[at : at + size]
        self._last = self._frame(frames[0])
        self._last_start, self._last_end = start, start + len(self._last)
        return self._last[at : at + size]

    def pieces(self, offset: int, size: int) -> Iterator[bytes]:
        """Yield the bytes at a place of the raw stream, frame by frame; what they are is for the caller to check."""
        ends = self.pack.ends[1]
        for place in self.pack.frames(offset, size):
            base = ends[place - 1] if place else 0
            yield self._frame(place)[max(offset - base, 0) : offset + size - base]

    def _frame(self, place: int) -> bytes:
        found = self._frames.get(place)
        if found is None:
            start, size = self.pack.span(range(place, place + 1))
            self._file.seek(start - self._start)
            data = read_exactly(self._file, size, self._where)
            packed, raw = HEAD.unpack_from(data)
            if packed != self.pack.packed[place] or raw != self.pack.raw[place]:
                raise RemoteDamaged(f"{self._where}: a frame does not have the size that its index states")
            found = expand(memoryview(data)[HEAD.size :], raw, self._where)
            while len(self._frames) >= self._keep:
                del self._frames[next(iter(self._frames))]
            self._frames[place] = found
        return found


class LargeObject(NamedTuple):
    """An object that is not held in memory: its size in bytes, and its bytes in pieces, to be taken once and to their end."""

    size: int
    pieces: Iterator[bytes]


class _Raw:
    """A raw stream, made of the frames as they come."""

    def __init__(self, frames: Iterator[bytes], where: str) -> None:
        self._frames = frames
        self._where = where
        self._left = memoryview(b"")

    def at_end(self) -> bool:
        while not self._left:
            frame = next(self._frames, None)
            if frame is None:
                return True
            self._left = memoryview(frame)
        return False

    def pieces(self, size: int) -> Iterator[bytes]:
        while size:
            if self.at_end():
                raise RemoteDamaged(f"{self._where}: it ends inside an object, it was cut short: get it again")
            piece = self._left[:size]
            self._left = self._left[len(piece) :]
            size -= len(piece)
            yield bytes(piece)

    def read(self, size: int) -> bytes:
        return b"".join(self.pieces(size))


def read_objects(source: BinaryIO, where: str, limit: int, large: int = LARGE_OBJECT_BYTES) -> Iterator[bytes | LargeObject]:
    """Yield each object of a pack, from its start to its end: for bundles, and to make an index again.

    Args:
        source: a stream; need not be able to go back.
        limit: bytes that one object may have.
        large: an object of more bytes comes in pieces.

    Raises:
        RemoteDamaged: damaged, cut short, or larger than allowed.
    """
    if read_exactly(source, len(MAGIC), where) != MAGIC:
        raise RemoteDamaged(f"{where}: expected a pack of objects, found something else")
    raw = _Raw(read_frames(source, where, 1 << 62), where)
    while not raw.at_end():
        size = SIZE.unpack(raw.read(SIZE.size))[0]
        if size > limit:
            raise RemoteDamaged(f"{where}: an object says that it has {size:,} bytes, at most {limit:,} are allowed")
        if size <= large:
            yield raw.read(size)
        else:
            pieces = raw.pieces(size)
            yield LargeObject(size, pieces)
            for _ in pieces:
                pass


__all__ = [
    "LARGE_OBJECT_BYTES",
    "MAGIC",
    "PACK_BYTES",
    "LargeObject",
    "Pack",
    "PackKind",
    "PackReader",
    "PackWriter",
    "check_digest",
    "check_pack",
    "read_objects",
]
