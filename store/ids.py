"""Names of objects: the first 20 bytes of a SHA-256.

Why not xxh3 for ids: full 128-bit xxh3 collisions can be constructed without search, so a downloaded value could pose as
another. Here xxh3 only guards bytes against decay (`checksum`), which nobody attacks.

A **ref to a value** travels through the engine as one bytes object that says by itself what it is. Objects of at most
`INLINE_MAX` bytes are never stored on their own: whoever refers to them carries their bytes. So:

    ref = b"\\x00" + 20-byte id      the object is in the store under that id
    ref = object bytes (<= 32)       the object itself; its first byte is its kind, never 0

Both forms name the same id (`ref_id`), and which form a value takes depends on its size only.
"""

from __future__ import annotations

from hashlib import sha256

from xxhash import xxh3_64_digest

ID_BYTES = 20
INLINE_MAX = 32
LINK_MARK = 0


def object_id(data: bytes | memoryview) -> bytes:
    """Return the 20-byte id of an object's bytes (header included)."""
    return sha256(data).digest()[:ID_BYTES]


def checksum(data: bytes | memoryview) -> bytes:
    """Return the 8-byte xxh3 checksum that guards stored bytes."""
    return xxh3_64_digest(data)


def link_ref(oid: bytes) -> bytes:
    """Return the ref that names the stored object `oid` (20 bytes)."""
    return b"\x00" + oid


def ref_id(ref: bytes) -> bytes:
    """Return the 20-byte id that a ref names, hashing inline bytes."""
    return ref[1:] if ref[0] == LINK_MARK else object_id(ref)


def is_link(ref: bytes) -> bool:
    """True if `ref` names a stored object; False if it carries the object's own bytes."""
    return ref[0] == LINK_MARK
