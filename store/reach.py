"""What leads where: the graph of objects, walked by their tables of links.

An object says which others it refers to in front of its body (`redun.store.objects`), so nothing here decodes a value, and nothing
checks a checksum: whoever wants the bytes reads them anyway. gc, push, bundles and fsck walk with this.

The graph has no circles, for an id is a hash of what it names; damage that pretends one is walked once. Both walks are
iterative (a chain of 100,000 calls is as deep as that), and cost 2 to 4 us for an object, and 60 to 100 bytes of memory for each
id in `seen`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any, Protocol

from redun.store.ids import ID_BYTES, Pieces
from redun.store.objects import HEADER_BYTES, Flag, ids_at
from redun.store.rows import Staged

TABLE_START = HEADER_BYTES + 4
"""Where the ids of a table of links begin in an object."""


class HasLinks(Protocol):
    """Whatever knows the links of objects: a source."""

    def links(self, oid: bytes) -> list[bytes] | None:
        """Return the ids that an object refers to, None if it is not there. See `Source.links`."""


_RAW = (Pieces, Staged)


def table_end(head: bytes | memoryview) -> int:
    """Return how many bytes of an object its header and table of links take, from the first eight of them; 0 if it has no table."""
    if len(head) < TABLE_START or not head[3] & Flag.LINKS:
        return 0
    return TABLE_START + ID_BYTES * int.from_bytes(head[HEADER_BYTES:TABLE_START], "big")


def links_in(data: bytes | memoryview | Pieces | Staged) -> list[bytes]:
    """List the ids in an object's table of links; of one that is cut short those that are whole. 0.4 us and 0.02 us for each.

    `redun.store.objects.links` says what is wrong with bytes that are no object; this takes what is there. Large bytes that come
    in another form than bytes (`Pieces`, `Staged`) are raw ones, which have no table.
    """
    if isinstance(data, _RAW) or len(data) < TABLE_START or not data[3] & Flag.LINKS:
        return []
    count = int.from_bytes(data[HEADER_BYTES:TABLE_START], "big")
    return ids_at(data, TABLE_START, min(count, (len(data) - TABLE_START) // ID_BYTES))


def links_of(data: Any) -> list[bytes]:
    """List the links of what stands for an object in a batch: in pieces or as a file already, it is raw and links nothing."""
    return links_in(data) if isinstance(data, bytes) else []


def _stops_nowhere(oid: bytes) -> bool:
    return False


def reachable(
    source: HasLinks, roots: Iterable[bytes], seen: set[bytes] | None = None, stop: Callable[[bytes], bool] = _stops_nowhere
) -> set[bytes]:
    """Return the ids of all that some objects lead to, themselves included, in no order.

    Args:
        roots: ids. What is not there leads nowhere, and is among the result.
        seen: ids that were met before: they are not walked again, and the result is this set with the new ones added.
        stop: tells of an id whether neither it nor what it leads to is of interest (the other side has it).

    Returns:
        `seen`, or a new set.
    """
    seen = set() if seen is None else seen
    stack = [oid for oid in roots if oid not in seen]
    links_of = source.links
    while stack:
        oid = stack.pop()
        if oid in seen or stop(oid):
            continue
        seen.add(oid)
        stack.extend([link for link in links_of(oid) or () if link not in seen])
    return seen


def in_order(
    source: HasLinks, roots: Iterable[bytes], seen: set[bytes] | None = None, stop: Callable[[bytes], bool] = _stops_nowhere
) -> Iterator[bytes]:
    """Yield the ids of all that some objects lead to, each after those that it refers to: the order in which to write them.

    Args:
        roots, seen, stop: as of `reachable`. What is not there is yielded too, so that the caller notices.
    """
    seen = set() if seen is None else seen
    links_of = source.links
    # An id to be looked into, or, with True, one whose links have all been yielded.
    stack: list[tuple[bytes, bool]] = [(oid, False) for oid in reversed(list(roots))]
    while stack:
        oid, below_is_done = stack.pop()
        if below_is_done:
            yield oid
            continue
        if oid in seen or stop(oid):
            continue
        seen.add(oid)
        links = links_of(oid)
        if links:
            stack.append((oid, True))
            stack.extend([(link, False) for link in reversed(links) if link not in seen])
        else:
            yield oid
