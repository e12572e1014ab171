"""The call graph of a remote, read from its packs: which objects there are, and what each links. For gc and fsck.

Packs that may hold links (of the call graph, and small mixed ones) are fetched whole, each checked against the digest in its name, and
every object's id is computed: what is deleted, or called sound, on the word of this graph does not depend on what indexes say. Packs of
values hold nothing that links, so they are not read.

Cost: the bytes of those packs, once; about 300 bytes of memory for each object in them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import BinaryIO

from redun.store.errors import RemoteDamaged
from redun.store.ids import ID_BYTES, object_id
from redun.store.reach import links_in
from redun.store.remote.fetch import fetch_pack
from redun.store.remote.index import Place
from redun.store.remote.log import PackFact
from redun.store.remote.pack import SIZE, Pack, PackKind, read_objects
from redun.store.remote.remote import Remote

LINKED_LIMIT = 1 << 30
"""Bytes that an object may have that may link others."""
Doing = Callable[[str, int, int], None]
"""Is told what is being done, and how many of how many are done."""


def quiet(doing: str, done: int, total: int) -> None:
    """Tell nobody."""


class Graph:
    """Objects that may link others, and what they link.

    Attributes:
        links: id -> ids that it links, joined.
        packs: name of a pack that was read -> ids in it.
        copies: id -> pack -> place, for objects that lie in several packs, or elsewhere than the indexes say.
    """

    def __init__(self) -> None:
        self.links: dict[bytes, bytes] = {}
        self.packs: dict[str, list[bytes]] = {}
        self.copies: dict[bytes, dict[str, Place]] = {}

    def targets(self, oid: bytes) -> list[bytes]:
        """Return what an object links; nothing of those that are not known."""
        joined = self.links.get(oid, b"")
        return [joined[at : at + ID_BYTES] for at in range(0, len(joined), ID_BYTES)]

    def reach(self, roots: Iterable[bytes], met: set[bytes] | None = None) -> set[bytes]:
        """Return all that some objects lead to, themselves included; `met` with it if that is given."""
        met = set() if met is None else met
        stack = [oid for oid in roots if oid not in met]
        while stack:
            oid = stack.pop()
            if oid not in met:
                met.add(oid)
                stack.extend([link for link in self.targets(oid) if link not in met])
        return met

    def touched(self, lost: Iterable[bytes]) -> set[bytes]:
        """Return the objects that lead to some others, and those themselves."""
        above: dict[bytes, list[bytes]] = {}
        wanted = set(lost)
        for oid in self.links:
            for link in self.targets(oid):
                above.setdefault(link, []).append(oid)
        stack, found = list(wanted), set(wanted)
        while stack:
            for oid in above.get(stack.pop(), ()):
                if oid not in found:
                    found.add(oid)
                    stack.append(oid)
        return found


def links_others(fact: PackFact | Pack) -> bool:
    """Tell whether a pack may hold objects that link others."""
    return fact.kind in (PackKind.GRAPH, PackKind.MIXED)


def read_pack(remote: Remote, graph: Graph, fact: PackFact, file: BinaryIO) -> None:
    """Take the objects of a pack into a graph.

    Raises:
        RemoteDamaged: it is no pack.
    """
    links: dict[bytes, bytes] = {}
    copies: dict[bytes, Place] = {}
    offset = 0
    place_of = remote.mirror.place
    for data in read_objects(file, f"{remote.where}: pack {fact.name}", LINKED_LIMIT, LINKED_LIMIT):
        if not isinstance(data, bytes):
            raise RemoteDamaged(f"{remote.where}: pack {fact.name} holds an object that is too large to link others")
        oid = object_id(data)
        links[oid] = b"".join(links_in(data))
        place = place_of(oid)
        offset += SIZE.size
        if place is not None and place.pack == fact.name and place[1:] != (offset, len(data), data[0]):
            raise RemoteDamaged(
                f"{remote.where}: an index says that object {oid.hex()} is at another place of pack {fact.name}"
            )
        if place is None or place.pack != fact.name:
            copies[oid] = Place(fact.name, offset, len(data), data[0])
        offset += len(data)
    # All of a pack or nothing.
    graph.links.update(links)
    graph.packs[fact.name] = list(links)
    for oid, copy in copies.items():
        graph.copies.setdefault(oid, {})[fact.name] = copy


def read_graph(
    remote: Remote,
    graph: Graph,
    facts: Iterable[PackFact],
    doing: Doing = quiet,
    broken: Callable[[PackFact, RemoteDamaged], None] | None = None,
) -> None:
    """Read those of some packs that may link others and were not read yet.

    Args:
        broken: is told of packs that cannot be read; without it the first one raises.

    Raises:
        RemoteDamaged: a pack cannot be read.
    """
    wanted = [fact for fact in facts if links_others(fact) and fact.name not in graph.packs]

    def fetch(fact: PackFact) -> BinaryIO | RemoteDamaged:
        try:
            return fetch_pack(remote, fact)
        except RemoteDamaged as error:
            return error

    for start in range(0, len(wanted), remote.jobs):
        part = wanted[start : start + remote.jobs]
        for fact, got in zip(part, remote.each(fetch, part), strict=True):
            try:
                if isinstance(got, RemoteDamaged):
                    raise got
                read_pack(remote, graph, fact, got)
            except RemoteDamaged as error:
                if broken is None:
                    raise
                broken(fact, error)
            finally:
                if not isinstance(got, RemoteDamaged):
                    got.close()
        doing("reading the call graph", start + len(part), len(wanted))


__all__ = ["Doing", "Graph", "links_others", "quiet", "read_graph", "read_pack"]
