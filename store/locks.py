"""The file `lock` of a store's folder: who has it open, who writes.

One file, four bytes that are locked (POSIX `lockf`; the kernel drops the locks of a process that dies), and behind them pid and
host of the writer as text while it writes, for messages:

    byte 0   held shared by everybody who has the store open; compaction, repair and upgrades want it alone
    byte 1   the turnstile: held by the one process that is next to write
    byte 2   held by the process that writes
    byte 3   held shared by processes that delete objects (`redun.store.sources.lmdb_sweeps`), so that the last of them knows that it is

Why a lock of our own around LMDB's: a process that waits for LMDB's cannot give up, nor say whom it waits for. Why a turnstile:
we wait by polling (`lockf` has no time-out), and a process that commits in a tight loop would else never let a polling one in;
so the next writer is chosen before the present one lets go. All of it costs about five system calls, 3 us, per commit.

POSIX locks belong to a process and vanish when it closes *any* descriptor of the file, so a process opens `lock` once (see
`redun.store.sources.environment`). Threads of one process are kept apart by a mutex.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from redun.store.disk import is_readonly_error, unavailable
from redun.store.errors import StoreLocked

_OPENERS, _TURNSTILE, _WRITER, _SWEEPERS = 0, 1, 2, 3
_PID_AT = 8
_WHO_BYTES = 80
_NOBODY = b" " * _WHO_BYTES + b"\n"
_FIRST_PAUSE_S = 0.0003
_LONGEST_PAUSE_S = 0.01


class FolderLock:
    """An open `lock` file, held shared from construction to `close`.

    Args:
        folder: the store's folder.
        readonly: never writes; the lock file may then be missing.
        timeout_s: how long to wait for another writer.
        trusted: False where the file system's locks mean nothing (exclusive mode): only threads are kept apart.

    Raises:
        StoreLocked: another process holds the store alone.
        StoreUnavailable: the file cannot be opened.
    """

    def __init__(self, folder: Path, *, readonly: bool, timeout_s: float, trusted: bool = True) -> None:
        self._folder = folder
        self._timeout_s = timeout_s
        self._mutex = threading.Lock()
        # Sweeps of this process; the mutex is held by who joins or leaves.
        self._sweeps = 0
        self._sweeps_mutex = threading.Lock()
        # The host counts, too: pids of containers repeat.
        who = f"{os.getpid()} {os.uname().nodename}".encode(errors="replace")[:_WHO_BYTES]
        self._pid_text = who.ljust(_WHO_BYTES) + b"\n"
        self._fd: int | None = None
        if trusted:
            self._fd = self._open(readonly)
        if self._fd is not None and not self._try(_OPENERS, fcntl.LOCK_SH):
            holder = self.writer()
            self.close()
            raise StoreLocked(
                f"store {str(folder)!r} is used by {holder} alone, which compacts, repairs or upgrades it: wait for it and run again"
            )

    def _open(self, readonly: bool) -> int | None:
        path = self._folder / "lock"
        flags = os.O_RDONLY if readonly else os.O_RDWR | os.O_CREAT
        try:
            return os.open(path, flags | os.O_CLOEXEC, 0o666)
        except OSError as error:
            if readonly and (isinstance(error, FileNotFoundError) or is_readonly_error(error)):
                return None
            raise unavailable("open", path, error) from error

    def _try(self, place: int, how: int) -> bool:
        try:
            fcntl.lockf(self._fd or 0, how | fcntl.LOCK_NB, 1, place)
        except (BlockingIOError, PermissionError):
            return False
        except OSError as error:
            raise unavailable("lock", self._folder / "lock", error) from error
        return True

    @contextlib.contextmanager
    def alone(self, purpose: str, timeout_s: float = 2.0) -> Iterator[None]:
        """Have the store to oneself, for what cannot be done while others have it open.

        Args:
            purpose: what for, for the message: "be compacted".
            timeout_s: how long to wait for others.

        Raises:
            StoreLocked: others have it open; names them.
        """
        if self._fd is None:
            yield
            return
        fcntl.lockf(self._fd, fcntl.LOCK_UN, 1, _OPENERS)
        try:
            deadline = time.monotonic() + timeout_s
            while not self._try(_OPENERS, fcntl.LOCK_EX):
                if time.monotonic() > deadline:
                    pids = self.holders()
                    names = f"process{'es' * (len(pids) > 1)} {', '.join(map(str, pids))}" if pids else "another process"
                    raise StoreLocked(
                        f"store {str(self._folder)!r} has to {purpose}, for which nobody else may have it open, and {names} "
                        f"ha{'ve' if len(pids) > 1 else 's'}: wait for the end, or end what hangs, and run again"
                    )
                time.sleep(_LONGEST_PAUSE_S)
            with contextlib.suppress(OSError):
                os.pwrite(self._fd, self._pid_text, _PID_AT)
            yield
            with contextlib.suppress(OSError):
                os.pwrite(self._fd, _NOBODY, _PID_AT)
        finally:
            # From alone to shared there is no moment in between; after a time-out there is, and somebody may be alone by now.
            deadline = time.monotonic() + timeout_s
            while not self._try(_OPENERS, fcntl.LOCK_SH) and time.monotonic() < deadline:
                time.sleep(_LONGEST_PAUSE_S)

    def acquire(self) -> None:
        """Become the one writer.

        Raises:
            StoreLocked: somebody else has been writing for longer than the time-out; names the process.
        """
        if not self._mutex.acquire(timeout=self._timeout_s):
            raise StoreLocked(
                f"store {str(self._folder)!r} has been written by another thread of this process for more than {self._timeout_s:g} s"
            )
        try:
            if self._fd is not None:
                self._wait(_TURNSTILE)
                try:
                    self._wait(_WRITER)
                finally:
                    fcntl.lockf(self._fd, fcntl.LOCK_UN, 1, _TURNSTILE)
                # Only a message needs it; a full disk must not stop a commit here already.
                with contextlib.suppress(OSError):
                    os.pwrite(self._fd, self._pid_text, _PID_AT)
        except BaseException:
            self._mutex.release()
            raise

    def _wait(self, place: int, how: int = fcntl.LOCK_EX) -> None:
        if self._try(place, how):
            return
        deadline = time.monotonic() + self._timeout_s
        pause = _FIRST_PAUSE_S
        while not self._try(place, how):
            if time.monotonic() > deadline:
                raise StoreLocked(
                    f"store {str(self._folder)!r} is locked for writing by {self.writer()}, for more than {self._timeout_s:g} s: "
                    "wait until it has finished, or end it if it hangs, and run again"
                )
            time.sleep(pause)
            pause = min(pause * 1.5, _LONGEST_PAUSE_S)

    def release(self) -> None:
        """Let others write."""
        try:
            if self._fd is not None:
                with contextlib.suppress(OSError):
                    os.pwrite(self._fd, _NOBODY, _PID_AT)
                fcntl.lockf(self._fd, fcntl.LOCK_UN, 1, _WRITER)
        finally:
            self._mutex.release()

    def join_sweep(self) -> None:
        """Be one of those who sweep.

        Raises:
            StoreLocked: one that ends its sweep takes longer than the time-out.
        """
        with self._sweeps_mutex:
            if self._fd is not None:
                self._wait(_SWEEPERS, fcntl.LOCK_SH)
            self._sweeps += 1

    @contextlib.contextmanager
    def leave_sweep(self) -> Iterator[bool]:
        """Be none of those who sweep any more; the context is told whether nobody is, and nobody joins while it lasts."""
        with self._sweeps_mutex:
            self._sweeps -= 1
            last = not self._sweeps
            if last and self._fd is not None:
                # Two that both kept it shared while they tried would both think that they are not the last.
                fcntl.lockf(self._fd, fcntl.LOCK_UN, 1, _SWEEPERS)
                last = self._try(_SWEEPERS, fcntl.LOCK_EX)
            try:
                yield last
            finally:
                if last and self._fd is not None:
                    fcntl.lockf(self._fd, fcntl.LOCK_UN, 1, _SWEEPERS)

    def writer(self) -> str:
        """Name the process that is writing now."""
        try:
            text = os.pread(self._fd, _WHO_BYTES, _PID_AT) if self._fd is not None else b""
        except OSError:
            text = b""
        pid, _, host = text.split(b"\n")[0].decode(errors="replace").strip().partition(" ")
        if not pid.isdigit():
            return "another process"
        return f"process {pid}" if host in ("", os.uname().nodename) else f"process {pid} on host {host!r}"

    def died_writing(self) -> bool:
        """Tell whether the last writer ended in the middle of it, as whoever is killed does, or crashes over damaged pages.

        The next one to write takes the mark away.
        """
        if self._fd is None or not self._try(_WRITER, fcntl.LOCK_EX):
            return False
        try:
            return os.pread(self._fd, 20, _PID_AT)[:1].isdigit()
        except OSError:
            return False
        finally:
            fcntl.lockf(self._fd, fcntl.LOCK_UN, 1, _WRITER)

    def holders(self) -> list[int]:
        """List the pids of other processes that have the store open, as far as the system tells (Linux does)."""
        if self._fd is None:
            return []
        status = os.fstat(self._fd)
        mine = f"{os.major(status.st_dev):02x}:{os.minor(status.st_dev):02x}:{status.st_ino}"
        try:
            lines = Path("/proc/locks").read_text().splitlines()
        except OSError:
            return []
        # 1: POSIX  ADVISORY  READ 1234 fe:00:2146359 0 0
        fields = [line.split() for line in lines if " POSIX " in line and "->" not in line]
        pids = {int(field[4]) for field in fields if len(field) > 5 and field[5] == mine and field[4].isdigit()}
        return sorted(pids - {os.getpid(), 0})

    def forget(self) -> None:
        """Give up the descriptor that a forked child inherited; the parent's locks are not touched by this."""
        if self._fd is not None:
            with contextlib.suppress(OSError):
                os.close(self._fd)
            self._fd = None

    def close(self) -> None:
        """Drop the locks. Closing twice is fine."""
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None
