"""A store's `data.mdb` read page by page, without LMDB: what is damaged is found, and never followed.

LMDB has no checksums of its own and believes what its pages say: a flipped bit in the size of a row or in a page's header can
make it read behind the end of the map, or write over its own memory. So whoever suspects a file looks at it here first. Nothing
is mapped, nothing is trusted: each number is checked before it is used, a page that is wrong is told and left out, and what hangs
below it is not seen.

What is checked, for every page that the newest snapshot reaches: its own number and kind, that its rows lie inside it, one behind
the other, that keys are in order and between those of the page above, the depth of the tree, the sizes and pages of large rows, the
counters of each table; that no page is used twice, or used and free at once, or neither.

Source: the layout of LMDB 0.9 (`mdb.c`: MDB_page, MDB_node, MDB_db, MDB_meta), 64-bit, little-endian, as docs/format.md says.
Cost: about 1 us for each row.
"""

from __future__ import annotations

import os
import struct
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

from redun.store.heads import DB, HEADER_BYTES, PAGE, Meta, Tree, metas_of

_NODE = struct.Struct("<HHHH")  # low and high half of the size (or of a page number), flags, size of the key
_BRANCH, _LEAF, _LARGE = 1, 2, 4
_BIG_NODE, _TABLE_NODE, _INTEGER_KEYS = 1, 2, 8
_NO_PAGE = (1 << 64) - 1
_DEEPEST = 32
_LONGEST_KEY = 511
_MOST_ROW = 1 << 20
"""No row of a store is longer: objects beyond 64 KiB are files, and other rows are small."""
MAIN, FREE = "(names of tables)", "(free pages)"


class Problem(NamedTuple):
    """Something in the file that is not as it must be.

    Attributes:
        table: name of the table whose pages are concerned, or words in brackets.
        page: its number, -1 if none can be named.
        what: one line.
    """

    table: str
    page: int
    what: str


