"""How objects become packs in a remote: which pack an object goes into, how a pack is sent, how an entry names what was sent.

`Packer` does all of it for a gc and a repair; a push, which can be resumed and writes entries on its way, uses the parts.
"""

from __future__ import annotations

import uuid
from concurrent.futures import FIRST_COMPLETED, Future, wait
from typing import BinaryIO

from redun.store.objects import Flag, Kind
from redun.store.remote.backends.base import patiently
from redun.store.remote.index import Index, Place, encode_index, index_name
from redun.store.remote.log import Entry, IndexFact, PackFact
from redun.store.remote.pack import PACK_BYTES, Pack, PackKind, PackWriter
from redun.store.remote.remote import Remote
from redun.store.remote.spool import spool
from redun.store.rows import BLOB_ABOVE

INLINE_INDEX_BYTES = 128 << 10
"""An index up to this stands in the entry itself: one request less."""


def kind_for(data: bytes | memoryview) -> PackKind:
    """Return the kind of pack that an object belongs to."""
    if data[0] != Kind.VALUE or data[3] & Flag.LINKS:
        return PackKind.GRAPH
    return PackKind.VALUES if len(data) <= BLOB_ABOVE else PackKind.LARGE


class OpenPack:
    """A pack that is being filled."""

    def __init__(self, kind: PackKind) -> None:
        self.kind = kind
        self.file = spool()
        self.writer = PackWriter(self.file)
        self._rows: list[tuple[bytes, int, int, int]] = []

    def add(self, oid: bytes, data: bytes | memoryview) -> None:
        """Add an object."""
        self._rows.append((oid, self.writer.add(data), len(data), data[0]))

    def finish(self, nonce: str) -> tuple[Pack, Index]:
        """Close the pack; return it and where its objects are. The file stays open."""
        pack = self.writer.finish(self.kind, nonce)
        return pack, Index({pack.name: pack}, {oid: Place(pack.name, *row) for oid, *row in self._rows})


def send(remote: Remote, pack: Pack, file: BinaryIO) -> int:
    """Send a pack; return when that began by the remote's clock, 0 if it does not tell."""
    backend = remote.backend
    before = backend.now_us()

    def once() -> None:
        file.seek(0)
        backend.put(pack.file, file, pack.size, remote.meter)

    patiently(once)
    # A file that took hours may be as old as its beginning says.
    return before or backend.now_us() or 0


def name_in(remote: Remote, entry: Entry, index: Index) -> list[bytes]:
    """Have an entry name packs and where objects are; indexes that do not fit into it are sent.

    Returns:
        bytes of the indexes.
    """
    alive = remote.mirror.is_alive
    entry.packs = [PackFact(pack.name, pack.size, pack.kind) for pack in index.packs.values() if not alive(pack.name)]
    parts = [encode_index(part) for part in index.split()] if len(index) else []
    entry.inline, entry.indexes = b"", []
    if len(parts) == 1 and len(parts[0]) <= INLINE_INDEX_BYTES:
        entry.inline = parts[0]
    else:
        entry.indexes = [IndexFact(index_name(part), len(part)) for part in parts]
        remote.each(lambda part: patiently(lambda: remote.backend.put_new(index_name(part), part)), parts)
    return parts


class Packer:
    """Writes objects to new packs of a remote. Close it.

    Attributes:
        index: packs that arrived, and where objects are in them.
        since_us: when the first of them was sent, by the remote's clock; None if none was.
        sent_bytes: of all of them.
    """

    def __init__(self, remote: Remote) -> None:
        self._remote = remote
        self._nonce = uuid.uuid4().hex[:16]
        self._open: dict[PackKind, OpenPack] = {}
        self._sending: dict[Future[int], tuple[Pack, Index, BinaryIO]] = {}
        self.index = Index()
        self.since_us: int | None = None
        self.sent_bytes = 0

    def add(self, oid: bytes, data: bytes | memoryview) -> None:
        """Add an object."""
        kind = kind_for(data)
        made = self._open.get(kind)
        if made is None:
            made = self._open[kind] = OpenPack(kind)
        made.add(oid, data)
        if made.writer.written >= PACK_BYTES:
            self._seal(kind)

    def _seal(self, kind: PackKind) -> None:
        made = self._open.pop(kind)
        pack, index = made.finish(self._nonce)
        while len(self._sending) >= self._remote.jobs:
            self._collect()
        self._sending[self._remote.pool.submit(send, self._remote, pack, made.file)] = (pack, index, made.file)

    def _collect(self) -> None:
        finished, _ = wait(self._sending, return_when=FIRST_COMPLETED)
        for future in finished:
            pack, index, file = self._sending.pop(future)
            file.close()
            began = future.result()
            if began:
                self.since_us = began if self.since_us is None else min(self.since_us, began)
            self.index.update(index)
            self.sent_bytes += pack.size

    def finish(self) -> Index:
        """Send what is left; return the index of all."""
        for kind in list(self._open):
            self._seal(kind)
        while self._sending:
            self._collect()
        return self.index

    def close(self) -> None:
        """Let go of files; what is being sent is waited for."""
        wait(self._sending)
        for _, _, file in self._sending.values():
            file.close()
        for made in self._open.values():
            made.file.close()


__all__ = ["OpenPack", "Packer", "kind_for", "name_in", "send"]
