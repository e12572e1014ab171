"""Stores with objects in them, and remotes of them."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from redun.store.ids import object_id
from redun.store.objects import Codec, Kind, header, with_links
from redun.store.remote.backends.base import Backend
from redun.store.remote.backends.folder import FolderBackend
from redun.store.remote.log import Writer
from redun.store.remote.mirror import Mirror
from redun.store.remote.remote import Remote
from redun.store.repository import Store
from redun.store.sources.base import Batch, RefUpdate


class Site:
    """A store, and how it sees a remote.

    Attributes:
        store: the store.
        backend: where its remotes are; a test may put another one there.
    """

    def __init__(self, store: Store, backend: Backend) -> None:
        self.store = store
        self.backend = backend
        self._random = random.Random(1)

    @property
    def source(self):
        return self.store.source

    def remote(self, name: str = "team") -> Remote:
        return Remote(
            name, self.backend, Mirror(self.store.mirror_source(name)), Writer(self.store.identity(), "tester"), jobs=4
        )

    def value(self, size: int = 100, links: tuple[bytes, ...] = ()) -> tuple[bytes, bytes]:
        """Return id and bytes of a new value."""
        body = self._random.randbytes(size)
        data = with_links(Kind.VALUE, Codec.RAW, 0, links, body) if links else header(Kind.VALUE, Codec.RAW) + body
        return object_id(data), data

    def pin(self, oid: bytes, objects: dict[bytes, bytes]) -> str:
        """Commit objects, and name one of them by a ref that travels."""
        name = f"pins/{oid.hex()}"
        self.source.commit(Batch(objects, refs=[RefUpdate(name, None, oid)]))
        self.source.refresh()
        return name

    def fill(self, count: int, size: int = 100, groups: int = 10) -> str:
        """Commit so many values, named through groups of groups by one ref."""
        objects = dict(self.value(size) for _ in range(count))
        level = list(objects)
        while len(level) > 1:
            above = []
            for at in range(0, len(level), max(groups, 2)):
                oid, data = self.value(20, tuple(level[at : at + max(groups, 2)]))
                objects[oid] = data
                above.append(oid)
            level = above
        return self.pin(level[0], objects)

    @property
    def heads(self) -> dict[str, bytes]:
        return dict(self.source.refs())


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Callable[..., Site]]:
    """Return a function that makes a site: a store of that name, and the folder remote that all share."""
    made: list[Store] = []

    def make(name: str, backend: Backend | None = None) -> Site:
        store = Store.open(tmp_path / name)
        made.append(store)
        one = Site(store, backend or FolderBackend(tmp_path / "remote"))
        one._random.seed(name)
        return one

    yield make
    for store in made:
        store.close()
