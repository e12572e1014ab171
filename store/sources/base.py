"""What a source of objects must do: the one place where each duty is stated.

A source keeps objects, refs with their reflog, the memo, and derived tables. LMDB is the source on the machine, memory the one
for `Scheduler()` without configuration; `tests/contract` holds every source to this text.

**All writing is one call, `commit(batch)`, and a batch is all or nothing.** That is where the invariants are kept: a commit
re-checks inside its write transaction that everything it links exists, so a cache hit (which puts nothing) is safe beside gc. The one
exception: of a large batch that fails, or whose writer is killed, objects may be left that no ref reaches, and memo rows that name them;
all that they lead to is there, and gc takes them away.

Threads: a source may be used by one thread at a time unless the implementation says more. Processes: any number may share one
folder; each opens its own source, and again after a fork.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any, NamedTuple, Protocol

from redun.store.ids import Pieces


class RefUpdate(NamedTuple):
    """A compare-and-swap on a ref.

    Attributes:
        name: like `executions/<uuid>`; characters `a-z A-Z 0-9 . _ - /`, no empty part, no part `.` or `..`.
        old: the 20-byte id that it must have now, None if it must not exist.
        new: the 20-byte id to set, None to delete it.
        message: one line for the reflog.
    """

    name: str
    old: bytes | None
    new: bytes | None
    message: str = ""


class ReflogEntry(NamedTuple):
    """One movement of a ref. `seq` counts all movements of a store from 1, without gaps that a reader could see."""

    seq: int
    name: str
    old: bytes | None
    new: bytes | None
    time_us: int
    message: str


class Batch:
    """What one commit writes.

    Attributes:
        objects: id (20 bytes) -> object bytes, or what `Source.stage` gave for them. Putting an object that exists already is free and
            changes nothing.
        memo: eval hash (20 bytes) -> row (opaque bytes); the newest row wins.
        forget: eval hashes (20 bytes) whose memo rows go.
        refs: compare-and-swaps, all of which must hold.
        links: ids that must exist once `objects` are put. The links of `objects` themselves are checked by the source only if
            they are listed here too, or if a gc has swept since the source was opened.
        read: more such ids, of objects that were read from this source after `moment`. If nobody has written since, they are there.
        moment: what `Source.moment` said then, None if it was not asked.
        away: id -> size in bytes of values that `objects` link and that are left in a remote: links to them hold. That is noted
            unless they are here.

    A batch that moves no ref keeps its objects only until the next gc begins, and a gc that is at work has all that they lead to stay.
    So what is there has all that it leads to, always: whoever names it later lists just what it names as `links`, and puts again what
    a commit says is missing.
    """

    __slots__ = ("away", "forget", "links", "memo", "moment", "objects", "read", "refs")

    def __init__(
        self,
        objects: Mapping[bytes, bytes | Pieces] | None = None,
        memo: dict[bytes, bytes] | None = None,
        refs: list[RefUpdate] | None = None,
        links: Collection[bytes] = (),
        forget: Collection[bytes] = (),
        away: Mapping[bytes, int] | None = None,
        read: Collection[bytes] = (),
        moment: int | None = None,
    ) -> None:
        self.objects = objects if objects is not None else {}
        self.memo = memo if memo is not None else {}
        self.refs = refs if refs is not None else []
        self.links = links
        self.forget = forget
        self.away = away if away is not None else {}
        self.read = read
        self.moment = moment


class Table(Protocol):
    """A derived, sorted bytes -> bytes mapping. Everything in a table can be rebuilt from objects, refs and the reflog."""

    def get(self, key: bytes) -> bytes | None:
        """Return the row at `key`, or None."""

    def get_many(self, keys: Iterable[bytes]) -> dict[bytes, bytes]:
        """Return the rows at those keys that have one. A quarter of the time of as many `get`."""

    def put_many(self, rows: Iterable[tuple[bytes, bytes]]) -> None:
        """Write rows, replacing what was there. Atomic for one call; any order of keys; fastest in key order."""

    def put_parts(self, rows: Iterable[tuple[bytes, bytes]]) -> None:
        """As `put_many`, but not atomic: many rows go a part at a time, in less memory. For what is made again when it is cut off."""

    def scan(self, prefix: bytes = b"", *, start: bytes | None = None, reverse: bool = False) -> Iterator[tuple[bytes, bytes]]:
        """Yield the rows whose key begins with `prefix`, in key order (or reverse); from `start` on if given.

        What is seen is a snapshot taken when iteration begins.
        """

    def delete_many(self, keys: Iterable[bytes]) -> None:
        """Drop rows; keys without one are passed over. Atomic for one call."""

    def clear(self) -> None:
        """Drop every row."""


class Source(Protocol):
    """A place that keeps objects, refs, memo rows and derived tables."""

    def get(self, oid: bytes) -> bytes:
        """Return an object's bytes, checked against their checksum.

        Raises:
            ObjectNotFound: there is none.
            DamagedObject: its bytes are not what was written.
        """

    def view(self, oid: bytes) -> bytes | memoryview:
        """As `get`, but a large object may come as a private, writable view that is read when it is touched."""

    def pieces(self, oid: bytes) -> bytes | Pieces:
        """As `get`, but a large object may come with its header apart from the rest, which need not be copied then."""

    def contains(self, oid: bytes) -> bool:
        """Tell whether an object is there, without reading it."""

    def away(self, oid: bytes) -> int | None:
        """Return the size in bytes of an object that is not here on purpose: left in a remote (`Batch.away`) or dropped by gc.

        None if it is here, lost or unknown.
        """

    def all_away(self) -> list[bytes]:
        """List the objects that were left in a remote and are not here."""

    def links(self, oid: bytes) -> list[bytes] | None:
        """Return the ids that an object refers to, None if it is not there. Neither decoded nor verified: cheap, for walks."""

    def memo_get(self, eval_hash: bytes) -> bytes | None:
        """Return the memo row of an eval hash; a damaged row counts as none."""

    def stage(self, pieces: Iterable[bytes]) -> tuple[bytes, Any]:
        """Write an object larger than a row ahead of the commit that makes it part of the store. Any thread.

        Args:
            pieces: its bytes in order, header included; more than `redun.store.rows.BLOB_ABOVE` in all.

        Returns:
            its id, and what stands for its bytes in `Batch.objects`. Nobody finds it before that is committed.

        Raises:
            StoreUnavailable: disk full, permissions, input/output error; nothing is left behind.
        """

    def commit(self, batch: Batch) -> None:
        """Write a batch: durable when this returns, and all or nothing.

        Raises:
            MissingLinks: some of `batch.links` do not exist; put them into the batch and commit again.
            RefConflict: a ref has another value than its update expects.
            StoreUnavailable: disk full, read-only, permissions, input/output error; the store is sound.
        """

    def refresh(self) -> None:
        """Let later reads see what others have committed by now. Reads in between may keep one snapshot for speed."""

    def moment(self) -> int:
        """Number of the last change to the store by anybody, for `Batch.moment`."""

    def put_ahead(self, oid: bytes, data: Pieces) -> Any:
        """As `stage`, for an object whose id is known; what has its file already is left alone.

        Returns:
            what stands for its bytes in `Batch.objects`.
        """

    def hold(self) -> None:
        """Have gc spare what is read from now on, until the next commit of this source or `let_go`. Twice is once.

        A run takes results from the memo and links them only in its next commit; a gc that drops memo rows waits for all that
        hold a state from before before it deletes what the rows named.
        """

    def let_go(self) -> None:
        """End `hold`: nothing that was read since is relied on."""

    def give_back(self) -> None:
        """Give memory back that reading takes and can take again: for who reads a great deal, now and then. 10 us."""

    def read_ref(self, name: str) -> bytes | None:
        """Return the id that a ref names, or None."""

    def refs(self, prefix: str = "") -> list[tuple[str, bytes]]:
        """List refs whose name begins with `prefix`, by name."""

    def reflog(self, after: int = 0) -> Iterator[ReflogEntry]:
        """Yield the movements of all refs with `seq` > `after`, oldest first."""

    def find(self, hex_prefix: str, limit: int = 20) -> list[bytes]:
        """List ids of stored objects that begin with a hex prefix (any length, odd ones too), in order, at most `limit`."""

    def ids(self) -> Iterator[bytes]:
        """Yield the id of every stored object, in order."""

    def table(self, name: str) -> Table:
        """Return the derived table of that name, made when first written to. Names: `a-z_`, at most 24 of them in a store."""

    def close(self) -> None:
        """Release everything. Closing twice is fine."""
