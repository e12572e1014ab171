"""A remote made to harm: refused with a message, nothing named by a ref, memory bounded."""

from __future__ import annotations

import io
import os
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest

from redun.store.errors import RedunError, RemoteDamaged, StoreError, StoreUnavailable
from redun.store.ids import object_id
from redun.store.objects import Codec, Kind, header, with_links
from redun.store.remote import pull as pull_module
from redun.store.remote.index import Index, Place, encode_index
from redun.store.remote.log import Entry, PackFact, RefMove
from redun.store.remote.pack import Pack, PackKind, PackWriter
from redun.store.remote.remote import Remote

from .conftest import Site
from .test_push_pull import pull_all, push_all

Sites = Callable[..., Site]
HEAD = header(Kind.VALUE, Codec.RAW)


class Crafted:
    """A remote to which anything is added, past all checks of a pusher."""

    def __init__(self, site: Site) -> None:
        self.remote: Remote = site.remote()
        self.remote.create(lambda text: None)

    def add(
        self,
        objects: list[bytes],
        head: bytes,
        kind: PackKind = PackKind.GRAPH,
        places: Callable[[dict[bytes, Place], Pack], dict[bytes, Place]] = lambda places, pack: places,
        ref: str | None = None,
    ) -> None:
        file = io.BytesIO()
        writer = PackWriter(file)
        offsets = [writer.add(data) for data in objects]
        pack = writer.finish(kind, "0" * 16)
        file.seek(0)
        self.remote.backend.put(pack.file, file, pack.size, lambda count: None)
        found = {
            object_id(data): Place(pack.name, offset, len(data), data[0]) for data, offset in zip(objects, offsets, strict=True)
        }
        index = Index({pack.name: pack}, places(found, pack))
        entry = Entry(b"", 0, b"", packs=[PackFact(pack.name, pack.size, kind)], inline=encode_index(index))
        entry.refs = [RefMove(ref or f"pins/{head.hex()}", None, head)]
        self.remote.commit(entry, [entry.inline])

    def close(self) -> None:
        self.remote.close()


@pytest.fixture
def crafted(site: Sites) -> Crafted:
    return Crafted(site("maker"))


def refused(site: Sites, match: str, kind: type[Exception] = RemoteDamaged) -> None:
    victim = site("victim")
    with pytest.raises(kind, match=match):
        pull_all(victim)
    assert victim.heads == {}


def test_an_index_that_gives_another_object_for_an_id(site: Sites, crafted: Crafted) -> None:
    real, other = HEAD + b"real" * 10, HEAD + b"evil" * 10
    for kind in (PackKind.GRAPH, PackKind.VALUES):
        crafted.add(
            [other],
            object_id(real),
            kind,
            lambda places, pack: {object_id(real): next(iter(places.values()))},
            ref=f"pins/{os.urandom(20).hex()}",
        )
    refused(site, "has the id")


def test_a_large_object_under_another_id(site: Sites, crafted: Crafted) -> None:
    other = HEAD + os.urandom(6 << 20)
    wanted = os.urandom(20)
    crafted.add([other], wanted, PackKind.LARGE, lambda places, pack: {wanted: next(iter(places.values()))})
    refused(site, "has the id")


def test_a_ref_to_what_is_not_there(site: Sites, crafted: Crafted) -> None:
    crafted.add([HEAD + b"x"], os.urandom(20))
    refused(site, "lacks object")


def test_an_object_whose_links_are_not_there(site: Sites, crafted: Crafted) -> None:
    data = with_links(Kind.VALUE, Codec.RAW, 0, [os.urandom(20)], b"x")
    crafted.add([data], object_id(data))
    refused(site, "lacks object")


def test_links_hidden_among_values(site: Sites, crafted: Crafted) -> None:
    """Packs of values are stored without looking at links, so nothing in them may have any."""
    data = with_links(Kind.VALUE, Codec.RAW, 0, [os.urandom(20)], b"x")
    crafted.add([data], object_id(data), PackKind.VALUES)
    refused(site, "stands among values and is none")


def test_large_values_with_links_hidden_among_values(site: Sites, crafted: Crafted) -> None:
    data = with_links(Kind.VALUE, Codec.RAW, 0, [os.urandom(20)], os.urandom(6 << 20))
    crafted.add([data], object_id(data), PackKind.LARGE)
    refused(site, "lacks object")


