"""Whether a store is whole: every page, row, file and link looked at, and nothing trusted.

`inspect` reads `data.mdb` through `redun.store.pages`, never through LMDB, so a damaged file cannot end the process that looks for the
damage. It may go on beside processes that write: a reader is entered into LMDB's table first, so that the pages of its snapshot stay.

Quick: pages hang together, every row has its checksum, every link, ref and memo row leads to something, every blob is there with its
size. Full: moreover every object and blob is hashed again and has the id that it is found under, and journals decode.

What it does not know is what all this means to a user; see `redun.fsck`.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from xxhash import xxh3_64

from redun.store.blobs import Blobs
from redun.store.disk import unavailable
from redun.store.errors import RedunError, StoreError
from redun.store.file_check import check_head
from redun.store.gone import TABLE as GONE_TABLE
from redun.store.gone import Gone, read_gone
from redun.store.heads import Meta, read_metas
from redun.store.ids import ID_BYTES, checksum, object_id
from redun.store.objects import Kind, split
from redun.store.pages import Problem, Snapshot
from redun.store.quarantine import FOLDER as QUARANTINE
from redun.store.reach import links_in
from redun.store.rows import HERE, OBJECT_START, BlobPointer, blob_pointer, ref_target, reflog_entry, unguarded
from redun.store.sources.base import ReflogEntry
from redun.store.sources.pinning import pinned
from redun.store.upgrades import STORE_FORMAT, check_format

_CHUNK = 1 << 20
_TORN = 50
NO_ID = bytes(ID_BYTES)


@dataclass
class Findings:
    """What an inspection found.

    Attributes:
        folder: of the store. full: whether everything was hashed.
        format: the store's, 0 if it cannot be read.
        objects, sizes: number and bytes of sound objects by kind. blobs: how many of them are files.
        memo, movements, refs: rows that are sound; refs with their targets.
        pages: what is wrong with the file itself.
        damaged: id -> what is wrong with its bytes.
        missing: ids that something links, and that are not there.
        gone: ids that are not there either, but known to be gone.
        bad_refs: name -> what is wrong. bad_movements: key in the reflog -> what is wrong.
        bad_memo: key -> what is wrong.
        bad_tables: name of a derived table -> how many of its rows are damaged.
        stray: files among the blobs that no row names, left by processes that were killed. Harmless.
        quarantined: number of things in the quarantine.
    """

    folder: Path
    full: bool
    format: int = 0
    objects: Counter[str] = field(default_factory=Counter)
    sizes: Counter[str] = field(default_factory=Counter)
    blobs: int = 0
    memo: int = 0
    movements: int = 0
    refs: dict[str, bytes] = field(default_factory=dict)
    pages: list[Problem] = field(default_factory=list)
    damaged: dict[bytes, str] = field(default_factory=dict)
    missing: set[bytes] = field(default_factory=set)
    gone: dict[bytes, Gone] = field(default_factory=dict)
    bad_refs: dict[str, str] = field(default_factory=dict)
    bad_movements: dict[bytes, str] = field(default_factory=dict)
    bad_memo: dict[bytes, str] = field(default_factory=dict)
    bad_tables: Counter[str] = field(default_factory=Counter)
    stray: list[Path] = field(default_factory=list)
    quarantined: int = 0

    def confirm(self, before: Findings) -> None:
        """Leave out what was not found before."""
        self.missing &= before.lost
        known = before.lost
        self.damaged = {oid: why for oid, why in self.damaged.items() if oid in known}
        self.bad_refs = {name: why for name, why in self.bad_refs.items() if name in before.bad_refs}
        self.bad_memo = {key: why for key, why in self.bad_memo.items() if key in before.bad_memo}
        self.bad_movements = {key: why for key, why in self.bad_movements.items() if key in before.bad_movements}

    @property
    def lost(self) -> set[bytes]:
        """Ids of objects that should be there and cannot be read."""
        return self.missing.union(self.damaged)

    @property
    def sound(self) -> bool:
        """True if nothing is wrong."""
        return not (
            *self.pages,
            *self.damaged,
            *self.missing,
            *self.bad_refs,
            *self.bad_movements,
            *self.bad_memo,
            *self.bad_tables,
        )


class Reader:
    """Objects of a snapshot, one at a time, each checked.

    Args:
        snapshot: the file. folder: of the store.
    """

    def __init__(self, snapshot: Snapshot, folder: Path) -> None:
        self.snapshot = snapshot
        self.blobs = Blobs(folder / "blobs")

    def get(self, oid: bytes) -> bytes | None:
        """Return an object's bytes, None if they are not there or not its own."""
        row = self.snapshot.get("objects", oid)
        data = None if row is None else self.data(oid, row)
        return data if data is not None and object_id(data) == oid else None

    def data(self, oid: bytes, row: bytes) -> bytes | None:
        """Return the bytes that a row holds or points to, None if their checksum does not match."""
        if row[8:9] == HERE:
            data = row[OBJECT_START:]
            return data if checksum(data) == row[:8] else None
        pointer = blob_pointer(row)
        try:
            return None if pointer is None else self.blobs.read(oid, pointer)
        except RedunError:
            return None

    def objects(self, wanted: Callable[[list[bytes]], bool]) -> Iterator[tuple[bytes, bytes]]:
        """Yield id and bytes of the sound objects whose links are wanted."""
        for oid, row in list_rows(self.snapshot, "objects"):
            links = links_in(row[OBJECT_START:]) if row[8:9] == HERE else links_in(self.blobs.head(oid))
            if wanted(links):
                data = self.data(oid, row)
                if data is not None:
                    yield oid, data


