"""A remote at any URL that fsspec knows: sshfs, az, gs, memory, ...

Whether `put_new` is safe between writers depends on the file system. For those listed here it was found out (each has a test, or its
code passes the condition on to the server); elsewhere fsspec looks first and then writes, which two writers can both do. There the
remote serves one writer only.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime, timezone
from typing import Any, BinaryIO

from redun.store.errors import NotInRemote, RemoteBusy, RemoteDamaged, RemoteDenied, RemoteError, StoreError
from redun.store.remote.backends.base import CHUNK_BYTES, FileFact, Meter, check_name, too_long, wrong_size
from redun.store.remote.url import hide, scheme, shown

_CREATES = frozenset(("memory", "az", "abfs", "abfss", "adl", "gs", "gcs"))
"""`pipe_file(mode="create")` is atomic."""
_EXCLUSIVE = frozenset(("ssh", "sftp", "sshfs"))
"""Opening for exclusive creation is atomic; the content comes after it, so readers may see a beginning (entries are checked)."""
_memory_lock = threading.Lock()


class FsspecBackend:
    """Implements `redun.store.remote.backends.base.Backend` on a file system of fsspec.

    Args:
        url: of the folder.
        options: storage options of the file system.

    Raises:
        StoreError: fsspec does not know the protocol, or a package is missing.
    """

    def __init__(self, url: str, options: Mapping[str, Any] | None = None) -> None:
        self.url = shown(url)
        self._secret_url = url
        protocol = scheme(url)
        self.shared = protocol in _CREATES or protocol in _EXCLUSIVE
        self._creates = protocol in _CREATES
        self._local = protocol == "memory"
        # sshfs hands out whole files where parts are asked for.
        self._by_opening = protocol in _EXCLUSIVE
        self._made: set[str] = set()
        try:
            import fsspec

            # An instance of our own: what another one remembers of listings may be old.
            self._fs, root = fsspec.core.url_to_fs(url, **{"skip_instance_cache": True, **(options or {})})
        except ImportError as error:
            raise StoreError(f"remote {self.url!r} needs a package that is not installed: {error}") from error
        except ValueError as error:
            raise StoreError(f"remote {self.url!r} cannot be used: {self._clean(error)}") from error
        except Exception as error:
            raise RemoteError(f"remote {self.url!r} cannot be opened: {self._clean(error)}") from error
        self._root = root.rstrip("/")

    def _clean(self, error: BaseException) -> str:
        text = hide(" ".join(str(error).split())[:300], self._secret_url)
        return text or type(error).__name__

    def _at(self, name: str) -> str:
        return f"{self._root}/{check_name(name)}"

    @contextmanager
    def _told(self, action: str, name: str) -> Iterator[None]:
        """Turn whatever a file system raises into errors of a remote."""
        what = f"cannot {action} {name!r} in remote {self.url!r}"
        try:
            yield
        except (StoreError, FileExistsError):
            raise
        except FileNotFoundError as error:
            raise NotInRemote(f"remote {self.url!r} has no {name!r}") from error
        except PermissionError as error:
            raise RemoteDenied(f"{what}: {self._clean(error)}: check the credentials and what they allow") from error
        except Exception as error:
            raise self._other(what, name, error) from error

    def _other(self, what: str, name: str, error: Exception) -> Exception:
        text = self._clean(error)
        status = getattr(error, "status_code", getattr(error, "status", getattr(error, "code", None)))
        if status == 404:
            if "container" in text.lower() or "bucket" in text.lower():
                return RemoteError(f"{what}: {text}: make the container first, or check its name")
            return NotInRemote(f"remote {self.url!r} has no {name!r}")
        if status == 416:
            return RemoteDamaged(
                f"{name!r} in remote {self.url!r} ends before the part that was asked for: it was cut short or replaced"
            )
        if status in (401, 403) or type(error).__name__ in ("ClientAuthenticationError", "PermissionDenied", "HttpAuthError"):
            return RemoteDenied(f"{what}: {text}: check the credentials and what they allow")
        if isinstance(error, ConnectionError | TimeoutError) or (isinstance(status, int) and status >= 500):
            return RemoteBusy(f"{what}: {text}: check the network, or run again later")
        return RemoteError(f"{what}: {text}")

    def get(self, name: str, limit: int) -> bytes:
        """See `Backend.get`."""
        # One byte more than allowed tells a file that is too long; of a long one no more is read.
        data = self._read(name, 0, limit + 1)
        if len(data) > limit:
            raise too_long(self.url, name, limit)
        return data

    def get_range(self, name: str, start: int, size: int) -> bytes:
        """See `Backend.get_range`."""
        data = self._read(name, start, size)
        if len(data) != size:
            raise wrong_size(self.url, name, start + len(data), start + size)
        return data

    def _read(self, name: str, start: int, size: int) -> bytes:
        """Return the bytes of a part of a file, fewer if it ends before."""
        with self._told("read", name):
            if not self._by_opening:
                data = bytes(self._fs.cat_file(self._at(name), start=start, end=start + size))
                if len(data) <= size:
                    return data
                # It does not know of parts, and has read all.
                self._by_opening = True
            with self._fs.open(self._at(name), "rb") as file:
                file.seek(start)
                return bytes(file.read(size))

    def fetch(self, name: str, target: BinaryIO, size: int, meter: Meter) -> None:
        """See `Backend.fetch`."""
        with self._told("read", name), self._fs.open(self._at(name), "rb", block_size=4 << 20, cache_type="readahead") as file:
            left = size
            while left:
                chunk = file.read(min(left, CHUNK_BYTES))
                if not chunk:
                    raise wrong_size(self.url, name, size - left, size)
                meter(len(chunk))
                left -= len(chunk)
                target.write(chunk)
            if file.read(1):
                raise wrong_size(self.url, name, size + 1, size)

    def put(self, name: str, source: BinaryIO, size: int, meter: Meter) -> None:
        """See `Backend.put`."""
        with self._told("write", name):
            self._make_folder(name)
            with self._fs.open(self._at(name), "wb") as file:
                while chunk := source.read(CHUNK_BYTES):
                    meter(len(chunk))
                    file.write(chunk)

    def _make_folder(self, name: str) -> None:
        folder = self._at(name).rpartition("/")[0]
        if folder not in self._made:
            # On object stores this does nothing, or finds that the container is not ours to make: writing will tell.
            try:
                self._fs.makedirs(folder, exist_ok=True)
            except (OSError, NotImplementedError):
                pass
            except Exception as error:
                if getattr(error, "status_code", None) not in (403, 409):
                    raise
            self._made.add(folder)

    def put_new(self, name: str, data: bytes) -> bool:
        """See `Backend.put_new`. Where `shared` is False a look at the place comes first, which protects from nobody else."""
        path = self._at(name)
        try:
            with self._told("write", name):
                self._make_folder(name)
                if self._local:
                    with _memory_lock:
                        self._fs.pipe_file(path, data, mode="create")
                elif self._creates:
                    self._fs.pipe_file(path, data, mode="create")
                elif self.shared:
                    with self._fs.open(path, "xb") as file:
                        file.write(data)
                else:
                    if self._fs.exists(path):
                        return False
                    self._fs.pipe_file(path, data)
        except FileExistsError:
            return False
        except RemoteError as error:
            # SFTP has one number for all that fails: look whether it was this.
            if not self._creates and self.shared and not error.transient and self.size(name) is not None:
                return False
            raise
        return True

    def names(self, folder: str, after: str = "") -> list[str]:
        """See `Backend.names`."""
        try:
            with self._told("list", folder):
                self._fs.invalidate_cache()
                found = self._fs.ls(f"{self._root}/{folder.rstrip('/')}", detail=False)
        except NotInRemote:
            return []
        names = [folder + path.rstrip("/").rpartition("/")[2] for path in found]
        return sorted([name for name in names if name > after])

    def files(self, folder: str) -> list[FileFact]:
        """See `Backend.files`."""
        try:
            with self._told("list", folder):
                self._fs.invalidate_cache()
                found = self._fs.ls(f"{self._root}/{folder.rstrip('/')}", detail=True)
        except NotInRemote:
            return []
        return sorted(
            [
                FileFact(folder + row["name"].rstrip("/").rpartition("/")[2], int(row["size"] or 0), _written_us(row))
                for row in found
            ]
        )

    def remove_strays(self, before_us: int) -> int:
        """See `Backend.remove_strays`: a file is written under its own name here, or not seen at all."""
        return 0

    def size(self, name: str) -> int | None:
        """See `Backend.size`."""
        try:
            with self._told("look at", name):
                self._fs.invalidate_cache()
                return int(self._fs.info(self._at(name))["size"])
        except NotInRemote:
            return None

    def delete(self, name: str) -> None:
        """See `Backend.delete`."""
        try:
            with self._told("remove", name):
                self._fs.rm_file(self._at(name))
        except NotInRemote:
            return

    def now_us(self) -> int | None:
        """See `Backend.now_us`: fsspec does not tell the server's clock, so it is ours."""
        return time.time_ns() // 1000

    def close(self) -> None:
        """See `Backend.close`."""


def _written_us(row: Mapping[str, Any]) -> int | None:
    """Return when a file was written; every file system of fsspec has its own word for it."""
    for name in ("mtime", "LastModified", "last_modified", "updated", "modified", "created"):
        found = row.get(name)
        if isinstance(found, str):
            try:
                found = datetime.fromisoformat(found.replace("Z", "+00:00"))
            except ValueError:
                continue
        if isinstance(found, datetime):
            found = found.replace(tzinfo=found.tzinfo or timezone.utc).timestamp()
        if isinstance(found, int | float) and found > 0:
            return int(found * 1_000_000)
    return None
