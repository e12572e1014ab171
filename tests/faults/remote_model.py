"""A remote in a few lines: pushers, readers and collectors as steps in any order, with late, lost and failed requests, sleep and death.

Each actor is a generator that yields before every request, so a scheduler may put anything between any two of them. What is decided, is
decided by the code that decides in truth: `redun.store.remote.rules` and `redun.store.remote.gc_plan`, on entries of
`redun.store.remote.log`. Bytes, indexes and networks are left out: a pack is the set of the objects in it, an index the log read in order.

After each step, and once more when all is quiet, it must hold: whatever the refs lead to is found by the indexes, in a pack that the log
names and whose file is there. What a pusher was told is there stays, unless a collector dropped its ref.
"""

from __future__ import annotations

import random
from collections.abc import Generator, Iterable
from dataclasses import dataclass, field

from redun.store.remote import rules
from redun.store.remote.gc_plan import Plan
from redun.store.remote.graph import Graph
from redun.store.remote.index import Place
from redun.store.remote.log import Entry, PackFact, RefMove
from redun.store.remote.pack import PackKind

HOUR = 3600 * 1_000_000
Step = Generator[None, None, None]
START_US = 1_000 * HOUR


def oid(number: int) -> bytes:
    return number.to_bytes(20, "big")


class Moved(Exception):
    """Plan again."""


class Died(Exception):
    """The actor's process was killed."""


@dataclass
class Shelf:
    """What is in the place.

    Attributes:
        files: name of a pack -> when it was written. contents: of every pack that ever was, ids in it.
        log: entries; log_us when each was written.
    """

    now: int = START_US
    files: dict[str, int] = field(default_factory=dict)
    contents: dict[str, tuple[bytes, ...]] = field(default_factory=dict)
    log: list[Entry] = field(default_factory=list)
    log_us: list[int] = field(default_factory=list)
    index: list[dict[bytes, str]] = field(default_factory=list)
    names: int = 0


class Mirror:
    """What an actor knows: the log as far as it was read."""

    def __init__(self, shelf: Shelf) -> None:
        self.shelf = shelf
        self.seq = 0
        self.place: dict[bytes, str] = {}
        self.alive: set[str] = set()
        self.dropped: dict[str, int] = {}
        self.refs: dict[str, bytes] = {}

    def read(self) -> list[Entry]:
        """Take in what is new."""
        new = self.shelf.log[self.seq :]
        for entry in new:
            self.alive.update(fact.name for fact in entry.packs)
            for name in entry.dropped:
                self.alive.discard(name)
                self.dropped[name] = self.seq
            self.place.update(self.shelf.index[self.seq])
            for move in entry.refs:
                self.refs.pop(move.name, None)
                if move.new is not None:
                    self.refs[move.name] = move.new
            self.seq += 1
        return new

    def where(self, one: bytes) -> Place | None:
        name = self.place.get(one)
        return Place(name, 0, 1, 1) if name in self.alive else None


@dataclass
class Faults:
    """How often, of 1, a request fails, its answer is lost, and an actor sleeps long or dies before a step."""

    fails: float = 0.05
    lost: float = 0.05
    sleeps: float = 0.03
    dies: float = 0.02


