"""Digests of contents that were taken before, so that a file of gigabytes is not read again in every run.

A file is taken to be what it was if device, inode, size and modification time are the same, as git does; and as with git one that was
changed just before it was read is not remembered, since a change right after might not move its time. What a run has learned is kept in the
derived table `file_contents` of its store: hash of the path (16) -> device, inode, size, time (8 each), digest (20).
"""

from __future__ import annotations

import os
import struct
import time
from typing import Any, NamedTuple

from xxhash import xxh3_128_digest

_SETTLED_NS = 1_000_000_000
_FACTS = struct.Struct(">QQQQ")
_MOST = 1_000_000


class _Known(NamedTuple):
    facts: bytes
    digest: str


_known: dict[bytes, _Known] = {}
_fresh: dict[bytes, _Known] = {}


def facts_of(status: os.stat_result) -> bytes:
    """Return what a file is recognized by."""
    whole = (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns)
    return _FACTS.pack(*[number & 0xFFFFFFFFFFFFFFFF for number in whole])


def _key(path: str) -> bytes:
    return xxh3_128_digest(os.path.abspath(path).encode("utf-8", "surrogateescape"))


def digest_of(path: str, status: os.stat_result) -> str | None:
    """Return the digest of a file's content, 40 hex digits, if it is known. Any thread."""
    known = _known.get(_key(path))
    return known.digest if known is not None and known.facts == facts_of(status) else None


def remember(path: str, status: os.stat_result, digest: str) -> None:
    """Note the digest of a file that looked like this before and after it was read. Any thread."""
    if time.time_ns() - status.st_mtime_ns > _SETTLED_NS:
        key = _key(path)
        _known[key] = _fresh[key] = _Known(facts_of(status), digest)


def load(store: Any) -> None:
    """Take in what earlier runs on a store have learned."""
    for key, row in store.source.table("file_contents").scan():
        if len(row) == _FACTS.size + 20:
            _known.setdefault(key, _Known(row[: _FACTS.size], row[_FACTS.size :].hex()))


def save(store: Any) -> None:
    """Keep what was learned since the last time."""
    rows = sorted((key, known.facts + bytes.fromhex(known.digest)) for key, known in list(_fresh.items()))
    _fresh.clear()
    if rows and not store.readonly:
        store.source.table("file_contents").put_many(rows)
    if len(_known) > _MOST:
        _known.clear()
