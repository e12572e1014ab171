"""What this machine knows of a remote: a source of its own beside the store, `remotes/<name>/`.

It holds the remote's refs (with a reflog of when we learned of them), objects that were looked at without being pulled, and tables:

    place    id (20)              -> number of the pack (4) | offset (8) | size (8) | kind (1): where an object is
    pack     number (4)           -> msgpack [name, size, kind, [packed sizes], [raw sizes]], of packs that are gone []
    name     digits of the name   -> number of the pack (4)
    state    "remote" id, "log" [sequence number, digest] of the last entry taken in, "shards" of merged indexes not read yet,
             "began" number of the checkpoint that was read first, "claimed" number of the entry up to which claims were taken from `recent`,
             "said" | number (4): msgpack [signer, [signers of the checkpoints that say that this one said so]]
    claim    eval hash (20) | number of who says so (4) -> id of the call that it leads to (20) | number of the entry that says it (8)
    writer   name of a ref        -> msgpack [id, number of the entry that set it, its signer, [signers of checkpoints that say so]]; or
                                     empty: it is gone
    signer   name of a signer     -> msgpack [who in words, entries read, microseconds of the newest by the signer's clock]
    alive    name of a pack       -> msgpack [size, kind], as the log states it; empty: it is gone
    gone     "p" name of a pack   -> number of the entry that dropped it (8); "r" name of a ref -> id that it had when it was dropped (20)
    recent   number of the entry (8) | place (2) -> at 0 msgpack [signer, [[name, size, kind]] of packs that it added], then bytes
             of its indexes: for the next checkpoint, and for claims when somebody first asks for one
    upload   digits of the name   -> msgpack [microseconds, index]: packs sent whose entry is not written yet; empty: it is

All of it can be had again from the remote, but for "remote" and "log": they are how a remote that was replaced, or set back, is noticed.
What is new is written in the order places, refs, "log", so that a reader that dies half-way costs work, not truth.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import msgpack

from redun.store.remote.claim_rows import RECENT_KEY, ClaimRows, KnownClaim, put_rows
from redun.store.remote.index import Claim, Columns, Place
from redun.store.remote.log import Entry, IndexFact, PackFact, RefFact, Shard
from redun.store.remote.only_one import OnlyOne
from redun.store.remote.pack import Pack, PackKind
from redun.store.sources.base import Batch, RefUpdate, Source

_PLACE = struct.Struct(">IQQB")
_NUMBER = struct.Struct(">I")
_SEQ = struct.Struct(">Q")
_RECENT_MOST = 400
_NO_PACK = Pack("", 0, PackKind.MIXED)
"""Number 0: of objects that the remote knows of and does not have."""


@dataclass(slots=True)
class Known:
    """What was last seen of a remote.

    Attributes:
        remote: its id.
        seq, digest: of the last entry taken in; 0 and zeros before the first.
    """

    remote: bytes
    seq: int
    digest: bytes


class SignerFact(NamedTuple):
    """Somebody who signed entries of a remote.

    Attributes:
        name: 32 bytes (`redun.store.keys`).
        by: who that is in their own words; nobody has checked them.
        entries, time_us: how many entries of theirs were read, and when the newest was written by their clock; 0 if none was read.
    """

    name: bytes
    by: str
    entries: int
    time_us: int


class Mirror:
    """The mirror of one remote. One thread at a time.

    Args:
        source: where it is; used by nobody else in this process.
        lock: a file beside it, by which processes of this machine take turns; None if there is only this one.

    Attributes:
        pushing: held by whoever pushes to the remote.
    """

    def __init__(self, source: Source, lock: Path | None = None) -> None:
        self.source = source
        self._lock = OnlyOne(lock)
        self.pushing = OnlyOne(None if lock is None else lock.with_suffix(".push"))
        self._places = source.table("place")
        self._packs = source.table("pack")
        self._names = source.table("name")
        self._state = source.table("state")
        self._uploads = source.table("upload")
        self._writers = source.table("writer")
        self._signers = source.table("signer")
        self._recent = source.table("recent")
        self._claims = ClaimRows(source)
        self._alive = source.table("alive")
        self._gone = source.table("gone")
        self._open: dict[int, Pack | None] = {}
        self._numbers: dict[str, int] = {}
        self._shards: list[list[Shard]] | None = None
        self._next: int | None = None

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Keep other processes from taking things in as long as this lasts; what they took in before is seen."""
        with self._lock.held() as begun:
            if begun:
                self.source.refresh()
                self._shards = self._next = None
                self._claims.forget()
                self._open.clear()
            yield

    # What was seen.

    def known(self) -> Known | None:
        """Return what was last seen of the remote, None if nothing."""
        remote, row = self._state.get(b"remote"), self._state.get(b"log")
        if remote is None:
            return None
        seq, digest = msgpack.unpackb(row) if row is not None else (0, bytes(32))
        return Known(remote, seq, digest)

    def meet(self, remote: bytes) -> None:
        """Note the id of the remote, before anything else of it."""
        self._state.put_many([(b"remote", remote)])

    def note(self, seq: int, digest: bytes) -> None:
        """Note the last entry taken in."""
        self._state.put_many([(b"log", msgpack.packb([seq, digest]))])

    # Packs.

    def _number(self, name: str) -> int | None:
        number = self._numbers.get(name)
        if number is None:
            row = self._names.get(name.encode())
            if row is None:
                return None
            number = self._numbers[name] = _NUMBER.unpack(row)[0]
        return number

    def _add_rows(self, packs: Iterable[tuple[str, Pack | None]]) -> None:
        if self._next is None:
            last = next(iter(self._packs.scan(reverse=True)), None)
            self._next = 1 if last is None else _NUMBER.unpack(last[0])[0] + 1
        rows, names = [], []
        for name, pack in packs:
            number = self._number(name)
            if number is None:
                number = self._next
                self._next += 1
                names.append((name.encode(), _NUMBER.pack(number)))
                self._numbers[name] = number
            body = [] if pack is None else [name, pack.size, int(pack.kind), pack.packed, pack.raw]
            rows.append((_NUMBER.pack(number), msgpack.packb(body)))
            self._open[number] = pack
        if rows:
            self._packs.put_many(rows)
        if names:
            self._names.put_many(names)

    def add_packs(self, packs: Iterable[Pack]) -> None:
        """Note packs that an index describes; what is gone stays gone."""
        self._add_rows([(pack.name, pack) for pack in packs if self._number(pack.name) is None])

    def drop_packs(self, names: Iterable[str], seq: int) -> None:
        """Note that packs are gone: what was in them is not in the remote, unless an index says where else.

        Args:
            seq: number of the entry that says so.
        """
        names = list(names)
        self._add_rows([(name, None) for name in names])
        if names:
            self._alive.put_many([(name.encode(), b"") for name in names])
            self._gone.put_many([(b"p" + name.encode(), _SEQ.pack(seq)) for name in names])

    def dropped_at(self, name: str) -> int | None:
        """Return the number of the entry that dropped a pack, as far as we followed the log; None if none did."""
        row = self._gone.get(b"p" + name.encode())
        return None if row is None else _SEQ.unpack(row)[0]

    def began(self) -> int:
        """Return the number of the checkpoint that was read first; 0 if the log was followed from its start."""
        row = self._state.get(b"began")
        return 0 if row is None else _SEQ.unpack(row)[0]

    def begin(self, seq: int) -> None:
        """Note which checkpoint was read first. Packs that were sent before are of no use: what became of them nobody tells us."""
        self._state.put_many([(b"began", _SEQ.pack(seq))])
        self.forget_uploads(self.uploads())

    def was_dropped(self, ref: str, target: bytes) -> bool:
        """Tell whether somebody dropped a ref from the remote when it named this."""
        return self._gone.get(b"r" + ref.encode()) == target

    def add_facts(self, facts: Iterable[PackFact]) -> None:
        """Note which packs the log says there are."""
        rows = [(fact.name.encode(), msgpack.packb([fact.size, int(fact.kind)])) for fact in facts]
        if rows:
            self._alive.put_many(rows)

    def fact(self, name: str) -> PackFact | None:
        """Return what the log says of a pack, None if there is none (any more)."""
        row = self._alive.get(name.encode())
        if not row:
            return None
        size, kind = msgpack.unpackb(row)
        return PackFact(name, size, PackKind(kind))

    def is_alive(self, name: str) -> bool:
        """Tell whether the remote has a pack."""
        return bool(self._alive.get(name.encode()))

    def facts(self) -> Iterator[PackFact]:
        """Yield what the log says of the packs that there are."""
        for key, row in self._alive.scan():
            if row:
                size, kind = msgpack.unpackb(row)
                yield PackFact(key.decode(), size, PackKind(kind))

    def forget_dropped(self, refs: Iterable[str]) -> None:
        """Note that it was not somebody else's will that some refs went."""
        rows = [(b"r" + name.encode(), b"") for name in refs]
        if rows:
            self._gone.put_many(rows)

    def _pack(self, number: int) -> Pack | None:
        if number not in self._open:
            row = self._packs.get(_NUMBER.pack(number))
            body = [] if row is None else msgpack.unpackb(row)
            self._open[number] = None if not body else Pack(body[0], body[1], PackKind(body[2]), body[3], body[4])
        return self._open[number]

    def pack(self, name: str) -> Pack | None:
        """Return a pack, None if it is unknown or gone."""
        number = self._number(name)
        return None if number is None else self._pack(number)

    def packs(self) -> Iterator[Pack]:
        """Yield the packs that are known and not gone."""
        for key, _ in self._packs.scan():
            pack = self._pack(_NUMBER.unpack(key)[0])
            if pack is not None:
                yield pack

    # Objects.

    def add_indexes(self, indexes: Sequence[Columns], older: bool = False) -> None:
        """Take in where objects are; of two indexes that tell of the same object the later one counts.

        Args:
            older: what is known already is newer, and stays.
        """
        self.add_packs([pack for index in indexes for pack in index.packs])
        rows: dict[bytes, bytes] = {}
        absent: dict[bytes, int] = {}
        for index in indexes:
            # Later entries may have dropped what this one added.
            index = index.without({pack.name for pack in index.packs if self.pack(pack.name) is None})
            numbers = [self._number(pack.name) for pack in index.packs]
            places = map(_PLACE.pack, map(numbers.__getitem__, index.numbers), index.offsets, index.sizes, index.kinds)
            rows.update(zip(index.ids, places, strict=True))
            absent.update(index.absent)
        if older:
            self._leave_known(rows)
        missing = {oid: _PLACE.pack(0, 0, size, 0) for oid, size in absent.items() if oid not in rows}
        self._leave_known(missing)
        put_rows(self._places, rows | missing if missing else rows)

    def _leave_known(self, rows: dict[bytes, bytes]) -> None:
        """Take out what is known to be somewhere."""
        for oid, row in self._places.get_many(list(rows)).items():
            if not self._leads_nowhere(row):
                del rows[oid]

    def _leads_nowhere(self, row: bytes) -> bool:
        """Tell whether the pack that a row names is gone."""
        number = _PLACE.unpack(row)[0]
        return number != 0 and self._pack(number) is None

    def place(self, oid: bytes) -> Place | None:
        """Return where an object is, as far as the indexes read so far tell; None if it is not known to be in the remote.

        The pack of an object that the remote knows of and does not have is "".
        """
        row = self._places.get(oid)
        if row is None:
            return None
        number, offset, size, kind = _PLACE.unpack(row)
        if number == 0:
            return Place("", 0, size, kind)
        pack = self._pack(number)
        return None if pack is None else Place(pack.name, offset, size, kind)

    def places(self, ids: Iterable[bytes]) -> dict[bytes, Place]:
        """Return where those of some objects are that `place` knows."""
        found = {}
        for oid, row in self._places.get_many(ids).items():
            number, offset, size, kind = _PLACE.unpack(row)
            pack = self._pack(number) if number else _NO_PACK
            if pack is not None:
                found[oid] = Place(pack.name, offset, size, kind)
        return found

    def ids_from(self, low: bytes) -> Iterator[bytes]:
        """Yield the ids of objects that the remote has, in order, from one on, as far as the indexes read so far tell."""
        for oid, _ in self._places.scan(start=low):
            place = self.place(oid)
            if place is not None and place.pack:
                yield oid

    # What is said of eval hashes.

    def add_claims(self, claims: Mapping[tuple[bytes, bytes], Claim], vouchers: tuple[bytes, ...]) -> None:
        """Take in what a merged index says of eval hashes; what is known already is newer, and stays.

        Args:
            vouchers: signers of the checkpoints that it came through.
        """
        with self.alone():
            self._claims.add(claims, vouchers)

    def claims(self, eval_hashes: Iterable[bytes]) -> dict[bytes, list[KnownClaim]]:
        """Return what is said of some eval hashes, as far as the indexes read so far tell, the newest first."""
        self._take_claims()
        return self._claims.of(eval_hashes)

    def all_claims(self) -> Iterator[tuple[bytes, KnownClaim]]:
        """Yield eval hash and claim of all that is known."""
        self._take_claims()
        return self._claims.all()

    def _take_claims(self) -> None:
        if not self._claims.are_taken:
            with self.alone():
                self._claims.take(self._recent)

    # Refs.

    def set_refs(self, facts: Iterable[RefFact], gone: Iterable[str], message: str) -> None:
        """Bring refs to what the remote has."""
        wanted: dict[str, bytes | None] = dict.fromkeys(gone)
        rows = [(name.encode(), b"") for name in wanted]
        for fact in facts:
            wanted[fact.name] = fact.target
            rows.append((fact.name.encode(), msgpack.packb(list(fact[1:]))))
        if rows:
            self._writers.put_many(rows)
        updates, lost = [], []
        for name, target in wanted.items():
            here = self.source.read_ref(name)
            if here != target:
                updates.append(RefUpdate(name, here, target, message))
                if target is None and here is not None:
                    lost.append((b"r" + name.encode(), here))
        if lost:
            self._gone.put_many(lost)
        if updates:
            self.source.commit(Batch(refs=updates))

    def ref_facts(self) -> Iterator[RefFact]:
        """Yield what the remote's refs name, and who said so."""
        for key, row in self._writers.scan():
            if row:
                yield _ref_fact(key.decode(), row)

    def ref_fact(self, name: str) -> RefFact | None:
        """Return what a ref names and who said so, None if it is not there."""
        row = self._writers.get(name.encode())
        return _ref_fact(name, row) if row else None

    def confirm(self, facts: Iterable[RefFact]) -> None:
        """Note of refs that still are what an entry made them that the entry was read."""
        rows = []
        for fact in facts:
            known = self.ref_fact(fact.name)
            if known is not None and known[:4] == fact[:4]:
                rows.append((fact.name.encode(), msgpack.packb(list(fact[1:]))))
        if rows:
            self._writers.put_many(rows)

    # Who signed.

    def note_signer(self, entry: Entry) -> None:
        """Note who signed an entry."""
        if entry.writer:
            known = self._signers.get(entry.writer)
            entries = msgpack.unpackb(known)[1] if known else 0
            self._signers.put_many([(entry.writer, msgpack.packb([entry.by, entries + 1, entry.time_us]))])

    def signers(self) -> list[SignerFact]:
        """List whoever signed an entry that was read, or a ref that a checkpoint tells of, the latest first."""
        found = {key: SignerFact(key, *msgpack.unpackb(row)) for key, row in self._signers.scan()}
        for fact in self.ref_facts():
            if fact.writer and fact.writer not in found:
                found[fact.writer] = SignerFact(fact.writer, "", 0, 0)
        return sorted(found.values(), key=lambda fact: -fact.time_us)

    # Indexes since the last checkpoint.

    def add_recent(self, seq: int, signer: bytes, packs: Iterable[PackFact], indexes: list[bytes]) -> None:
        """Keep what an entry added for whoever writes the next checkpoint; once there is too much, none of it is kept."""
        first = next(iter(self._recent.scan()), None)
        if first is not None and RECENT_KEY.unpack(first[0])[0] < seq - _RECENT_MOST:
            self._take_claims()
            self._recent.clear()
        self._claims.are_taken = False
        head: bytes = msgpack.packb([signer, [list(pack) for pack in packs]])
        self._recent.put_many([(RECENT_KEY.pack(seq, place), data) for place, data in enumerate([head, *indexes])])

    def recent(self, seq: int) -> tuple[bytes, list[PackFact], list[bytes]] | None:
        """Return who signed an entry, and the packs and indexes that it added; None if they are not kept here."""
        rows = [row for _, row in self._recent.scan(RECENT_KEY.pack(seq, 0)[:8])]
        if not rows:
            return None
        signer, packs = msgpack.unpackb(rows[0])
        return signer, [PackFact(name, size, PackKind(kind)) for name, size, kind in packs], rows[1:]

    # Merged indexes that are not read yet.

    @property
    def shards(self) -> list[list[Shard]]:
        """Runs of merged indexes, oldest first; those that were read are left out."""
        if self._shards is None:
            row = self._state.get(b"shards")
            runs = [] if row is None else msgpack.unpackb(row)
            self._shards = [
                [Shard(first, IndexFact(name, size), tuple(vouchers)) for first, name, size, vouchers in run] for run in runs
            ]
        return self._shards

    def set_shards(self, runs: list[list[Shard]]) -> None:
        """Note which merged indexes are yet to be read."""
        self._shards = runs
        rows = [[[shard.first, *shard.part, list(shard.vouchers)] for shard in run] for run in runs]
        self._state.put_many([(b"shards", msgpack.packb(rows))])

    # Packs that were sent, and whose entry is not written yet.

    def note_upload(self, name: str, time_us: int, index: bytes) -> None:
        """Note a pack that is in the remote already, with an index of what is in it."""
        self._uploads.put_many([(name.encode(), msgpack.packb([time_us, index]))])

    def forget_uploads(self, names: Iterable[str]) -> None:
        """Note that packs were committed, or are of no use."""
        rows = [(name.encode(), b"") for name in names]
        if rows:
            self._uploads.put_many(rows)

    def uploads(self) -> dict[str, tuple[int, bytes]]:
        """Return name -> time (microseconds by the remote's clock) and index of packs that were sent and not committed."""
        found = {}
        for key, row in self._uploads.scan():
            if row:
                time_us, index = msgpack.unpackb(row)
                found[key.decode()] = (time_us, index)
        return found

    def close(self) -> None:
        """Release the source."""
        self.source.close()


def _ref_fact(name: str, row: bytes) -> RefFact:
    target, seq, writer, vouchers = msgpack.unpackb(row)
    return RefFact(name, target, seq, writer, tuple(vouchers))


__all__ = ["Known", "KnownClaim", "Mirror"]
