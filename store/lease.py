"""Leases: how others see that an execution is still running.

Liveness is a held POSIX lock on `leases/<execution id>`. The kernel drops it when the process dies, however it dies, and a suspended laptop
keeps it; no heartbeat can say as much. A forked child does not inherit it. One thing to mind: a process loses its lock when it closes *any*
descriptor of that file, so a process never opens the file of a lease of its own (`_own`).
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import uuid
from pathlib import Path
from types import TracebackType

from redun.store.errors import StoreError, StoreLocked

_own: dict[str, int] = {}


def _key(path: Path) -> str:
    return f"{os.getpid()}:{os.path.realpath(path)}"


def check_execution_id(execution_id: str) -> str:
    """Return an execution id in its one form.

    Raises:
        StoreError: it is no UUID (it becomes a file name, so nothing else will do).
    """
    try:
        return str(uuid.UUID(execution_id))
    except ValueError:
        raise StoreError(f"execution id {execution_id!r} must be a UUID") from None


class Lease:
    """Says that an execution is running, from entering the context to leaving it.

    Args:
        folder: `leases/` of the store, None for a store in memory.
        execution_id: a UUID.
    """

    def __init__(self, folder: Path | None, execution_id: str) -> None:
        self._path = None if folder is None else folder / check_execution_id(execution_id)
        self._id = execution_id

    def __enter__(self) -> Lease:
        path = self._path
        if path is None:
            _own[self._id] = -1
            return self
        try:
            path.parent.mkdir(exist_ok=True)
            handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        except OSError as error:
            raise StoreError(f"cannot make lease {str(path)!r}: {error.strerror}") from error
        try:
            fcntl.lockf(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(handle)
            raise StoreLocked(f"execution {self._id} is already running in another process") from None
        _own[_key(path)] = handle
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._path is None:
            _own.pop(self._id, None)
            return
        handle = _own.pop(_key(self._path), None)
        if handle is not None:
            with contextlib.suppress(OSError):
                os.unlink(self._path)
            os.close(handle)


def is_alive(folder: Path | None, execution_id: str) -> bool:
    """Tell whether an execution's process is alive."""
    if folder is None:
        return execution_id in _own
    path = folder / check_execution_id(execution_id)
    if _key(path) in _own:
        return True
    try:
        handle = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.lockf(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return True
    finally:
        os.close(handle)
    return False
