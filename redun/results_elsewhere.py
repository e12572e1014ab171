"""Results in a repo, for read-through: which calls it knows, and what a run needs of them.

Of a call whose result is checked fully only its single reduction is fetched, with all that this leads to: the run makes the call itself.
For a shallow check the call is fetched with all below it; values beyond 64 KiB that are not part of the result stay there, noted as away.

Everything here happens on one thread, that of the repo (`redun.readthrough`).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from redun.errors import RedunError
from redun.evaluation.cache import NO_CALL, memo_row
from redun.evaluation.others import Answers, Ask, Found
from redun.records import CallRecord, TaskRecord, call_head
from redun.store.bulk import copy, stage
from redun.store.errors import ObjectNotFound, RefConflict, RemoteDamaged
from redun.store.ids import ID_BYTES, LINK_MARK
from redun.store.objects import links as links_of
from redun.store.reach import in_order
from redun.store.remote.claims import Claims
from redun.store.remote.fetch import Fetcher
from redun.store.remote.index import Place
from redun.store.remote.pack import LARGE_OBJECT_BYTES, PackKind
from redun.store.remote.pull import LINKED_LIMIT, fetch
from redun.store.rows import BLOB_ABOVE
from redun.task import get_task_registry

if TYPE_CHECKING:
    from redun.store.remote.remote import Remote
    from redun.store.repository import Store

GROUP_BYTES = 32 << 20
"""Results are handed over when so many bytes of them are here."""
_WHOLE_AFTER = 8
# Of up to 16 MiB each.
_TRIES = 3
_WHOLE_PACKS = 16
DRY_BYTES = 64 << 20
"""In a dry run larger objects are not fetched: what has to be read of them counts as not found."""


class Named(NamedTuple):
    """A call that a repo names for a result that is looked for.

    Attributes:
        whole: it is named by the key of the shallow check.
        signer: who says so, empty if nobody signed it.
    """

    ask: Ask
    call: bytes
    whole: bool
    signer: bytes


class Results(Protocol):
    """Results in one repo."""

    def look_up(self, asks: Iterable[Ask]) -> tuple[list[Named], list[Ask]]:
        """Return which calls are known, and what is not known.

        Raises:
            RedunError: the repo cannot be used.
        """

    def fetch(self, wanted: Sequence[Named]) -> Iterator[Answers]:
        """Bring results here; yields answers to all that was wanted, some at a time.

        Raises:
            RedunError: the repo cannot be used.
        """

    @property
    def doubted(self) -> int:
        """How many results were not taken, as nobody who is believed says them."""

    def close(self) -> None:
        """Release everything."""


def _is_current(task_id: bytes, data: bytes) -> bool:
    task = get_task_registry().get(TaskRecord.decode(data).fullname)
    return task is not None and task.id == task_id


def look_up(asks: Iterable[Ask], call_of: Callable[[bytes], tuple[bytes, bytes] | None]) -> tuple[list[Named], list[Ask]]:
    """Sort results that are looked for by whether their call is known.

    Args:
        call_of: returns the call for a key of the memo, and who says so.
    """
    found: list[Named] = []
    missing: list[Ask] = []
    for ask in asks:
        call = call_of(ask.shallow) if ask.shallow else None
        whole = call is not None
        if call is None and ask.full:
            call = call_of(ask.full)
        if call is None:
            missing.append(ask)
        else:
            found.append(Named(ask, call[0], whole, call[1]))
    return found, missing


@dataclass(slots=True)
class _Want:
    """What is needed for one result.

    Attributes:
        row: as the memo will have it; empty as long as the call is not read.
        need: id -> place of what is not here. frontier: ids that were not looked at yet.
        bad: it cannot be had.
    """

    named: Named
    row: bytes = b""
    need: dict[bytes, Place] = field(default_factory=dict)
    frontier: list[bytes] = field(default_factory=list)
    bad: bool = False

    @property
    def size(self) -> int:
        return sum([place.size for place in self.need.values() if place.size <= LARGE_OBJECT_BYTES])


class RemoteResults:
    """Results in a remote; implements `Results`.

    Args:
        store: to be used by nobody else.
        remote: not brought up to date yet; closed with this.
        believed: tells which signers are believed.
        dryrun: large objects are not fetched, and nothing is stored.
    """

    def __init__(self, store: Store, remote: Remote, believed: Callable[[bytes], bool], dryrun: bool) -> None:
        self._store = store
        self._source = store.source
        self._remote = remote
        self._claims = Claims(remote, believed)
        self._dryrun = dryrun
        self._folder = None if store.folder is None or store.readonly else store.folder / "remotes"
        self._fetcher = Fetcher(remote, self._folder, whole_after=_WHOLE_AFTER)
        self._whole_packs: deque[str] = deque()
        self._there: bool | None = None

    @property
    def doubted(self) -> int:
        """See `Results.doubted`."""
        return self._claims.doubted

    def _refresh(self) -> bool:
        """Bring what is known of the remote up to date, the first time; False if there is none yet."""
        if self._there is None:
            try:
                self._there = self._remote.refresh()
            except RefConflict:
                # Another process of this store does the same.
                self._remote.mirror.source.refresh()
                self._there = self._remote.refresh()
        return self._there

    def look_up(self, asks: Iterable[Ask]) -> tuple[list[Named], list[Ask]]:
        """See `Results.look_up`."""
        asks = list(asks)
        if not self._refresh():
            return [], asks
        claims = self._claims.find_many([key for ask in asks for key in (ask.full, ask.shallow) if key])

        def call_of(key: bytes) -> tuple[bytes, bytes] | None:
            claim = claims.get(key)
            return None if claim is None else (claim.call, claim.signer)

        return look_up(asks, call_of)

    def fetch(self, wanted: Sequence[Named]) -> Iterator[Answers]:
        """See `Results.fetch`."""
        left = list(wanted)
        for _ in range(_TRIES):
            try:
                for answers in self._fetch(left):
                    # First, as whoever takes them may not come back.
                    told = {id(ask) for ask, _ in answers}
                    left = [named for named in left if id(named.ask) not in told]
                    yield answers
                return
            except RemoteDamaged:
                # A gc there may have deleted packs since we looked.
                if not self._remote.moved_on():
                    raise
        raise RemoteDamaged(f"{self._remote.where} loses packs faster than they can be read")

    def _fetch(self, wanted: Sequence[Named]) -> Iterator[Answers]:
        self._source.refresh()
        wants = [_Want(named, frontier=[named.call]) for named in wanted]
        self._walk(wants, self._read_call)
        good = [want for want in wants if want.row and not want.bad]
        yield [(want.named.ask, None) for want in wants if not want.row or want.bad]
        yield from self._values([want for want in good if not want.named.whole])
        for want in good:
            if want.named.whole:
                yield [(want.named.ask, self._whole(want))]

    # Which objects.

    def _walk(self, wants: Sequence[_Want], take: Callable[[_Want, bytes, bytes], None]) -> None:
        """Find, round by round, what the wants need, fetching what links others.

        Args:
            take: gets a want, the id and the bytes of an object that may link others.
        """
        while any(want.frontier for want in wants):
            places = self._remote.places({oid for want in wants for oid in want.frontier})
            looked_at: list[tuple[_Want, bytes, Place]] = []
            for want in wants:
                for oid in want.frontier:
                    place = places.get(oid)
                    if place is None or not place.pack or (place.size > LINKED_LIMIT and not self._is_leaf(place)):
                        # Its writer did not have it, say. Of the others this says nothing.
                        want.bad = True
                        break
                    want.need[oid] = place
                    if not self._is_leaf(place):
                        looked_at.append((want, oid, place))
                want.frontier = []
            self._fetcher.fetch({place for _, _, place in looked_at})
            for want, oid, place in looked_at:
                if not want.bad:
                    take(want, oid, self._fetcher.read(oid, place))

    def _is_leaf(self, place: Place) -> bool:
        pack = self._remote.mirror.pack(place.pack)
        return pack is not None and pack.kind in (PackKind.VALUES, PackKind.LARGE)

    def _read_call(self, want: _Want, oid: bytes, data: bytes) -> None:
        head = call_head(data)
        if head.failed or head.task != want.named.ask.task:
            want.bad = True
            return
        want.need.clear()
        want.row = memo_row(oid, head.reduction)
        if want.named.whole and not self._tasks_are_current(CallRecord.decode(data)):
            # What is below may still do for the full check.
            want.named = want.named._replace(whole=False)
            want.bad = not want.named.ask.full

    def _tasks_are_current(self, call: CallRecord) -> bool:
        places = self._remote.places([oid for oid in call.tasks if not self._source.contains(oid)])
        self._fetcher.fetch(set(places.values()))
        for oid in call.tasks:
            place = places.get(oid)
            if place is not None and not place.pack:
                return False
            data = self._source.get(oid) if place is None else self._fetcher.read(oid, place)
            if not _is_current(oid, data):
                return False
        return True

    # Bringing them here.

    def _values(self, wants: Sequence[_Want]) -> Iterator[Answers]:
        """Bring single reductions."""
        for want in wants:
            self._follow(want, [want.row[ID_BYTES + 1 :]] if want.row[ID_BYTES] == LINK_MARK else [])
        self._walk(wants, lambda want, oid, data: self._follow(want, links_of(data)))
        yield [(want.named.ask, None) for want in wants if not self._is_new(want)]
        group: list[_Want] = []
        size = 0
        for want in sorted(filter(self._is_new, wants), key=lambda want: want.size):
            if group and size + want.size > GROUP_BYTES:
                yield self._bring(group)
                group, size = [], 0
            group.append(want)
            size += want.size
        if group:
            yield self._bring(group)

    def _follow(self, want: _Want, links: Iterable[bytes]) -> None:
        contains = self._source.contains
        want.frontier.extend([oid for oid in dict.fromkeys(links) if oid not in want.need and not contains(oid)])

    def _is_new(self, want: _Want) -> bool:
        """False if nothing came that the store did not have when its own result would not do."""
        if want.bad:
            return False
        known = want.named.ask.known
        return bool(want.need) or known[ID_BYTES:] != want.row[ID_BYTES:]

    def _bring(self, wants: Sequence[_Want]) -> Answers:
        need = {oid: place for want in wants for oid, place in want.need.items()}
        small = {place for place in need.values() if place.size <= LARGE_OBJECT_BYTES}
        self._fetcher.fetch(small)
        objects: dict[bytes, Any] = {}
        for oid, place in need.items():
            if place in small or (self._dryrun and place.size <= DRY_BYTES):
                objects[oid] = self._fetcher.read(oid, place)
            else:
                objects[oid] = None if self._dryrun else self._stage(oid, place)
        self._let_go({place.pack for place in need.values() if self._is_leaf(place)})
        return [(want.named.ask, Found(self._remote.name, want.row, objects, want.named.signer)) for want in wants]

    def _let_go(self, packs: Iterable[str]) -> None:
        """Forget what was fetched of packs of values, but for some that are here whole: a chain of calls asks for one value after another."""
        for name in packs:
            if not self._fetcher.is_whole(name):
                self._fetcher.forget(name)
            elif name not in self._whole_packs:
                self._whole_packs.append(name)
                if len(self._whole_packs) > _WHOLE_PACKS:
                    self._fetcher.forget(self._whole_packs.popleft())

    def _stage(self, oid: bytes, place: Place) -> Any:
        """Write a large object beside the store; it is not held in memory."""
        self._fetcher.fetch([place])
        found, staged, _ = stage(self._source, self._fetcher.pieces(place), self._remote.where)
        if found != oid:
            raise RemoteDamaged(
                f"{self._remote.where}: what stands in pack {place.pack} as object {oid.hex()} has the id {found.hex()}: "
                "nothing names what was written of it"
            )
        return staged

    def _whole(self, want: _Want) -> Found | None:
        """Bring a call with all below it."""
        call = want.row[:ID_BYTES]
        if self._dryrun:
            return None
        data = self._fetcher.read(call, self._remote.places([call])[call]) if not self._source.contains(call) else None
        result = CallRecord.decode(data if data is not None else self._source.get(call)).result
        try:
            if result[0] == LINK_MARK:
                fetch(self._source, self._remote, [result[1:]], folder=self._folder, fetcher=self._fetcher)
            fetch(self._source, self._remote, [call], folder=self._folder, fetcher=self._fetcher, leave_above=BLOB_ABOVE)
        except ObjectNotFound:
            return None
        return Found(self._remote.name, want.row, {}, want.named.signer, whole=True)

    def close(self) -> None:
        """See `Results.close`."""
        self._fetcher.close()
        self._remote.close()
        self._store.close()


class StoreResults:
    """Results in another store of this user; implements `Results`.

    Args:
        store: to be used by nobody else. other: where results are looked for. Both are closed with this.
    """

    doubted = 0

    def __init__(self, name: str, store: Store, other: Store, dryrun: bool) -> None:
        self._name = name
        self._store, self._other = store, other
        self._source, self._there = store.source, other.source
        self._dryrun = dryrun
        self._rows: dict[bytes, bytes] = {}

    def look_up(self, asks: Iterable[Ask]) -> tuple[list[Named], list[Ask]]:
        """See `Results.look_up`."""
        self._there.refresh()
        return look_up(asks, self._call_of)

    def _call_of(self, key: bytes) -> tuple[bytes, bytes] | None:
        row = self._there.memo_get(key)
        if row is None or row[:ID_BYTES] == NO_CALL:
            return None
        self._rows[row[:ID_BYTES]] = row
        return row[:ID_BYTES], b""

    def fetch(self, wanted: Sequence[Named]) -> Iterator[Answers]:
        """See `Results.fetch`."""
        self._source.refresh()
        for named in wanted:
            try:
                yield [(named.ask, self._found(named))]
            except RedunError:
                # Swept, damaged, or away over there: of other results this says nothing.
                yield [(named.ask, None)]

    def _found(self, named: Named) -> Found | None:
        there, row = self._there, self._rows[named.call]
        call = CallRecord.decode(there.get(named.call))
        if call.failed or call.task != named.ask.task:
            return None
        if named.whole and not self._dryrun and all(_is_current(oid, there.get(oid)) for oid in call.tasks):
            copy(there, self._source, [], dict, roots=[named.call])
            return Found(self._name, row, {}, whole=True)
        if not named.ask.full:
            return None
        roots = [row[ID_BYTES + 1 :]] if row[ID_BYTES] == LINK_MARK else []
        objects: dict[bytes, Any] = {}
        for oid in in_order(there, roots, stop=self._source.contains):
            data = there.get(oid)
            large = len(data) > LARGE_OBJECT_BYTES and not self._dryrun
            objects[oid] = self._source.stage([data])[1] if large else data
        if not objects and named.ask.known[ID_BYTES:] == row[ID_BYTES:]:
            return None
        return Found(self._name, row, objects)

    def close(self) -> None:
        """See `Results.close`."""
        self._other.close()
        self._store.close()
