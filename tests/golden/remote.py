"""Golden bytes of remotes and bundles: how those of `remote.json` are made. Run as a module to print them."""

from __future__ import annotations

import io
import json

from redun.store.ids import object_id
from redun.store.objects import Codec, Kind, header, with_links
from redun.store.remote.bundle import write_bundle
from redun.store.remote.index import Index, Place, encode_index
from redun.store.remote.log import Checkpoint, Entry, IndexFact, PackFact, RefFact, RefMove, Shard, Writer
from redun.store.remote.pack import Pack, PackKind, PackWriter
from redun.store.remote.remote import RemoteConfig
from redun.store.sources.base import Batch, RefUpdate
from redun.store.sources.memory import MemorySource

VALUE = header(Kind.VALUE, Codec.RAW) + b"golden " * 20
TOP = with_links(Kind.VALUE, Codec.RAW, 0, [object_id(VALUE)], b"above")
OBJECTS = [VALUE, TOP]
REF = f"pins/{object_id(TOP).hex()}"
WRITER = Writer(bytes(range(16)), "somebody@somewhere")
NONCE = "0123456789abcdef"


def pack() -> tuple[bytes, Pack, Index]:
    """Return a pack's bytes, what is known of it, and its index."""
    file = io.BytesIO()
    writer = PackWriter(file)
    offsets = [writer.add(data) for data in OBJECTS]
    made = writer.finish(PackKind.GRAPH, NONCE)
    index = Index({made.name: made}, memo={b"k" * 20: b"c" * 20}, absent={b"a" * 20: 70_000})
    for data, offset in zip(OBJECTS, offsets, strict=True):
        index.places[object_id(data)] = Place(made.name, offset, len(data), data[0])
    return file.getvalue(), made, index


def entry() -> Entry:
    """Return an entry of a log."""
    name = "0" * 64 + "-" + NONCE
    return Entry(
        b"r" * 16,
        7,
        b"b" * 32,
        [PackFact(name, 1234, PackKind.VALUES)],
        ["1" * 64 + "-" + NONCE],
        [IndexFact("idx/" + "2" * 64, 567)],
        b"",
        [RefMove(REF, None, object_id(TOP))],
        time_us=1_700_000_000_000_000,
        nonce=b"n" * 16,
    )


def checkpoint() -> Checkpoint:
    """Return a checkpoint."""
    return Checkpoint(
        b"r" * 16,
        100,
        b"d" * 32,
        [PackFact("0" * 64 + "-" + NONCE, 1234, PackKind.LARGE)],
        [RefFact(REF, object_id(TOP), 7, b"w" * 32, (b"v" * 32,))],
        [[Shard(b"", IndexFact("idx/" + "2" * 64, 567))]],
        time_us=1_700_000_000_000_000,
        nonce=b"n" * 16,
    )


def bundle() -> bytes:
    """Return a bundle; its time differs each time."""
    source = MemorySource()
    objects = {object_id(data): data for data in OBJECTS}
    source.commit(Batch(objects, refs=[RefUpdate(REF, None, object_id(TOP))]))
    stream = io.BytesIO()
    write_bundle(source, dict(source.refs()), stream, WRITER, lambda: [(b"k" * 20, b"c" * 20)])
    return stream.getvalue()


def made() -> dict[str, str]:
    """Return name -> hex digits of all."""
    data, _, index = pack()
    return {
        "config": RemoteConfig(b"r" * 16, b"", "somebody@somewhere", "2026-01-02T03:04:05Z").encode().hex(),
        "pack": data.hex(),
        "index": encode_index(index).hex(),
        "entry": entry().encode(WRITER).hex(),
        "checkpoint": checkpoint().encode(WRITER).hex(),
        "bundle": bundle().hex(),
    }


if __name__ == "__main__":
    print(json.dumps(made(), indent=1))
