"""Exclusive mode: one process at a time, where locks and shared maps cannot be trusted (network file systems).

A file `exclusive`, created with O_EXCL (the one thing that such systems keep promises about), states host, pid and start of its
holder. A holder of this host that is dead is replaced; one of another host is believed, since nobody here can tell.
"""

from __future__ import annotations

import contextlib
import json
import os
import time
import uuid
from pathlib import Path
from typing import Any

from redun.store.disk import unavailable
from redun.store.errors import StoreLocked

_WRITING_S = 2.0
UNKNOWN = "unknown"


class ExclusiveLock:
    """The held file `exclusive` of a folder.

    Args:
        folder: the store's folder.

    Raises:
        StoreLocked: somebody else holds it; says who and what to do.
        StoreUnavailable: it cannot be written.
    """

    def __init__(self, folder: Path) -> None:
        self._path = folder / "exclusive"
        pid = os.getpid()
        self._mine: dict[str, Any] = {
            "host": os.uname().nodename,
            "pid": pid,
            "start": process_start(pid),
            "since": time.strftime("%Y-%m-%d %H:%M:%S"),
            "nonce": uuid.uuid4().hex,
        }
        deadline = time.monotonic() + _WRITING_S
        while not self._create():
            holder = self._holder()
            if holder is None:
                # Just removed, or created and not written yet; a process may also have died in between.
                if time.monotonic() < deadline:
                    time.sleep(0.02)
                    continue
                holder = {}
            elif self._is_dead(holder):
                self._remove(holder)
                continue
            raise StoreLocked(
                f"store {str(folder)!r} is used by {_name(holder)}, and on its file system one process at a time can use it: "
                f"wait for it to end; if it is gone for certain, remove {str(self._path)!r}"
            )

    def _create(self) -> bool:
        try:
            fd = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)
        except FileExistsError:
            return False
        except OSError as error:
            raise unavailable("create", self._path, error) from error
        try:
            os.write(fd, json.dumps(self._mine).encode() + b"\n")
            os.fsync(fd)
        except OSError as error:
            with contextlib.suppress(OSError):
                os.unlink(self._path)
            raise unavailable("write", self._path, error) from error
        finally:
            os.close(fd)
        return True

    def _holder(self) -> dict[str, Any] | None:
        try:
            holder = json.loads(self._path.read_bytes())
        except (OSError, ValueError):
            return None
        return holder if isinstance(holder, dict) else None

    def _is_dead(self, holder: dict[str, Any]) -> bool:
        pid = holder.get("pid")
        if holder.get("host") != self._mine["host"] or not isinstance(pid, int) or pid <= 0:
            return False
        # The start time tells a process from a later one that got the same pid.
        start = process_start(pid)
        return start is None or (start != holder.get("start") and UNKNOWN not in (start, holder.get("start")))

    def _remove(self, holder: dict[str, Any]) -> None:
        """Remove a dead process's file, unless another one was quicker and the file is its own by now."""
        aside = self._path.with_name(f"exclusive-{self._mine['nonce']}")
        with contextlib.suppress(FileNotFoundError):
            os.rename(self._path, aside)
            try:
                moved = json.loads(aside.read_bytes())
            except (OSError, ValueError):
                moved = None
            if moved != holder:
                with contextlib.suppress(OSError):
                    os.link(aside, self._path)
            os.unlink(aside)

    def close(self) -> None:
        """Let the next process in."""
        if self._holder() == self._mine:
            with contextlib.suppress(OSError):
                os.unlink(self._path)


def process_start(pid: int) -> str | None:
    """Return something that no earlier or later process with this pid has, `UNKNOWN` if it cannot be told; None if none runs."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            fields = file.read().rpartition(b")")[2].split()
        if fields[0] in (b"Z", b"X"):
            return None
        with open("/proc/sys/kernel/random/boot_id") as file:
            return f"{file.read().strip()[:8]}-{fields[19].decode()}"
    except (OSError, IndexError):
        pass
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return None
    except OSError:
        pass
    return UNKNOWN


def _name(holder: dict[str, Any]) -> str:
    if not holder:
        return "a process that it does not name"
    return f"process {holder.get('pid')} on host {holder.get('host')!r} since {holder.get('since')}"
