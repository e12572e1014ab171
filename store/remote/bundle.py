"""Bundles: what some refs lead to, in one file, to be carried by any means and checked on the way in.

    "redunbd1" | manifest: frames of a msgpack map | pack (`redun.store.remote.pack`) | SHA-256 of all before it (32)

    f  format          y  id of the store (16)          u  who in words          t  UTC microseconds
    n  number of objects          R  [[name, id]] of the refs          m, c  eval hashes and their calls, joined
    a, b  ids and sizes (8 each) of objects that the writer does not have itself

Objects stand in the order in which they can be stored, so neither side holds more of it in memory than a group of them.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any, BinaryIO

import msgpack

from redun.store.bulk import BulkWriter, stage
from redun.store.errors import FormatTooNew, MissingLinks, ObjectNotFound, RemoteDamaged, StoreError
from redun.store.ids import ID_BYTES, object_id
from redun.store.journal import decode_results
from redun.store.objects import Kind
from redun.store.objects import links as links_of
from redun.store.reach import in_order
from redun.store.remote.frames import read_exactly, read_frames, write_frames
from redun.store.remote.log import Writer
from redun.store.remote.names import check_head, check_shared_ref
from redun.store.remote.pack import LargeObject, PackKind, PackWriter, read_objects
from redun.store.sources.base import Source

MAGIC = b"redunbd1"
BUNDLE_FORMAT = 1
MANIFEST_LIMIT = 1 << 30
OBJECT_LIMIT = 1 << 44
"""Bytes that an object of a bundle may have."""
_DIGEST_BYTES = 32


@dataclass
class Bundle:
    """What a bundle says of itself, and what became of it.

    Attributes:
        refs: name -> id.
        memo: eval hash -> id of the call.
        store: id of the store that wrote it, 16 bytes. by: who, in words.
        objects: how many it has. new: how many of them were not here. size: bytes of the new ones.
        ids: of the new ones.
        away: id -> size of objects that it does not have, as they were not there where it was written.
    """

    refs: dict[str, bytes] = field(default_factory=dict)
    memo: dict[bytes, bytes] = field(default_factory=dict)
    store: bytes = bytes(16)
    by: str = ""
    time_us: int = 0
    objects: int = 0
    new: int = 0
    size: int = 0
    ids: set[bytes] = field(default_factory=set)
    away: dict[bytes, int] = field(default_factory=dict)


class _Hashing:
    """A stream that computes the digest of what goes through it."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self.digest = sha256()

    def write(self, data: bytes) -> int:
        self.digest.update(data)
        self._stream.write(data)
        return len(data)

    def read(self, size: int = -1) -> bytes:
        data = self._stream.read(size)
        self.digest.update(data)
        return data


