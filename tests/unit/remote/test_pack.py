"""Frames, packs and indexes: what is written is read again, and nothing else."""

from __future__ import annotations

import io
import os
import struct

import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from redun.store.errors import RemoteDamaged
from redun.store.ids import object_id
from redun.store.objects import Codec, Kind, header
from redun.store.remote import frames
from redun.store.remote.index import Index, Place, decode_index, encode_index
from redun.store.remote.pack import MAGIC, Pack, PackKind, PackReader, PackWriter, check_pack, read_objects

HEAD = header(Kind.VALUE, Codec.RAW)


def written(objects: list[bytes]) -> tuple[io.BytesIO, Pack, Index]:
    file = io.BytesIO()
    writer = PackWriter(file)
    offsets = [writer.add(data) for data in objects]
    pack = writer.finish(PackKind.VALUES, "00" * 8)
    places = {
        object_id(data): Place(pack.name, offset, len(data), data[0]) for data, offset in zip(objects, offsets, strict=True)
    }
    return file, pack, Index({pack.name: pack}, places)


sizes = st.sampled_from(
    [0, 1, 100, 3000, frames.FRAME_BYTES - 12, frames.FRAME_BYTES - 11, frames.FRAME_BYTES, 1 << 20, (5 << 20) + 1]
)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(sizes, st.booleans()), max_size=12))
def test_objects_come_out_as_they_went_in(shapes: list[tuple[int, bool]]) -> None:
    objects = [HEAD + (os.urandom(size) if noise else b"a" * size) for size, noise in shapes]
    file, pack, index = written(objects)
    assert pack.size == len(file.getvalue())
    check_pack(file, pack, "test")
    pack.check("test")
    index = decode_index(encode_index(index), "test")
    assert index.packs[pack.name].raw == pack.raw
    reader = PackReader(pack, file, "test")
    for data in reversed(objects):
        place = index.places[object_id(data)]
        assert reader.read(place.offset, place.size, object_id(data)) == data
        # The frames around one object are enough.
        start, size = pack.span(pack.frames(place.offset, place.size))
        part = io.BytesIO(file.getvalue()[start : start + size])
        assert PackReader(pack, part, "test", start).read(place.offset, place.size, object_id(data)) == data
    file.seek(0)
    found = [one if isinstance(one, bytes) else b"".join(one.pieces) for one in read_objects(file, "test", 1 << 30)]
    assert found == objects
    # Large ones that nobody reads are passed over.
    file.seek(0)
    assert [len(one) if isinstance(one, bytes) else one.size for one in read_objects(file, "test", 1 << 30, 10)] == [
        len(one) for one in objects
    ]


def test_a_small_object_is_never_cut_in_two() -> None:
    _, pack, index = written([HEAD + os.urandom(100_000) for _ in range(20)])
    assert all(len(pack.frames(place.offset, place.size)) == 1 for place in index.places.values())


def test_each_byte_of_a_pack_is_looked_at() -> None:
    file, pack, _ = written([HEAD + os.urandom(50) for _ in range(3)])
    whole = file.getvalue()
    for at in range(len(whole)):
        changed = bytearray(whole)
        changed[at] ^= 1
        with pytest.raises(RemoteDamaged, match="is damaged"):
            check_pack(io.BytesIO(bytes(changed)), pack, "test")


def test_an_object_of_another_id_is_refused() -> None:
    file, pack, index = written([HEAD + b"one", HEAD + b"two"])
    one, two = index.places[object_id(HEAD + b"one")], object_id(HEAD + b"two")
    with pytest.raises(RemoteDamaged, match="has the id"):
        PackReader(pack, file, "test").read(one.offset, one.size, two)


