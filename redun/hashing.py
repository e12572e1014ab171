"""Hashes for values that compute their own (`Value.get_hash`): SHA-256, its first 20 bytes, as 40 hex digits."""

from __future__ import annotations

from hashlib import sha256
from typing import IO, Any

from redun.store.ids import ID_BYTES

__all__ = ["Hash", "hash_bytes", "hash_stream", "hash_struct", "hash_tag_bytes", "hash_text"]


class Hash:
    """A hash that grows.

    Args:
        length: hex digits of the result, at most 64.
    """

    def __init__(self, length: int = 2 * ID_BYTES) -> None:
        self.length = length
        self._digest = sha256()

    def update(self, data: bytes) -> None:
        """Add bytes."""
        self._digest.update(data)

    def hexdigest(self) -> str:
        """Return the hash of all bytes so far."""
        return self._digest.hexdigest()[: self.length]


def hash_bytes(bytes: bytes) -> str:
    """Return the hash of bytes."""
    return sha256(bytes).hexdigest()[: 2 * ID_BYTES]


def hash_text(text: str) -> str:
    """Return the hash of a text, as UTF-8."""
    return hash_bytes(text.encode("utf-8", "surrogatepass"))


def hash_stream(stream: IO[bytes], block_size: int = 1 << 20) -> str:
    """Return the hash of what a binary stream holds.

    Args:
        block_size: bytes to read at once.
    """
    found = Hash()
    while block := stream.read(block_size):
        found.update(block)
    return found.hexdigest()


def hash_struct(struct: Any) -> str:
    """Return the hash of plain data, such as a list of texts and numbers; tuples count as lists, the order of dicts does not count.

    Raises:
        EncodeError: something in it has no encoding.
    """
    from redun.encoding import value_bytes

    return hash_bytes(value_bytes(_plain(struct)))


def hash_tag_bytes(tag: str, bytes: bytes) -> str:
    """Return the hash of bytes, another one for every tag."""
    return hash_struct([tag, bytes])


def _plain(struct: Any) -> Any:
    if isinstance(struct, list | tuple):
        return [_plain(item) for item in struct]
    if isinstance(struct, dict):
        return dict(sorted([(key, _plain(value)) for key, value in struct.items()]))
    return struct
