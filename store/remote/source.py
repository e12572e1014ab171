"""A remote as a source that can only be read: for looking at it without pulling it.

Refs and reflog are those of its mirror. An object comes from the mirror, if it was looked at before, from the store beside, else from the
remote, and is kept in the mirror if it is small. What is in the memo of a remote is a claim of others, so there is none here.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from redun.store.errors import DamagedObject, ObjectNotFound, RemoteDamaged, StoreUnavailable
from redun.store.ids import Pieces
from redun.store.reach import links_in
from redun.store.remote.fetch import Fetcher
from redun.store.remote.remote import Remote
from redun.store.repository import Store
from redun.store.rows import BLOB_ABOVE
from redun.store.sources.base import Batch, ReflogEntry, Source, Table
from redun.store.sources.checks import prefix_digits

_KEEP_AT_ONCE = 2000


class RemoteSource:
    """Implements `redun.store.sources.base.Source` for reading on a remote that was brought up to date. One thread at a time.

    Args:
        local: the store beside, whose objects need not be fetched.
    """

    def __init__(self, remote: Remote, local: Source) -> None:
        self._remote = remote
        self._local = local
        self._mirror = remote.mirror.source
        self._fetcher = Fetcher(remote)
        self._got: dict[bytes, bytes] = {}

    def get(self, oid: bytes) -> bytes:
        """See `Source.get`."""
        data = self._got.get(oid)
        if data is not None:
            return data
        for source in (self._mirror, self._local):
            try:
                return source.get(oid)
            except (ObjectNotFound, DamagedObject):
                continue
        try:
            data = self._fetch(oid)
        except RemoteDamaged:
            if not self._remote.moved_on():
                raise
            data = self._fetch(oid)
        if len(data) <= BLOB_ABOVE:
            self._got[oid] = data
            if len(self._got) >= _KEEP_AT_ONCE:
                self._keep()
        return data

    def _fetch(self, oid: bytes) -> bytes:
        place = self._remote.places([oid]).get(oid)
        if place is None or not place.pack:
            raise ObjectNotFound(oid)
        return self._fetcher.read(oid, place)

    def _keep(self) -> None:
        got, self._got = self._got, {}
        if got:
            # Not a store: what these link may be elsewhere.
            self._mirror.commit(Batch(got))

    def view(self, oid: bytes) -> bytes | memoryview:
        """See `Source.view`."""
        return self.get(oid)

    def pieces(self, oid: bytes) -> bytes:
        """See `Source.pieces`."""
        return self.get(oid)

    def contains(self, oid: bytes) -> bool:
        """See `Source.contains`."""
        place = self._remote.places([oid]).get(oid)
        return place is not None and bool(place.pack)

    def away(self, oid: bytes) -> int | None:
        """See `Source.away`."""
        return None

    def all_away(self) -> list[bytes]:
        """See `Source.all_away`."""
        return []

    def links(self, oid: bytes) -> list[bytes] | None:
        """See `Source.links`; the object is fetched for it."""
        try:
            return links_in(self.get(oid))
        except ObjectNotFound:
            return None

    def stage(self, pieces: Iterable[bytes]) -> tuple[bytes, Any]:
        """See `Source.stage`.

        Raises:
            StoreUnavailable: always.
        """
        raise self._only_read()

    def put_ahead(self, oid: bytes, data: Pieces) -> Any:
        """See `Source.put_ahead`.

        Raises:
            StoreUnavailable: always.
        """
        raise self._only_read()

    def _only_read(self) -> StoreUnavailable:
        return StoreUnavailable(f"{self._remote.where} can only be read this way: 'redun push' writes to it")

    def hold(self) -> None:
        """See `Source.hold`: nothing is swept here."""

    def let_go(self) -> None:
        """See `Source.let_go`."""

    def memo_get(self, eval_hash: bytes) -> bytes | None:
        """See `Source.memo_get`."""
        return None

    def commit(self, batch: Batch) -> None:
        """See `Source.commit`.

        Raises:
            StoreUnavailable: always.
        """
        raise self._only_read()

    def moment(self) -> int:
        """Nothing is ever committed here."""
        return 0

    def give_back(self) -> None:
        """See `Source.give_back`."""

    def refresh(self) -> None:
        """See `Source.refresh`; what others push later is not seen."""

    def read_ref(self, name: str) -> bytes | None:
        """See `Source.read_ref`."""
        return self._mirror.read_ref(name)

    def refs(self, prefix: str = "") -> list[tuple[str, bytes]]:
        """See `Source.refs`."""
        return self._mirror.refs(prefix)

    def reflog(self, after: int = 0) -> Iterator[ReflogEntry]:
        """See `Source.reflog`: when we learned of it."""
        return self._mirror.reflog(after)

    def find(self, hex_prefix: str, limit: int = 20) -> list[bytes]:
        """See `Source.find`."""
        if prefix_digits(hex_prefix) is None or limit <= 0:
            return []
        digits = hex_prefix.lower()
        low = bytes.fromhex(digits.ljust(40, "0"))
        self._remote.load_shards([low, bytes.fromhex(digits.ljust(40, "f"))] if len(digits) > 2 else None)
        found: list[bytes] = []
        for oid in self._remote.mirror.ids_from(low):
            if not oid.hex().startswith(digits) or len(found) >= limit:
                break
            found.append(oid)
        return found

    def ids(self) -> Iterator[bytes]:
        """See `Source.ids`."""
        self._remote.load_shards()
        return self._remote.mirror.ids_from(bytes(20))

    def table(self, name: str) -> Table:
        """See `Source.table`: derived tables are kept in the mirror."""
        return self._mirror.table(name)

    def close(self) -> None:
        """See `Source.close`; remote and store stay open."""
        self._keep()
        self._fetcher.close()


class RemoteView(Store):
    """A remote as a store that can only be read; closing it leaves the remote open.

    Args:
        remote: brought up to date.
        local: the store beside.
        foreign: not everybody who can write there is trusted.

    Attributes:
        foreign: True if its values are only looked at, never made.
    """

    def __init__(self, remote: Remote, local: Source, foreign: bool = True) -> None:
        super().__init__(RemoteSource(remote, local), None, readonly=True)
        self.remote = remote
        self.foreign = foreign

    def index_source(self) -> Source:
        """Derived tables of a remote are kept in its mirror."""
        return self.remote.mirror.source

    def is_alive(self, execution_id: str) -> bool:
        """Nobody here can tell whether an execution elsewhere still runs."""
        return False


class RemoteStore(RemoteView):
    """A remote as a store that can only be read; closing it closes the remote and the store beside."""

    def __init__(self, remote: Remote, local: Store, foreign: bool = True) -> None:
        super().__init__(remote, local.source, foreign)
        self._local = local

    def close(self) -> None:
        """Release everything."""
        super().close()
        self.remote.close()
        self._local.close()


__all__ = ["RemoteSource", "RemoteStore", "RemoteView"]
