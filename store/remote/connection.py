"""A remote, connected: where it is, what is known of it here, and threads for requests to it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

from redun.store.errors import NotInRemote, RemoteDamaged
from redun.store.keys import SharedSecret
from redun.store.remote.backends.base import Backend, Meter, free, patiently
from redun.store.remote.config import RemoteConfig
from redun.store.remote.log import Writer
from redun.store.remote.mirror import Mirror
from redun.store.remote.threads import RequestThreads

A = TypeVar("A")
B = TypeVar("B")


class Connection:
    """A remote of one store. One thread at a time; it uses others for itself.

    Args:
        name: what the user calls it, or its URL without secrets; for messages.
        backend: where it is.
        mirror: what is known of it here.
        writer: who we are.
        secret: the signing key that we share with others, if there is one.
        jobs: how many requests at once.
        meter: is told of bytes that travel, and may hold them up.

    Attributes:
        config: what its file `config` says; None until it was read, or if nobody has pushed there.
    """

    def __init__(
        self,
        name: str,
        backend: Backend,
        mirror: Mirror,
        writer: Writer,
        *,
        secret: SharedSecret | None = None,
        jobs: int = 8,
        meter: Meter = free,
    ) -> None:
        self.name = name
        self.backend = backend
        self.mirror = mirror
        self.writer = writer
        self.secret = secret
        self.meter = meter
        self.jobs = max(jobs, 1)
        self.config: RemoteConfig | None = None
        self.where = f"remote {name!r}" if name == backend.url else f"remote {name!r} ({backend.url})"
        self._pool: RequestThreads | None = None

    def each(self, work: Callable[[A], B], items: Sequence[A]) -> list[B]:
        """Do something for several items, as many at once as `jobs` says; results in their order."""
        if len(items) < 2:
            return [work(item) for item in items]
        return list(self.pool.map(work, items))

    @property
    def pool(self) -> RequestThreads:
        """Threads for requests."""
        if self._pool is None:
            self._pool = RequestThreads(self.jobs)
        return self._pool

    def file(self, name: str, limit: int) -> bytes:
        """Return a file that the log names, at most so many bytes."""
        try:
            return patiently(lambda: self.backend.get(name, limit))
        except NotInRemote as error:
            raise RemoteDamaged(f"{self.where} lacks {name!r}, which its log names: somebody removed it") from error

    def close(self) -> None:
        """Release threads, connections and the mirror."""
        if self._pool is not None:
            self._pool.close()
            self._pool = None
        self.backend.close()
        self.mirror.close()
