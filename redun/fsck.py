"""Is the store whole, and can it be made whole: `check`, `repair` and `rebuild`, behind `redun fsck`.

`redun.store.fsck` finds what is wrong with bytes; `redun.losses` says what that means. A repair goes from the ground up:

1. where pages of the file are damaged, a new file is made of what can be read (`redun.store.salvage`);
2. lost objects are looked for on older pages of the file, then wherever `find` looks (remotes); what nobody has is given up and noted as
   gone, so that it counts as a miss and is computed again;
3. reflog, refs and histories are mended (`redun.mending`);
4. the memo is made again from the journals, derived tables are emptied, so that readers make them again.

What was damaged goes into the quarantine of the store. In the end everything is checked again.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from redun.errors import RedunError
from redun.losses import Loss, Part, decodes, explain
from redun.memo_rebuild import memo_links, rebuild_memo
from redun.mending import Histories
from redun.store.fsck import Findings, inspect
from redun.store.gone import AWAY, DROPPED
from redun.store.gone import TABLE as GONE
from redun.store.repair import Repair
from redun.store.salvage import find_older, salvage
from redun.store.sources.lmdb import LmdbSource

if TYPE_CHECKING:
    from redun.store.repository import Store

Find = Callable[[Collection[bytes]], Iterator[tuple[bytes, bytes]]]
"""Looks for objects elsewhere: yields id and bytes of those that it found."""

_TAGS, _EXECUTIONS = "tags/", "executions/"


@dataclass
class Report:
    """What a check found, or what a repair made of it.

    Attributes:
        found: what was wrong.
        losses: objects that could not be read, in words.
        repaired: True if a repair was tried.
        done: what it did, in words.
        back: ids (hex) of lost objects that were found elsewhere.
        gone_for_good: what no run makes again, in words.
        after: what is still wrong after a repair.
    """

    found: Findings
    losses: list[Loss] = field(default_factory=list)
    repaired: bool = False
    done: list[str] = field(default_factory=list)
    back: set[str] = field(default_factory=set)
    gone_for_good: list[str] = field(default_factory=list)
    after: Findings | None = None

    @property
    def verdict(self) -> str:
        """`sound`, `damaged` (found, not repaired), `repaired` (whole again; what was lost comes back by itself) or `lost`."""
        if self.found.sound:
            return "sound"
        if not self.repaired:
            return "damaged"
        if self.gone_for_good or self.after is None or not self.after.sound:
            return "lost"
        return "repaired"


def check(folder: Path, *, full: bool = False) -> Report:
    """Look at a store.

    Args:
        folder: its folder.
        full: hash everything again, too.

    Raises:
        StoreError: there is no store, or it cannot be looked at.
    """
    found = inspect(folder, full=full, memo_links=memo_links, decodes=decodes())
    return Report(found, explain(folder, found))


def repair(folder: Path, open_store: Callable[[], Store], find: Find | None = None) -> Report:
    """Look at all of a store, and make it whole.

    Args:
        folder: its folder. open_store: opens it for writing.
        find: looks for lost objects elsewhere.

    Raises:
        StoreError: it cannot be written, or nothing of it can be read.
    """
    report = check(folder, full=True)
    if report.found.sound:
        return report
    report.repaired = True
    found = report.found
    if found.pages:
        saved = salvage(folder)
        report.done.append(
            f"made the database file again from what can be read: {saved.objects:,} objects, {saved.refs:,} refs"
            + (f"; {saved.older:,} of the objects from older pages" if saved.older else "")
        )
        if saved.names_lost:
            report.gone_for_good.append(
                f"pages that held the names of executions and tags; {saved.refs:,} were found elsewhere, nobody knows whether there were more"
            )
        found = inspect(folder, full=True, memo_links=memo_links, decodes=decodes())
        report.back.update(oid.hex() for oid in report.found.lost - found.lost)
        known = {loss.id for loss in report.losses}
        report.losses += [loss for loss in explain(folder, found) if loss.id not in known]
    with open_store() as store:
        _Mending(store, folder, report, found, find).run()
    report.after = inspect(folder, full=True, memo_links=memo_links, decodes=decodes())
    return report


def rebuild(store: Store) -> list[str]:
    """Make memo and derived tables again from the journals; returns what was done, in words."""
    changed, count = rebuild_memo(store.source)
    emptied = clear_derived(store)
    said = [f"made {count:,} cached results again from the journals, {changed:,} of them were missing or different"]
    if emptied:
        said.append(f"emptied {emptied} derived tables: they are made again by the next command that needs them")
    return said


def is_derived(table: str) -> bool:
    """Tell whether a table is made again by whoever reads it."""
    return table in ("handles", "file_contents") or table.startswith("prov_")


def clear_derived(store: Store) -> int:
    """Empty the derived tables; return how many there were."""
    source = store.source
    names = [name[2:] for name in source.environment().tables() if name.startswith("t_")]  # type: ignore[attr-defined]
    derived = [name for name in names if is_derived(name)]
    for name in derived:
        source.table(name).clear()
    return len(derived)


class _Mending:
    """The part of a repair that goes through an open store."""

    def __init__(self, store: Store, folder: Path, report: Report, found: Findings, find: Find | None) -> None:
        source = store.source
        if not isinstance(source, LmdbSource):
            raise TypeError("only a store in a folder can be repaired")
        self._store = store
        self._source = source
        self._folder = folder
        self._rows = Repair(source, folder)
        self._report = report
        self._found = found
        self._find = find

    def run(self) -> None:
        """Do it."""
        self._objects()
        self._reflog()
        self._refs()
        self._histories()
        self._memo()
        self._tables()

    def _say(self, text: str) -> None:
        self._report.done.append(text)

    def _objects(self) -> None:
        lost = self._found.lost
        if not lost:
            return
        older = self._rows.put(find_older(self._folder, lost))
        if older:
            self._say(f"found {_count(older, 'lost object')} on older pages of the file")
        elsewhere: set[bytes] = set()
        if self._find is not None and lost - older:
            elsewhere = self._rows.put(self._find(lost - older))
            if elsewhere:
                self._say(f"took {_count(elsewhere, 'lost object')} from remotes")
        back = older | elsewhere
        self._report.back.update(oid.hex() for oid in back)
        left = lost - back
        if left:
            self._rows.give_up(left)
            self._say(f"gave up {_count(left, 'object')} that nobody has, damaged bytes are in the quarantine")

    def _reflog(self) -> None:
        bad = self._found.bad_movements
        if bad:
            self._rows.delete("reflog", list(bad))
            self._say(f"took {_count(bad, 'damaged entry', 'damaged entries')} out of the reflog")

    def _refs(self) -> None:
        histories = Histories(self._source, self._store.is_alive)
        last = {entry.name: entry.new for entry in self._source.reflog()}
        lost = [name for name, target in self._source_refs() if not self._source.contains(target)]
        for name in sorted({*self._found.bad_refs, *lost}):
            if name not in last and name in self._found.bad_refs:
                # Nobody ever set it: a row whose name was damaged. The true name is among the others.
                self._rows.delete("refs", [name.encode(errors="surrogateescape")])
                self._say("took a ref away whose name was damaged")
                continue
            target = self._tag(name) if name.startswith(_TAGS) else histories.older_head(name)
            self._rows.set_ref(name, target, "fsck")
            if name.startswith(_EXECUTIONS) and target is not None and name in lost:
                self._report.gone_for_good.append(f"execution {name.split('/')[1]}: the newest piece of its history was lost")
            elif target is None:
                self._report.gone_for_good.append(f"the ref {name!r} leads to nothing that can be read, and was dropped")
            else:
                self._say(f"set ref {name!r} to the last state that can be read")
        last = {entry.name: entry.new for entry in self._source.reflog()}
        for name, target in self._source_refs():
            if last.get(name) != target:
                self._rows.note_movement(name, target, "fsck")

    def _tag(self, name: str) -> bytes | None:
        """A tag's ref states its object itself."""
        try:
            oid = bytes.fromhex(name.rsplit("/", 1)[-1])
        except ValueError:
            return None
        return oid if self._source.contains(oid) else None

    def _source_refs(self) -> list[tuple[str, bytes]]:
        # One by one: a damaged one must not hide the others.
        names = {entry.name for entry in self._source.reflog()} | set(self._found.refs)
        found = []
        for name in sorted(names):
            try:
                target = self._source.read_ref(name)
            except RedunError:
                continue
            if target is not None:
                found.append((name, target))
        return found

    def _histories(self) -> None:
        histories = Histories(self._source, self._store.is_alive)
        for name, head in self._source_refs():
            if not name.startswith(_EXECUTIONS):
                continue
            execution = name.split("/")[1]
            if self._store.is_alive(execution):
                continue
            said = histories.mend(name, head)
            if said is not None:
                self._report.gone_for_good.append(f"execution {execution}: {said}")
        for loss in self._report.losses:
            if loss.part is Part.OUTPUT and loss.id not in self._report.back:
                self._report.gone_for_good.append(f"{loss.part.title} {loss.id[:8]}: {loss.part.then}")

    def _memo(self) -> None:
        bad = list(self._found.bad_memo)
        dropped = {one.oid for one in self._rows.gone() if one.why in (DROPPED, AWAY)}
        for key, row in self._rows.memo():
            if not all(oid in dropped or self._source.contains(oid) for oid in memo_links(row)):
                bad.append(key)
        self._rows.delete("memo", bad)
        changed, _ = rebuild_memo(self._source)
        if bad or changed:
            self._say(f"took {_count(bad, 'cached result')} away, made {changed:,} again from the journals")

    def _tables(self) -> None:
        clear_derived(self._store)
        for name in self._found.bad_tables:
            if not is_derived(name):
                full_name = name if name == GONE else f"t_{name}"
                self._say(f"took {self._rows.delete_damaged(full_name):,} damaged rows out of table {name!r}")


def _count(things: Collection[object], one: str, many: str = "") -> str:
    return f"{len(things):,} {one if len(things) == 1 else many or one + 's'}"