class World:
    """One interleaving.

    Args:
        seed: decides everything.
        grace_us: of the collectors.
        leaf_packs: packs hold values apart from what links them.
    """

    OBJECTS = 9

    def __init__(self, seed: int, grace_us: int | None = None, faults: Faults | None = None) -> None:
        self.random = random.Random(seed)
        self.faults = faults or Faults()
        self.grace_us = rules.GRACE_US if grace_us is None else grace_us
        self.shelf = Shelf()
        # Objects link only objects with smaller numbers; the first ones link nothing.
        self.links: dict[bytes, tuple[bytes, ...]] = {}
        for number in range(self.OBJECTS):
            below = [oid(one) for one in range(number) if number >= 3 and self.random.random() < 0.4]
            self.links[oid(number)] = tuple(below)
        self.acknowledged: dict[str, bytes] = {}
        self.collected: set[str] = set()
        self.reads = 0

    def leaf(self, one: bytes) -> bool:
        return not self.links[one]

    def closure(self, roots: Iterable[bytes]) -> list[bytes]:
        """Children first."""
        found: dict[bytes, None] = {}

        def walk(one: bytes) -> None:
            if one not in found:
                for link in self.links[one]:
                    walk(link)
                found[one] = None

        for root in roots:
            walk(root)
        return list(found)

    # Requests.

    def answer_is_lost(self) -> bool:
        return self.random.random() < self.faults.lost

    def put(self, contents: Iterable[bytes]) -> str:
        shelf = self.shelf
        shelf.names += 1
        name = f"{shelf.names:064x}-0123456789abcdef"
        shelf.contents[name] = tuple(contents)
        shelf.files[name] = shelf.now
        return name

    def append(self, entry: Entry, index: dict[bytes, str], seq: int) -> bool:
        """Write an entry put-if-absent."""
        shelf = self.shelf
        if len(shelf.log) != seq:
            return False
        shelf.log.append(
            Entry(b"", seq + 1, b"", list(entry.packs), list(entry.dropped), refs=list(entry.refs), nonce=entry.nonce)
        )
        shelf.log_us.append(shelf.now)
        shelf.index.append(dict(index))
        return True

    # Actors.

    def pusher(self, name: str, head: bytes, noted: list[tuple[str, int]]) -> Step:
        """Push a ref. `noted` outlives the process, as notes of uploads do."""
        mirror = Mirror(self.shelf)
        for _ in range(6):
            yield
            mirror.read()
            if mirror.refs.get(name) == head:
                self.acknowledged[name] = head
                return
            try:
                yield from self.push_once(mirror, name, head, noted)
                self.acknowledged[name] = head
                return
            except Moved:
                continue

    def push_once(self, mirror: Mirror, name: str, head: bytes, noted: list[tuple[str, int]]) -> Step:
        shelf = self.shelf
        relied: set[str] = set()
        resumed: dict[bytes, tuple[str, int]] = {}
        for pack, sent in list(noted):
            if (
                not rules.may_resume(sent, shelf.now)
                or pack in mirror.dropped
                or pack in mirror.alive
                or pack not in shelf.files
            ):
                noted.remove((pack, sent))
            else:
                resumed.update(dict.fromkeys(shelf.contents[pack], (pack, sent)))
        missing: list[bytes] = []
        met: set[bytes] = set()

        def walk(one: bytes) -> None:
            if one in met:
                return
            met.add(one)
            place = mirror.where(one)
            if place is not None:
                relied.add(place.pack)
                return
            for link in self.links[one]:
                walk(link)
            missing.append(one)

        walk(head)
        entry = Entry(b"", 0, b"", refs=[RefMove(name, mirror.refs.get(name), head)], nonce=self.random.randbytes(16))
        index: dict[bytes, str] = {}
        since: int | None = None
        named: set[str] = set()
        groups = [[one for one in missing if self.leaf(one) is leaf and one not in resumed] for leaf in (True, False)]
        for one in missing:
            if one in resumed:
                pack, sent = resumed[one]
                index[one] = pack
                since = sent if since is None else min(since, sent)
        for group in groups:
            if not group:
                continue
            yield
            if self.random.random() < self.faults.fails:
                raise Died
            began = shelf.now
            pack = self.put(group)
            noted.append((pack, began))
            since = began if since is None else min(since, began)
            index.update(dict.fromkeys(group, pack))
            # A long push names its first packs without a ref.
            if self.random.random() < 0.2:
                whole = {
                    one: name
                    for one, name in index.items()
                    if all(below in index or mirror.where(below) is not None for below in self.closure([one]))
                }
                early = Entry(b"", 0, b"", packs=_facts(self, set(whole.values()) - named), nonce=self.random.randbytes(16))
                yield from self.commit(mirror, early, whole, relied, since)
                relied.update(whole.values())
                index = {one: name for one, name in index.items() if one not in whole}
                named.update(whole.values())
        entry.packs = _facts(self, set(index.values()) - named)
        yield from self.commit(mirror, entry, index, relied, since)

    def commit(
        self,
        mirror: Mirror,
        entry: Entry,
        index: dict[bytes, str],
        relied: set[str],
        since: int | None,
        plan: Collector | None = None,
    ) -> Step:
        shelf = self.shelf
        while True:
            alive, dropped = mirror.alive.__contains__, mirror.dropped.__contains__
            if not rules.in_time(since, shelf.now) or rules.outdated(entry, relied, alive, dropped, mirror.refs.get):
                raise Moved
            # What was decided a moment ago is sent a moment later.
            yield
            written = self.append(entry, index, mirror.seq)
            if written and self.answer_is_lost():
                written = False
            if written:
                mirror.read()
                return
            yield
            for theirs in mirror.read():
                if theirs.nonce == entry.nonce:
                    return
                if plan is not None:
                    plan.seen(theirs)

    def collector(self, drop: set[str]) -> Step:
        """Collect garbage, some refs among it."""
        for _ in range(4):
            work = Collector(self, drop)
            try:
                yield from work.run()
                return
            except Moved:
                continue

    def reader(self) -> Step:
        """Read what a ref leads to; a pack that has gone sends it back to the log."""
        mirror = Mirror(self.shelf)
        yield
        mirror.read()
        for name in sorted(mirror.refs):
            for _ in range(8):
                head = mirror.refs.get(name)
                if head is None:
                    break
                for one in self.closure([head]):
                    yield
                    place = mirror.where(one)
                    if place is None or place.pack not in self.shelf.files:
                        break
                    assert one in self.shelf.contents[place.pack]
                else:
                    self.reads += 1
                    break
                assert mirror.seq < len(self.shelf.log), f"a reader who knows all of the log lacks {one.hex()}"
                mirror.read()

    # What must hold.

    def check(self) -> None:
        """Raise AssertionError if something that a ref leads to is not there."""
        mirror = Mirror(self.shelf)
        mirror.read()
        for name, head in mirror.refs.items():
            for one in self.closure([head]):
                place = mirror.where(one)
                assert place is not None, f"{name}: no index knows {int.from_bytes(one, 'big')}"
                assert place.pack in self.shelf.files, f"{name}: the file with {int.from_bytes(one, 'big')} is gone"
                assert one in self.shelf.contents[place.pack]
        for name, head in self.acknowledged.items():
            if name not in self.collected:
                assert mirror.refs.get(name) == head, f"{name} is lost"
        nonces = [entry.nonce for entry in self.shelf.log]
        assert len(set(nonces)) == len(nonces), "an entry was written twice"
        named = [fact.name for entry in self.shelf.log for fact in entry.packs]
        assert len(set(named)) == len(named), "a pack was named twice"

    def run(self) -> World:
        """Run one interleaving to its end."""
        chance = self.random.random
        pushes = []
        for number in range(self.random.randint(2, 3)):
            head = oid(self.random.randrange(4, self.OBJECTS))
            pushes.append((f"pins/{number:032x}", head, []))
        # What was there before.
        before = oid(self.random.randrange(3, self.OBJECTS))
        old = "pins/" + "ff" * 16
        faults, self.faults = self.faults, Faults(0, 0, 0, 0)
        list(self.pusher(old, before, []))
        self.faults = faults
        if chance() < 0.5:
            del self.acknowledged[old]
            self.collected.add(old)
        actors: list[tuple[str, Step, object]] = [("push", self.pusher(*push), push) for push in pushes]
        drop = {old} if old in self.collected else set()
        actors += [("gc", self.collector(drop), None) for _ in range(self.random.randint(1, 2))]
        if chance() < 0.5:
            actors.append(("read", self.reader(), None))
        while actors:
            at = self.random.randrange(len(actors))
            kind, actor, what = actors[at]
            if chance() < faults.sleeps:
                self.shelf.now += self.random.choice((HOUR, 6 * HOUR, 13 * HOUR, 25 * HOUR))
            self.shelf.now += 1000
            try:
                if chance() < faults.dies:
                    raise Died
                next(actor)
            except StopIteration:
                actors.pop(at)
            except Died:
                actors.pop(at)
                if kind == "push" and chance() < 0.8:
                    # Started again: what was sent is noted.
                    actors.append((kind, self.pusher(*what), what))  # type: ignore[misc]
            if kind == "gc":
                self.check()
        self.check()
        self.faults = Faults(0, 0, 0, 0)
        # A day later somebody collects what is left, and all is as it was.
        for _ in range(2):
            self.shelf.now += 30 * HOUR
            for _step in self.collector(set()):
                pass
        self.check()
        assert set(self.shelf.files) == {fact.name for entry in self.shelf.log for fact in entry.packs} - {
            name for entry in self.shelf.log for name in entry.dropped
        }, "files are left that nothing names"
        return self


