"""Where calls happened: from a call to the jobs that made it, in any execution."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

from redun.provenance.dataflow import Site
from redun.provenance.history import History
from redun.provenance.index import Index
from redun.provenance.objects import ObjectReader
from redun.store.ids import ID_BYTES
from redun.store.journal import Status

_TRIED = 5
_CACHED = frozenset((Status.CACHED, Status.FAILED))


class JobPlace(NamedTuple):
    """Where a job stands.

    Attributes:
        execution: UUID, 16 bytes.
        job_id: UUID, 16 bytes.
        status: of the job when its call became known.
    """

    execution: bytes
    number: int
    job_id: bytes
    status: int


class CallPlaces:
    """Finds the jobs of calls, and serves `redun.provenance.dataflow.Sites`.

    Args:
        index: returns the index, brought up to date.
        history: returns an execution's jobs by its UUID (16 bytes), None if it is gone.
    """

    def __init__(self, index: Callable[[], Index], history: Callable[[bytes], History | None], objects: ObjectReader) -> None:
        self._index = index
        self._history = history
        self._objects = objects

    def newest(self, call: bytes) -> Iterator[JobPlace]:
        """Yield the jobs of a call, newest first."""
        for key, row in self._index().calls.scan(call, reverse=True):
            yield JobPlace(key[28:44], int.from_bytes(key[44:52], "big"), row[1:17], row[0])

    def best(self, call: bytes) -> Iterator[JobPlace]:
        """Yield the newest job of a call that really ran it, then the newest ones that did not."""
        later = []
        for count, place in enumerate(self.newest(call)):
            if place.status not in _CACHED:
                yield place
                break
            if count < _TRIED:
                later.append(place)
        yield from later

    def last_start(self, call: bytes) -> int:
        """Return the start of the newest job of a call, 0 if there is none."""
        for key, _ in self._index().calls.scan(call, reverse=True):
            return int.from_bytes(key[20:28], "big")
        return 0

    def site(self, call: bytes, history: History | None, parent: int = 0) -> Site:
        """Return where to look for a call: in `history` if it was made there, below job `parent` if there; else at its best job."""
        if history is not None:
            numbers = history.jobs_of_call(call)
            if numbers:
                there = [number for number in numbers[:_TRIED] if history.jobs[number].parent == parent]
                ran = [number for number in numbers[:_TRIED] if history.jobs[number].status is not Status.CACHED]
                return Site(call, history, (there or ran or numbers)[0])
        for place in self.best(call):
            found = self._history(place.execution)
            if found is not None:
                return Site(call, found, place.number)
        return Site(call)

    def other_sites(self, site: Site) -> Iterator[Site]:
        """Yield further jobs of a site's call: those of the same execution, then the ones that really ran, newest first."""
        if site.history is not None:
            for number in site.history.jobs_of_call(site.call)[:_TRIED]:
                if number != site.number:
                    yield Site(site.call, site.history, number)
        for count, place in enumerate(self.best(site.call)):
            if count >= _TRIED:
                return
            history = self._history(place.execution)
            if history is not None and (history is not site.history or place.number != site.number):
                yield Site(site.call, history, place.number)

    def parents(self, call: bytes) -> Iterator[Site]:
        """Yield a few of the calls that made this one."""
        for count, (key, _) in enumerate(self._index().parents.scan(call)):
            if count >= _TRIED:
                return
            yield self.site(key[ID_BYTES:], None)

    def histories_of_call(self, call: bytes) -> Iterator[History]:
        """Yield the executions in which a call was made, newest first."""
        for execution in dict.fromkeys([place.execution for place in self.newest(call)]):
            history = self._history(execution)
            if history is not None:
                yield history

    def executions_of_task(self, task: bytes) -> list[bytes]:
        """List the UUIDs (16 bytes) of the executions in which a task had jobs."""
        return [key[ID_BYTES:] for key, _ in self._index().runs.scan(task)]

    def histories_of_task(self, task: bytes) -> Iterator[History]:
        """Yield the executions in which a task had jobs, newest first."""
        found = [history for execution in self.executions_of_task(task) if (history := self._history(execution)) is not None]
        yield from sorted(found, key=lambda history: -history.execution.start_us)
