"""Large results that a worker process has put into the store: here they are known by name, and read only if somebody here needs them.

What takes them as they are: another job in a worker process (the name travels), a call whose reduction is such a call, the cache. Whatever
else asks for the value (`Scope.value`) has it decoded, once.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from redun.encoding import ValueEncoder


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
