"""Names of objects: the first 20 bytes of a SHA-256.

Why not xxh3 for ids: full 128-bit xxh3 collisions can be constructed without search, so a downloaded value could pose as
another. Here xxh3 only guards bytes against decay (`checksum`), which nobody attacks.

A **ref to a value** travels through the engine as one bytes object that says by itself what it is. Objects of at most
`INLINE_MAX` bytes are never stored on their own: whoever refers to them carries their bytes. So:

    ref = b"\\x00" + 20-byte id      the object is in the store under that id
    ref = object bytes (<= 32)       the object itself; its first byte is its kind, never 0

Both forms name the same id (`ref_id`), and which form a value takes depends on its size only.

A large object that is a header before bytes that somebody has already may travel as `Pieces`, so that a gigabyte need not be
copied to get four bytes in front of it.
"""

from __future__ import annotations

from hashlib import sha256

from xxhash import xxh3_64, xxh3_64_digest

ID_BYTES = 20
INLINE_MAX = 32
LINK_MARK = 0


class Pieces:
    """The bytes of an object in two pieces: its header, and a body that is not copied.

    `bytes(pieces)` are those of the object, `pieces[3]` is a byte of its header.
    """

    __slots__ = ("body", "head")

    def __init__(self, head: bytes, body: bytes) -> None:
        self.head = head
        self.body = body

    def __len__(self) -> int:
        return len(self.head) + len(self.body)

    def __getitem__(self, place: int) -> int:
        return self.head[place]

    def __bytes__(self) -> bytes:
        return self.head + self.body


def object_id(data: bytes | memoryview | Pieces) -> bytes:
    """Return the 20-byte id of an object's bytes (header included)."""
    if type(data) is Pieces:
        digest = sha256(data.head)
        digest.update(data.body)
        return digest.digest()[:ID_BYTES]
    return sha256(data).digest()[:ID_BYTES]  # type: ignore[arg-type]


def checksum(data: bytes | memoryview | Pieces) -> bytes:
    """Return the 8-byte xxh3 checksum that guards stored bytes."""
    if type(data) is Pieces:
        digest = xxh3_64(data.head)
        digest.update(data.body)
        return digest.digest()
    return xxh3_64_digest(data)  # type: ignore[arg-type]


def link_ref(oid: bytes) -> bytes:
    """Return the ref that names the stored object `oid` (20 bytes)."""
    return b"\x00" + oid


def ref_id(ref: bytes) -> bytes:
    """Return the 20-byte id that a ref names, hashing inline bytes."""
    return ref[1:] if ref[0] == LINK_MARK else object_id(ref)


def is_link(ref: bytes) -> bool:
    """True if `ref` names a stored object; False if it carries the object's own bytes."""
    return ref[0] == LINK_MARK