def write_bundle(
    source: Source,
    heads: Mapping[str, bytes],
    stream: BinaryIO,
    writer: Writer,
    memo: Callable[[], Iterable[tuple[bytes, bytes]]] = tuple,
    progress: Callable[[int, int], None] = lambda objects, size: None,
) -> Bundle:
    """Write what some refs lead to.

    Args:
        stream: written from where it stands; need not be able to go back.
        memo: returns what is known of eval hashes beyond the journals in the bundle.

    Raises:
        StoreError: an object is gone or damaged.
        OSError: the stream cannot be written.
    """
    made = Bundle(dict(heads), store=writer.store, by=writer.by, time_us=time.time_ns() // 1000)
    order = []
    for oid in in_order(source, heads.values()):
        if source.links(oid) is None and (size := source.away(oid)) is not None:
            made.away[oid] = size
            continue
        order.append(oid)
        data = _get(source, oid)
        if data[0] == Kind.SEGMENT:
            made.memo.update(decode_results(bytes(data)).memo)
    made.objects = len(order)
    for key, call in memo():
        made.memo.setdefault(key, call)
    pairs = sorted(made.memo.items())
    away = sorted(made.away.items())
    manifest = msgpack.packb(
        {
            "f": BUNDLE_FORMAT,
            "y": made.store,
            "u": made.by,
            "t": made.time_us,
            "n": made.objects,
            "R": [[name, oid] for name, oid in sorted(made.refs.items())],
            "m": b"".join([key for key, _ in pairs]),
            "c": b"".join([call for _, call in pairs]),
            "a": b"".join([oid for oid, _ in away]),
            "b": b"".join([size.to_bytes(8, "big") for _, size in away]),
        }
    )
    out: Any = _Hashing(stream)
    out.write(MAGIC)
    out.write(write_frames(manifest))
    pack = PackWriter(out)
    for oid in order:
        data = _get(source, oid)
        pack.add(data)
        made.size += len(data)
        progress(1, len(data))
    pack.finish(PackKind.MIXED, "")
    stream.write(out.digest.digest())
    return made


def _get(source: Source, oid: bytes) -> bytes | memoryview:
    try:
        return source.view(oid)
    except ObjectNotFound as error:
        raise StoreError(
            f"object {oid.hex()}, which is to be exported, is not in this store: 'redun fsck' says what is touched"
        ) from error


def read_bundle(
    source: Source,
    stream: BinaryIO,
    where: str,
    progress: Callable[[int, int], None] = lambda objects, size: None,
) -> Bundle:
    """Store the objects of a bundle. Refs are for the caller to set: nothing names what came until then.

    Args:
        stream: read from its start to its end; need not be able to go back.
        where: names it, for messages.

    Raises:
        RemoteDamaged: it is damaged, cut short, or no bundle.
        FormatTooNew: a newer redun wrote it.
        StoreError: the store cannot be written.
    """
    hashing: Any = _Hashing(stream)
    if read_exactly(hashing, len(MAGIC), where) != MAGIC:
        raise RemoteDamaged(f"{where}: expected a bundle of redun, found something else")
    made = _manifest(b"".join(read_frames(hashing, where, MANIFEST_LIMIT)), where)
    writer = BulkWriter(source, progress)
    count = 0
    try:
        for one in read_objects(hashing, where, OBJECT_LIMIT):
            count += 1
            if count > made.objects:
                raise RemoteDamaged(f"{where}: it holds more than the {made.objects:,} objects that it says: it was changed")
            if isinstance(one, LargeObject):
                oid, data, links = stage(source, one.pieces, where)
            else:
                oid, data, links = object_id(one), one, links_of(one)
            if source.contains(oid):
                continue
            made.new += 1
            made.size += len(data)
            made.ids.add(oid)
            writer.add(oid, data, links, {link: made.away[link] for link in links if link in made.away} if made.away else {})
        writer.write()
    except MissingLinks as error:
        raise RemoteDamaged(
            f"{where}: it lacks object {min(error.missing).hex()}, which others in it link: it was changed, export it again"
        ) from error
    if count != made.objects:
        raise RemoteDamaged(f"{where}: expected {made.objects:,} objects, found {count:,}: it is not complete, export it again")
    found = hashing.digest.digest()
    if read_exactly(stream, _DIGEST_BYTES, where) != found:
        raise RemoteDamaged(f"{where}: it does not match its digest: it was damaged on its way, get it again")
    if stream.read(1):
        raise RemoteDamaged(f"{where}: expected nothing after its end, found more")
    source.refresh()
    for name, oid in made.refs.items():
        if not source.contains(oid):
            raise RemoteDamaged(f"{where}: it lacks object {oid.hex()}, which {name!r} names: it was changed, export it again")
        check_head(name, source.get(oid), where)
    return made


def _manifest(data: bytes, where: str) -> Bundle:
    try:
        body = msgpack.unpackb(data, max_bin_len=MANIFEST_LIMIT)
        if body["f"] != BUNDLE_FORMAT:
            if type(body["f"]) is int and body["f"] > BUNDLE_FORMAT:
                raise FormatTooNew(
                    f"{where} has format {body['f']}, this redun reads up to {BUNDLE_FORMAT}: upgrade redun to read it"
                )
            raise ValueError(f"its format is {body['f']!r}")
        refs = {check_shared_ref(name): _id(oid) for name, oid in body["R"]}
        if type(body["n"]) is not int or type(body["t"]) is not int or len(body["y"]) != 16:
            raise ValueError("its numbers are none")
        memo = dict(zip(_ids(body["m"]), _ids(body["c"]), strict=True))
        sizes = _sizes(body["b"])
        away = dict(zip(_ids(body["a"]), sizes, strict=True))
        return Bundle(refs, memo, body["y"], str(body["u"])[:200], body["t"], body["n"], away=away)
    except (KeyError, TypeError, ValueError, msgpack.UnpackException) as error:
        raise RemoteDamaged(f"{where}: its manifest cannot be read: {error}") from error


def _id(found: Any) -> bytes:
    if type(found) is not bytes or len(found) != ID_BYTES:
        raise ValueError(f"expected an id, found {str(found)[:40]!r}")
    return found


def _sizes(found: Any) -> list[int]:
    if type(found) is not bytes or len(found) % 8:
        raise ValueError("a column of sizes has the wrong length")
    return [int.from_bytes(found[at : at + 8], "big") for at in range(0, len(found), 8)]


def _ids(found: Any) -> list[bytes]:
    if type(found) is not bytes or len(found) % ID_BYTES:
        raise ValueError("a column of ids has the wrong length")
    return [found[at : at + ID_BYTES] for at in range(0, len(found), ID_BYTES)]
