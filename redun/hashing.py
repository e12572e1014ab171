"""Hashes for values that compute their own (`Value.get_hash`): SHA-256, its first 20 bytes, as 40 hex digits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from hashlib import sha256
from typing import IO, TYPE_CHECKING, Any

from redun.store.ids import ID_BYTES

if TYPE_CHECKING:
    from redun.type_registry import TypeRegistry

__all__ = [
    "Hash",
    "hash_arguments",
    "hash_bytes",
    "hash_eval",
    "hash_kwargs",
    "hash_positional_args",
    "hash_stream",
    "hash_struct",
    "hash_tag_bytes",
    "hash_text",
]


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


def hash_positional_args(type_registry: TypeRegistry, args: Sequence[Any]) -> list[str]:
    """List the hashes of values."""
    return [type_registry.get_hash(arg) for arg in args]


def hash_kwargs(type_registry: TypeRegistry, kwargs: Mapping[str, Any]) -> dict[str, str]:
    """Return name -> hash of a value."""
    return {name: type_registry.get_hash(arg) for name, arg in kwargs.items()}


def hash_arguments(type_registry: TypeRegistry, args: Sequence[Any], kwargs: Mapping[str, Any]) -> str:
    """Return one hash of the arguments of a call; the order of keywords does not count."""
    return hash_struct(["arguments", hash_positional_args(type_registry, args), hash_kwargs(type_registry, kwargs)])


def hash_eval(type_registry: TypeRegistry, task_hash: str, args: Sequence[Any], kwargs: Mapping[str, Any]) -> tuple[str, str]:
    """Return (hash of task and arguments, hash of the arguments). For keys of one's own; `redun.task.hash_args_eval` gives redun's."""
    args_hash = hash_arguments(type_registry, args, kwargs)
    return hash_struct(["eval", task_hash, args_hash]), args_hash
