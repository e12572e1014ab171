"""Leases: how others see that an execution is still running.

Liveness is a held POSIX lock on `leases/<execution id>`. The kernel drops it when the process dies, however it dies, and a
suspended laptop keeps it; no heartbeat can say as much. A forked child does not inherit it. One thing to mind: a process loses
its lock when it closes *any* descriptor of that file, so a process never opens the file of a lease of its own (`_own`).

A file that nobody locks is what a killed process left behind, or one that is just being made; gc sweeps them. Where locks mean
nothing (exclusive mode: one process at a time) only a process's own leases are alive.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
import uuid
from pathlib import Path
from types import TracebackType

from redun.store.disk import is_readonly_error, unavailable
from redun.store.errors import StoreError, StoreLocked

_TRIES = 25
_PAUSE_S = 0.02

# Lease file (resolved) -> descriptor that holds its lock. Per process, not per store: see above.
_own: dict[str, int] = {}


def _after_fork() -> None:
    for handle in _own.values():
        with contextlib.suppress(OSError):
            os.close(handle)
    _own.clear()


os.register_at_fork(after_in_child=_after_fork)


def check_execution_id(execution_id: str) -> str:
    """Return an execution id in its one form.

    Raises:
        StoreError: it is no UUID (it becomes a file name, so nothing else will do).
    """
    try:
        return str(uuid.UUID(execution_id))
    except (ValueError, AttributeError, TypeError):
        raise StoreError(f"execution id {execution_id!r} is not valid: expected a UUID") from None


class Lease:
    """Says that an execution is running, from entering the context to leaving it; made by `Leases.lease`.

    Entering raises StoreLocked if that execution is running already, StoreUnavailable if its file cannot be written.
    """

    def __init__(self, leases: Leases, execution_id: str) -> None:
        self._leases = leases
        self._id = execution_id

    def __enter__(self) -> Lease:
        self._leases.take(self._id)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.release()

    def release(self) -> None:
        """End the lease. Twice is fine."""
        self._leases.drop(self._id)


class Leases:
    """The leases of one store.

    Args:
        folder: `leases/` of the store, made with the first lease; None for a store in memory.
        trusted: False where locks of files mean nothing.
    """

    def __init__(self, folder: Path | None, *, trusted: bool = True) -> None:
        self._folder = folder
        self._trusted = trusted
        self._here: set[str] = set()

    def lease(self, execution_id: str) -> Lease:
        """Return the lease of an execution, to be entered.

        Raises:
            StoreError: the id is no UUID.
        """
        return Lease(self, check_execution_id(execution_id))

    def is_alive(self, execution_id: str) -> bool:
        """Tell whether the process of an execution is alive.

        Raises:
            StoreError: the id is no UUID.
        """
        execution = check_execution_id(execution_id)
        if self._folder is None or not self._trusted:
            return execution in self._here
        path = self._folder / execution
        if os.path.realpath(path) in _own:
            return True
        try:
            handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            return False
        except OSError:
            # Not for us to read, so somebody's: gc must not believe it dead.
            return True
        try:
            fcntl.lockf(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except OSError:
            return True
        finally:
            os.close(handle)
        return False

    def clear(self) -> None:
        """Delete the files that killed processes left."""
        if self._folder is None or not self._trusted:
            return
        with contextlib.suppress(OSError):
            for path in sorted(self._folder.iterdir()):
                with contextlib.suppress(OSError):
                    self._clear(path)

    def _clear(self, path: Path) -> None:
        if os.path.realpath(path) in _own:
            return
        handle = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        try:
            fcntl.lockf(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            # Removed while locked, so that nobody can lock a file that is about to vanish.
            if os.fstat(handle).st_ino == os.stat(path).st_ino:
                os.unlink(path)
        finally:
            os.close(handle)

    def take(self, execution: str) -> None:
        """Begin a lease; see `Lease`."""
        if execution in self._here:
            raise StoreLocked(f"execution {execution} is already running in this process")
        if self._folder is not None and self._trusted:
            self._lock(self._folder / execution, execution)
        self._here.add(execution)

    def _lock(self, path: Path, execution: str) -> None:
        if os.path.realpath(path) in _own:
            raise StoreLocked(f"execution {execution} is already running in this process")
        for _ in range(_TRIES):
            try:
                path.parent.mkdir(parents=True, exist_ok=True)
                handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
            except OSError as error:
                raise unavailable("make lease", path, error) from error
            try:
                fcntl.lockf(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                if os.fstat(handle).st_ino == os.stat(path).st_ino:
                    _own[os.path.realpath(path)] = handle
                    return
            except FileNotFoundError:
                pass  # removed by its former owner between our opening and locking it
            except OSError as error:
                if is_readonly_error(error) or isinstance(error, BlockingIOError):
                    time.sleep(_PAUSE_S)  # somebody's passing question whether we are alive, or a real owner
                else:
                    os.close(handle)
                    raise unavailable("lock lease", path, error) from error
            os.close(handle)
        raise StoreLocked(f"execution {execution} is already running in another process: give the new one another id")

    def drop(self, execution: str) -> None:
        """End a lease if it is this process's."""
        self._here.discard(execution)
        if self._folder is None:
            return
        path = self._folder / execution
        handle = _own.pop(os.path.realpath(path), None)
        if handle is not None:
            # Removed while still locked, so that nobody can lock a file that is about to vanish.
            with contextlib.suppress(OSError):
                os.unlink(path)
            os.close(handle)
