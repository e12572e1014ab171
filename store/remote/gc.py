"""Garbage collection in a remote, beside whoever pushes and pulls there.

    plan     which refs go; the call graph is read and marked; packs of which less than half is wanted go (`redun.store.remote.gc_plan`)
    write    what is wanted of them, in new packs
    commit   one entry of the log: refs and packs that go, packs that are new. What others wrote meanwhile is taken in first
    delete   files of packs that were dropped, or never named, for the whole grace (`redun.store.remote.rules`)

A gc that is killed leaves new packs that nobody names, which a later one deletes, or files that a later one deletes. Of two at once one
plans again. Which executions stay is for the caller to say.
"""

from __future__ import annotations

import mmap
from collections.abc import Callable, Collection, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from typing import Any

from redun.store.errors import DamagedObject, ObjectNotFound, RemoteDamaged, RemoteError
from redun.store.ids import ID_BYTES, object_id
from redun.store.remote.backends.base import FileFact, patiently
from redun.store.remote.checkpoint import checkpoint_if_due
from redun.store.remote.fetch import Fetcher
from redun.store.remote.gc_plan import Plan
from redun.store.remote.graph import Doing, Graph, quiet, read_graph
from redun.store.remote.index import Index, Place
from redun.store.remote.log import Entry, PackFact, RefMove
from redun.store.remote.names import log_name
from redun.store.remote.pack import LARGE_OBJECT_BYTES
from redun.store.remote.packer import Packer, name_in
from redun.store.remote.remote import Moved, Remote
from redun.store.remote.rules import GRACE_US, in_time, may_delete
from redun.store.remote.spool import spool
from redun.store.sources.base import Source

EXECUTIONS, TAGS = "executions/", "tags/"
_PLANS = 8
_AT_ONCE = 64 << 20

Count = tuple[int, int]
"""How many, and how many bytes."""


@dataclass
class Collected:
    """What a gc of a remote did, or would do.

    Attributes:
        refs: names of refs that went.
        before, after: packs that the log names.
        dropped: packs that went. rewritten: objects in them that stay, and were written to new packs.
        deleted: files that were deleted. waiting: files that are not named any more, and are deleted by a gc after the grace.
        live: objects that stay.
    """

    refs: list[str] = field(default_factory=list)
    before: Count = (0, 0)
    after: Count = (0, 0)
    dropped: Count = (0, 0)
    rewritten: Count = (0, 0)
    deleted: Count = (0, 0)
    waiting: Count = (0, 0)
    live: Count = (0, 0)


class View:
    """What is known while it is decided which tags stay.

    Attributes:
        refs: of executions that stay.
        live: ids of objects that stay.
    """

    def __init__(self, refs: dict[str, bytes], live: set[bytes], remote: Remote) -> None:
        self._refs = refs
        self._live = live
        self._remote = remote

    def heads(self) -> dict[str, bytes]:
        """Return the refs of executions that stay."""
        return self._refs

    def is_live(self, oid: bytes) -> bool:
        """Tell whether an object is there and stays."""
        return oid in self._live and self._remote.mirror.place(oid) is not None


Drop = Callable[[], Collection[str]]
"""Returns the refs that are to go; `executions/<uuid>` takes those below it along."""
TagsGone = Callable[[list[tuple[str, str, bytes]], View], Collection[str]]
"""Is given tags whose entities are no objects, (ref, kind, entity), and returns the refs of those whose entity has gone."""


def no_tags(tags: list[tuple[str, str, bytes]], view: View) -> Collection[str]:
    """Let every tag stay."""
    return ()


