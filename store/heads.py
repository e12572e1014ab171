"""The two head pages of a store's `data.mdb`, read without LMDB.

Each transaction writes the head page that the one before did not, so that a torn write leaves the other. The newer one counts.
Where their bytes lie: docs of the layout are in `redun.store.pages`.
"""

from __future__ import annotations

import os
import struct
from pathlib import Path
from typing import NamedTuple

PAGE = struct.Struct("<QHHHH")
"""Head of every page: number, unused, flags, lower, upper bound (of large rows, the last two are one number: of pages)."""
DB = struct.Struct("<IHHQQQQQ")
"""Entry of a table: unused, flags, depth, branch pages, leaf pages, large pages, entries, root."""
HEADER_BYTES = PAGE.size
_META = struct.Struct("<IIQQ")  # magic, version, address, size of the map; then two DB, then last page and transaction
_TAIL = struct.Struct("<QQ")
_MAGIC, _VERSION, _FLAG = 0xBEEFC0DE, 1, 8


class Tree(NamedTuple):
    """A table as its row in the table of names states it."""

    flags: int
    depth: int
    branch_pages: int
    leaf_pages: int
    large_pages: int
    entries: int
    root: int


class Meta(NamedTuple):
    """A head page: one of two, of which that of the newer transaction counts."""

    page: int
    page_size: int
    free: Tree
    main: Tree
    last_page: int
    transaction: int


def read_metas(path: Path) -> list[Meta | str]:
    """Return both head pages of a file; a text where one cannot be one.

    Raises:
        OSError: the file cannot be read.
    """
    with open(path, "rb", buffering=0) as file:
        return metas_of(file.fileno())


def metas_of(fd: int) -> list[Meta | str]:
    """As `read_metas`, of an open file."""
    first = _meta(os.pread(fd, 512, 0), 0)
    # Where the second begins, the first says; each says it for the other if it is damaged.
    size = first.page_size if isinstance(first, Meta) else os.sysconf("SC_PAGE_SIZE")
    return [first, _meta(os.pread(fd, 512, size), 1)]


def _meta(data: bytes, page: int) -> Meta | str:
    if len(data) < HEADER_BYTES + _META.size + 2 * DB.size + _TAIL.size:
        return "the file ends inside it"
    number, _, flags, _, _ = PAGE.unpack_from(data)
    magic, version, _, _ = _META.unpack_from(data, HEADER_BYTES)
    at = HEADER_BYTES + _META.size
    size, *free = DB.unpack_from(data, at)
    _, *main = DB.unpack_from(data, at + DB.size)
    last, transaction = _TAIL.unpack_from(data, at + 2 * DB.size)
    if number != page or flags != _FLAG:
        return f"it says that it is page {number} of kind {flags:#x}"
    if magic != _MAGIC or version != _VERSION:
        return f"its magic number is {magic:#x}, its version {version}"
    if size not in (4096, 8192, 16384, 32768, 65536):
        return f"it states pages of {size} bytes"
    if last < 1 or transaction >= 1 << 56:
        return f"it states last page {last} and transaction {transaction}"
    return Meta(page, size, Tree(*free), Tree(*main), last, transaction)
