"""Indexes: where each object is, and which call an eval hash leads to.

    "redunix1" | frames of one msgpack map

    p  packs: [[name, size, kind, [packed sizes], [raw sizes]]]
    i  ids, 20 bytes each, sorted, joined      n  number of the pack (4 each)      o  offset in its raw stream (8 each)
    s  size of the object (8 each)             k  kind of the object (1 each)
    a  ids that the writer does not have itself, and did not send (values that its gc dropped); b  their sizes (8 each)
    m  eval hashes, 20 bytes each, sorted      c  their calls (20 each)
    M  in merged indexes in place of m: eval hashes, sorted, each once per signer      C  their calls
    S  signers (32 bytes, or empty)            W  number of the one who said so (4 each)      E  number of the entry (8 each)

Columns are big-endian. A push writes one index (in its log entry if it is small); checkpoints merge those of many pushes into larger
ones, cut by id so that a reader of a huge remote fetches only those that it needs.
"""

from __future__ import annotations

import io
import sys
from array import array
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from hashlib import sha256
from typing import Any, NamedTuple

import msgpack

from redun.store.errors import RemoteDamaged
from redun.store.ids import ID_BYTES
from redun.store.keys import KEY_BYTES
from redun.store.objects import Kind
from redun.store.remote.frames import read_exactly, read_frames, write_frames
from redun.store.remote.names import check_pack_name
from redun.store.remote.pack import Pack, PackKind

MAGIC = b"redunix1"
INDEX_LIMIT = 256 << 20
"""Bytes that an index may expand to."""
ROWS_IN_INDEX = 200_000
"""Objects in one index at most, as they are written."""
_KINDS = frozenset(map(int, Kind))


class Place(NamedTuple):
    """Where an object is.

    Attributes:
        pack: name of the pack.
        offset, size: of its bytes in the raw stream of the pack.
    """

    pack: str
    offset: int
    size: int
    kind: int


class Claim(NamedTuple):
    """What somebody says of an eval hash: the call that it leads to, and the number of the log entry that says so."""

    call: bytes
    seq: int