def collect(
    remote: Remote,
    local: Source,
    drop: Drop,
    *,
    tags_gone: TagsGone = no_tags,
    grace_us: int = GRACE_US,
    dry_run: bool = False,
    doing: Doing = quiet,
    said: Callable[[str], None] = lambda text: None,
) -> Collected:
    """Drop refs, and what only they lead to, from a remote that was brought up to date.

    Args:
        local: the store beside: what it has is not fetched.
        grace_us: how long files stay that nothing names; 0 deletes them at once.
        doing: is told how far it is. said: of what the user should know.

    Raises:
        RemoteError: the remote cannot be read or written.
        RemoteDamaged: it lacks what is wanted, so what that leads to is not known.
    """
    if not dry_run:
        remote.check_writable()
    for _ in range(_PLANS):
        work = _Collection(remote, local, grace_us, doing)
        try:
            work.plan(drop(), tags_gone)
            if not dry_run:
                work.carry_out()
                checkpoint_if_due(remote, said)
            return work.done
        except Moved:
            continue
    raise RemoteError(f"{remote.where} is collected by others at the same time: try again later")


class _Collection:
    """One attempt."""

    def __init__(self, remote: Remote, local: Source, grace_us: int, doing: Doing) -> None:
        self._remote = remote
        self._local = local
        self._grace_us = grace_us
        self._doing = doing
        self._graph = Graph()
        self._entry = Entry(b"", 0, b"")
        self.done = Collected()

    # Planning.

    def plan(self, drop: Collection[str], tags_gone: TagsGone) -> None:
        """Find out what goes."""
        remote, graph = self._remote, self._graph
        remote.load_shards()
        facts = {fact.name: fact for fact in remote.mirror.facts()}
        self._facts = facts
        self._files = patiently(lambda: remote.backend.files("packs/"))
        self._times = {file.name: file.written_us for file in patiently(lambda: remote.backend.files("log/"))}
        self._now = remote.backend.now_us() or 0
        read_graph(remote, graph, facts.values(), self._doing)
        refs = remote.refs()
        going = _going(refs, drop)
        roots, gone = self._decide_tags(refs, going, tags_gone)
        going |= gone
        self._entry.refs = [RefMove(name, refs[name], None) for name in sorted(going)]
        self._plan = Plan(
            graph, {name: self._raw_bytes(fact) for name, fact in facts.items()}, remote.mirror.place, roots, self._in_use()
        )
        if self._plan.missing:
            raise RemoteDamaged(
                f"{remote.where} lacks {len(self._plan.missing):,} of the objects that are wanted, such as {min(self._plan.missing).hex()}: "
                f"what they lead to is not known, so nothing was deleted; 'redun fsck --remote {remote.name}' tells which executions are "
                "touched, with --repair it puts back what this store has"
            )
        self._condemned = {file.name[6:] for file in self._files if self._is_left_over(file)}
        self._foresee()

    def _raw_bytes(self, fact: PackFact) -> int:
        pack = self._remote.mirror.pack(fact.name)
        return pack.raw_bytes if pack is not None else fact.size

    def _decide_tags(self, refs: dict[str, bytes], going: set[str], tags_gone: TagsGone) -> tuple[list[bytes], set[str]]:
        """Return what stays as ids, and which tags go."""
        kept = [oid for name, oid in refs.items() if name not in going and not name.startswith(TAGS)]
        live = self._graph.reach(kept)
        heads = {name: oid for name, oid in refs.items() if name.startswith(EXECUTIONS) and name not in going}
        view = View(heads, live, self._remote)
        asked: list[tuple[str, str, bytes]] = []
        gone = set()
        for name in refs:
            if name.startswith(TAGS) and name not in going:
                _, kind, entity, _ = name.split("/")
                about = bytes.fromhex(entity)
                if len(about) != ID_BYTES or self._remote.mirror.place(about) is None:
                    asked.append((name, kind, about))
                elif about not in live:
                    gone.add(name)
        gone.update(tags_gone(asked, view) if asked else ())
        tags = [oid for name, oid in refs.items() if name.startswith(TAGS) and name not in gone and name not in going]
        return [*kept, *tags], gone

    def _in_use(self) -> set[str]:
        """Return the packs of long pushes that may be going on: named by entries of the grace that set no ref."""
        remote = self._remote
        young = [
            seq
            for seq in range(1, remote.seq + 1)
            if (time := self._times.get(log_name(seq))) is not None and time + self._grace_us > self._now
        ]
        found: set[str] = set()
        for entry in remote.each(remote.entry, young):
            if not entry.dropped and not any(move.new for move in entry.refs):
                found.update([pack.name for pack in entry.packs])
        return found

    def _dropped_us(self, name: str) -> int | None:
        mirror = self._remote.mirror
        seq = mirror.dropped_at(name) or mirror.began()
        return self._times.get(log_name(seq)) if seq else None

    def _may_delete(self, file: FileFact) -> bool:
        dropped_us = self._dropped_us(file.name[6:])
        if dropped_us is not None and file.written_us is not None:
            dropped_us = max(dropped_us, file.written_us)
        return may_delete(file.written_us, dropped_us, self._now, self._grace_us)

    def _is_left_over(self, file: FileFact) -> bool:
        """Tell whether nothing names a file, nothing ever did as far as is known, and nobody can be about to."""
        mirror = self._remote.mirror
        name = file.name[6:]
        return not mirror.is_alive(name) and mirror.dropped_at(name) is None and self._may_delete(file)

    def _foresee(self) -> None:
        """Tell what would be done."""
        done, facts, plan = self.done, self._facts, self._plan
        dropping = [facts[name].size for name in plan.drop]
        done.refs = [move.name for move in self._entry.refs]
        done.live = len(plan.live), plan.live_bytes
        done.before = _sum([fact.size for fact in facts.values()])
        done.dropped = _sum(dropping)
        done.rewritten = _sum([place.size for place in plan.move.values()]) if dropping else (0, 0)
        done.after = done.before[0] - done.dropped[0], done.before[1] - done.dropped[1]
        unnamed = [file for file in self._files if file.name[6:] not in facts]
        now = [file.size for file in unnamed if self._may_delete(file)] + ([] if self._grace_us else dropping)
        done.deleted = _sum(now)
        done.waiting = len(unnamed) + len(dropping) - len(now), sum([*[file.size for file in unnamed], *dropping]) - sum(now)

    # Carrying out.

    def carry_out(self) -> None:
        """Do it."""
        remote, entry, done = self._remote, self._entry, self.done
        with closing(Packer(remote)) as self._packer:
            if self._plan.drop:
                self._write(self._packer)
            self._packer.finish()
            self._parts: list[bytes] = []
            self._fill()
            if entry.refs or entry.dropped:
                remote.commit(entry, self._parts, (), self._check, self._seen)
        done.refs = [move.name for move in entry.refs]
        done.dropped = _sum([self._facts[name].size for name in entry.dropped if name in self._facts])
        done.after = _sum([fact.size for fact in remote.mirror.facts()])
        self._delete()

    def _fill(self) -> None:
        """Have the entry say what the plan is by now."""
        made = self._packer.index
        named = Index(dict(made.packs), dict(made.places))
        for oid, place in self._plan.restated().items():
            pack = self._remote.mirror.pack(place.pack)
            if pack is not None:
                named.places[oid] = place
                named.packs[pack.name] = pack
        self._parts[:] = name_in(self._remote, self._entry, named)
        unnamed = [name for name in self._condemned if not self._remote.mirror.is_alive(name)]
        self._entry.dropped = sorted([*self._plan.drop.intersection(self._facts), *unnamed])

    def _check(self) -> None:
        if not in_time(self._packer.since_us, self._remote.backend.now_us()):
            raise Moved(f"{self._remote.where}: the collection took too long")

    def _seen(self, theirs: Entry) -> None:
        """Take in what somebody wrote who was quicker."""
        if theirs.dropped:
            raise Moved(f"{self._remote.where} was collected by somebody else")
        read_graph(self._remote, self._graph, theirs.packs)
        self._facts.update({fact.name: fact for fact in theirs.packs})
        moved = {move.name for move in theirs.refs}
        self._entry.refs = [move for move in self._entry.refs if move.name not in moved]
        roots = [move.new for move in theirs.refs if move.new is not None]
        self._plan.take_in({fact.name: self._raw_bytes(fact) for fact in theirs.packs}, roots)
        self._fill()

    def _write(self, packer: Packer) -> None:
        """Write anew what is wanted of packs that go."""
        wanted = sorted(self._plan.move.items(), key=lambda row: (row[1].pack, row[1].offset))
        with closing(Fetcher(self._remote)) as fetcher:
            done = 0
            for group in _groups(wanted):
                fetcher.fetch([place for oid, place in group if not self._local.contains(oid)])
                for oid, place in group:
                    with self._data(fetcher, oid, place) as data:
                        packer.add(oid, data)
                for name in {place.pack for _, place in group}:
                    fetcher.forget(name)
                done += len(group)
                self._doing("writing anew", done, len(wanted))

    @contextmanager
    def _data(self, fetcher: Fetcher, oid: bytes, place: Place) -> Iterator[Any]:
        if self._local.contains(oid):
            try:
                data = self._local.view(oid)
                if object_id(data) == oid:
                    yield data
                    return
            except (ObjectNotFound, DamagedObject):
                pass
        if place.size <= LARGE_OBJECT_BYTES:
            yield fetcher.read(oid, place)
            return
        if not fetcher.has(place):
            fetcher.fetch([place])
        with spool() as file:
            for piece in fetcher.pieces(place):
                file.write(piece)
            file.rollover()  # type: ignore[attr-defined]
            file.flush()
            with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped, memoryview(mapped) as view:
                if object_id(view) != oid:
                    raise RemoteDamaged(
                        f"{self._remote.where}: what stands in pack {place.pack} as object {oid.hex()} is another one: nothing was deleted"
                    )
                yield view

    def _delete(self) -> None:
        """Delete files that nothing names, and that nobody can be about to name or read."""
        remote = self._remote
        dropped = set(self._entry.dropped)
        going = []
        for file in self._files:
            name = file.name[6:]
            if remote.mirror.is_alive(name) or remote.mirror.dropped_at(name) is None:
                continue
            just = name in dropped and name not in self._condemned
            if not self._grace_us or (not just and self._may_delete(file)):
                going.append(file)
        for start in range(0, len(going), remote.jobs * 8):
            part = going[start : start + remote.jobs * 8]
            remote.each(lambda file: patiently(lambda: remote.backend.delete(file.name)), part)
            self._doing("deleting", start + len(part), len(going))
        if self._grace_us:
            patiently(lambda: remote.backend.remove_strays(self._now - self._grace_us))
        gone = {file.name for file in going}
        left = [file.size for file in self._files if file.name not in gone and not remote.mirror.is_alive(file.name[6:])]
        self.done.deleted, self.done.waiting = _sum([file.size for file in going]), _sum(left)


def _sum(sizes: list[int]) -> Count:
    return len(sizes), sum(sizes)


def _going(refs: dict[str, bytes], drop: Collection[str]) -> set[str]:
    """Return the refs that go: those that were named, and what is below executions that are not there."""
    named = {name.split("/")[1] for name in drop if name.startswith(EXECUTIONS)}
    heads = {name.split("/")[1] for name in refs if name.startswith(EXECUTIONS) and name.count("/") == 1}
    return {
        name
        for name in refs
        if name in drop or (name.startswith(EXECUTIONS) and (name.split("/")[1] in named or name.split("/")[1] not in heads))
    }


def _groups(wanted: list[tuple[bytes, Place]]) -> Iterator[list[tuple[bytes, Place]]]:
    """Cut into groups that do not take too much room while they are moved."""
    group: list[tuple[bytes, Place]] = []
    size = 0
    for row in wanted:
        if group and size + row[1].size > _AT_ONCE:
            yield group
            group, size = [], 0
        group.append(row)
        size += row[1].size
    if group:
        yield group


__all__ = ["Collected", "TagsGone", "View", "collect"]
