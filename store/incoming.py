"""Objects that come in before anything names them: an import that is written in many commits, safe from a gc beside it.

gc spares what refs lead to, and what came later it knows by the refs that moved. So each commit of an import moves a ref of its own,
`incoming/<uuid>`, to an object that links all that it wrote, what it relies on, and the one before. The ref holds as long as the lease
of that name is held; the last commit names what came by its real refs and deletes this one. What an import leaves that is killed goes
with the next gc.
"""

from __future__ import annotations

import contextlib
import uuid
from collections.abc import Iterable, Mapping
from types import TracebackType
from typing import TYPE_CHECKING

from redun.store.errors import MissingLinks, StoreError
from redun.store.ids import object_id
from redun.store.objects import Codec, Kind, with_links
from redun.store.sources.base import Batch, RefUpdate

if TYPE_CHECKING:
    from redun.store.repository import Store


class Incoming:
    """One import, to be entered (`with`) while it goes on.

    Args:
        store: where things come in.

    Entering raises StoreUnavailable if the store cannot be written.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._id = str(uuid.uuid4())
        self._lease = store.lease(self._id)
        self._ref = f"incoming/{self._id}"
        self._head: bytes | None = None

    def __enter__(self) -> Incoming:
        self._lease.__enter__()
        return self

    def commit(self, objects: Mapping[bytes, bytes], known: Mapping[bytes, bytes], links: Iterable[bytes] = ()) -> None:
        """Write objects, and keep from gc what was there already.

        Args:
            objects: id -> bytes of what is new. known: the same of what was there when it was looked for; put again if it is not any more.
            links: ids that these objects link.

        Raises:
            MissingLinks: something that they link neither came nor was there.
        """
        kept = sorted({*objects, *known} - ({self._head} if self._head else set()))
        data = with_links(Kind.VALUE, Codec.RAW, 0, [*([self._head] if self._head else []), *kept], b"incoming")
        head = object_id(data)
        put = {**objects, head: data}
        update = RefUpdate(self._ref, self._head, head, "incoming")
        wanted = {*links, *known}
        while True:
            try:
                self._store.source.commit(Batch(put, {}, [update], wanted.difference(put)))
                break
            except MissingLinks as error:
                again = {oid: known[oid] for oid in error.missing if oid in known and oid not in put}
                if not again:
                    raise
                put.update(again)
        self._head = head

    def ends(self) -> list[RefUpdate]:
        """Return what the last commit does with the ref, besides naming what came; call `ended` after it."""
        return [] if self._head is None else [RefUpdate(self._ref, self._head, None, "incoming")]

    def ended(self) -> None:
        """The last commit was made."""
        self._head = None

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        with contextlib.suppress(StoreError):
            updates = self.ends()
            if updates:
                self._store.source.commit(Batch(refs=updates))
        self._lease.release()
