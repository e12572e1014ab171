"""Objects that come from elsewhere, stored in bulk: in groups, each object in a group of its own or a later one than what it links."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping

from redun.store.objects import links as links_of
from redun.store.sources.base import Batch, RefUpdate, Source

BATCH_BYTES = 16 << 20
BATCH_OBJECTS = 10_000
KEEP_BYTES = 4 << 10
"""Objects up to this are kept while what they link is walked; others are read again."""


class BulkWriter:
    """Objects that wait to be stored.

    Args:
        told: is told of the number of objects and bytes of each group that was stored.
    """

    def __init__(self, source: Source, told: Callable[[int, int], None] = lambda objects, size: None) -> None:
        self._source = source
        self._told = told
        self._objects: dict[bytes, bytes] = {}
        self._links: set[bytes] = set()
        self._bytes = 0

    def add(self, oid: bytes, data: bytes, links: Iterable[bytes]) -> None:
        """Add an object; what it links was added before, or is there.

        Raises:
            MissingLinks: of a group that was full, something that it links is not there.
        """
        self._objects[oid] = data
        self._links.update(links)
        self._bytes += len(data)
        if self._bytes >= BATCH_BYTES or len(self._objects) >= BATCH_OBJECTS:
            self.write()

    def write(self) -> None:
        """Store what waits.

        Raises:
            MissingLinks: something that it links is not there.
        """
        objects, links, size = self._objects, self._links, self._bytes
        self._objects, self._links, self._bytes = {}, set(), 0
        if objects:
            self._source.commit(Batch(objects, links=links))
            self._told(len(objects), size)


def post_order(
    get: Callable[[bytes], bytes], roots: Iterable[bytes], skip: Callable[[bytes], bool], seen: set[bytes] | None = None
) -> Iterator[tuple[bytes, bytes]]:
    """Yield id and bytes of objects and all that they lead to, each after those that it links, each once.

    Args:
        get: returns an object's bytes.
        skip: True for objects that are to be left out, with what is below them.
        seen: ids that were met before; those met now are added.
    """
    seen = set() if seen is None else seen
    stack: list[tuple[bytes, bytes | None, bool]] = [(oid, None, False) for oid in reversed(list(roots))]
    while stack:
        oid, data, is_open = stack.pop()
        if is_open:
            yield oid, get(oid) if data is None else data
            continue
        if oid in seen:
            continue
        seen.add(oid)
        if skip(oid):
            continue
        data = get(oid)
        below = links_of(data)
        if not below:
            yield oid, data
            continue
        stack.append((oid, data if len(data) <= KEEP_BYTES else None, True))
        stack.extend([(link, None, False) for link in reversed(below) if link not in seen])


def copy(
    source: Source,
    target: Source,
    updates: list[RefUpdate],
    memo: Callable[[], Mapping[bytes, bytes]],
    told: Callable[[int, int], None] = lambda objects, size: None,
) -> None:
    """Bring refs and all that they lead to from one store of this machine into another.

    Args:
        updates: the refs to set there.
        memo: returns the rows of the memo that come with them, once the objects are there.

    Raises:
        MissingLinks: a gc sweeps beside us what was just stored: do it again.
        StoreError: an object is gone or damaged, or the other store cannot be written.
    """
    writer = BulkWriter(target, told)
    roots = [update.new for update in updates if update.new is not None]
    for oid, data in post_order(source.get, roots, target.contains):
        writer.add(oid, data, links_of(data))
    writer.write()
    target.refresh()
    target.commit(Batch(memo=dict(memo()), refs=updates, links=set(roots)))