def list_rows(snapshot: Snapshot, table: str) -> Iterator[tuple[bytes, bytes]]:
    """Yield the rows of a table once more, in a snapshot of the same file, noting nothing."""
    again = Snapshot(snapshot.path, snapshot.meta)
    with again:
        yield from again.rows(table)


@contextlib.contextmanager
def opened(folder: Path) -> Iterator[tuple[Snapshot, list[Problem]]]:
    """Open a store's file for looking at it; what its head pages have wrong comes with it.

    Raises:
        StoreUnavailable: it cannot be read. StoreLocked: another process has it alone.
        StoreError: nothing in it is left.
    """
    path = folder / "data.mdb"
    wrong = check_head(path)
    with pinned(folder) as transaction:
        meta = None
        if wrong is not None or transaction is None:
            meta = best_head(path)
        else:
            for _ in range(_TORN):
                metas = [one for one in read_metas(path) if isinstance(one, Meta) and one.transaction == transaction]
                if metas:
                    meta = metas[0]
                    break
        try:
            snapshot = Snapshot(path, meta)
        except ValueError as error:
            raise unreadable(folder, error) from error
        except OSError as error:
            raise unavailable("read store", folder, error) from error
        with snapshot:
            check_ours(snapshot, folder)
            yield snapshot, [] if wrong is None else [Problem("(head pages)", 0, wrong)]


def check_ours(snapshot: Snapshot, folder: Path) -> None:
    """Refuse the database of another program, which must not be repaired to death.

    Raises:
        StoreError: none of the tables of a store is in it.
    """
    if not {"objects", "refs", "reflog", "memo"}.intersection(snapshot.tables):
        raise unreadable(folder, ValueError("it has none of the tables of a store"))


def unreadable(folder: Path, error: Exception) -> StoreError:
    """Make the error for a store of which nothing can be read."""
    return StoreError(
        f"store {str(folder)!r} cannot be read: its data.mdb is no database of redun, or nothing is left of it ({error}): "
        "restore a copy, or move it away"
    )