class Collector:
    """One attempt of a gc, after `redun.store.remote.gc`."""

    def __init__(self, world: World, drop: set[str]) -> None:
        self.world = world
        self.mirror = Mirror(world.shelf)
        self.drop = drop

    def read_graph(self, names: Iterable[str]) -> None:
        world, graph = self.world, self.graph
        for name in names:
            ids = [one for one in world.shelf.contents[name] if not world.leaf(one)]
            if ids and name not in graph.packs:
                graph.packs[name] = ids
                for one in ids:
                    graph.links[one] = b"".join(world.links[one])
                    if self.mirror.place.get(one) != name or name not in self.mirror.alive:
                        graph.copies.setdefault(one, {})[name] = Place(name, 0, 1, 1)

    def run(self) -> Step:
        world, mirror, shelf = self.world, self.mirror, self.world.shelf
        yield
        mirror.read()
        self.graph = Graph()
        alive = sorted(mirror.alive)
        now = shelf.now
        files = dict(shelf.files)
        times = list(shelf.log_us)
        yield
        self.read_graph(alive)
        self.refs = [RefMove(name, mirror.refs[name], None) for name in sorted(self.drop & mirror.refs.keys())]
        going = {move.name for move in self.refs}
        roots = [one for name, one in mirror.refs.items() if name not in going]
        in_use: set[str] = set()
        for entry, written in zip(shelf.log[: mirror.seq], times, strict=False):
            if written + world.grace_us > now and not entry.dropped and not any(move.new for move in entry.refs):
                in_use.update(fact.name for fact in entry.packs)
        self.packs = {name: len(shelf.contents[name]) for name in alive}
        self.plan = Plan(self.graph, self.packs, mirror.where, roots, in_use)
        assert not self.plan.missing, "a collector misses what refs lead to"
        self.condemned = {
            name
            for name, written in files.items()
            if name not in mirror.alive and name not in mirror.dropped and rules.may_delete(written, None, now, world.grace_us)
        }
        self.new: dict[bytes, str] = {}
        since: int | None = None
        for leaf in (True, False):
            group = [one for one in self.plan.move if world.leaf(one) is leaf]
            if group:
                yield
                since = shelf.now if since is None else since
                self.new.update(dict.fromkeys(group, world.put(group)))
        self.entry = Entry(b"", 0, b"", nonce=world.random.randbytes(16))
        self.index: dict[bytes, str] = {}
        self.fill()
        if self.entry.refs or self.entry.dropped:
            yield from world.commit(mirror, self.entry, self.index, set(), since, self)
        for name, written in files.items():
            dropped = mirror.dropped.get(name)
            if name in mirror.alive or dropped is None:
                continue
            just = name in self.entry.dropped and name not in self.condemned
            dropped_us = times[dropped] if dropped < len(times) else None
            if dropped_us is not None:
                dropped_us = max(dropped_us, written)
            if not world.grace_us or (not just and rules.may_delete(written, dropped_us, now, world.grace_us)):
                yield
                shelf.files.pop(name, None)

    def fill(self) -> None:
        self.index.clear()
        self.index.update(self.new)
        self.index.update({one: place.pack for one, place in self.plan.restated().items()})
        self.entry.packs = _facts(self.world, set(self.new.values()))
        unnamed = {name for name in self.condemned if name not in self.mirror.alive}
        self.entry.dropped = sorted(self.plan.drop.intersection(self.packs) | unnamed)
        self.entry.refs = self.refs

    def seen(self, theirs: Entry) -> None:
        if theirs.dropped:
            raise Moved
        names = [fact.name for fact in theirs.packs]
        self.read_graph(names)
        self.packs.update({name: len(self.world.shelf.contents[name]) for name in names})
        moved = {move.name for move in theirs.refs}
        self.refs = [move for move in self.refs if move.name not in moved]
        self.plan.take_in(
            {name: self.packs[name] for name in names}, [move.new for move in theirs.refs if move.new is not None]
        )
        self.fill()


def _facts(world: World, names: set[str]) -> list[PackFact]:
    return [PackFact(name, len(world.shelf.contents[name]), PackKind.MIXED) for name in sorted(names)]
