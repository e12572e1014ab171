"""Rows of a store's database: every one begins with a checksum, so decay is noticed before anybody believes the bytes.

    object row    xxh3 of the object (8) | 'o' | object bytes
                  xxh3, seeded, of the pointer (8) | 'b' | size (8, big-endian) | xxh3 of the file's bytes (8)
    other rows    xxh3 of key and content (8) | content

The key counts, since a row that turned up under another one would be believed (an object is named by its bytes anyway). Format 1 left
it out.

The two kinds of object row are told apart by their marker *and* by the seed of their checksum, so no change of a marker can
make a pointer pass for the object itself. An object of up to `BLOB_ABOVE` bytes stands in its row, a larger one in a file
(`redun.store.blobs`). Bytes are described in docs/format.md and held fast by golden tests.
"""

from __future__ import annotations

from typing import NamedTuple

import msgpack
from xxhash import xxh3_64_digest

from redun.store.errors import DamagedObject
from redun.store.ids import ID_BYTES
from redun.store.sources.base import ReflogEntry

BLOB_ABOVE = 64 * 1024
"""Objects beyond this many bytes are files."""

CHECKSUM_BYTES = 8
OBJECT_START = CHECKSUM_BYTES + 1
HERE, IN_FILE = b"o", b"b"
HERE_BYTE = HERE[0]
_POINTER_SEED = 1
_POINTER_BYTES = 16


class BlobPointer(NamedTuple):
    """What a row says of an object that is a file: its size in bytes and the checksum of its bytes."""

    size: int
    checksum: bytes


class Staged:
    """Stands in a batch for the bytes of an object that is a file already (`Source.stage`): the commit writes just its row.

    Args:
        pointer: what the row says.
    """

    __slots__ = ("pointer",)

    def __init__(self, pointer: BlobPointer) -> None:
        self.pointer = pointer

    def __len__(self) -> int:
        return self.pointer.size


def object_row(data: bytes) -> bytes:
    """Return the row of an object that stands in its row."""
    return xxh3_64_digest(data) + b"o" + data


def blob_row(pointer: BlobPointer) -> bytes:
    """Return the row of an object that is a file."""
    content = pointer.size.to_bytes(8, "big") + pointer.checksum
    return xxh3_64_digest(content, _POINTER_SEED) + IN_FILE + content


def blob_pointer(row: bytes) -> BlobPointer | None:
    """Return where the row of an object points; None if the row is damaged or holds the object itself."""
    content = row[OBJECT_START:]
    if row[CHECKSUM_BYTES:OBJECT_START] != IN_FILE or len(content) != _POINTER_BYTES:
        return None
    if xxh3_64_digest(content, _POINTER_SEED) != row[:CHECKSUM_BYTES]:
        return None
    return BlobPointer(int.from_bytes(content[:8], "big"), content[8:])


def guarded(content: bytes, key: bytes = b"") -> bytes:
    """Return the row of anything but an object; without `key`, as format 1 had it."""
    return xxh3_64_digest(key + content) + content


def unguarded(row: bytes, key: bytes = b"") -> bytes | None:
    """Return a row's content, None if it is damaged; without `key`, as format 1 had it."""
    content = row[CHECKSUM_BYTES:]
    return content if xxh3_64_digest(key + content) == row[:CHECKSUM_BYTES] else None


def sequence_key(seq: int) -> bytes:
    """Return the key of a movement in the reflog."""
    return seq.to_bytes(8, "big")


def reflog_row(entry: ReflogEntry) -> bytes:
    """Return the row of a reflog entry; its `seq` is the key."""
    packed: bytes = msgpack.packb(list(entry[1:]), unicode_errors="surrogatepass")
    return guarded(packed, sequence_key(entry.seq))


def reflog_entry(key: bytes, row: bytes, *, keyed: bool = True) -> ReflogEntry:
    """Read a reflog entry.

    Args:
        keyed: False in a store of format 1, whose checksums leave the key out.

    Raises:
        DamagedObject: the row is not what was written.
    """
    seq = int.from_bytes(key, "big")
    content = unguarded(row, key if keyed else b"")
    try:
        if content is None:
            raise ValueError("checksum does not match")
        name, old, new, time_us, message = msgpack.unpackb(content, unicode_errors="surrogatepass")
        return ReflogEntry(seq, name, old, new, time_us, message)
    except (ValueError, TypeError, msgpack.UnpackException) as error:
        raise DamagedObject(f"entry {seq} of the reflog is damaged ({error}): 'redun fsck --repair' mends it") from error


def ref_row(name: str, oid: bytes) -> bytes:
    """Return the row of a ref."""
    return guarded(oid, name.encode())


def ref_target(name: str, row: bytes, *, keyed: bool = True) -> bytes:
    """Return the id in a ref's row.

    Args:
        keyed: False in a store of format 1, whose checksums leave the key out.

    Raises:
        DamagedObject: the row is not what was written.
    """
    oid = unguarded(row, name.encode(errors="surrogatepass") if keyed else b"")
    if oid is None or len(oid) != ID_BYTES:
        raise DamagedObject(f"ref {name!r} is damaged: 'redun fsck --repair' mends it")
    return oid
