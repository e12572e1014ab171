"""What a gc of a remote keeps, drops and writes anew: decided on objects and packs, without requests.

An object has a place by the indexes, the same for all who read the log, and packs of the call graph may hold further copies of it. Whatever
anybody may find in a pack that stays leads to what stays, too (`redun.store.remote.rules`), so that a push that stops walking there is right.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping

from redun.store.remote.graph import Graph
from redun.store.remote.index import Place
from redun.store.remote.rules import packs_to_keep


class Plan:
    """A plan, which takes in what others write while it is carried out.

    Args:
        graph: what links what, and which objects lie in packs that may hold links.
        packs: name -> bytes of all objects in it, of the packs that there are.
        place: returns where an object is by the indexes, None if it is nowhere, in pack "" if it is known not to be there.
        roots: what is wanted.
        in_use: packs that somebody relies on who has not said for what.

    Attributes:
        live: ids that are wanted.
        keep: packs that stay.
        move: id -> place of what is to be written anew.
        missing: ids that are wanted and nowhere.
    """

    def __init__(
        self,
        graph: Graph,
        packs: Mapping[str, int],
        place: Callable[[bytes], Place | None],
        roots: Iterable[bytes],
        in_use: Collection[str] = (),
    ) -> None:
        self._graph = graph
        self._packs = dict(packs)
        self._place = place
        self._in_use = set(in_use).intersection(packs)
        self.live = graph.reach(roots)
        # Of what lies in those, part may never have been named, nor be all there: that is no loss.
        self._wanted = set(self.live)
        graph.reach([oid for name in self._in_use for oid in graph.packs.get(name, ())], self.live)
        self.move: dict[bytes, Place] = {}
        self.missing: set[bytes] = set()
        self.live_bytes = 0
        self.keep = packs_to_keep(self._shares(), self._outside(), self._homes)
        self._find_moves()

    @property
    def drop(self) -> set[str]:
        """Packs that go."""
        return self._packs.keys() - self.keep

    def _homes(self, oid: bytes) -> list[str]:
        place = self._place(oid)
        copies = self._graph.copies.get(oid, ())
        if place is None:
            # Sent and never named, or gone: nobody finds its copies, unless it is wanted and said anew.
            return list(copies) if oid in self._wanted else []
        return [place.pack, *copies] if place.pack else list(copies)

    def _shares(self) -> dict[str, float]:
        wanted = dict.fromkeys(self._packs, 0)
        for oid in self.live:
            place = self._place(oid)
            if place is not None and place.pack in wanted:
                wanted[place.pack] += place.size
                self.live_bytes += place.size
        return {
            name: 1.0 if name in self._in_use else size / self._packs[name] if self._packs[name] else 0.0
            for name, size in wanted.items()
        }

    def _outside(self) -> dict[str, set[bytes]]:
        """Return, of each pack with garbage that links, what that links and is not wanted."""
        found: dict[str, set[bytes]] = {}
        live, targets = self.live, self._graph.targets
        for name, ids in self._graph.packs.items():
            below = {link for oid in ids if oid not in live for link in targets(oid) if link not in live}
            if below:
                found[name] = below
        return found

    def _find_moves(self) -> None:
        for oid in self.live:
            place = self._place(oid)
            copies = self._graph.copies.get(oid, {})
            if (place is not None and place.pack in self.keep) or not self.keep.isdisjoint(copies):
                continue
            if place is not None and place.pack:
                self.move[oid] = place
            elif oid not in self._wanted:
                continue
            elif copies:
                self.move[oid] = next(iter(copies.values()))
            elif place is None:
                self.missing.add(oid)

    def restated(self) -> dict[bytes, Place]:
        """Return objects whose place is in a pack that goes, and that lie in one that stays, too: id -> place there.

        Not those that were sent and never named: what they lead to may not have come.
        """
        found = {}
        for oid, copies in self._graph.copies.items():
            place = self._place(oid)
            if oid in self.move or (oid not in self._wanted if place is None else place.pack in self.keep):
                continue
            for name, copy in copies.items():
                if name in self.keep:
                    found[oid] = copy
                    break
        return found

    def take_in(self, packs: Mapping[str, int], roots: Iterable[bytes]) -> None:
        """Take in what somebody pushed meanwhile: what it relies on stays, in packs that were to go if need be.

        Args:
            packs: that are new; their links are in the graph by now.
            roots: what new refs name.
        """
        graph = self._graph
        self._packs.update(packs)
        self.keep.update(packs)
        stack = [*roots, *[oid for name in packs for oid in graph.packs.get(name, ())]]
        met: set[bytes] = set()
        while stack:
            oid = stack.pop()
            if oid in met:
                continue
            met.add(oid)
            self.live.add(oid)
            stack.extend(graph.targets(oid))
            if oid in self.move:
                continue
            homes = self._homes(oid)
            if homes and self.keep.isdisjoint(homes):
                self.keep.add(homes[0])
                # Its garbage has to lead to what is there as well.
                stack.extend(graph.packs.get(homes[0], ()))


__all__ = ["Plan"]
