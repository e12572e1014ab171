"""Pull: what this store lacks of the closure of some refs of a remote is fetched, checked and stored; then the refs are set here.

In three steps, so that the store never holds an object without its closure, and neither memory nor disk has to hold everything:

1. the call graph is walked, its packs fetched as the walk meets them; nothing is stored;
2. values that link nothing are fetched pack by pack and stored;
3. the rest is stored, children first, then the refs are set in one commit.

Where a gc beside us sweeps something in between, the commit that needs it says so, and that is fetched again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from redun.store.bulk import KEEP_BYTES, BulkWriter, stage
from redun.store.disk import free_bytes
from redun.store.errors import MissingLinks, RefConflict, RemoteDamaged, StoreError, StoreUnavailable
from redun.store.objects import Flag, Kind
from redun.store.objects import links as links_of
from redun.store.remote.fetch import Fetcher
from redun.store.remote.heads import Relation, relation
from redun.store.remote.index import Place
from redun.store.remote.names import check_head
from redun.store.remote.pack import LARGE_OBJECT_BYTES, PackKind
from redun.store.remote.push import Progress, silent
from redun.store.remote.remote import Remote
from redun.store.sources.base import Batch, RefUpdate, Source

_TRIES = 5
_WALKED_AT_ONCE = 2000
_NONE_AWAY: Mapping[bytes, int] = {}
LINKED_LIMIT = 1 << 30
"""Bytes that an object may have that is held in memory, as it links others."""


class PulledRef(NamedTuple):
    """A ref that is to be set here.

    Attributes:
        name, old, new: as of a compare-and-swap.
        writer: name of whoever signed the entry that set it there; empty if nobody did.
    """

    name: str
    old: bytes | None
    new: bytes
    writer: bytes


@dataclass
class Pulled:
    """What a pull did, or would do.

    Attributes:
        refs, objects: how many were new here.
        raw_bytes: of those objects, as they are stored. received_bytes: what was fetched.
        kept: refs that are here in another state, and stay as they are.
        left, left_bytes: values that stay in the remote.
        untrusted: how many results were not taken into the cache, as nobody is trusted who could vouch for them.
    """

    refs: int = 0
    objects: int = 0
    raw_bytes: int = 0
    received_bytes: int = 0
    kept: list[str] = field(default_factory=list)
    untrusted: int = 0
    left: int = 0
    left_bytes: int = 0


Memo = Callable[[Sequence[PulledRef]], Mapping[bytes, bytes]]
"""Returns the rows of the memo that come with some refs, whose objects are here by then."""


def pull(
    source: Source,
    remote: Remote,
    heads: Mapping[str, bytes],
    *,
    memo: Memo = lambda refs: {},
    foreign: Callable[[Iterable[bytes]], None] | None = None,
    believed: Callable[[bytes], bool] = lambda signer: False,
    everything: bool = False,
    leave_above: int | None = None,
    dry_run: bool = False,
    progress: Progress = silent,
    folder: Path | None = None,
) -> Pulled:
    """Bring refs of a remote, and all that they lead to, into a store. The remote must have been brought up to date.

    Args:
        heads: name -> id of the refs to pull.
        memo: see `Memo`.
        foreign: is told of the ids of new objects before they are stored.
        believed: tells which signers are trusted, so that what checkpoints of others say of them is looked up.
        leave_above: values of more bytes are left there, which the store notes; None for none.
        everything: most of the remote is wanted; packs are then fetched whole.
        dry_run: only find out what would be fetched; the call graph is read for that.
        folder: where temporary files go.

    Raises:
        RemoteError: the remote cannot be reached.
        RemoteDamaged: what it holds is not what it should be; nothing names what of it was stored.
        StoreError: the store cannot be written.
    """
    done = Pulled()
    if everything:
        remote.load_shards()
    fetcher = Fetcher(remote, folder, everything)
    try:
        refs = _wanted_refs(source, remote, fetcher, heads, believed, done)
        if not refs:
            return done
        work = _Pull(source, remote, fetcher, progress, done)
        roots = [ref.new for ref in refs]
        work.leave_above = leave_above
        if dry_run:
            work.find(roots)
            done.refs = len(refs)
            return done
        work.foreign = foreign
        work.folder = folder
        work.take(roots)
        _set_refs(source, remote, refs, memo, work)
        done.refs = len(refs)
        return done
    finally:
        done.received_bytes = fetcher.received_bytes
        fetcher.close()


def fetch(
    source: Source,
    remote: Remote,
    ids: Sequence[bytes],
    progress: Progress = silent,
    folder: Path | None = None,
    *,
    fetcher: Fetcher | None = None,
    leave_above: int | None = None,
) -> Pulled:
    """Bring objects here, with all that they lead to, that something here links already, or will: no ref is set that names them.

    Args:
        fetcher: what was fetched before; it stays open.
        leave_above: see `pull`.

    Raises:
        RemoteError, RemoteDamaged, StoreError: see `pull`.
    """
    done = Pulled()
    if ids:
        own = fetcher is None
        fetcher = fetcher or Fetcher(remote, folder)
        before = fetcher.received_bytes
        try:
            work = _Pull(source, remote, fetcher, progress, done)
            work.folder = folder
            work.leave_above = leave_above
            work.take(ids)
        finally:
            done.received_bytes = fetcher.received_bytes - before
            if own:
                fetcher.close()
    return done


def _wanted_refs(
    source: Source,
    remote: Remote,
    fetcher: Fetcher,
    heads: Mapping[str, bytes],
    believed: Callable[[bytes], bool],
    done: Pulled,
) -> list[PulledRef]:
    def get(oid: bytes) -> bytes:
        if source.contains(oid):
            return source.get(oid)
        place = remote.places([oid]).get(oid)
        if place is None or not place.pack:
            raise RemoteDamaged(f"{remote.where} lacks object {oid.hex()}, which one of its refs leads to")
        return fetcher.read(oid, place)

    refs = []
    for name, theirs in heads.items():
        mine = source.read_ref(name)
        if mine == theirs:
            continue
        if mine is not None:
            how = relation(get, theirs, mine)
            if how is not Relation.AHEAD:
                if how is Relation.APART:
                    done.kept.append(name)
                continue
        refs.append(PulledRef(name, mine, theirs, remote.signer_of(name, believed)))
    return refs


def _set_refs(source: Source, remote: Remote, refs: Sequence[PulledRef], memo: Memo, work: _Pull) -> None:
    source.refresh()
    for ref in refs:
        check_head(ref.name, source.get(ref.new), remote.where)
    rows = dict(memo(refs))
    updates = [RefUpdate(ref.name, ref.old, ref.new, f"pull {remote.name} {ref.writer.hex() or 'unsigned'}") for ref in refs]
    for _ in range(_TRIES):
        try:
            source.commit(Batch(memo=rows, refs=updates, links=work.taken.union([ref.new for ref in refs])))
            return
        except MissingLinks as error:
            work.take(sorted(error.missing))
        except RefConflict:
            # Another pull here was quicker, or what was pulled runs on here: that stays.
            source.refresh()
            updates = [update for update in updates if source.read_ref(update.name) == update.old]
    raise StoreError("what was pulled is swept at once by a gc that runs beside: pull again when it has ended")


class _Pull:
    """Brings objects here."""

    def __init__(self, source: Source, remote: Remote, fetcher: Fetcher, progress: Progress, done: Pulled) -> None:
        self._source = source
        self._remote = remote
        self._fetcher = fetcher
        self._progress = progress
        self._done = done
        self.folder: Path | None = None
        self.leave_above: int | None = None
        self._away: dict[bytes, int] = {}
        self._leaf_packs: dict[str, bool] = {}
        self._roots: frozenset[bytes] = frozenset()
        self.taken: set[bytes] = set()
        self.foreign: Callable[[Iterable[bytes]], None] | None = None

    def take(self, roots: Sequence[bytes]) -> None:
        """Store some objects with all that they lead to."""
        again = list(roots)
        for _ in range(_TRIES):
            try:
                leaves, places = self.find(again)
                self._check_room()
                if self.foreign is not None:
                    self.foreign([*leaves, *places])
                self._take_leaves(leaves)
                self.taken.update(leaves)
                self._take_graph(again, places)
                return
            except MissingLinks as error:
                # Swept by a gc since we looked.
                self._source.refresh()
                again = [*sorted(error.missing), *roots]
        raise StoreError("what is pulled is swept at once by a gc that runs beside: pull again when it has ended")

    def find(self, roots: Sequence[bytes]) -> tuple[dict[bytes, Place], dict[bytes, Place]]:
        """Walk the call graph below some objects.

        Returns:
            Of what is not here: values that link nothing, and everything else; each with its place in the remote.
        """
        self._done.objects = self._done.raw_bytes = 0
        self._roots = frozenset(roots)
        self._away.clear()
        leaves: dict[bytes, Place] = {}
        graph: dict[bytes, Place] = {}
        contains = self._source.contains
        frontier = [oid for oid in dict.fromkeys(roots) if not contains(oid)]
        seen = set(frontier)
        while frontier:
            places = self._places(frontier)
            later: list[bytes] = []
            fetch: list[Place] = []
            for oid, place in places.items():
                if self._is_left(oid, place):
                    continue
                if self._is_leaf(place):
                    leaves[oid] = place
                else:
                    graph[oid] = place
                    later.append(oid)
                    if not self._fetcher.has(place):
                        fetch.append(place)
            self._fetcher.fetch(fetch)
            # Children of a call stand in the order of their ids, in packs in that of their making: read as they lie there.
            later.sort(key=lambda oid: (graph[oid].pack, graph[oid].offset))
            below: list[bytes] = []
            # What is at hand already is walked at once; only what has to be fetched waits for the next round.
            while later:
                part = later[-_WALKED_AT_ONCE:]
                del later[-_WALKED_AT_ONCE:]
                links = self._links_below(part, graph, seen)
                at_hand: list[bytes] = []
                for link, found in self._known_places(links):
                    if found is None or not found.pack:
                        below.append(link)
                    elif self._is_left(link, found):
                        continue
                    elif self._is_leaf(found):
                        leaves[link] = found
                    elif self._fetcher.has(found):
                        graph[link] = found
                        at_hand.append(link)
                    else:
                        below.append(link)
                at_hand.sort(key=lambda oid: (graph[oid].pack, graph[oid].offset))
                later.extend(at_hand)
            frontier = below
        self._done.left = len(self._away)
        self._done.left_bytes = sum(self._away.values())
        for place in (*leaves.values(), *graph.values()):
            self._done.objects += 1
            self._done.raw_bytes += place.size
        return leaves, graph

    def _links_below(self, part: Sequence[bytes], graph: Mapping[bytes, Place], seen: set[bytes]) -> list[bytes]:
        """Return what some objects, which were fetched, link and what is not here; what was seen before is left out."""
        found: dict[bytes, None] = {}
        for oid in part:
            place = graph[oid]
            self._check_size(place)
            found.update(dict.fromkeys(links_of(self._fetcher.read(oid, place))))
        contains = self._source.contains
        new = [link for link in found if link not in seen and not contains(link)]
        seen.update(new)
        return new

    def _known_places(self, ids: Sequence[bytes]) -> Iterator[tuple[bytes, Place | None]]:
        """Yield ids with where they are, as far as that is known here; looked up some at once, as a call may link a million."""
        for start in range(0, len(ids), _WALKED_AT_ONCE):
            part = ids[start : start + _WALKED_AT_ONCE]
            known = self._remote.mirror.places(part)
            for oid in part:
                yield oid, known.get(oid)

    def _is_left(self, oid: bytes, place: Place) -> bool:
        """Tell whether a value stays in the remote; what was asked for itself never does."""
        if not place.pack:
            # Its writer does not have it itself.
            self._away[oid] = place.size
            return True
        limit = self.leave_above
        if limit is None or place.size <= limit or oid in self._roots or not self._is_leaf(place):
            return False
        self._away[oid] = place.size
        return True

    def _check_room(self) -> None:
        """Refuse what would fill the disk, before any of it is fetched."""
        free = None if self.folder is None else free_bytes(self.folder if self.folder.is_dir() else self.folder.parent)
        if free is not None and self._done.raw_bytes > free:
            raise StoreUnavailable(
                f"{self._remote.where} holds {self._done.raw_bytes:,} bytes that are not here yet, and only {free:,} bytes are free "
                f"where the store is: make room, or pull less of it (by id, or with --metadata-only)"
            )

    def _check_size(self, place: Place) -> None:
        if place.size > LINKED_LIMIT:
            raise RemoteDamaged(
                f"{self._remote.where}: an object that may link others is said to have {place.size:,} bytes, "
                f"at most {LINKED_LIMIT:,} are allowed"
            )

    def _is_leaf(self, place: Place) -> bool:
        """True for values that link nothing: packs of values hold only those."""
        leaf = self._leaf_packs.get(place.pack)
        if leaf is None:
            pack = self._remote.mirror.pack(place.pack)
            leaf = self._leaf_packs[place.pack] = pack is not None and pack.kind in (PackKind.VALUES, PackKind.LARGE)
        return leaf

    def _places(self, ids: Sequence[bytes]) -> dict[bytes, Place]:
        places = self._remote.places(ids)
        for oid in ids:
            place = places.get(oid)
            if place is None:
                raise RemoteDamaged(
                    f"{self._remote.where} lacks object {oid.hex()}, which others there link: whoever has it can push it again"
                )
            if not place.pack and oid in self._roots:
                raise StoreError(
                    f"{self._remote.where} does not have value {oid.hex()}: it was not there either where it was pushed from: "
                    "run its job again there and push"
                )
        return places

    def _take_leaves(self, leaves: Mapping[bytes, Place]) -> None:
        by_pack: dict[str, dict[bytes, Place]] = {}
        for oid, place in leaves.items():
            by_pack.setdefault(place.pack, {})[oid] = place
        names = list(by_pack)
        batch = BulkWriter(self._source, self._progress)
        # A few packs at once, so that requests overlap and yet the disk does not have to hold all.
        for start in range(0, len(names), self._remote.jobs):
            part = names[start : start + self._remote.jobs]
            self._fetcher.fetch([place for name in part for place in by_pack[name].values()])
            for name in part:
                rows = by_pack[name]
                for oid, place in sorted(rows.items(), key=lambda row: row[1].offset):
                    if place.size > LARGE_OBJECT_BYTES:
                        batch.add(oid, *self._stage(oid, place))
                        continue
                    data = self._fetcher.read(oid, place)
                    if data[0] != Kind.VALUE or data[3] & Flag.LINKS:
                        raise RemoteDamaged(
                            f"{self._remote.where}: object {oid.hex()} stands among values and is none: the pack was made to harm"
                        )
                    batch.add(oid, data, ())
                self._fetcher.forget(name)
        batch.write()

    def _stage(self, oid: bytes, place: Place) -> tuple[Any, list[bytes]]:
        """Write a large object beside the store; it is not held in memory."""
        found, staged, links = stage(self._source, self._fetcher.pieces(place), self._remote.where)
        if found != oid:
            raise RemoteDamaged(
                f"{self._remote.where}: what stands in pack {place.pack} as object {oid.hex()} has the id {found.hex()}: "
                "nothing names what was written of it"
            )
        return staged, links

    def _take_graph(self, roots: Iterable[bytes], graph: dict[bytes, Place]) -> None:
        """Store objects, each after those that it links; empties `graph`."""
        batch = BulkWriter(self._source, self._progress)
        away = self._away
        read = self._fetcher.read
        # An object to be read, or one whose links were all stored, with its place and its bytes, unless it is large.
        stack: list[bytes | tuple[bytes, Place, bytes]] = list(reversed(list(roots)))
        while stack:
            top = stack.pop()
            if isinstance(top, bytes):
                oid, place = top, graph.pop(top, None)
                if place is None:
                    continue
                data = read(oid, place)
                links = links_of(data)
                below = [link for link in links if link in graph]
                if below:
                    stack.append((oid, place, data if len(data) <= KEEP_BYTES else b""))
                    below.sort(key=lambda link: (graph[link].pack, graph[link].offset), reverse=True)
                    stack += below
                    continue
            else:
                oid, place, data = top
                data = data or read(oid, place)
                links = links_of(data)
            self.taken.add(oid)
            batch.add(oid, data, links, {link: away[link] for link in links if link in away} if away else _NONE_AWAY)
        batch.write()
