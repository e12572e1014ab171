"""Slices: parts of sorted rows, each of which changes few pages of a table. Why: `redun.store.sources.lmdb_commit`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, TypeVar

T = TypeVar("T")

PAGES_AT_ONCE = 512
"""Pages that one transaction of a large write may change: 2 MB."""

_ROW_BYTES = 40
"""What a row takes beside its content: a key, a checksum, LMDB's own."""
_PAGE_BYTES = 2800
"""What a page of random keys holds: LMDB splits a full one in halves."""


def pages_changed(txn: Any, table: Any, rows: int, size_bytes: int) -> int:
    """Return how many pages of a table so many new rows with random keys change, about."""
    leaves: int = txn.stat(table)["leaf_pages"]
    return min(rows, leaves + (size_bytes + _ROW_BYTES * rows) // _PAGE_BYTES)


def in_slices(ordered: Sequence[T], pages: int) -> Iterator[Sequence[T]]:
    """Cut sorted rows, or keys, that change so many pages into slices."""
    step = -(-len(ordered) // max(1, -(-pages // PAGES_AT_ONCE))) or 1
    for at in range(0, len(ordered), step):
        yield ordered[at : at + step]
