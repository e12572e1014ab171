"""From a URL and options to the place that it names."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from redun.store.errors import StoreError
from redun.store.remote.backends.base import Backend
from redun.store.remote.url import scheme, shown


def folder_of(url: str) -> Path | None:
    """Return the folder that a URL or path names, None if it is elsewhere."""
    kind = scheme(url)
    if kind == "":
        return Path(os.path.expanduser(url))
    if kind in ("file", "local"):
        return Path(unquote(urlsplit(url).path) or "/")
    return None


def open_backend(
    url: str,
    options: Mapping[str, str] | None = None,
    storage_options: Mapping[str, Any] | None = None,
    client_options: Mapping[str, Any] | None = None,
) -> Backend:
    """Return the place that a URL names. Nothing is asked of it yet.

    Args:
        options: of S3: `endpoint_url`, `profile`, `region`, `unquoted_etag`.
        storage_options: of other file systems, handed to fsspec.
        client_options: of boto3's clients.

    Raises:
        StoreError: the URL names no place that can be used.
    """
    if not url.strip():
        raise StoreError("a remote needs a URL: a folder, s3://bucket/prefix, or what fsspec knows")
    folder = folder_of(url)
    if folder is not None:
        from redun.store.remote.backends.folder import FolderBackend

        return FolderBackend(folder)
    if scheme(url) in ("s3", "s3a"):
        from redun.store.remote.backends.s3 import S3Backend

        return S3Backend(url, options, client_options)
    if scheme(url) in ("http", "https"):
        raise StoreError(f"remote {shown(url)!r}: nothing can be written by HTTP: use the URL of the storage behind it")
    from redun.store.remote.backends.fsspec import FsspecBackend

    return FsspecBackend(url, storage_options)
