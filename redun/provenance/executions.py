"""The executions of a store, found and kept: each is read once, and only as deep as somebody asks."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterator
from uuid import UUID

from redun.provenance.errors import NotRecorded
from redun.provenance.history import Head, History, read_execution, read_heads, read_history, read_record
from redun.provenance.lookup import is_id_prefix
from redun.provenance.model import Execution
from redun.store.errors import RedunError
from redun.store.sources.base import Source

_HISTORIES_KEPT = 8


class Executions:
    """Reads executions and keeps the few histories used last. For one thread at a time.

    Args:
        is_alive: tells whether the process that runs an execution (UUID) is still there; asked once for each.
    """

    def __init__(self, source: Source, is_alive: Callable[[str], bool]) -> None:
        self._source = source
        self._ask_alive = is_alive
        self._alive: dict[str, bool] = {}
        self._heads: dict[bytes, Head] | None = None
        self._histories: dict[bytes, History | None] = {}

    def newest(self, prefix: str = "") -> Iterator[Execution]:
        """Yield the executions whose id begins with `prefix`, newest first; those that are damaged are left out."""
        for head in self._newest_heads(prefix):
            try:
                yield read_execution(self._source, head, self._is_alive)
            except RedunError:
                continue

    def get(self, execution: bytes) -> Execution:
        """Return an execution by its UUID (16 bytes).

        Raises:
            NotRecorded: it is gone or damaged.
        """
        head = self._all_heads().get(execution)
        if head is None:
            raise NotRecorded(f"execution {UUID(bytes=execution)} is not in the store any more")
        try:
            return read_execution(self._source, head, self._is_alive)
        except RedunError as error:
            raise NotRecorded(f"execution {head.uuid} cannot be read: {error}") from error

    def history(self, execution: bytes) -> History | None:
        """Return the jobs of an execution by its UUID (16 bytes), None if it is gone or damaged."""
        found = self._histories.pop(execution) if execution in self._histories else self._read_history(execution)
        # The newest use stands last; the oldest goes first.
        self._histories[execution] = found
        if len(self._histories) > _HISTORIES_KEPT:
            del self._histories[next(iter(self._histories))]
        return found

    def at_hand(self) -> list[History]:
        """List the histories that cost nothing."""
        return [history for history in self._histories.values() if history is not None]

    def _read_history(self, execution: bytes) -> History | None:
        head = self._all_heads().get(execution)
        try:
            return None if head is None else read_history(self._source, head, self._is_alive)
        except RedunError:
            return None

    def _is_alive(self, execution: str) -> bool:
        if execution not in self._alive:
            self._alive[execution] = self._ask_alive(execution)
        return self._alive[execution]

    def _all_heads(self) -> dict[bytes, Head]:
        if self._heads is None:
            self._heads = {head.id: head for head in read_heads(self._source)}
        return self._heads

    def _newest_heads(self, prefix: str) -> Iterator[Head]:
        if prefix and not is_id_prefix(prefix):
            return
        digits = prefix.lower().replace("-", "")
        heads = self._all_heads()
        started = []
        for head in heads.values():
            if head.id.hex().startswith(digits):
                try:
                    started.append((-read_record(self._source, head).start_us, head.id))
                except RedunError:
                    continue
        # A heap, since mostly the first few are wanted.
        heapq.heapify(started)
        while started:
            yield heads[heapq.heappop(started)[1]]
