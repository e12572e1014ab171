"""Formats of remotes and bundles may not change within a format version: what was written once is read by every later release.

What zstd makes of the same bytes may differ between its versions, so of packs, indexes and bundles the raw content is compared.
"""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest

from redun.store.ids import object_id
from redun.store.remote import frames
from redun.store.remote.bundle import read_bundle
from redun.store.remote.index import MAGIC as INDEX_MAGIC
from redun.store.remote.index import decode_index, encode_index
from redun.store.remote.log import decode_checkpoint, decode_entry
from redun.store.remote.pack import MAGIC, PackReader, check_pack, read_objects
from redun.store.remote.remote import RemoteConfig
from redun.store.sources.memory import MemorySource
from tests.golden import remote

GOLDEN: dict[str, str] = json.loads(Path(__file__).with_name("remote.json").read_text())
OLD = {name: bytes.fromhex(text) for name, text in GOLDEN.items()}


def raw(data: bytes) -> list[bytes]:
    return list(frames.read_frames(io.BytesIO(data), "golden", 1 << 20))


def test_no_kind_is_missing() -> None:
    assert remote.made().keys() == GOLDEN.keys()


@pytest.mark.parametrize("name", ["config", "entry", "checkpoint"])
def test_bytes_are_those_of_old(name: str) -> None:
    assert remote.made()[name] == GOLDEN[name]


def test_packs() -> None:
    data, _, _ = remote.pack()
    old = OLD["pack"]
    assert old[:8] == data[:8] == MAGIC
    assert raw(old[8:]) == raw(data[8:])
    assert old[-8:] == data[-8:] == bytes(8)
    assert list(read_objects(io.BytesIO(old), "golden", 1 << 20)) == remote.OBJECTS


def test_indexes() -> None:
    data = bytes.fromhex(remote.made()["index"])
    old = OLD["index"]
    assert old[:8] == data[:8] == INDEX_MAGIC
    found = decode_index(old, "golden")
    (pack,) = found.packs.values()
    file = io.BytesIO(OLD["pack"])
    check_pack(file, pack, "golden")
    for one in remote.OBJECTS:
        place = found.places[object_id(one)]
        assert PackReader(pack, file, "golden").read(place.offset, place.size, object_id(one)) == one
    assert (found.memo, found.absent) == ({b"k" * 20: b"c" * 20}, {b"a" * 20: 70_000})
    # The name of the pack has the digest of what zstd made of it; all else is as it was.
    assert raw(encode_index(found)[8:]) == raw(old[8:])


def test_entries_and_checkpoints() -> None:
    entry = decode_entry(OLD["entry"], "golden")
    wanted = remote.entry()
    assert (entry.packs, entry.dropped, entry.indexes, entry.refs) == (
        wanted.packs,
        wanted.dropped,
        wanted.indexes,
        wanted.refs,
    )
    checkpoint, sum_of_all = decode_checkpoint(OLD["checkpoint"], "golden"), remote.checkpoint()
    assert (checkpoint.packs, checkpoint.refs, checkpoint.runs) == (sum_of_all.packs, sum_of_all.refs, sum_of_all.runs)


def test_the_configuration() -> None:
    assert RemoteConfig.decode(OLD["config"], "golden").id == b"r" * 16


def test_bundles() -> None:
    source = MemorySource()
    found = read_bundle(source, io.BytesIO(OLD["bundle"]), "golden")
    assert found.refs == {remote.REF: object_id(remote.TOP)}
    assert found.memo == {b"k" * 20: b"c" * 20}
    assert (found.store, found.by) == (remote.WRITER.store, remote.WRITER.by)
    assert [source.get(object_id(one)) for one in remote.OBJECTS] == remote.OBJECTS
