"""The envelope of every object, and the links inside it.

    kind (1) | codec (1) | version (1) | flags (1) | [count (4, big-endian) | count x 20-byte ids] | body

The table of links is there only if `Flag.LINKS` is set. It holds every id that the object refers to, each once, in order of
first mention, so gc, push and fsck can walk the graph without decoding a single body. Bodies name a link by its place in the
table. Bytes are described in docs/format.md and held fast by golden tests.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from enum import IntEnum
from struct import Struct
from typing import Any

from redun.store.errors import DecodeError
from redun.store.ids import ID_BYTES, LINK_MARK

FORMAT_VERSION = 1
HEADER_BYTES = 4


class Kind(IntEnum):
    """What an object is. 0 is never used: it marks a link (see `redun.store.ids`)."""

    VALUE = 1
    TASK = 2
    CALL = 3
    SEGMENT = 4
    EXECUTION = 5
    TAG = 6
    HANDLE = 7


class Codec(IntEnum):
    """How a body is encoded."""

    RAW = 0
    MSGPACK = 1


class Flag:
    """What a reader may want to know without decoding the body: bits of the flags byte.

    Plain integers: an `IntFlag` costs a microsecond per test, and every job makes a few.
    """

    LINKS = 1
    """A table of links follows the header."""
    EXPRESSION = 2
    """A value that holds an expression somewhere: evaluation has to look inside."""
    SUBVALUES = 4
    """A value that holds registered values (files, handles, ...): validity has to look inside."""
    UNSTABLE = 8
    """A value whose bytes may differ from process to process (a pickle)."""
    ERROR = 16
    """A call that ended in an error."""
    HANDLES = 32
    """A segment that tells of states of handles."""


def header(kind: Kind, codec: Codec, flags: int = 0) -> bytes:
    """Return the 4 bytes that start an object without links."""
    return bytes((kind, codec, FORMAT_VERSION, flags))


def with_links(kind: Kind, codec: Codec, flags: int, links: Sequence[bytes], body: bytes) -> bytes:
    """Assemble an object.

    Args:
        links: distinct 20-byte ids; an empty table is left out.
        body: the encoded payload.
    """
    if not links:
        return bytes((kind, codec, FORMAT_VERSION, flags)) + body
    head = bytes((kind, codec, FORMAT_VERSION, flags | Flag.LINKS))
    return b"".join((head, len(links).to_bytes(4, "big"), *links, body))


class LinkTable:
    """Collects the links of an object while its body is written.

    `place(ref)` gives what the body holds for a ref: the number of the link, or the inline bytes.
    """

    __slots__ = ("_places",)

    def __init__(self) -> None:
        self._places: dict[bytes, int] = {}

    def place(self, ref: bytes) -> int | bytes:
        """Return the body's form of `ref`, adding its id to the table if it is a link."""
        return self.place_id(ref[1:]) if ref[0] == LINK_MARK else ref

    def place_id(self, oid: bytes) -> int:
        """Return the number of the link to `oid`, adding it if it is new."""
        return self._places.setdefault(oid, len(self._places))

    def place_ids(self, oids: Iterable[bytes]) -> list[int]:
        """Return the numbers of many links, as `place_id` does."""
        places = self._places
        return [places.setdefault(oid, len(places)) for oid in oids]

    @property
    def ids(self) -> list[bytes]:
        """The links so far, in order of first mention."""
        return list(self._places)


_KINDS = {int(kind): kind for kind in Kind}
_CODECS = {int(codec): codec for codec in Codec}
_TABLE_START = HEADER_BYTES + 4
# Nearly all tables are short, and one call takes such a table apart.
_SHORT_TABLES = [Struct(f"{ID_BYTES}s" * count) for count in range(17)]


