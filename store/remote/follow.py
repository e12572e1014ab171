"""Following a remote: what others have done there is taken into the mirror of it.

The log is listed after the last entry that was seen, and what is new is read. Each entry names the digest of the one before; the last one
seen is remembered, so a log that was set back or rewritten is noticed. A new reader begins at the last checkpoint, whose merged indexes are
read when somebody looks for an id that they may know.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Collection, Iterable, Sequence
from hashlib import sha256

from redun.store.errors import NotInRemote, RemoteDamaged, RemoteRolledBack, StoreError
from redun.store.remote.backends.base import backoff, patiently
from redun.store.remote.config import CONFIG_LIMIT, RemoteConfig
from redun.store.remote.connection import Connection
from redun.store.remote.index import INDEX_LIMIT, Columns, index_name, read_index
from redun.store.remote.log import (
    ENTRY_LIMIT,
    START,
    Entry,
    IndexFact,
    RefFact,
    Shard,
    decode_checkpoint,
    decode_entry,
    verified,
)
from redun.store.remote.mirror import Known
from redun.store.remote.names import checkpoint_name, log_name, seq_of

_ROWS_AT_ONCE = 200_000
_ENTRIES_AT_ONCE = 64


class Follower(Connection):
    """Keeps what is known of a remote up to date."""

    _known: Known | None = None

    @property
    def seq(self) -> int:
        """Number of the last entry taken in."""
        return self._known.seq if self._known is not None else 0

    @property
    def known(self) -> Known:
        """What was taken in so far."""
        if self._known is None:
            raise StoreError(f"{self.where} was not looked at yet")
        return self._known

    def refresh(self) -> bool:
        """Take in what others have done by now.

        Returns:
            False if there is no remote at this place yet: the first push makes it.

        Raises:
            RemoteError: it cannot be reached.
            RemoteRolledBack: it holds less than it did.
            RemoteDamaged: what it holds cannot be used.
        """
        with self.mirror.alone():
            return self._refresh()

    def moved_on(self) -> bool:
        """Take in what others have done; True if they did anything. For who misses a pack: a gc may have dropped it since."""
        seq = self.seq
        return self.refresh() and self.seq != seq

    def _refresh(self) -> bool:
        # Another process of this machine may have read on.
        known = self.mirror.known()
        try:
            # Not for long: the first request finds out whether there is a network at all.
            data = patiently(lambda: self.backend.get("config", CONFIG_LIMIT), tries=2)
        except NotInRemote as error:
            if known is not None and known.seq:
                raise RemoteRolledBack(
                    f"{self.where} is empty now, expected its log up to entry {known.seq}: is it the right place? "
                    f"{self._forget_hint()}"
                ) from error
            return False
        self.config = RemoteConfig.decode(data, self.where)
        if known is not None and known.remote != self.config.id:
            raise RemoteRolledBack(
                f"{self.where} is another one than before: expected id {known.remote.hex()}, found {self.config.id.hex()}: "
                f"{self._forget_hint()}"
            )
        if known is None:
            self.mirror.meet(self.config.id)
            known = Known(self.config.id, 0, START)
        if not known.seq:
            known = self._from_checkpoint(known)
        self._known = known
        self._read_log()
        return True

    def _forget_hint(self) -> str:
        return f"if that is meant to be, 'redun repo forget {self.name}' lets redun meet it anew"

    def _from_checkpoint(self, known: Known) -> Known:
        names = patiently(lambda: self.backend.names("ckpt/"))
        if not names:
            return known
        seq = seq_of(names[-1], self.backend.url)
        where = f"{self.where}: checkpoint {seq}"
        checkpoint = decode_checkpoint(self.file(checkpoint_name(seq), ENTRY_LIMIT), where)
        if checkpoint.seq != seq or checkpoint.remote != known.remote:
            raise RemoteDamaged(f"{where} belongs to another place: it was moved there")
        signer = verified(checkpoint, where, self.secret)
        self.mirror.add_facts(checkpoint.packs)
        self.mirror.set_shards([[shard.said_by(signer) for shard in run] for run in checkpoint.runs])
        self.mirror.set_refs([ref.said_by(signer) for ref in checkpoint.refs], (), f"checkpoint {seq}")
        self.mirror.begin(seq)
        self.mirror.note(seq, checkpoint.at)
        return Known(known.remote, seq, checkpoint.at)

    def _read_log(self) -> None:
        """Read entries after the last one known, and make sure that this one still is what it was."""
        known = self._known
        assert known is not None
        after = log_name(known.seq - 1) if known.seq else ""
        names = patiently(lambda: self.backend.names("log/", after))
        found = [seq_of(name, self.backend.url) for name in names]
        if known.seq:
            if not found or found[0] != known.seq:
                raise RemoteRolledBack(
                    f"{self.where} was set back: expected entry {known.seq} of its log, which it does not have any more: an older "
                    f"copy was restored, or somebody removed entries; {self._forget_hint()}"
                )
            found = found[1:]
            if not found:
                data = self.file(log_name(known.seq), ENTRY_LIMIT)
                if sha256(data).digest() != known.digest:
                    raise self._rewritten(known.seq)
                return
        if found != list(range(known.seq + 1, known.seq + 1 + len(found))):
            raise RemoteDamaged(f"{self.where}: entries of its log are missing: found {found[:3]}... after entry {known.seq}")
        for start in range(0, len(found), _ENTRIES_AT_ONCE):
            self._take_in(self.each(self.entry, found[start : start + _ENTRIES_AT_ONCE]))

    def _rewritten(self, seq: int) -> RemoteRolledBack:
        return RemoteRolledBack(
            f"{self.where}: entry {seq} of its log is another one than before: its history was rewritten; {self._forget_hint()}"
        )

    def entry(self, seq: int) -> Entry:
        """Return an entry of the log."""
        for attempt in range(4):
            try:
                entry = decode_entry(self.file(log_name(seq), ENTRY_LIMIT), f"{self.where}: entry {seq}")
                break
            except RemoteDamaged:
                # Where there are no hard links an entry can be seen while it is written.
                if attempt == 3:
                    raise
                backoff(attempt + 2)
        if self.config is None or entry.remote != self.config.id or entry.seq != seq:
            raise RemoteDamaged(f"{self.where}: entry {seq} of its log belongs to another place: it was moved there")
        entry.writer = verified(entry, f"{self.where}: entry {seq}", self.secret)
        return entry

    def signer_of(self, name: str, believed: Callable[[bytes], bool]) -> bytes:
        """Return who signed the entry that set a ref, empty if nobody did.

        Args:
            believed: tells whether a signer is trusted. What a checkpoint of somebody who is not says of others is looked up in the log.

        Raises:
            RemoteDamaged: that entry is not what it should be.
        """
        fact = self.mirror.ref_fact(name)
        if fact is None:
            return b""
        if not fact.writer or all(map(believed, fact.vouchers)):
            return fact.writer
        entry = self.entry(fact.seq)
        own = any(move.name == name and move.new == fact.target for move in entry.refs)
        if not own or entry.writer != fact.writer:
            raise RemoteDamaged(
                f"{self.where}: a checkpoint says of {name!r} what entry {fact.seq} of the log does not: it was made to deceive"
            )
        facts = [RefFact(move.name, move.new, entry.seq, entry.writer) for move in entry.refs if move.new is not None]
        self.mirror.confirm(facts)
        return entry.writer

    def _take_in(self, entries: Sequence[Entry], indexes: dict[bytes, list[bytes]] | None = None) -> None:
        """Check that entries follow, and take them into the mirror.

        Args:
            indexes: digest of an entry -> bytes of its indexes, where the caller has them.
        """
        with self.mirror.alone():
            known = self._known = self.mirror.known() or self.known
            self._take_in_alone(known, [entry for entry in entries if entry.seq > known.seq], indexes)

    def _take_in_alone(self, known: Known, entries: Sequence[Entry], indexes: dict[bytes, list[bytes]] | None) -> None:
        if not entries:
            return
        seq, digest = known.seq, known.digest
        for entry in entries:
            if entry.before != digest:
                raise self._rewritten(seq)
            seq, digest = entry.seq, entry.digest
        given = indexes or {}
        wanted = [fact for entry in entries if entry.digest not in given for fact in entry.indexes]
        fetched = dict(zip(wanted, self.each(self.index_bytes, wanted), strict=True))
        waiting: list[Columns] = []
        refs: dict[str, RefFact | None] = {}
        for entry in entries:
            data = given.get(entry.digest)
            if data is None:
                data = [fetched[fact] for fact in entry.indexes] + ([entry.inline] if entry.inline else [])
            self.mirror.add_facts(entry.packs)
            if entry.dropped:
                self.mirror.drop_packs(entry.dropped, entry.seq)
            waiting += [self._checked(read_index(one, f"{self.where}: index of entry {entry.seq}")) for one in data]
            for move in entry.refs:
                refs[move.name] = None if move.new is None else RefFact(move.name, move.new, entry.seq, entry.writer)
            self.mirror.add_recent(entry.seq, entry.writer, entry.packs, data)
            self.mirror.note_signer(entry)
            if sum(map(len, waiting)) > _ROWS_AT_ONCE:
                self.mirror.add_indexes(waiting)
                waiting = []
        self.mirror.add_indexes(waiting)
        if refs:
            gone = [name for name, fact in refs.items() if fact is None]
            self.mirror.set_refs([fact for fact in refs.values() if fact is not None], gone, f"entry {seq}")
        self.mirror.note(seq, digest)
        self._known = Known(known.remote, seq, digest)

    def _checked(self, index: Columns) -> Columns:
        """Return an index without what lies in packs that the remote does not have (any more).

        Raises:
            RemoteDamaged: it and the log say different things of a pack.
        """
        gone = set()
        for pack in index.packs:
            fact = self.mirror.fact(pack.name)
            if fact is None:
                gone.add(pack.name)
            elif fact.size != pack.size:
                raise RemoteDamaged(
                    f"{self.where}: the log says that pack {pack.name} has {fact.size:,} bytes, an index {pack.size:,}"
                )
        return index.without(gone)

    def index_bytes(self, fact: IndexFact) -> bytes:
        """Return the bytes of an index, checked against its name."""
        if fact.size > INDEX_LIMIT:
            raise RemoteDamaged(f"{self.where}: index {fact.name} has {fact.size:,} bytes, at most {INDEX_LIMIT:,} are allowed")
        data = self.file(fact.name, fact.size)
        if index_name(data) != fact.name:
            raise RemoteDamaged(f"{self.where}: index {fact.name} is damaged: its bytes have another digest")
        return data

    # Merged indexes.

    def load_shards(self, ids: Collection[bytes] | None = None) -> bool:
        """Read merged indexes that were not read yet.

        Args:
            ids: only those that may know one of these; None for all.

        Returns:
            True if any was read.
        """
        if not self.mirror.shards:
            return False
        with self.mirror.alone():
            return self._load_shards(ids)

    def _load_shards(self, ids: Collection[bytes] | None) -> bool:
        wanted: list[Shard] = []
        left: list[list[Shard]] = []
        # Whatever is read of an older run, what newer runs say of the same ids is read with it: the newest counts.
        points = None if ids is None else [(oid, oid) for oid in ids]
        for run in self.mirror.shards:
            mine = set(run) if points is None else _covering(run, points)
            if points is not None:
                points += [(shard.first, _before_next(run, place)) for place, shard in enumerate(run) if shard in mine]
            wanted.extend(mine)
            left.append([shard for shard in run if shard not in mine])
        if not wanted:
            return False
        # The newest run first: what is known stays.
        wanted.reverse()
        for start in range(0, len(wanted), self.jobs):
            part = wanted[start : start + self.jobs]
            for shard, data in zip(part, self.each(self.index_bytes, [shard.part for shard in part]), strict=True):
                index = self._checked(read_index(data, f"{self.where}: {shard.part.name}"))
                self.mirror.add_indexes([index], older=True)
                self.mirror.add_claims(index.claims, shard.vouchers)
        self.mirror.set_shards([run for run in left if run])
        return True


def _covering(run: list[Shard], ranges: Iterable[tuple[bytes, bytes]]) -> set[Shard]:
    """Return the parts of a run that may know of ids in some ranges, both ends included."""
    firsts = [shard.first for shard in run]
    found: set[Shard] = set()
    for low, high in ranges:
        found.update(run[max(bisect_right(firsts, low) - 1, 0) : bisect_right(firsts, high)])
    return found


def _before_next(run: list[Shard], place: int) -> bytes:
    """Return an id that no id in a part of a run comes after."""
    return run[place + 1].first if place + 1 < len(run) else b"\xff" * 21