def best_head(path: Path) -> Meta | None:
    """Return the head page to believe, None if neither can be read: the newer one, unless most of what it leads to is lost."""
    ranked: list[tuple[int, int, int, Meta]] = []
    for meta in read_metas(path):
        if isinstance(meta, Meta):
            with contextlib.suppress(OSError, ValueError), Snapshot(path, meta) as snapshot:
                freed = snapshot.newest_freed()
                rows = sum(1 for _ in snapshot.rows("objects")) + len(snapshot.tables)
                ranked.append((meta.transaction, freed, rows, meta))
    # Where the numbers of their transactions cannot both be true, the lists of free pages tell which is newer.
    contradict = len(ranked) == 2 and abs(ranked[0][0] - ranked[1][0]) != 1
    contradict |= any(transaction % 2 != meta.page for transaction, _, _, meta in ranked)
    if contradict:
        ranked = [(freed, freed, rows, meta) for _, freed, rows, meta in ranked]
    most = max([rows for _, _, rows, _ in ranked], default=0)
    return max([one for one in ranked if one[2] * 2 >= most], default=(None,))[-1]


def inspect(
    folder: Path,
    *,
    full: bool = False,
    memo_links: Callable[[bytes], Iterable[bytes]] = lambda row: (),
    decodes: dict[Kind, Callable[[bytes], Any]] | None = None,
) -> Findings:
    """Look at all of a store.

    Args:
        folder: its folder.
        full: hash everything again.
        memo_links: returns the ids that a memo row leads to.
        decodes: kind -> function that raises an error if an object of that kind cannot be read; asked in full inspections.

    Raises:
        StoreError: there is no store, it is newer than this redun, or in use by somebody alone.
    """

    def look() -> Findings:
        with opened(folder) as (snapshot, problems):
            return Inspection(folder, snapshot, full, memo_links, decodes or {}).run(problems)

    found = look()
    if found.sound or found.pages:
        return found
    # Files have no snapshots: gc may have removed one that the snapshot still named. Damage is there the second time, too.
    again = look()
    again.confirm(found)
    return again


