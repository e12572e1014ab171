"""Streams that tell when they have been closed."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any


class Tells:
    """A stream that tells when it has been closed, and is in all else the stream that it wraps.

    Where the stream can be discarded (S3), a `with` block that is left by an error leaves what was there before.
    """

    _on_close: Callable[[], None] | None = None

    def __init__(self, stream: Any, on_close: Callable[[], None]) -> None:
        self._stream = stream
        self._on_close = on_close

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def __enter__(self) -> Tells:
        self._stream.__enter__()
        return self

    def __exit__(self, *failure: Any) -> None:
        if failure[0] is not None:
            self._discard()
        self.close()

    def _discard(self) -> None:
        stream = self._stream
        while stream is not None:
            if hasattr(stream, "discarded"):
                stream.discarded = True
                return
            stream = getattr(stream, "buffer", None) or getattr(stream, "raw", None)

    def __del__(self) -> None:
        # As streams of Python do, whose writers have let go of them. This may happen anywhere, even while somebody makes a client of
        # the same file system: so what is there now is looked at later, when it is asked for.
        told, self._on_close = self._on_close, None
        if told is not None:
            with suppress(Exception):
                self._stream.close()
                getattr(getattr(told, "__self__", None), "forget_hash", told)()

    def __iter__(self) -> Any:
        return iter(self._stream)

    def __next__(self) -> Any:
        return next(self._stream)

    def close(self) -> None:
        """Close the stream, then tell."""
        self._stream.close()
        told, self._on_close = self._on_close, None
        if told is not None:
            told()
