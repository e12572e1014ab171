"""One process of this machine at a time, by a lock on a file that the kernel drops when the process dies, however it dies."""

from __future__ import annotations

import fcntl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from redun.store.disk import unavailable


class OnlyOne:
    """A lock on a file. One thread; may be held several times by its holder.

    Args:
        path: the file, made if it is not there; None locks nothing.
    """

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._depth = 0

    @contextmanager
    def held(self, waiting: Callable[[], None] = lambda: None) -> Iterator[bool]:
        """Hold the lock as long as this lasts; yields True if it was not held already.

        Args:
            waiting: is called if another process holds it, before waiting for it.

        Raises:
            StoreUnavailable: the file cannot be made.
        """
        if self._path is None or self._depth:
            self._depth += 1
            try:
                yield self._depth == 1
            finally:
                self._depth -= 1
            return
        try:
            file = open(self._path, "ab")  # noqa: SIM115
        except OSError as error:
            raise unavailable("lock", self._path, error) from error
        with file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                waiting()
                fcntl.flock(file, fcntl.LOCK_EX)
            except OSError:
                # A file system without locks: there the store is used by one process only.
                pass
            self._depth = 1
            try:
                yield True
            finally:
                self._depth = 0