class Inspection:
    """One look at a store; see `inspect`."""

    def __init__(
        self,
        folder: Path,
        snapshot: Snapshot,
        full: bool,
        memo_links: Callable[[bytes], Iterable[bytes]],
        decodes: dict[Kind, Callable[[bytes], Any]],
    ) -> None:
        self._snapshot = snapshot
        self._found = Findings(folder, full)
        self._blobs = Blobs(folder / "blobs")
        self._memo_links = memo_links
        self._decodes = decodes
        self._present: set[bytes] = set()
        self._wanted: set[bytes] = set()
        self._named_blobs: set[bytes] = set()

    def run(self, problems: list[Problem]) -> Findings:
        """Do it."""
        found, snapshot = self._found, self._snapshot
        for key, row in snapshot.rows("meta"):
            if key == b"format" and row.isdigit():
                found.format = check_format(int(row), found.folder)
        for oid, row in snapshot.rows("objects"):
            self._object(oid, row)
        self._tables()
        self._refs()
        self._memo()
        found.gone = {oid: one for oid, one in found.gone.items() if oid not in self._present}
        found.missing = self._wanted - self._present - found.damaged.keys() - found.gone.keys()
        snapshot.account()
        if not found.format:
            snapshot.problem("meta", -1, "the store states no format")
        found.pages = [*problems, *snapshot.problems]
        self._files()
        return found

    # Objects.

    def _object(self, oid: bytes, row: bytes) -> None:
        found = self._found
        if row[8:9] == HERE:
            data: bytes | None = row[OBJECT_START:]
            head = row[OBJECT_START:]
            size = len(head)
            why = self._wrong(oid, head) if checksum(head) == row[:8] else "its bytes are not what was written"
        else:
            data = None
            pointer = blob_pointer(row)
            self._named_blobs.add(oid)
            head = b"" if pointer is None else self._blobs.head(oid)
            size = 0 if pointer is None else pointer.size
            why = "its row is not what was written" if pointer is None else self._wrong_file(oid, pointer)
        if why is None:
            why = self._undecodable(head, data)
        if why is not None:
            found.damaged[oid] = why
            return
        self._present.add(oid)
        self._wanted.update(links_in(head))
        kind = Kind(head[0]).name.lower()
        found.objects[kind] += 1
        found.sizes[kind] += size
        found.blobs += data is None

    def _wrong(self, oid: bytes, data: bytes) -> str | None:
        if self._found.full and object_id(data) != oid:
            return f"its bytes belong to object {object_id(data).hex()}"
        return None

    def _wrong_file(self, oid: bytes, pointer: BlobPointer) -> str | None:
        path = self._blobs.path(oid)
        try:
            with open(path, "rb", buffering=0) as file:
                size = os.fstat(file.fileno()).st_size
                if size != pointer.size:
                    return f"its file has {size} bytes, {pointer.size} were written"
                if not self._found.full:
                    return None
                quick, whole = xxh3_64(), hashlib.sha256()
                while chunk := file.read(_CHUNK):
                    quick.update(chunk)
                    whole.update(chunk)
        except OSError as error:
            return f"its file cannot be read: {(error.strerror or str(error)).lower()}"
        if quick.digest() != pointer.checksum:
            return "the bytes of its file are not what was written"
        return None if whole.digest()[:ID_BYTES] == oid else "the bytes of its file belong to another object"

    def _undecodable(self, head: bytes, data: bytes | None) -> str | None:
        try:
            kind = split(head)[0]
            if self._found.full and data is not None and kind in self._decodes:
                self._decodes[kind](data)
        except (RedunError, ValueError) as error:
            return f"it cannot be read: {error}"
        return None

    # What names them.

    def _refs(self) -> None:
        found = self._found
        last: dict[str, bytes | None] = {}
        keyed = found.format != 1
        for key, row in self._snapshot.rows("reflog"):
            try:
                entry: ReflogEntry = reflog_entry(key, row, keyed=keyed)
            except (RedunError, ValueError):
                found.bad_movements[key] = "its bytes are not what was written"
                continue
            found.movements += 1
            last[entry.name] = entry.new
        for key, row in self._snapshot.rows("refs"):
            name = key.decode(errors="surrogateescape")
            try:
                target = ref_target(name, row, keyed=keyed)
            except (RedunError, ValueError):
                found.bad_refs[name] = "its bytes are not what was written"
                continue
            found.refs[name] = target
            self._wanted.add(target)
            if last.get(name, target) != target and not found.bad_movements:
                found.bad_refs[name] = "it is not where its last movement took it"
        for name, new in last.items():
            if new is not None and name not in found.refs and name not in found.bad_refs:
                found.bad_refs[name] = "it is not there, but its last movement set it"

    def _memo(self) -> None:
        found = self._found
        known = self._present.union(found.gone)
        for key, row in self._snapshot.rows("memo"):
            content = unguarded(row, key if found.format != 1 else b"")
            if content is None or len(content) <= ID_BYTES:
                found.bad_memo[key] = "its bytes are not what was written"
            elif any(oid not in known for oid in self._memo_links(content)):
                found.bad_memo[key] = "it leads to something that is not there"
            else:
                found.memo += 1

    def _tables(self) -> None:
        found = self._found
        for name in self._snapshot.tables:
            if name != GONE_TABLE and not name.startswith("t_"):
                continue
            for key, row in self._snapshot.rows(name):
                content = unguarded(row, key) if found.format == STORE_FORMAT else row
                if content is None:
                    found.bad_tables[name.removeprefix("t_")] += 1
                elif name == GONE_TABLE:
                    found.gone[key] = read_gone(key, content)

    def _files(self) -> None:
        found = self._found
        with contextlib.suppress(OSError):
            found.quarantined = len(os.listdir(found.folder / QUARANTINE))
        for place, _, names in os.walk(found.folder / "blobs"):
            for name in names:
                try:
                    oid = bytes.fromhex(Path(place).name + name)
                except ValueError:
                    oid = NO_ID
                if oid not in self._named_blobs:
                    found.stray.append(Path(place, name))