@dataclass(slots=True)
class Index:
    """An index, decoded.

    Attributes:
        packs: name -> pack.
        places: id -> where the object is.
        absent: id -> size of objects that the writer does not have.
        memo: eval hash -> id of the call, as the writer of the index says.
        claims: (eval hash, signer) -> the same with who said so, in merged indexes: no hash can verify it.
    """

    packs: dict[str, Pack] = field(default_factory=dict)
    places: dict[bytes, Place] = field(default_factory=dict)
    absent: dict[bytes, int] = field(default_factory=dict)
    memo: dict[bytes, bytes] = field(default_factory=dict)
    claims: dict[tuple[bytes, bytes], Claim] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.places) + len(self.absent) + len(self.memo) + len(self.claims)

    def said_by(self, signer: bytes, seq: int) -> Index:
        """Return the index of a log entry as a merged one has it; what it says in the name of others is left out."""
        claims = {(key, signer): Claim(call, seq) for key, call in self.memo.items()}
        return Index(self.packs, self.places, self.absent, {}, claims)

    def update(self, other: Index) -> None:
        """Take over what a later index says."""
        self.packs.update(other.packs)
        self.places.update(other.places)
        for oid in other.places:
            self.absent.pop(oid, None)
        self.absent.update({oid: size for oid, size in other.absent.items() if oid not in self.places})
        self.memo.update(other.memo)
        self.claims.update(other.claims)

    def without(self, dropped: Iterable[str]) -> Index:
        """Return what is left when some packs are gone."""
        gone = set(dropped)
        return Index(
            {name: pack for name, pack in self.packs.items() if name not in gone},
            {oid: place for oid, place in self.places.items() if place.pack not in gone},
            self.absent,
            self.memo,
            self.claims,
        )

    def split(self, rows: int = ROWS_IN_INDEX) -> Iterator[Index]:
        """Cut into indexes of at most so many objects each, by id; each with the packs that it names."""
        ids = sorted([*self.places, *self.absent])
        if len(ids) <= rows and len(self.memo) + len(self.claims) <= rows:
            yield self
            return
        keys = sorted([*self.memo, *[key for key, _ in self.claims]])
        count = -(-max(len(ids), len(keys)) // rows)
        step = -(-len(ids) // count) or 1
        cuts = [ids[at] for at in range(step, len(ids), step)] or keys[rows::rows]
        for low, high in zip([b"", *cuts], [*cuts, None], strict=True):
            mine = [oid for oid in ids if oid >= low and (high is None or oid < high)]
            part = Index(
                {},
                {oid: self.places[oid] for oid in mine if oid in self.places},
                {oid: self.absent[oid] for oid in mine if oid in self.absent},
                {key: call for key, call in self.memo.items() if key >= low and (high is None or key < high)},
                {pair: claim for pair, claim in self.claims.items() if pair[0] >= low and (high is None or pair[0] < high)},
            )
            part.packs = {name: self.packs[name] for name in {place.pack for place in part.places.values()}}
            yield part


@dataclass(frozen=True, slots=True)
class Columns:
    """An index as it stands in its file, checked: much smaller in memory, and quicker to be had, than an `Index`.

    Attributes:
        packs: in any order.
        ids: of objects. numbers: of each one the place of its pack in `packs`. offsets, sizes, kinds: see `Place`.
        absent: id -> size of objects that the writer does not have.
        memo_keys, memo_calls: as in the file, 20 bytes each.
        claims: see `Index`.
    """

    packs: list[Pack]
    ids: list[bytes]
    numbers: Sequence[int]
    offsets: Sequence[int]
    sizes: Sequence[int]
    kinds: bytes
    absent: dict[bytes, int]
    memo_keys: bytes
    memo_calls: bytes
    claims: dict[tuple[bytes, bytes], Claim]

    def __len__(self) -> int:
        return len(self.ids) + len(self.absent)

    def memo(self) -> Iterator[tuple[bytes, bytes]]:
        """Yield what the writer of the index says of eval hashes: (eval hash, id of the call)."""
        return zip(_ids(self.memo_keys), _ids(self.memo_calls), strict=True)

    def without(self, dropped: Collection[str]) -> Columns:
        """Return what is left when some packs are gone."""
        gone = [pack.name in dropped for pack in self.packs]
        if not any(gone):
            return self
        rows = [
            row for row in zip(self.ids, self.numbers, self.offsets, self.sizes, self.kinds, strict=True) if not gone[row[1]]
        ]
        ids, numbers, offsets, sizes, kinds = zip(*rows, strict=True) if rows else ((),) * 5
        packs = [pack for pack in self.packs if pack.name not in dropped]
        places = [sum(not one for one in gone[:place]) for place in range(len(gone))]
        return replace(
            self,
            packs=packs,
            ids=list(ids),
            numbers=[places[number] for number in numbers],
            offsets=offsets,
            sizes=sizes,
            kinds=bytes(kinds),
        )

    def index(self) -> Index:
        """Return the same by id."""
        names = [pack.name for pack in self.packs]
        places = map(Place, map(names.__getitem__, self.numbers), self.offsets, self.sizes, self.kinds)
        return Index(
            dict(zip(names, self.packs, strict=True)),
            dict(zip(self.ids, places, strict=True)),
            self.absent,
            dict(self.memo()),
            self.claims,
        )


def _column(code: str, numbers: Iterable[int]) -> bytes:
    column = array(code, numbers)
    if sys.byteorder == "little":
        column.byteswap()
    return column.tobytes()


def _numbers(code: str, data: Any) -> array[int]:
    column = array(code)
    column.frombytes(data)
    if sys.byteorder == "little":
        column.byteswap()
    return column


def encode_index(index: Index) -> bytes:
    """Return the bytes of an index."""
    ids = sorted(index.places)
    places = [index.places[oid] for oid in ids]
    packs = sorted(index.packs.values(), key=lambda pack: pack.name)
    numbers = {pack.name: number for number, pack in enumerate(packs)}
    absent = sorted(index.absent.items())
    memo = sorted(index.memo.items())
    found = {
        "p": [[pack.name, pack.size, int(pack.kind), pack.packed, pack.raw] for pack in packs],
        "i": b"".join(ids),
        "n": _column("I", [numbers[place.pack] for place in places]),
        "o": _column("Q", [place.offset for place in places]),
        "s": _column("Q", [place.size for place in places]),
        "k": bytes([place.kind for place in places]),
        "a": b"".join([oid for oid, _ in absent]),
        "b": _column("Q", [size for _, size in absent]),
        "m": b"".join([key for key, _ in memo]),
        "c": b"".join([call for _, call in memo]),
    }
    if index.claims:
        claims = sorted(index.claims.items())
        signers = sorted({signer for (_, signer), _ in claims})
        places_of = {signer: number for number, signer in enumerate(signers)}
        found |= {
            "M": b"".join([key for (key, _), _ in claims]),
            "C": b"".join([claim.call for _, claim in claims]),
            "S": signers,
            "W": _column("I", [places_of[signer] for (_, signer), _ in claims]),
            "E": _column("Q", [claim.seq for _, claim in claims]),
        }
    body: bytes = msgpack.packb(found)
    return MAGIC + write_frames(body)


def index_name(data: bytes) -> str:
    """Return the name of an index in a remote: by the digest of its bytes, so the same index is one file."""
    return f"idx/{sha256(data).hexdigest()}"


def _ids(data: Any) -> list[bytes]:
    if type(data) is not bytes or len(data) % ID_BYTES:
        raise ValueError("a column of ids has the wrong length")
    ids = [data[at : at + ID_BYTES] for at in range(0, len(data), ID_BYTES)]
    return ids


def decode_index(data: bytes, where: str, limit: int = INDEX_LIMIT) -> Index:
    """Read an index; see `read_index`."""
    return read_index(data, where, limit).index()


def read_index(data: bytes, where: str, limit: int = INDEX_LIMIT) -> Columns:
    """Read an index.

    Args:
        where: names it, for messages.
        limit: bytes that it may expand to.

    Raises:
        RemoteDamaged: damaged, too large, or columns that do not fit together.
    """
    source = io.BytesIO(data)
    if read_exactly(source, len(MAGIC), where) != MAGIC:
        raise RemoteDamaged(f"{where}: expected an index, found something else")
    body = b"".join(read_frames(source, where, limit))
    try:
        found = msgpack.unpackb(body, strict_map_key=True, max_str_len=1 << 20, max_bin_len=limit)
        return _columns_from(found, where)
    except (KeyError, TypeError, ValueError, OverflowError, AttributeError, msgpack.UnpackException) as error:
        raise RemoteDamaged(f"{where}: the index cannot be read: {error}") from error


def _columns_from(body: dict[str, Any], where: str) -> Columns:
    packs = []
    for name, size, kind, packed, raw in body["p"]:
        if not all(type(number) is int for number in (size, *packed, *raw)):
            raise ValueError("sizes of a pack are no integers")
        pack = Pack(check_pack_name(name), size, PackKind(kind), list(packed), list(raw))
        pack.check(where)
        packs.append(pack)
    ids = _ids(body["i"])
    numbers, offsets, sizes = _numbers("I", body["n"]), _numbers("Q", body["o"]), _numbers("Q", body["s"])
    kinds = body["k"]
    if type(kinds) is not bytes or not len(ids) == len(numbers) == len(offsets) == len(sizes) == len(kinds):
        raise ValueError("its columns differ in length")
    if not _KINDS.issuperset(kinds):
        raise ValueError("it names a kind of object that this redun does not know: a newer one may")
    ends = [pack.raw_bytes for pack in packs]
    for place, (number, offset, size) in enumerate(zip(numbers, offsets, sizes, strict=True)):
        if number >= len(ends) or not size or offset + size > ends[number]:
            raise ValueError(f"object {ids[place].hex()} is said to lie outside its pack")
    absent = dict(zip(_ids(body["a"]), _numbers("Q", body["b"]), strict=True))
    keys, calls = body["m"], body["c"]
    if type(keys) is not bytes or type(calls) is not bytes or len(keys) != len(calls) or len(keys) % ID_BYTES:
        raise ValueError("what it says of eval hashes has the wrong length")
    return Columns(packs, ids, numbers, offsets, sizes, kinds, absent, keys, calls, _claims(body))


def _claims(body: dict[str, Any]) -> dict[tuple[bytes, bytes], Claim]:
    if "M" not in body:
        return {}
    signers = body["S"]
    if type(signers) is not list or any(type(one) is not bytes or len(one) not in (0, KEY_BYTES) for one in signers):
        raise ValueError("its signers are no public keys")
    rows = zip(_ids(body["M"]), _ids(body["C"]), _numbers("I", body["W"]), _numbers("Q", body["E"]), strict=True)
    if any(number >= len(signers) for number in _numbers("I", body["W"])):
        raise ValueError("it names a signer that it does not list")
    return {(key, signers[number]): Claim(call, seq) for key, call, number, seq in rows}


__all__ = ["INDEX_LIMIT", "Claim", "Columns", "Index", "Place", "decode_index", "encode_index", "index_name", "read_index"]
