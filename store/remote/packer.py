"""How objects become packs in a remote: which pack an object goes into, how a pack is sent, how an entry names what was sent.

`PackStream` sends packs and tells of each that has arrived. A push, which can be resumed and writes entries on its way, hears of them itself;
for a gc and a repair `Packer` collects them.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable
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

Arrived = Callable[[Pack, Index, int], None]
INLINE_INDEX_BYTES = 128 << 10
"""An index up to this stands in the entry itself: one request less."""


def kind_for(data: bytes | memoryview) -> PackKind:
    """Return the kind of pack that an object belongs to."""
    if data[0] != Kind.VALUE or data[3] & Flag.LINKS:
        return PackKind.GRAPH
    return PackKind.VALUES if len(data) <= BLOB_ABOVE else PackKind.LARGE


class _OpenPack:
    """A pack that is being filled."""

    def __init__(self, kind: PackKind) -> None:
        self.kind = kind
        self.file = spool()
        self.writer = PackWriter(self.file)
        self._rows: list[tuple[bytes, int, int, int]] = []

    def add(self, oid: bytes, data: bytes | memoryview) -> None:
        self._rows.append((oid, self.writer.add(data), len(data), data[0]))

    def finish(self, nonce: str) -> tuple[Pack, Index]:
        """Close the pack; return it and where its objects are. The file stays open."""
        pack = self.writer.finish(self.kind, nonce)
        return pack, Index({pack.name: pack}, {oid: Place(pack.name, *row) for oid, *row in self._rows})


def _send(remote: Remote, pack: Pack, file: BinaryIO) -> int:
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


class PackStream:
    """Objects become packs, each of which is sent while the next ones are filled. Close it.

    Args:
        arrived: is told of each pack that is in the remote, in the thread of whoever calls: the pack, where its objects are, and when
            its sending began by the remote's clock (0 if that does not tell). It may see how many others are still `sending`.
        pack_bytes: a pack is closed when its file has grown to about this.
        small_bytes: as long as there are no more bytes than that, they wait for `flush`, which makes one pack of all.

    Attributes:
        count: objects in packs that have not arrived.
        sealed_bytes: of the files of all packs that were closed.
    """

    def __init__(self, remote: Remote, arrived: Arrived, pack_bytes: int, small_bytes: int = 0) -> None:
        self._remote = remote
        self._arrived = arrived
        self._pack_bytes = pack_bytes
        self._nonce = uuid.uuid4().hex[:16]
        # None: there was more than that.
        self._small: list[tuple[bytes, bytes | memoryview]] | None = []
        self._small_left = small_bytes
        self._open: dict[PackKind, _OpenPack] = {}
        self._sending: dict[Future[int], tuple[Pack, Index, BinaryIO]] = {}
        self.count = 0
        self.sealed_bytes = 0

    @property
    def sending(self) -> int:
        """How many packs are on their way."""
        return len(self._sending)

    def add(self, oid: bytes, data: bytes | memoryview) -> None:
        """Add an object.

        Raises:
            RemoteError: a pack could not be sent.
        """
        self.count += 1
        small = self._small
        if small is None:
            self._pack(kind_for(data), oid, data)
            return
        small.append((oid, data))
        self._small_left -= len(data)
        if self._small_left < 0:
            self._small = None
            for one, its_data in small:
                self._pack(kind_for(its_data), one, its_data)

    def _pack(self, kind: PackKind, oid: bytes, data: bytes | memoryview) -> None:
        made = self._open.get(kind)
        if made is None:
            made = self._open[kind] = _OpenPack(kind)
        made.add(oid, data)
        if made.writer.written >= self._pack_bytes:
            self._seal(kind)

    def _seal(self, kind: PackKind) -> None:
        made = self._open.pop(kind)
        pack, index = made.finish(self._nonce)
        self.sealed_bytes += pack.size
        while len(self._sending) >= self._remote.jobs:
            self._collect()
        self._sending[self._remote.pool.submit(_send, self._remote, pack, made.file)] = (pack, index, made.file)

    def _collect(self) -> None:
        """Wait for a pack that is being sent, and tell of it."""
        finished, _ = wait(self._sending, return_when=FIRST_COMPLETED)
        for future in finished:
            pack, index, file = self._sending.pop(future)
            file.close()
            began_us = future.result()
            self.count -= len(index.places)
            self._arrived(pack, index, began_us)

    def flush(self) -> None:
        """Send all that was added; returns when it has arrived.

        Raises:
            RemoteError: a pack could not be sent.
        """
        if self._small:
            small, self._small = self._small, []
            for oid, data in small:
                self._pack(PackKind.MIXED, oid, data)
        for kind in list(self._open):
            self._seal(kind)
        while self._sending:
            self._collect()

    def close(self) -> None:
        """Wait for what is being sent, and tell of what arrives; nothing else is sent."""
        while self._sending:
            try:
                self._collect()
            except Exception:
                continue
        for made in self._open.values():
            made.file.close()


class Packer:
    """Writes objects to new packs of a remote. Close it.

    Attributes:
        index: packs that arrived, and where objects are in them.
        since_us: when the first of them was sent, by the remote's clock; None if none was, or it does not tell.
        sent_bytes: of all of them.
    """

    def __init__(self, remote: Remote) -> None:
        self._stream = PackStream(remote, self._arrived, PACK_BYTES)
        self.add = self._stream.add
        self.close = self._stream.close
        self.index = Index()
        self.since_us: int | None = None
        self.sent_bytes = 0

    def _arrived(self, pack: Pack, index: Index, began_us: int) -> None:
        self.since_us = earlier(self.since_us, began_us)
        self.index.update(index)
        self.sent_bytes += pack.size

    def finish(self) -> Index:
        """Send what is left; return the index of all."""
        self._stream.flush()
        return self.index


def earlier(since_us: int | None, began_us: int) -> int | None:
    """Return when the first of some packs was sent, with one more that began then (0: nobody tells)."""
    if not began_us:
        return since_us
    return began_us if since_us is None else min(since_us, began_us)


__all__ = ["PackStream", "Packer", "earlier", "kind_for", "name_in"]
