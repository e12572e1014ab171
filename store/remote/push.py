"""Push: what a remote lacks of the closure of some refs is sent as packs, then one log entry names it.

The walk goes from each ref to what it links, children first, and stops at what the remote has: an object that exists there has its
closure there. So packs can be sent while the walk goes on, and whatever an entry names is whole.

Each pack that was sent is noted here with its index until its entry is written: a push that was interrupted sends nothing twice. Of a
long push the entries in between are written as it goes, without refs, so that none comes too late (`redun.store.remote.rules`).
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from redun.store.bulk import KEEP_BYTES
from redun.store.errors import ObjectNotFound, RemoteError, StoreError
from redun.store.journal import decode_results
from redun.store.objects import Kind
from redun.store.reach import in_order, links_in
from redun.store.remote.backends.base import patiently
from redun.store.remote.checkpoint import checkpoint_if_due
from redun.store.remote.heads import Relation, relation
from redun.store.remote.index import Index, Place, decode_index, encode_index
from redun.store.remote.log import Entry, RefMove
from redun.store.remote.pack import PACK_BYTES, Pack
from redun.store.remote.packer import PackStream, earlier, name_in
from redun.store.remote.remote import Moved, Remote
from redun.store.remote.rules import in_time, may_resume
from redun.store.sources.base import Source

COMMIT_BYTES = 1 << 30
"""After so many bytes an entry is written in between."""
COMMIT_ROWS = 250_000
"""So it is when the index has so many rows, for objects and results: they are held in memory until then."""
SMALL_BYTES = 1 << 20
"""Up to so many bytes all objects go into one pack."""
_PLANS = 8
_KEPT = 2000


class Progress(Protocol):
    """Is told what was done since it was last told."""

    def __call__(self, objects: int, size: int) -> None: ...


def silent(objects: int, size: int) -> None:
    """Tell nobody."""


@dataclass
class Pushed:
    """What a push did, or would do.

    Attributes:
        refs, objects: how many were new there.
        raw_bytes: of those objects, as they are in the store. sent_bytes: of the packs that were sent now.
        packs: how many were sent now. resumed: how many an earlier push had sent.
        kept: refs that are there in another state, and stay as they are; text why.
        dropped: executions that were not pushed, as a gc has dropped them there.
        created: the remote was made.
    """

    refs: int = 0
    objects: int = 0
    raw_bytes: int = 0
    sent_bytes: int = 0
    packs: int = 0
    resumed: int = 0
    kept: list[str] = field(default_factory=list)
    dropped: int = 0
    created: bool = False


def push(
    source: Source,
    remote: Remote,
    heads: Mapping[str, bytes],
    *,
    memo: Callable[[], Iterable[tuple[bytes, bytes]]] = tuple,
    everything: bool = False,
    dry_run: bool = False,
    progress: Progress = silent,
    said: Callable[[str], None] = lambda text: None,
) -> Pushed:
    """Bring refs, and all that they lead to, to a remote.

    Args:
        heads: name -> id of the refs to push.
        memo: returns what is known of eval hashes beyond the journals that are pushed: (eval hash, id of the call).
        everything: nobody asked for these refs in particular, so those are left out that somebody dropped there as they are now.
        dry_run: only find out what would be sent.
        progress: is told of objects and raw bytes as they are packed.
        said: is told of what the user should know.

    Raises:
        RemoteError: the remote cannot be read or written.
        StoreError: an object is gone or damaged here.
    """
    done = Pushed()
    exists = remote.refresh()
    if exists:
        remote.check_writable()
    elif not dry_run:
        remote.create(said)
        done.created = True
    for _ in range(_PLANS):
        moves = _moves(source, remote, _not_dropped(remote, heads, done) if everything and exists else heads, done)
        if not moves:
            return done
        work = _Push(source, remote, done, progress, dry_run)
        try:
            work.run(moves, memo)
            if not dry_run:
                checkpoint_if_due(remote, said)
            return done
        except Moved:
            # Somebody was quicker: what was sent is noted, and only planned again.
            continue
        finally:
            work.close()
    raise RemoteError(f"{remote.where} is changed by others all the time: push again later")


def _not_dropped(remote: Remote, heads: Mapping[str, bytes], done: Pushed) -> dict[str, bytes]:
    """Leave out refs that somebody dropped there as they are."""
    there = remote.refs()
    wanted = {name: oid for name, oid in heads.items() if name in there or not remote.mirror.was_dropped(name, oid)}
    done.dropped = len(
        [name for name in heads if name not in wanted and name.startswith("executions/") and name.count("/") == 1]
    )
    return wanted


def _moves(source: Source, remote: Remote, heads: Mapping[str, bytes], done: Pushed) -> list[RefMove]:
    there = remote.refs() if remote.config is not None else {}
    moves = []
    done.kept.clear()
    for name, mine in heads.items():
        theirs = there.get(name)
        if theirs == mine:
            continue
        if theirs is not None:
            how = relation(source.get, mine, theirs)
            if how is not Relation.AHEAD:
                if how is Relation.APART:
                    done.kept.append(name)
                continue
        moves.append(RefMove(name, theirs, mine))
    done.refs = len(moves)
    return moves


def _nothing_is_there(oid: bytes) -> bool:
    return False


class _ReadOnce:
    """Objects of a source for a walk that wants their links first and their bytes soon after: small ones are read once."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._kept: dict[bytes, bytes | memoryview] = {}

    def links(self, oid: bytes) -> list[bytes] | None:
        """See `Source.links`."""
        try:
            data = self._source.view(oid)
        except ObjectNotFound:
            return None
        if len(data) <= KEEP_BYTES:
            if len(self._kept) >= _KEPT:
                # Of a chain as long as a store all would be kept.
                self._kept.clear()
            self._kept[oid] = data
        return links_in(data)

    def view(self, oid: bytes) -> bytes | memoryview:
        """See `Source.view`."""
        return self._kept.pop(oid, None) or self._source.view(oid)


