"""All objects of a store at one moment, by number: what gc and `store info` think with.

A set of a million ids and their links as Python objects would take half a gigabyte. Here an object is its place in the order of
ids, and everything known of it stands in arrays: 20 bytes of id, 1 of kind, 8 of size, 4 to 8 for the start of its links, 4 for
each link. Ids are hashes, so where one stands is nearly known from its first digits: a table of starts and one short search find
it in half a microsecond.

The tables of links are read from the rows as they lie there (`redun.store.reach`): nothing is decoded, nothing verified. The
rows are read in their order, once for the ids and once for the rest, and the pages of the map are given back on the way
(`redun.store.resident`), so that reading a large store does not look like needing as much memory.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import Any

from redun.store.blobs import Blobs
from redun.store.ids import ID_BYTES
from redun.store.objects import Flag, Kind
from redun.store.reach import TABLE_START, links_in
from redun.store.resident import Resident
from redun.store.rows import HERE_BYTE, OBJECT_START, blob_pointer

_AT_ONCE = 10_000
_FLAGS_AT = OBJECT_START + 3
_COUNT_AT = OBJECT_START + 4
_LINKS_AT = OBJECT_START + TABLE_START
_CACHED_IDS = 50_000
UNKNOWN = 0
"""The kind of an object whose row or file cannot be read."""

Progress = Callable[[str, int, int], None]
"""Is told what is being done, how many of how many are done."""


def silent(doing: str, done: int, total: int) -> None:
    """Progress that nobody watches."""


class ObjectGraph:
    """What a snapshot of a store holds, and what leads where.

    Args:
        txn: a read transaction with buffers (`buffers=True`).
        objects: LMDB's handle of the table.
        blobs: the files.
        resident: gives pages back.

    Attributes:
        count: how many objects there are; their numbers are 0 to `count - 1`, in order of id.
        kinds: a byte for each: `Kind`, or `UNKNOWN`.
        sizes: bytes of each object. in_files: for each whether it is a file.
        dangling: pairs of an object's number and an id that it links and that is not there.
    """

    def __init__(self, txn: Any, objects: Any, blobs: Blobs, resident: Resident, progress: Progress = silent) -> None:
        self._blobs = blobs
        self._resident = resident
        self._progress = progress
        self.dangling: list[tuple[int, bytes]] = []
        self._read_ids(txn.cursor(objects), txn.stat(objects)["entries"])
        self.kinds = bytearray(self.count)
        self.in_files = bytearray(self.count)
        self.sizes = array("Q", bytes(8 * self.count))
        self._starts = array("Q", bytes(8 * (self.count + 1)))
        self._targets = array("I")
        self._read_rows(txn.cursor(objects))

    def _read_ids(self, cursor: Any, expected: int) -> None:
        found = bytearray()
        keys: Iterator[Any] = cursor.iternext(keys=True, values=False) if cursor.first() else iter(())
        while part := b"".join(islice(keys, _AT_ONCE)):
            found += part
            self._resident.trim()
            self._progress("reading", len(found) // ID_BYTES, 2 * expected)
        self._ids = bytes(found)
        self.count = len(found) // ID_BYTES
        # About one id for each value of so many leading bits, 24 at most.
        self._shift = shift = 24 - min(24, max(1, self.count.bit_length()))
        starts = array("I", bytes(4 * ((1 << 24 - shift) + 1)))
        for at in range(0, len(found), ID_BYTES):
            starts[(int.from_bytes(found[at : at + 3], "big") >> shift) + 1] += 1
        total = 0
        for place, more in enumerate(starts):
            total += more
            starts[place] = total
        self._buckets = starts

    def _read_rows(self, cursor: Any) -> None:
        rows: Iterator[Any] = cursor.iternext(keys=False, values=True) if cursor.first() else iter(())
        kinds, sizes, starts, targets = self.kinds, self.sizes, self._starts, self._targets
        find = self._finder()
        for number, row in enumerate(rows):
            starts[number] = len(targets)
            if len(row) > _FLAGS_AT and row[8] == HERE_BYTE:
                sizes[number] = len(row) - OBJECT_START
                kinds[number] = row[OBJECT_START]
                if row[_FLAGS_AT] & Flag.LINKS:
                    end = _LINKS_AT + ID_BYTES * int.from_bytes(row[_COUNT_AT:_LINKS_AT], "big")
                    self._add_links(number, bytes(row[_LINKS_AT:end]), find)
            else:
                self._read_file(number, bytes(row), find)
            if not number % _AT_ONCE:
                self._resident.trim()
                self._progress("reading", self.count + number, 2 * self.count)
        starts[self.count] = len(targets)

    def _read_file(self, number: int, row: bytes, find: Callable[[bytes], int]) -> None:
        pointer = blob_pointer(row)
        if pointer is None:
            self.sizes[number] = len(row)
            return
        self.in_files[number] = 1
        self.sizes[number] = pointer.size
        head = self._blobs.head(self.id(number))
        self.kinds[number] = head[0] if head else UNKNOWN
        self._add_links(number, b"".join(links_in(head)), find)

    def _add_links(self, number: int, table: bytes, find: Callable[[bytes], int]) -> None:
        add = self._targets.append
        for at in range(0, len(table) - ID_BYTES + 1, ID_BYTES):
            oid = table[at : at + ID_BYTES]
            target = find(oid)
            if target >= 0:
                add(target)
            else:
                self.dangling.append((number, oid))

    def _finder(self) -> Callable[[bytes], int]:
        """Return `number` with a memory: tasks are linked over and over."""
        known: dict[bytes, int] = {}
        number = self.number

        def find(oid: bytes) -> int:
            found = known.get(oid)
            if found is None:
                if len(known) > _CACHED_IDS:
                    known.clear()
                found = known[oid] = number(oid)
            return found

        return find

    def number(self, oid: bytes) -> int:
        """Return the number of an object, -1 if it was not there."""
        bucket = int.from_bytes(oid[:3], "big") >> self._shift
        low, high = self._buckets[bucket] * ID_BYTES, self._buckets[bucket + 1] * ID_BYTES
        at = self._ids.find(oid, low, high)
        while at > 0 and at % ID_BYTES:
            # The end of one id and the beginning of the next look like it.
            at = self._ids.find(oid, at + 1, high)
        return at if at < 0 else at // ID_BYTES

    def id(self, number: int) -> bytes:
        """Return the id of an object."""
        return self._ids[number * ID_BYTES : (number + 1) * ID_BYTES]

    def targets(self, number: int) -> array[int]:
        """Return the numbers of what an object links."""
        return self._targets[self._starts[number] : self._starts[number + 1]]

    def of_kind(self, kind: Kind) -> Iterator[int]:
        """Yield the numbers of all objects of a kind."""
        kinds, wanted = self.kinds, bytes((kind,))
        at = kinds.find(wanted)
        while at >= 0:
            yield at
            at = kinds.find(wanted, at + 1)

    def reach(self, roots: Iterable[int], met: bytearray, barred: bytes | bytearray | None = None) -> tuple[int, int]:
        """Mark what some objects lead to, themselves included, in `met`.

        Args:
            roots: numbers.
            met: a byte for each object, not 0 where it was met before.
            barred: a byte for each object, not 0 where the walk ends before it.

        Returns:
            how many objects were marked now, and their bytes.
        """
        starts, targets, sizes = self._starts, self._targets, self.sizes
        count = size = 0
        stack = []
        for number in roots:
            if not met[number] and not (barred and barred[number]):
                met[number] = 1
                stack.append(number)
        while stack:
            number = stack.pop()
            count += 1
            size += sizes[number]
            for target in targets[starts[number] : starts[number + 1]]:
                if not met[target] and not (barred and barred[target]):
                    met[target] = 1
                    stack.append(target)
        return count, size

    def others(self, txn: Any, objects: Any) -> Iterator[bytes]:
        """Yield the ids of objects that another snapshot of the store holds and this one does not. 0.1 us for each object.

        Args:
            txn: a read transaction.
            objects: LMDB's handle of the table.
        """
        cursor = txn.cursor(objects)
        keys: Iterator[bytes] = cursor.iternext(keys=True, values=False) if cursor.first() else iter(())
        at = 0
        while part := b"".join(islice(keys, _AT_ONCE)):
            self._resident.trim()
            end = at + len(part)
            if part == self._ids[at:end]:
                at = end
                continue
            for place in range(0, len(part), ID_BYTES):
                oid = part[place : place + ID_BYTES]
                number = self.number(oid)
                if number < 0:
                    yield oid
                else:
                    at = (number + 1) * ID_BYTES

    def in_waves(self, gone: bytes | bytearray) -> array[int]:
        """Return the numbers of some objects in an order in which all that refers to one comes before it.

        In waves: first those that none of them refers to, then those that only the first refer to, and so on, each wave in order
        of id, so that neighbours in the store are neighbours here wherever that is possible.

        Args:
            gone: a byte for each object, not 0 for those to be ordered. What refers to one of them is itself one of them.
        """
        starts, targets = self._starts, self._targets
        order = array("I")
        referrers = array("I", bytes(4 * self.count))
        total = 0
        at = gone.find(1)
        while at >= 0:
            total += 1
            for target in targets[starts[at] : starts[at + 1]]:
                referrers[target] += 1
            at = gone.find(1, at + 1)
        wave = array("I")
        at = gone.find(1)
        while at >= 0:
            if not referrers[at]:
                wave.append(at)
            at = gone.find(1, at + 1)
        while wave:
            order.extend(wave)
            following = array("I")
            for number in wave:
                for target in targets[starts[number] : starts[number + 1]]:
                    referrers[target] -= 1
                    if not referrers[target] and gone[target]:
                        following.append(target)
            wave = array("I", sorted(following))
        if len(order) < total:
            # No graph of hashes has circles, but a damaged one may look as if.
            placed = set(order)
            order.extend([number for number in range(self.count) if gone[number] and number not in placed])
        return order
