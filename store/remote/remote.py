"""A remote, opened: what is in it by now, how an entry is added to its log, how a file of it is got.

**Readers** list the log after the last entry that they have seen, read what is new and take it into their mirror. Each entry names
the digest of the one before; the last one seen is remembered, so a log that was set back or rewritten is noticed.

**Writers** send packs and indexes under names that nobody else can have, then add one entry, put-if-absent, under the next number. If
the number is taken they read who was quicker: themselves (an answer that got lost), or somebody else, whose entry is taken in before
the next number is tried. If that entry removed something that the writer relied on, the writer plans again.

A checkpoint sums up the log every 100 entries, with merged indexes, so a new reader reads one of them and at most 99 entries or so.
"""

from __future__ import annotations

import json
import time
import uuid
from bisect import bisect_right
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from hashlib import sha256
from types import TracebackType
from typing import Any, TypeVar

from redun.store.errors import (
    FormatTooNew,
    NotInRemote,
    RemoteDamaged,
    RemoteDenied,
    RemoteError,
    RemoteRolledBack,
    StoreError,
)
from redun.store.keys import SharedSecret
from redun.store.remote.backends.base import Backend, Meter, backoff, free, patiently
from redun.store.remote.index import INDEX_LIMIT, Columns, Place, index_name, read_index
from redun.store.remote.log import (
    ENTRY_LIMIT,
    REMOTE_FORMAT,
    START,
    Checkpoint,
    Entry,
    IndexFact,
    RefFact,
    Shard,
    Writer,
    decode_checkpoint,
    decode_entry,
    verified,
)
from redun.store.remote.mirror import Known, Mirror
from redun.store.remote.names import checkpoint_name, log_name, seq_of
from redun.store.remote.rules import outdated
from redun.store.remote.threads import RequestThreads

A = TypeVar("A")
B = TypeVar("B")

CONFIG_LIMIT = 64 << 10
IDS = "sha256-20"
_ROWS_AT_ONCE = 200_000
_COMMIT_TRIES = 100


class Moved(StoreError):
    """What a push relied on was removed, or a ref that it moves was moved, by somebody who was quicker: plan again."""


@dataclass(frozen=True, slots=True)
class RemoteConfig:
    """What the file `config` of a remote says.

    Attributes:
        id: 16 random bytes.
        writer: id of the only store that may write there (16 bytes), empty if any may.
    """

    id: bytes
    writer: bytes = b""
    by: str = ""
    created: str = ""

    def encode(self) -> bytes:
        """Return the bytes of the file."""
        body: dict[str, Any] = {"redun": "remote", "format": REMOTE_FORMAT, "id": self.id.hex(), "ids": IDS}
        if self.writer:
            body["writer"] = self.writer.hex()
        body.update(by=self.by, created=self.created)
        return json.dumps(body, indent=1).encode() + b"\n"

    @classmethod
    def decode(cls, data: bytes, where: str) -> RemoteConfig:
        """Read the file.

        Raises:
            RemoteDamaged: it is something else; FormatTooNew: a newer redun wrote it.
        """
        try:
            body = json.loads(data)
            if not isinstance(body, dict) or body.get("redun") != "remote":
                raise ValueError("it is no configuration of a remote of redun")
            version = body["format"]
            if type(version) is int and version > REMOTE_FORMAT:
                raise FormatTooNew(
                    f"{where} has format {version}, this redun reads up to {REMOTE_FORMAT}: upgrade redun to use it"
                )
            if version != REMOTE_FORMAT or body.get("ids") != IDS:
                raise ValueError(f"format {version!r} with ids {body.get('ids')!r} is unknown")
            identity, writer = bytes.fromhex(body["id"]), bytes.fromhex(body.get("writer", ""))
            if len(identity) != 16 or len(writer) not in (0, 16):
                raise ValueError("its id is not valid")
            return cls(identity, writer, str(body.get("by", ""))[:200], str(body.get("created", ""))[:40])
        except (KeyError, TypeError, ValueError, RecursionError) as error:
            if isinstance(error, FormatTooNew):
                raise
            raise RemoteDamaged(
                f"{where}: its file 'config' cannot be used: {error}: is something else there? choose an empty place"
            ) from error