class Snapshot:
    """What one head page of a file leads to. Reading finds damage and notes it in `problems`.

    Args:
        path: `data.mdb`. No other process may be able to reuse its pages meanwhile: it must be pinned by a reader, or locked.
        meta: the head page; the newest by default.

    Attributes:
        problems: what was found so far.
        shallow: set it, and of leaves only the heads are looked at, no rows are yielded, and pages are not accounted for.
        meta: the head page. path: of the file.

    Raises:
        OSError: the file cannot be read.
        ValueError: neither head page is one.
    """

    def __init__(self, path: Path, meta: Meta | None = None) -> None:
        self.problems: list[Problem] = []
        self.path = path
        self.shallow = False
        self._file = open(path, "rb", buffering=0)  # noqa: SIM115
        self._fd = self._file.fileno()
        try:
            if meta is None:
                found = [one for one in metas_of(self._fd) if isinstance(one, Meta)]
                if not found:
                    raise ValueError("neither of its head pages is one")
                meta = max(found, key=lambda one: one.transaction)
            self.meta = meta
            self.page_size = meta.page_size
            self._file_bytes = os.fstat(self._fd).st_size
            self._seen: Any = bytearray(min(meta.last_page + 1, self._file_bytes // self.page_size + 1))
            self._seen[:2] = b"\x01\x01"
            self.tables = self._read_tables()
        except BaseException:
            self._file.close()
            raise

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def __enter__(self) -> Snapshot:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def problem(self, table: str, page: int, what: str) -> None:
        """Note a problem."""
        self.problems.append(Problem(table, page, what))

    def _read_tables(self) -> dict[str, Tree]:
        found: dict[str, Tree] = {}
        for key, row in self._walk(MAIN, self.meta.main, _TABLE_NODE):
            name = key.decode(errors="replace")
            if len(row) != DB.size:
                self.problem(name, -1, f"its entry has {len(row)} bytes")
                continue
            found[name] = Tree(*DB.unpack(row)[1:])
        return found

    def rows(self, table: str) -> Iterator[tuple[bytes, bytes]]:
        """Yield the rows of a table that can be read, in order of their keys unless it is damaged. Each table once."""
        tree = self.tables.get(table)
        return iter(()) if tree is None else self._walk(table, tree, 0)

    def get(self, table: str, key: bytes) -> bytes | None:
        """Return one row, None if it is not to be found. Marks nothing as used, and notes no problems."""
        tree = self.tables.get(table)
        if tree is None or tree.root == _NO_PAGE or not 1 <= tree.depth <= _DEEPEST:
            return None
        kept = self._seen, self.problems
        self._seen, self.problems = _Unmarked(), []
        try:
            number = tree.root
            for depth in range(1, tree.depth + 1):
                data = self._take(table, number)
                nodes = None if data is None else self._nodes(table, number, data, depth == tree.depth)
                if data is None or nodes is None:
                    return None
                if depth < tree.depth:
                    # The first key of a branch counts as the smallest there is.
                    at = bisect_right(nodes, key, lo=1, key=lambda node: node[0])
                    number = nodes[at - 1][1]
                    continue
                at = bisect_left(nodes, key, key=lambda node: node[0])
                if at == len(nodes) or nodes[at][0] != key:
                    return None
                _, place, flags, size = nodes[at]
                if not flags & _BIG_NODE:
                    return data[place : place + size]
                return self._large(table, int.from_bytes(data[place : place + 8], "little"), size, [0] * 4)
            return None
        finally:
            self._seen, self.problems = kept

    def leaves(self) -> Iterator[list[tuple[bytes, bytes]]]:
        """Yield the rows of every page of the file that is a leaf, used or not: older copies of rows that still lie about.

        Whose rows they are, and whether they were ever committed, nobody knows: what they say must be checked.
        """
        kept = self._seen, self.problems
        self._seen, self.problems = _Unmarked(), []
        try:
            for number in range(2, self._file_bytes // self.page_size):
                data = self.page(number)
                if data is None or int.from_bytes(data[10:12], "little") != _LEAF:
                    continue
                found = []
                for key, place, flags, size in self._nodes("", number, data, True) or ():
                    if not flags & _BIG_NODE:
                        found.append((key, data[place : place + size]))
                        continue
                    row = self._large("", int.from_bytes(data[place : place + 8], "little"), size, [0] * 4)
                    if row is not None:
                        found.append((key, row))
                if found:
                    yield found
                self.problems.clear()
        finally:
            self._seen, self.problems = kept

    # Pages.

    def page(self, number: int) -> bytes | None:
        """Return a page, None if the file ends before it or the disk does not give it."""
        try:
            data = os.pread(self._fd, self.page_size, number * self.page_size)
        except OSError:
            return None
        return data if len(data) == self.page_size else None

    def _take(self, table: str, number: int) -> bytes | None:
        """Return a page for use in one place; None, with a problem noted, if it cannot be used there."""
        if not 2 <= number <= self.meta.last_page:
            self.problem(table, number, f"page {number} is named, and the last one is {self.meta.last_page}")
            return None
        data = self.page(number)
        if data is None:
            self.problem(table, number, f"page {number} cannot be read")
            return None
        if self._seen[number]:
            self.problem(table, number, f"page {number} is used in two places")
            return None
        self._seen[number] = 1
        return data

    def _walk(self, table: str, tree: Tree, kind: int) -> Iterator[tuple[bytes, bytes]]:
        """Yield the rows of a tree, checking everything; `kind`: flags that its rows must have (but for that of large rows)."""
        if tree.flags != (_INTEGER_KEYS if table == FREE else 0):
            self.problem(table, -1, f"it is said to be of kind {tree.flags:#x}")
        if tree.root == _NO_PAGE:
            if tree.entries:
                self.problem(table, -1, f"it has no pages, but is said to have {tree.entries} rows")
            return
        if not 1 <= tree.depth <= _DEEPEST:
            self.problem(table, -1, f"it is said to be {tree.depth} pages deep")
            return
        counts = [0, 0, 0, 0]
        before = len(self.problems)
        integer = table == FREE
        # Page, its depth, and the keys that everything in it must lie between.
        stack: list[tuple[int, int, bytes | None, bytes | None]] = [(tree.root, 1, None, None)]
        last: bytes | None = None
        while stack:
            number, depth, low, high = stack.pop()
            data = self._take(table, number)
            if data is None:
                continue
            is_leaf = depth == tree.depth
            if is_leaf and self.shallow:
                own, _, flags, lower, upper = PAGE.unpack_from(data)
                if own != number or flags != _LEAF or not HEADER_BYTES < lower <= upper <= self.page_size:
                    self.problem(table, number, f"page {number} says that it is page {own} of kind {flags:#x}")
                continue
            nodes = self._nodes(table, number, data, is_leaf)
            if nodes is None:
                continue
            if not is_leaf:
                counts[0] += 1
                stack.extend(reversed(self._children(table, number, data, nodes, depth, low, high)))
                continue
            counts[1] += 1
            for key, place, flags, size in nodes:
                order = _number(key) if integer else key
                if last is not None and not last < order:
                    self.problem(table, number, f"the keys of page {number} are out of order")
                elif (low is not None and order < low) or (high is not None and order >= high):
                    self.problem(table, number, f"a key of page {number} belongs elsewhere")
                last = order
                counts[3] += 1
                if flags & ~_BIG_NODE != kind:
                    self.problem(table, number, f"a row of page {number} is of kind {flags:#x}")
                    continue
                if not flags & _BIG_NODE:
                    yield key, data[place : place + size]
                    continue
                row = self._large(table, int.from_bytes(data[place : place + 8], "little"), size, counts)
                if row is not None:
                    yield key, row
        if (
            not self.shallow
            and len(self.problems) == before
            and counts != [tree.branch_pages, tree.leaf_pages, tree.large_pages, tree.entries]
        ):
            self.problem(
                table,
                tree.root,
                f"{counts[3]} rows in {counts[0]} + {counts[1]} + {counts[2]} pages were found, "
                f"{tree.entries} in {tree.branch_pages} + {tree.leaf_pages} + {tree.large_pages} are stated",
            )

    def _nodes(self, table: str, number: int, data: bytes, is_leaf: bool) -> list[tuple[bytes, int, int, int]] | None:
        """Return key, place of the row, flags and size of the row for each entry of a page; of branches, the place is the child."""
        own, _, flags, lower, upper = PAGE.unpack_from(data)
        size = self.page_size
        if own != number:
            self.problem(table, number, f"page {number} says that it is page {own}")
            return None
        if flags != (_LEAF if is_leaf else _BRANCH):
            self.problem(table, number, f"page {number} is of kind {flags:#x}")
            return None
        if not HEADER_BYTES <= lower <= upper <= size or lower % 2 or upper % 2:
            self.problem(table, number, f"page {number} states bounds {lower} and {upper}")
            return None
        count = (lower - HEADER_BYTES) // 2
        if count < (1 if is_leaf else 2):
            self.problem(table, number, f"page {number} has {count} entries")
            return None
        places = struct.unpack_from(f"<{count}H", data, HEADER_BYTES)
        found: list[tuple[bytes, int, int, int]] = []
        spans: list[tuple[int, int]] = []
        node = _NODE.unpack_from
        for at in places:
            if not upper <= at <= size - 8 or at % 2:
                self.problem(table, number, f"an entry of page {number} is said to be at {at}")
                return None
            low, high, kind, key_size = node(data, at)
            start = at + 8
            end = start + key_size
            if is_leaf:
                length = low | high << 16
                end += 8 if kind & _BIG_NODE else length
                if not 1 <= key_size <= _LONGEST_KEY or end > size or length > _MOST_ROW:
                    self.problem(table, number, f"a row of page {number} is said to have {key_size} + {length} bytes")
                    return None
                found.append((data[start : start + key_size], start + key_size, kind, length))
            else:
                if key_size > _LONGEST_KEY or end > size:
                    self.problem(table, number, f"an entry of page {number} is said to have {key_size} bytes")
                    return None
                found.append((data[start:end], low | high << 16 | kind << 32, 0, 0))
            spans.append((at, end))
        # LMDB keeps them packed, at even places, up to the end of the page.
        spans.sort()
        spans.append((size, size))
        if spans[0][0] != upper or any(end + end % 2 != start for (_, end), (start, _) in pairwise(spans)):
            self.problem(table, number, f"entries of page {number} overlap, or leave gaps")
            return None
        return found

    def _children(
        self,
        table: str,
        number: int,
        data: bytes,
        nodes: list[tuple[bytes, int, int, int]],
        depth: int,
        low: bytes | None,
        high: bytes | None,
    ) -> list[tuple[int, int, bytes | None, bytes | None]]:
        bounds: list[bytes | None] = [low]
        for key, _, _, _ in nodes[1:]:
            order = _number(key) if table == FREE else key
            before = bounds[-1]
            if before is not None and order <= before:
                self.problem(table, number, f"the keys of page {number} are out of order")
            bounds.append(order)
        bounds.append(high)
        return [(node[1], depth + 1, bounds[i], bounds[i + 1]) for i, node in enumerate(nodes)]

    def _large(self, table: str, number: int, size: int, counts: list[int]) -> bytes | None:
        """Return a row that has pages of its own."""
        first = self._take(table, number)
        if first is None:
            return None
        pages = (HEADER_BYTES + size - 1) // self.page_size + 1
        own, _, flags, low, high = PAGE.unpack_from(first)
        if own != number or flags != _LARGE or low | high << 16 != pages:
            self.problem(table, number, f"page {number} does not begin a row of {size} bytes")
            return None
        counts[2] += pages
        if number + pages - 1 > self.meta.last_page:
            self.problem(table, number, f"the row at page {number} ends behind the last page")
            return None
        try:
            row = os.pread(self._fd, size, number * self.page_size + HEADER_BYTES)
        except OSError:
            row = b""
        if len(row) != size:
            self.problem(table, number, f"the row at page {number} cannot be read")
            return None
        for other in range(number + 1, number + pages):
            if self._seen[other]:
                self.problem(table, other, f"page {other} is used in two places")
            self._seen[other] = 1
        return row

    # Everything.

    def newest_freed(self) -> int:
        """Return the number of the last transaction that freed pages. Reads one path down the tree, and marks nothing as used."""
        tree, number = self.meta.free, self.meta.free.root
        for depth in range(1, tree.depth + 1 if number != _NO_PAGE else 0):
            data = self.page(number) if 2 <= number <= self.meta.last_page else None
            nodes = None if data is None else self._nodes(FREE, number, data, depth == tree.depth)
            if data is None or not nodes:
                self.problem(FREE, number, f"page {number} of the list of free pages cannot be read")
                return 0
            if depth == tree.depth:
                return int.from_bytes(nodes[-1][0], "little")
            number = nodes[-1][1]
        return 0

    def check(self, each: Callable[[str, bytes, bytes], None] | None = None) -> list[Problem]:
        """Walk all tables that were not walked yet, and account for every page. Returns all problems.

        Args:
            each: is told table, key and row of every row.
        """
        for name in self.tables:
            for key, row in self.rows(name):
                if each is not None:
                    each(name, key, row)
        if not self.shallow:
            self.account()
        return self.problems

    def account(self) -> None:
        """Compare the list of free pages with those that no table uses; after all tables were walked."""
        whole = not self.problems
        newest = 0
        free: list[int] = []
        for key, row in self._walk(FREE, self.meta.free, 0):
            newest = max(newest, int.from_bytes(key, "little"))
            count = int.from_bytes(row[:8], "little")
            if len(row) % 8 or count * 8 + 8 != len(row):
                self.problem(FREE, -1, f"an entry of {len(row)} bytes is said to name {count} pages")
                continue
            free.extend(struct.unpack_from(f"<{count}Q", row, 8))
        last = self.meta.last_page
        for number in free:
            if not 2 <= number <= last:
                self.problem(FREE, number, f"page {number} is named, and the last one is {last}")
            elif number < len(self._seen):
                if self._seen[number]:
                    self.problem(FREE, number, f"page {number} is free and used at once")
                self._seen[number] = 1
        if whole and self.meta.transaction > 1 and newest != self.meta.transaction:
            self.problem(
                FREE, -1, f"pages were last freed by transaction {newest}, and the last one was {self.meta.transaction}"
            )
        if len(self.problems) == 0 and last + 1 <= len(self._seen):
            lost = self._seen.count(0, 0, last + 1)
            if lost:
                self.problem(FREE, self._seen.find(0), f"{lost} pages are neither used nor free")


class _Unmarked:
    """In place of the marks of used pages, where a page may be looked at twice."""

    def __getitem__(self, number: int) -> int:
        return 0

    def __setitem__(self, number: int, mark: int) -> None:
        pass


def _number(key: bytes) -> bytes:
    # Numbers of transactions are kept in the machine's order, and sorted by value.
    return key[::-1]