def parse_header(data: bytes | memoryview) -> tuple[Kind, Codec, int, int]:
    """Check an object's header.

    Returns:
        kind, codec, flags, and the offset of the link table or body.

    Raises:
        DecodeError: too short, or a kind, codec or version that this release does not know.
    """
    if len(data) < HEADER_BYTES:
        raise DecodeError(f"object of {len(data)} bytes is shorter than its header")
    kind, codec, version, flags = data[0], data[1], data[2], data[3]
    if version != FORMAT_VERSION:
        raise DecodeError(f"object has format version {version}, this redun reads {FORMAT_VERSION}: upgrade redun to read it")
    try:
        # Calling the enumerations costs a microsecond.
        return _KINDS[kind], _CODECS[codec], flags, HEADER_BYTES
    except KeyError:
        raise DecodeError(f"object has unknown kind {kind} or codec {codec}") from None


def split(data: bytes | memoryview) -> tuple[Kind, Codec, int, list[bytes], memoryview]:
    """Take an object apart.

    Returns:
        kind, codec, flags, links (20-byte ids) and a view of the body.

    Raises:
        DecodeError: not an object, or its link table is cut short.
    """
    kind, codec, flags, start = parse_header(data)
    view = memoryview(data)
    if not flags & Flag.LINKS:
        return kind, codec, flags, [], view[start:]
    if len(view) < _TABLE_START:
        raise DecodeError("object ends inside its link table")
    count = int.from_bytes(view[start:_TABLE_START], "big")
    end = _TABLE_START + count * ID_BYTES
    if end > len(view):
        raise DecodeError(f"object claims {count} links but ends after {(len(view) - _TABLE_START) // ID_BYTES}")
    return kind, codec, flags, ids_at(data, _TABLE_START, count), view[end:]


def ids_at(data: bytes | memoryview, start: int, count: int) -> list[bytes]:
    """List so many ids that stand one after the other from a place on; all of them must be there."""
    if count < len(_SHORT_TABLES):
        return list(_SHORT_TABLES[count].unpack_from(data, start))
    table = bytes(data[start : start + count * ID_BYTES])
    return [table[at : at + ID_BYTES] for at in range(0, len(table), ID_BYTES)]


def links(data: bytes | memoryview) -> list[bytes]:
    """List the ids that an object refers to, without decoding its body. 0.5 us and 0.02 us for each.

    Raises:
        DecodeError: see `split`.
    """
    flags = parse_header(data)[2]
    if not flags & Flag.LINKS:
        return []
    count = int.from_bytes(data[HEADER_BYTES:_TABLE_START], "big")
    if _TABLE_START + count * ID_BYTES > len(data):
        return split(data)[3]
    return ids_at(data, _TABLE_START, count)


class LinksInPlace(Sequence[bytes]):
    """The links of an object, none of which is taken out before somebody wants it: for readers of one or two of them.

    Attributes:
        end: where the body begins.

    Raises:
        DecodeError: the table is cut short.
    """

    __slots__ = ("_count", "_data", "end")

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._count = int.from_bytes(data[HEADER_BYTES:_TABLE_START], "big") if data[3] & Flag.LINKS else 0
        self.end = _TABLE_START + self._count * ID_BYTES if data[3] & Flag.LINKS else HEADER_BYTES
        if self.end > len(data):
            split(data)

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, place: Any) -> Any:
        start = _TABLE_START + place * ID_BYTES
        return self._data[start : start + ID_BYTES]


def link_at(table: Sequence[bytes], place: int) -> bytes:
    """Return the link at a place that a body names.

    Raises:
        DecodeError: there is none; hostile bytes must not count from the end.
    """
    if type(place) is not int or not 0 <= place < len(table):
        raise DecodeError(f"body names link {place!r} of {len(table)}")
    return table[place]


def body_ref(item: int | bytes, table: Sequence[bytes]) -> bytes:
    """Turn what a body holds (`LinkTable.place`) back into a ref.

    Raises:
        DecodeError: the number is outside the table, or the inline bytes are no object.
    """
    if type(item) is bytes and item and item[0] != LINK_MARK:
        return item
    return b"\x00" + link_at(table, item)  # type: ignore[arg-type]
