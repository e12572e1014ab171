"""Files of az://, through the package adlfs.

Two forms of a path: `az://container@account.blob.core.windows.net/key` names its account, `az://container/key` takes the account
from the environment (`AZURE_STORAGE_ACCOUNT_NAME`, `AZURE_STORAGE_CONNECTION_STRING`, ...) as adlfs reads it.
"""

from __future__ import annotations

import os
import threading
from typing import Any

from redun.files.filesystem import FileSystemError, register_filesystem
from redun.files.remote import FsspecFileSystem


@register_filesystem
class AzureBlobFileSystem(FsspecFileSystem):
    """Blobs of Azure storage accounts."""

    name = "az"

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._accounts: dict[str, Any] = {}
        self._pid = os.getpid()

    @property
    def az_credential(self) -> Any:
        """What proves to Azure who is asking; see `redun.azure_utils.get_az_credential`."""
        from redun import azure_utils

        return azure_utils.get_az_credential()

    @staticmethod
    def get_account_name_from_path(path: str) -> str:
        """Return the storage account that a path names.

        Raises:
            FileSystemError: it names none.
        """
        place = path.partition("://")[2].partition("/")[0]
        _, at, host = place.partition("@")
        if not at or not host:
            raise FileSystemError(
                f"path {path!r} names no storage account: expected az://container@account.blob.core.windows.net/key"
            )
        return host.partition(".")[0]

    def get_fs_for_path(self, path: str) -> Any:
        """Return the file system of the account that a path names; one for each account and process.

        Raises:
            FileSystemError: the package adlfs, or one that it needs, is missing.
        """
        account = self.get_account_name_from_path(path)
        with self._lock:
            if self._pid != os.getpid():
                self._accounts, self._pid = {}, os.getpid()
            if account not in self._accounts:
                try:
                    import adlfs
                except ImportError as error:
                    raise FileSystemError(f"path {path!r} needs a package that is not installed: {error}") from error
                # adlfs finds keys and tokens in the environment, else asks Azure's own library for a credential, in two forms: its
                # requests need the asynchronous one; where ours can be told, it is.
                made = adlfs.AzureBlobFileSystem(account, anon=False)
                if made.sync_credential is not None:
                    made.sync_credential = self.az_credential
                self._accounts[account] = made
            return self._accounts[account]

    def _at(self, path: str) -> tuple[Any, str]:
        place, _, key = path.partition("://")[2].partition("/")
        if "@" not in place:
            return super()._at(path)
        return self.get_fs_for_path(path), f"{place.partition('@')[0]}/{key}"

    def _full(self, asked: str, fs: Any, inner: str) -> str:
        place = asked.partition("://")[2].partition("/")[0]
        if "@" not in place:
            return super()._full(asked, fs, inner)
        return f"az://{place}/{inner.partition('/')[2]}"
