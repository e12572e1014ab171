"""Objects that come from elsewhere, stored in bulk: in groups, each object in a group of its own or a later one than what it links."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from redun.store.errors import RemoteDamaged
from redun.store.objects import links as links_of
from redun.store.reach import TABLE_START, in_order, links_in, table_end
from redun.store.sources.base import Batch, RefUpdate, Source

BATCH_BYTES = 16 << 20
BATCH_OBJECTS = 4_000
LINKS_LIMIT = 256 << 20
"""Bytes that the table of links of an object may take."""
KEEP_BYTES = 4 << 10
"""Objects up to this are kept while what they link is walked; others are read again."""

_NONE: Mapping[bytes, int] = {}


class BulkWriter:
    """Objects that wait to be stored.

    Args:
        told: is told of the number of objects and bytes of each group that was stored.
    """

    def __init__(self, source: Source, told: Callable[[int, int], None] = lambda objects, size: None) -> None:
        self._source = source
        self._told = told
        self._objects: dict[bytes, Any] = {}
        self._links: set[bytes] = set()
        self._away: dict[bytes, int] = {}
        self._bytes = 0
        self._waiting = 0

    def add(self, oid: bytes, data: bytes | Any, links: Iterable[bytes], away: Mapping[bytes, int] = _NONE) -> None:
        """Add an object, or what `Source.stage` gave for it; what it links was added before, or is there, or away.

        Args:
            away: size of those links that are left in a remote.

        Raises:
            MissingLinks: of a group that was full, something that it links is not there.
        """
        self._objects[oid] = data
        self._links.update(links)
        if away:
            self._away.update(away)
        self._bytes += len(data)
        self._waiting += len(data) if isinstance(data, bytes) else 0
        if self._waiting >= BATCH_BYTES or len(self._objects) >= BATCH_OBJECTS:
            self.write()

    def write(self) -> None:
        """Store what waits.

        Raises:
            MissingLinks: something that it links is not there.
        """
        objects, links, away, size = self._objects, self._links, self._away, self._bytes
        self._objects, self._links, self._away, self._bytes, self._waiting = {}, set(), {}, 0, 0
        if objects:
            self._source.commit(Batch(objects, links=links, away=away))
            self._told(len(objects), size)


def stage(source: Source, pieces: Iterable[bytes], where: str) -> tuple[bytes, Any, list[bytes]]:
    """Write an object that is too large for memory ahead of its commit.

    Args:
        pieces: its bytes in order.
        where: names where it comes from, for messages.

    Returns:
        its id, what stands for it in a batch, and the ids that it links.

    Raises:
        RemoteDamaged: its table of links is larger than anybody needs.
        StoreUnavailable: it cannot be written.
    """
    head = bytearray()

    def noted() -> Iterator[bytes]:
        wanted = TABLE_START
        for piece in pieces:
            at = 0
            while len(head) < wanted and at < len(piece):
                more = piece[at : at + wanted - len(head)]
                at += len(more)
                head.extend(more)
                if len(head) == TABLE_START:
                    wanted = max(table_end(bytes(head)), TABLE_START)
                    if wanted > LINKS_LIMIT:
                        raise RemoteDamaged(
                            f"{where}: an object says that its links take {wanted:,} bytes: it was made to harm"
                        )
            yield piece

    oid, staged = source.stage(noted())
    return oid, staged, links_in(bytes(head))


def copy(
    source: Source,
    target: Source,
    updates: list[RefUpdate],
    memo: Callable[[], Mapping[bytes, bytes]],
    told: Callable[[int, int], None] = lambda objects, size: None,
    roots: Iterable[bytes] = (),
) -> None:
    """Bring refs and all that they lead to from one store of this machine into another.

    Args:
        updates: the refs to set there.
        roots: more objects to bring, which something there links already.
        memo: returns the rows of the memo that come with them, once the objects are there.

    Raises:
        MissingLinks: a gc sweeps beside us what was just stored: do it again.
        StoreError: an object is gone or damaged, or the other store cannot be written.
    """
    writer = BulkWriter(target, told)
    roots = [*roots, *[update.new for update in updates if update.new is not None]]
    away: dict[bytes, int] = {}
    for oid in in_order(source, roots, stop=target.contains):
        if source.links(oid) is None and (size := source.away(oid)) is not None:
            away[oid] = size
            continue
        data = source.get(oid)
        links = links_of(data)
        writer.add(oid, data, links, {link: away[link] for link in links if link in away} if away else _NONE)
    writer.write()
    target.refresh()
    if updates:
        target.commit(Batch(memo=dict(memo()), refs=updates, links=set(roots)))
