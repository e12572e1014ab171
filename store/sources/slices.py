"""Slices: parts of sorted rows, each of which changes few pages of a table. Why: `redun.store.sources.lmdb_commit`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple, TypeVar

T = TypeVar("T")

PAGES_AT_ONCE = 512
MOST_PAGES = 4096
_PARTS = 8
"""One transaction of a large write may change so many pages (2 MB), or an eighth of its table, up to 16 MB: each one is synced."""

_ROW_BYTES = 40
"""What a row takes beside its content: a key, a checksum, LMDB's own."""
_PAGE_BYTES = 2800
"""What a page of random keys holds: LMDB splits a full one in halves."""


class Extent(NamedTuple):
    """How much new rows with random keys change, about.

    Attributes:
        pages: of their table. slices: how many transactions that is.
    """

    pages: int
    slices: int


def extent(txn: Any, table: Any, rows: int, size_bytes: int) -> Extent:
    """Look how much so many rows change."""
    leaves: int = txn.stat(table)["leaf_pages"]
    pages = min(rows, leaves + (size_bytes + _ROW_BYTES * rows) // _PAGE_BYTES)
    at_once = min(max(PAGES_AT_ONCE, leaves // _PARTS), MOST_PAGES)
    return Extent(pages, max(1, -(-pages // at_once)))


def in_slices(ordered: Sequence[T], slices: int) -> Iterator[Sequence[T]]:
    """Cut sorted rows, or keys, into slices."""
    step = -(-len(ordered) // slices) or 1
    for at in range(0, len(ordered), step):
        yield ordered[at : at + step]
