"""A backend that is watched: whether a request of it is under way, and when it last gave a sign of life."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import BinaryIO, TypeVar

from redun.store.remote.backends.base import Backend, FileFact, Meter

T = TypeVar("T")


class Signs:
    """Passes all on to another backend, and watches. Any thread may ask.

    Args:
        meter: is told of bytes, as well.
    """

    def __init__(self, backend: Backend, meter: Meter) -> None:
        self._backend = backend
        self._meter = meter
        self.url, self.shared = backend.url, backend.shared
        self._lock = threading.Lock()
        self._requests = 0
        self._last_s = time.monotonic()

    def is_stuck(self, timeout_s: float) -> bool:
        """Tell whether requests are under way, and none has ended or brought anything for so long."""
        return self._requests > 0 and time.monotonic() - self._last_s >= timeout_s

    def told(self, count: int) -> None:
        """Bytes travel: the meter of whoever uses this backend."""
        self._last_s = time.monotonic()
        self._meter(count)
        # It may have slept.
        self._last_s = time.monotonic()

    def watched(self, work: Callable[[], T]) -> T:
        """Do something that counts as a request: it may have to wait for others."""
        with self._lock:
            self._requests += 1
            if self._requests == 1:
                self._last_s = time.monotonic()
        try:
            return work()
        finally:
            with self._lock:
                self._requests -= 1
                self._last_s = time.monotonic()

    def get(self, name: str, limit: int) -> bytes:
        """See `Backend.get`."""
        return self.watched(lambda: self._backend.get(name, limit))

    def get_range(self, name: str, start: int, size: int) -> bytes:
        """See `Backend.get_range`."""
        return self.watched(lambda: self._backend.get_range(name, start, size))

    def fetch(self, name: str, target: BinaryIO, size: int, meter: Meter) -> None:
        """See `Backend.fetch`."""
        self.watched(lambda: self._backend.fetch(name, target, size, meter))

    def put(self, name: str, source: BinaryIO, size: int, meter: Meter) -> None:
        """See `Backend.put`."""
        self.watched(lambda: self._backend.put(name, source, size, meter))

    def put_new(self, name: str, data: bytes) -> bool:
        """See `Backend.put_new`."""
        return self.watched(lambda: self._backend.put_new(name, data))

    def names(self, folder: str, after: str = "") -> list[str]:
        """See `Backend.names`."""
        return self.watched(lambda: self._backend.names(folder, after))

    def files(self, folder: str) -> list[FileFact]:
        """See `Backend.files`."""
        return self.watched(lambda: self._backend.files(folder))

    def remove_strays(self, before_us: int) -> int:
        """See `Backend.remove_strays`."""
        return self.watched(lambda: self._backend.remove_strays(before_us))

    def size(self, name: str) -> int | None:
        """See `Backend.size`."""
        return self.watched(lambda: self._backend.size(name))

    def delete(self, name: str) -> None:
        """See `Backend.delete`."""
        self.watched(lambda: self._backend.delete(name))

    def now_us(self) -> int | None:
        """See `Backend.now_us`."""
        return self._backend.now_us()

    def close(self) -> None:
        """See `Backend.close`."""
        self._backend.close()