def test_a_pack_that_was_cut_off_is_noticed() -> None:
    file, _, _ = written([HEAD + os.urandom(500), HEAD + os.urandom(300_000)])
    whole = file.getvalue()
    for end in (0, 4, len(MAGIC), len(MAGIC) + 3, len(whole) // 2, len(whole) - 1, len(whole) - 8):
        with pytest.raises(RemoteDamaged, match=r"cut short|expected a pack"):
            list(read_objects(io.BytesIO(whole[:end]), "test", 1 << 30))


def frame(packed: bytes, raw: int) -> bytes:
    return frames.HEAD.pack(len(packed), raw) + packed


BOMB = zstandard.ZstdCompressor().compress(bytes(100 << 20))


@pytest.mark.parametrize(
    ("data", "part"),
    [
        (frame(BOMB, 100 << 20), "are allowed"),
        (frame(BOMB, 4096), "does not have the size"),
        (frames.HEAD.pack(0xFFFFFFFF, 0xFFFFFFFF), "are allowed"),
        (frames.HEAD.pack(1 << 30, 4096), "are allowed"),
        (frames.HEAD.pack(0, 5), "are allowed"),
        (frame(b"garbage", 7), r"does not have the size|cannot be expanded"),
        (frame(zstandard.ZstdCompressor(write_content_size=False).compress(b"abc"), 3), "does not have the size"),
        (frame(zstandard.ZstdCompressor().compress(b"abc") + b"more", 3), "cannot be expanded"),
        # One small frame after the other, without end.
        (frame(zstandard.ZstdCompressor().compress(bytes(4 << 20)), 4 << 20) * 100, "expands to more than"),
    ],
)
def test_frames_made_to_harm(data: bytes, part: str) -> None:
    with pytest.raises(RemoteDamaged, match=part):
        list(frames.read_frames(io.BytesIO(data), "test", 64 << 20))


def test_an_object_that_claims_to_be_huge() -> None:
    raw = struct.pack(">Q", 1 << 60) + b"x"
    with pytest.raises(RemoteDamaged, match="are allowed"):
        list(read_objects(io.BytesIO(MAGIC + frames.compress(raw) + frames.END), "test", 1 << 30))


def index_of(**changes: object) -> bytes:
    import msgpack

    _, _pack, index = written([HEAD + b"one", HEAD + b"two"])
    data = encode_index(index)
    body = msgpack.unpackb(b"".join(frames.read_frames(io.BytesIO(data[8:]), "test", 1 << 20)))
    for key, change in changes.items():
        body[key] = change(body[key]) if callable(change) else change
    return data[:8] + frames.write_frames(msgpack.packb(body))


@pytest.mark.parametrize(
    "changes",
    [
        {"o": lambda column: b"\xff" * len(column)},
        {"s": lambda column: b"\x00" * len(column)},
        {"n": lambda column: b"\x00\x00\x00\x09" * 2},
        {"i": lambda column: column[:-1]},
        {"i": lambda column: column[:20]},
        {"k": lambda column: b"\x99\x99"},
        {"p": lambda packs: [["../../etc/passwd", *packs[0][1:]]]},
        {"p": lambda packs: [[packs[0][0], 5, *packs[0][2:]]]},
        {"p": lambda packs: [[*packs[0][:3], [1 << 40], packs[0][4]]]},
        {"p": lambda packs: [[*packs[0][:4], [1 << 40]]]},
        {"p": lambda packs: [[*packs[0][:4], ["x"]]]},
        {"p": 5},
        {"m": b"x" * 20},
        {"a": "text"},
    ],
)
def test_indexes_made_to_harm(changes: dict[str, object]) -> None:
    assert decode_index(index_of(), "test").places
    with pytest.raises(RemoteDamaged):
        decode_index(index_of(**changes), "test")


def test_an_index_that_is_none() -> None:
    for data in (b"", b"redunix1", b"redunix1" + frames.write_frames(b"\xc1"), b"x" * 100):
        with pytest.raises(RemoteDamaged):
            decode_index(data, "test")


def test_an_index_is_cut_by_ids() -> None:
    objects = [HEAD + os.urandom(20) for _ in range(1000)]
    _, pack, index = written(objects)
    index.memo = {os.urandom(20): os.urandom(20) for _ in range(300)}
    index.absent = {os.urandom(20): 5 for _ in range(50)}
    parts = list(index.split(100))
    assert 10 <= len(parts) <= 12
    together = Index()
    last = b""
    for part in parts:
        ids = sorted([*part.places, *part.absent])
        assert ids[0] > last
        last = ids[-1]
        assert len(ids) <= 110
        together.update(decode_index(encode_index(part), "test"))
    assert (together.places, together.absent, together.memo) == (index.places, index.absent, index.memo)
    assert together.packs.keys() == {pack.name}
