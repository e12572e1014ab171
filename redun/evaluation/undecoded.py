"""Results as worker processes send them: encoded; large ones are in the store, known by name here, and read only if somebody needs them.

What takes them as they are: another job in a worker process (the name travels), a call whose reduction is such a call, the cache. Whatever
else asks for the value (`Scope.value`) has it decoded, once.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

from redun.decoding import ValueDecoder
from redun.encoding import ValueEncoder

if TYPE_CHECKING:
    from redun.store.sources.base import Source


class Undecoded:
    """A value by its name.

    Args:
        ref: how the store names it. flags: of its object (`redun.store.objects.Flag`).
        text: stands for it in lines of the log.
        decode: reads it.
        encoder: of the run; is told of the value when it is read, so that it need not hash it again.
    """

    __slots__ = ("_decode", "_encoder", "_text", "_value", "flags", "ref")

    def __init__(self, ref: bytes, flags: int, text: str, decode: Callable[[], Any], encoder: ValueEncoder) -> None:
        self.ref = ref
        self.flags = flags
        self._text = text
        self._decode: Callable[[], Any] | None = decode
        self._encoder = encoder
        self._value: Any = None

    def value(self) -> Any:
        """Return the value.

        Raises:
            RedunError: it is not in the store any more, or damaged.
        """
        if self._decode is not None:
            self._value = self._decode()
            self._decode = None
            self._encoder.remember(self._value, self.ref, self.flags)
        return self._value

    def __repr__(self) -> str:
        return self._text


def decoded(value: Any) -> Any:
    """Return a value itself if it is known by name."""
    return value.value() if type(value) is Undecoded else value


class EncodedResult(NamedTuple):
    """A result that a worker has encoded.

    Attributes:
        ref: of the value (`redun.store.ids`).
        flags: of its object (`redun.store.objects.Flag`).
        objects: id -> bytes of the objects that must be in the store with it and are not.
        stored: ids of those that the worker has put there: nothing keeps them before the scheduler names them.
        text: if the scheduler need not look into it, what stands for it in lines of the log; else empty.
    """

    ref: bytes
    flags: int
    objects: dict[bytes, bytes]
    stored: tuple[bytes, ...] = ()
    text: str = ""

    def decode(self, source: Source) -> Any:
        """Return the value.

        Args:
            source: the store.

        Raises:
            DecodeError: what it names is not known here.
        """

        def among_sent(get: Callable[[bytes], Any]) -> Callable[[bytes], Any]:
            return lambda oid: self.objects[oid] if oid in self.objects else get(oid)

        return ValueDecoder(among_sent(source.pieces), view=among_sent(source.view)).decode(self.ref)