@pytest.mark.parametrize(
    "data", [b"\x99\x00\x01\x00junk", b"\x01\x01\x09\x00x", b"\x03\x01\x01\x01\xff\xff\xff\xffx", b"\x04\x01\x01\x00x"]
)
def test_bytes_that_are_no_object(site: Sites, crafted: Crafted, data: bytes) -> None:
    def place(places: dict[bytes, Place], pack: Pack) -> dict[bytes, Place]:
        return {oid: one._replace(kind=1) for oid, one in places.items()}

    crafted.add([data], object_id(data), places=place)
    victim = site("victim")
    try:
        pull_all(victim)
    except RedunError:
        assert victim.heads == {}


def test_an_execution_that_is_no_segment(site: Sites, crafted: Crafted) -> None:
    data = HEAD + b"no segment"
    name = "executions/00000000-0000-4000-8000-000000000000"
    crafted.add([data], object_id(data), ref=name)
    refused(site, "does not name a segment")


def test_more_than_fits_on_the_disk(site: Sites, crafted: Crafted, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    data = HEAD + bytes(5 << 20)
    crafted.add([data], object_id(data), PackKind.LARGE)
    monkeypatch.setattr(pull_module, "free_bytes", lambda folder: 1 << 20)
    victim = site("victim")
    with pytest.raises(StoreUnavailable, match=r"5,242,\d+ bytes.*only 1,048,576 bytes are free"):
        pull_all(victim, folder=tmp_path)
    assert victim.heads == {}


def test_an_object_with_links_that_is_too_large_for_memory(
    site: Sites, crafted: Crafted, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pull_module, "LINKED_LIMIT", 1 << 20)
    data = HEAD + bytes(2 << 20)
    crafted.add([data], object_id(data), PackKind.GRAPH)
    refused(site, "is said to have")


def test_a_store_that_was_pulled_into_half_is_not_hurt(site: Sites, crafted: Crafted) -> None:
    a = site("a")
    a.fill(50)
    push_all(a)
    data = with_links(Kind.VALUE, Codec.RAW, 0, [os.urandom(20)], b"x")
    crafted.remote.refresh()
    crafted.add([data], object_id(data))
    victim = site("victim")
    victim.fill(5)
    before = victim.heads
    with pytest.raises(StoreError):
        pull_all(victim)
    assert victim.heads == before
    for oid in list(victim.source.ids()):
        assert all(victim.source.contains(link) for link in victim.source.links(oid) or ())


def test_memory_stays_bounded_whatever_is_stated(site: Sites, crafted: Crafted, tmp_path: Path) -> None:
    """A value of 600 MB of zeros, which is 60 KB in the remote, is stored in pieces."""
    size = 600 << 20

    file = io.BytesIO()
    writer = PackWriter(file)
    data = memoryview(bytearray(HEAD) + bytearray(size))
    offset = writer.add(data)
    oid = object_id(data)
    pack = writer.finish(PackKind.LARGE, "0" * 16)
    assert pack.size < 200_000
    file.seek(0)
    crafted.remote.backend.put(pack.file, file, pack.size, lambda count: None)
    index = encode_index(Index({pack.name: pack}, {oid: Place(pack.name, offset, len(data), 1)}))
    entry = Entry(b"", 0, b"", packs=[PackFact(pack.name, pack.size, PackKind.LARGE)], inline=index)
    entry.refs = [RefMove(f"pins/{oid.hex()}", None, oid)]
    crafted.remote.commit(entry, [index])
    crafted.close()
    del data
    script = f"""
        import resource
        from pathlib import Path
        from redun.store.repository import Store
        from redun.store.remote.backends.folder import FolderBackend
        from redun.store.remote.log import Writer
        from redun.store.remote.mirror import Mirror
        from redun.store.remote.pull import pull
        from redun.store.remote.remote import Remote
        store = Store.open(Path({str(tmp_path / "pulled")!r}))
        backend = FolderBackend(Path({str(tmp_path / "remote")!r}))
        with Remote("team", backend, Mirror(store.mirror_source("team")), Writer(bytes(16), "x")) as remote:
            remote.refresh()
            before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
            pull(store.source, remote, remote.refs())
            print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
        assert store.source.contains(bytes.fromhex({oid.hex()!r}))
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script)], capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) < 100_000, "KB"