class Remote:
    """A remote of one store. One thread at a time; it uses others for itself.

    Args:
        name: what the user calls it, or its URL without secrets; for messages.
        backend: where it is.
        mirror: what is known of it here.
        writer: who we are.
        secret: the signing key that we share with others, if there is one.
        jobs: how many requests at once.
        meter: is told of bytes that travel, and may hold them up.

    Attributes:
        config: what its file `config` says; None until it was read, or if nobody has pushed there.
        seq: number of the last entry taken in.
    """

    def __init__(
        self,
        name: str,
        backend: Backend,
        mirror: Mirror,
        writer: Writer,
        *,
        secret: SharedSecret | None = None,
        jobs: int = 8,
        meter: Meter = free,
    ) -> None:
        self.name = name
        self.backend = backend
        self.mirror = mirror
        self.writer = writer
        self.secret = secret
        self.meter = meter
        self.jobs = max(jobs, 1)
        self.config: RemoteConfig | None = None
        self.where = f"remote {name!r}" if name == backend.url else f"remote {name!r} ({backend.url})"
        self._known: Known | None = None
        self._pool: RequestThreads | None = None

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

    def each(self, work: Callable[[A], B], items: Sequence[A]) -> list[B]:
        """Do something for several items, as many at once as `jobs` says; results in their order."""
        if len(items) < 2:
            return [work(item) for item in items]
        return list(self.pool.map(work, items))

    @property
    def pool(self) -> RequestThreads:
        """Threads for requests."""
        if self._pool is None:
            self._pool = RequestThreads(self.jobs)
        return self._pool

    # Opening.

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

    def file(self, name: str, limit: int) -> bytes:
        """Return a file that the log names, at most so many bytes."""
        try:
            return patiently(lambda: self.backend.get(name, limit))
        except NotInRemote as error:
            raise RemoteDamaged(f"{self.where} lacks {name!r}, which its log names: somebody removed it") from error

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

    # Objects.

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

    def places(self, ids: Iterable[bytes]) -> dict[bytes, Place]:
        """Return where objects are; those that are not in the remote are left out."""
        wanted = list(ids)
        found = self.mirror.places(wanted)
        if len(found) < len(wanted) and self.mirror.shards:
            missing = [oid for oid in wanted if oid not in found]
            if self.load_shards(missing):
                found.update(self.mirror.places(missing))
        return found

    def known_places(self, ids: Iterable[bytes]) -> dict[bytes, Place]:
        """As `places`, but nothing is fetched for it."""
        return self.mirror.places(ids)

    def has(self, oid: bytes) -> Place | None:
        """Return where an object is; see `places`."""
        return self.mirror.place(oid)

    def refs(self, prefix: str = "") -> dict[str, bytes]:
        """Return the refs of the remote."""
        return dict(self.mirror.source.refs(prefix))

    # Writing.

    def check_writable(self) -> None:
        """Refuse to write where somebody else is the only writer.

        Raises:
            RemoteDenied: says who may.
        """
        config = self.config
        if config is None:
            return
        if config.writer and config.writer != self.writer.store:
            raise RemoteDenied(
                f"{self.where} cannot tell two writers apart, so only the store that made it may push there: "
                f"{config.by or config.writer.hex()}, not this one ({self.writer.store.hex()}): pull from it, or push to another place"
            )
        if not config.writer and not self.backend.shared:
            raise RemoteDenied(
                f"{self.where} is shared by several writers, and through this URL they cannot be told apart: use another URL for it"
            )

    def create(self, said: Callable[[str], None]) -> None:
        """Make the remote, unless somebody else just did.

        Args:
            said: is told if the place turns out to be for one writer only.

        Raises:
            RemoteError: it cannot be written.
        """
        made = RemoteConfig(
            uuid.uuid4().bytes,
            b"" if self.backend.shared else self.writer.store,
            self.writer.by,
            time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        )
        if patiently(lambda: self.backend.put_new("config", made.encode())) and self.backend.shared:
            # A place that claims to refuse names that are taken has to show it.
            again = RemoteConfig(made.id, self.writer.store, made.by, made.created)
            if patiently(lambda: self.backend.put_new("config", again.encode())):
                self.backend.shared = False
                made = again
            else:
                self.config = made
                self._begin(made)
                return
        found = RemoteConfig.decode(patiently(lambda: self.backend.get("config", CONFIG_LIMIT)), self.where)
        self.config = found
        self._begin(found)
        if found.writer and found.writer == self.writer.store:
            said(
                f"{self.where} cannot tell two writers apart: only this store may push to it; others can pull "
                "(a folder, S3 and most object stores serve many writers)"
            )
        self._read_log()

    def _begin(self, config: RemoteConfig) -> None:
        self.mirror.meet(config.id)
        self._known = Known(config.id, 0, START)

    def commit(
        self,
        entry: Entry,
        indexes: list[bytes],
        relied: Collection[str] = (),
        check: Callable[[], None] = lambda: None,
        seen: Callable[[Entry], None] = lambda theirs: None,
    ) -> Entry:
        """Add an entry to the log, under the first free number.

        Args:
            entry: what it says; number, digest of the one before and writer are filled in.
            indexes: bytes of its indexes, which are in the remote (or in the entry) already.
            relied: names of packs that must still be there.
            check: raises if the entry came too late to be written.
            seen: is told of each entry of others that was quicker, and may change what is to be written.

        Raises:
            Moved: somebody was quicker, and what was planned does not fit any more.
            RemoteError: it cannot be written.
        """
        known = self._known
        for attempt in range(_COMMIT_TRIES):
            check()
            assert known is not None
            mirror = self.mirror
            why = outdated(
                entry,
                relied,
                mirror.is_alive,
                lambda name: mirror.dropped_at(name) is not None,  # noqa: B023
                mirror.source.read_ref,
            )
            if why:
                raise Moved(f"{self.where}: {why}")
            entry.remote, entry.seq, entry.before = known.remote, known.seq + 1, known.digest
            data = entry.encode(self.writer)
            name = log_name(entry.seq)
            if patiently(lambda name=name, data=data: self.backend.put_new(name, data)):  # type: ignore[misc]
                self._take_in([entry], {entry.digest: indexes})
                return entry
            theirs = self.entry(entry.seq)
            if theirs.nonce == entry.nonce:
                # Ours: the answer got lost, and it was asked for again.
                self._take_in([entry], {entry.digest: indexes})
                return entry
            self._take_in([theirs])
            known = self.known
            # Another process of this machine may have taken in more than that entry.
            for seq in range(entry.seq, known.seq + 1):
                one = theirs if seq == entry.seq else self.entry(seq)
                seen(one)
            backoff(min(attempt, 3))
        raise RemoteError(f"{self.where} is written by many others at once, {_COMMIT_TRIES} entries were quicker: push again")

    def close(self) -> None:
        """Release threads, connections and the mirror."""
        if self._pool is not None:
            self._pool.close()
            self._pool = None
        self.backend.close()
        self.mirror.close()

    def __enter__(self) -> Remote:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()


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


_ENTRIES_AT_ONCE = 64

__all__ = ["Checkpoint", "Moved", "Remote", "RemoteConfig"]