class _Push:
    """One attempt at a push."""

    def __init__(self, source: Source, remote: Remote, done: Pushed, progress: Progress, dry_run: bool) -> None:
        self._source = source
        self._remote = remote
        self._done = done
        self._progress = progress
        self._dry_run = dry_run
        self._relied: set[str] = set()
        self._stream = PackStream(remote, self._arrived, PACK_BYTES, SMALL_BYTES)
        # What the next entry names: packs, and where objects are in them.
        self._index = Index()
        self._since: int | None = None
        self._noted: dict[bytes, Place] = {}
        self._noted_packs: dict[str, tuple[int, Pack]] = {}
        self._waiting_bytes = 0
        self._committed_bytes = 0
        self._entry_nonce = uuid.uuid4().bytes

    def run(self, moves: list[RefMove], memo: Callable[[], Iterable[tuple[bytes, bytes]]]) -> None:
        done = self._done
        done.objects = done.raw_bytes = 0
        if self._remote.config is not None:
            self._remote.load_shards()
        if not self._dry_run:
            self._resume()
        for oid, data in self._walk([move.new for move in moves if move.new is not None]):
            done.objects += 1
            done.raw_bytes += len(data)
            self._progress(1, len(data))
            if not self._dry_run:
                self._add(oid, data)
        if self._dry_run:
            return
        self._stream.flush()
        for key, call in memo():
            self._index.memo.setdefault(key, call)
        self._commit(moves)

    # Walking.

    def _walk(self, roots: list[bytes]) -> Iterator[tuple[bytes, bytes | memoryview]]:
        """Yield what the remote lacks of the closure of some objects, each after those that it links."""
        noted = self._noted
        source = _ReadOnce(self._source)
        # What an earlier push sent is walked through, too: what it links may not have come that far.
        for oid in in_order(source, roots, stop=self._is_there if self._remote.seq else _nothing_is_there):
            known = noted.get(oid)
            if known is not None and known.kind != Kind.SEGMENT:
                self._use(oid, known)
                continue
            try:
                data = source.view(oid)
            except ObjectNotFound as error:
                self._is_absent(oid, error)
                continue
            if data[0] == Kind.SEGMENT:
                for key, call in decode_results(bytes(data)).memo:
                    self._index.memo[key] = call
            if known is not None:
                self._use(oid, known)
            else:
                yield oid, data

    def _is_there(self, oid: bytes) -> bool:
        place = self._remote.has(oid)
        if place is None or (not place.pack and self._source.contains(oid)):
            return False
        self._relied.add(place.pack)
        return True

    def _is_absent(self, oid: bytes, error: ObjectNotFound) -> None:
        """Note a value that is not here on purpose: the remote then knows of it, and that it has to come from elsewhere."""
        size = self._source.away(oid)
        if size is None:
            raise StoreError(
                f"object {oid.hex()}, which is to be pushed, is not in this store: 'redun fsck' says what is touched, "
                "and a pull from where it is whole brings it back"
            ) from error
        self._index.absent[oid] = size

    # Packing.

    def _add(self, oid: bytes, data: bytes | memoryview) -> None:
        stream = self._stream
        stream.add(oid, data)
        if stream.sealed_bytes - self._committed_bytes >= COMMIT_BYTES or stream.count + len(self._index) >= COMMIT_ROWS:
            self._commit([])
            checkpoint_if_due(self._remote)

    def _arrived(self, pack: Pack, index: Index, began_us: int) -> None:
        if self._stream.sending or self._waiting_bytes or pack.size > SMALL_BYTES:
            self._remote.mirror.note_upload(pack.name, began_us, encode_index(index))
        self._named(pack, began_us)
        self._index.places.update(index.places)
        self._done.packs += 1
        self._done.sent_bytes += pack.size

    def _named(self, pack: Pack, began_us: int) -> None:
        if pack.name not in self._index.packs:
            self._index.packs[pack.name] = pack
            self._waiting_bytes += pack.size
            self._since = earlier(self._since, began_us)

    # Resuming.

    def _resume(self) -> None:
        """Look which packs of a push that was interrupted are there."""
        remote = self._remote
        uploads = remote.mirror.uploads()
        if not uploads:
            return
        now = remote.backend.now_us()
        names = list(uploads)
        fresh = [name for name in names if may_resume(uploads[name][0], now) and remote.mirror.dropped_at(name) is None]
        sizes = remote.each(lambda name: patiently(lambda: remote.backend.size(f"packs/{name}")), fresh)
        useless = set(names)
        for name, size in zip(fresh, sizes, strict=True):
            time_us, data = uploads[name]
            index = decode_index(data, f"note of pack {name}")
            if size != index.packs[name].size or remote.mirror.pack(name) is not None:
                continue
            useless.discard(name)
            self._noted_packs[name] = (time_us, index.packs[name])
            self._noted.update(index.places)
        remote.mirror.forget_uploads(useless)

    def _use(self, oid: bytes, place: Place) -> None:
        if place.pack not in self._index.packs:
            self._done.resumed += 1
            time_us, pack = self._noted_packs[place.pack]
            self._named(pack, time_us)
        self._index.places[oid] = place

    # The entry.

    def _commit(self, moves: list[RefMove]) -> None:
        """Have an entry name all that was packed so far."""
        remote = self._remote
        self._stream.flush()
        index = self._index
        entry = Entry(b"", 0, b"", refs=moves, nonce=self._entry_nonce)
        parts = name_in(remote, entry, index)
        remote.commit(entry, parts, self._relied, self._in_time)
        self._check_late(entry)
        remote.mirror.forget_uploads(index.packs)
        # Later entries of this push rely on what this one named.
        self._relied.update(index.packs)
        self._index = Index()
        self._since = None
        self._waiting_bytes = 0
        self._committed_bytes = self._stream.sealed_bytes
        self._entry_nonce = uuid.uuid4().bytes

    def _in_time(self) -> None:
        if not in_time(self._since, self._remote.backend.now_us()):
            # A remote gc may be about to delete what was sent first: it is sent again.
            self._remote.mirror.forget_uploads(self._index.packs)
            raise Moved(f"{self._remote.where}: the push took too long")

    def _check_late(self, entry: Entry) -> None:
        """Take back an entry that was on its way for hours (this machine slept) if its packs did not outlast that."""
        remote = self._remote
        if in_time(self._since, remote.backend.now_us()):
            return
        names = [pack.name for pack in entry.packs]
        sizes = remote.each(lambda name: patiently(lambda: remote.backend.size(f"packs/{name}")), names)
        missing = [name for name, size in zip(names, sizes, strict=True) if size is None]
        if missing:
            remote.mirror.forget_uploads(names)
            back = [RefMove(move.name, move.new, move.old) for move in entry.refs]
            remote.commit(Entry(b"", 0, b"", dropped=missing, refs=back), [])
            remote.mirror.forget_dropped([move.name for move in back])
            raise Moved(f"{remote.where}: the push took too long")

    def close(self) -> None:
        """Wait for what is being sent; what has arrived is noted, for the next push to find."""
        self._stream.close()
