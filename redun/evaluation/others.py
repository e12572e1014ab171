"""Results of others, asked for where the store has none: the scheduler's side of it.

A job that misses the cache is not run at once but put to whoever knows of other places (`Places`, in practice `redun.readthrough`), many
jobs at a time, and stands in state READY meanwhile; nothing else waits. The answer comes through the queue of completions. With it come
the objects of the single reduction, which go into the run's next commit, so the call is made here as if the function had just returned:
only its children are looked up in their turn. Where a shallow check suffices the call came with all that it leads to, and is taken whole.

A run without remotes never comes here.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from redun.evaluation.job import Job
from redun.evaluation.node import FINAL, State
from redun.store.ids import LINK_MARK
from redun.store.objects import Flag
from redun.store.rows import Staged
from redun.store.sources.base import Source
from redun.task import CacheResult

if TYPE_CHECKING:
    from redun.evaluation.cache import Hit
    from redun.evaluation.calls import Calls
    from redun.evaluation.forms import Catch
    from redun.store.ids import Pieces


TAKEN = "taken"
"""Fact in the journal: [signer, keys of the memo, joined]: these rows are as good as that signer."""


class Ask(NamedTuple):
    """A result that is looked for.

    Attributes:
        job: who looks for it: a job, or a `catch` that may have recovered before.
        full, shallow: keys of the cache under which it may be taken, empty if not that way.
        task: id of the task.
        known: what the store says of `full`, which did not do: call and reduction, empty if it says nothing.
    """

    job: Job | Catch
    full: bytes
    shallow: bytes
    task: bytes
    known: bytes


class Found(NamedTuple):
    """A result of somebody else.

    Attributes:
        place: name of where it is from.
        row: as in the memo: the call, and the ref of its reduction.
        objects: id -> object bytes that came with it and are not in the store yet; of large ones what `Source.stage` gave, None in a
            dry run. Shared by those that came together.
        signer: who says that it is the result, empty if nobody signed that.
        whole: the call and all that it leads to are in the store: it may be taken as it is.
    """

    place: str
    row: bytes
    objects: Mapping[bytes, bytes | Staged | None]
    signer: bytes = b""
    whole: bool = False


Answers = Sequence[tuple[Ask, Found | None]]


class Places(Protocol):
    """Where results of others are looked for."""

    def ask(self, asks: Sequence[Ask]) -> None:
        """Look for some results; the answers are handed over by and by, from any thread."""

    def close(self) -> None:
        """The run is over: whatever comes is of no use."""


class Fetched:
    """A store beside objects that came and are not committed yet: what reads of it need of a source.

    Attributes:
        objects: those that came with what is read now.
    """

    def __init__(self, source: Source) -> None:
        self.objects: Mapping[bytes, Any] = {}
        self._source = source

    def get(self, oid: bytes) -> bytes:
        """See `Source.get`."""
        data = self.objects.get(oid)
        return data if isinstance(data, bytes) else self._source.get(oid)

    def view(self, oid: bytes) -> bytes | memoryview:
        """See `Source.view`."""
        data = self.objects.get(oid)
        # Like that of the store: writable, and nobody else's.
        return memoryview(bytearray(data)) if isinstance(data, bytes) else self._source.view(oid)

    def pieces(self, oid: bytes) -> bytes | Pieces:
        """See `Source.pieces`."""
        data = self.objects.get(oid)
        return data if isinstance(data, bytes) else self._source.pieces(oid)

    def contains(self, oid: bytes) -> bool:
        """See `Source.contains`."""
        return oid in self.objects or self._source.contains(oid)

    def blob_path(self, oid: bytes) -> str | None:
        """Return the path of the file that an object is, None if it is none."""
        found = getattr(self._source, "blob_path", None)
        return None if found is None or isinstance(self.objects.get(oid), bytes) else found(oid)


class Others:
    """Puts misses of a run to others, and takes their answers.

    Args:
        calls: the calls of the run.
        open_places: opens the places; gets what is to be called with answers, and with lines for the user, from any thread.
    """

    def __init__(
        self,
        calls: Calls,
        open_places: Callable[[Callable[[Answers], None], Callable[[str], None]], Places],
    ) -> None:
        self._calls = calls
        self._open_places = open_places
        self._fetched = Fetched(calls.cache.source)
        self._places: Places | None = None
        self._waiting: list[Ask] = []
        self._asked = 0
        self._closed = False

    def ask(self, job: Job) -> bool:
        """Put a job's result to others; False if it could not be taken anyway."""
        plan = job.plan
        allowed = plan.allowed
        shallow = job.key if plan.shallow and (allowed is None or CacheResult.ULTIMATE in allowed) else b""
        full = job.eval_key if allowed is None or CacheResult.SINGLE in allowed else b""
        if self._closed or not (shallow or full):
            return False
        known = self._calls.cache.source.memo_get(full) if full else None
        # It has not begun.
        job.start_us = 0
        self._add(Ask(job, full, shallow, plan.task_id, known or b""))
        return True

    def ask_form(self, form: Catch, key: bytes, task: bytes) -> bool:
        """Put what a `catch` recovered to others, by the key under which it is remembered; False if the run is over."""
        if self._closed:
            return False
        self._add(Ask(form, b"", key, task, b""))
        return True

    def _add(self, ask: Ask) -> None:
        self._waiting.append(ask)
        self._asked += 1
        # For the loop it is at work like any other.
        self._calls.running += 1
        self._calls.in_flight += 1

    def submit(self) -> None:
        """Hand over what has come up."""
        if self._waiting:
            asks, self._waiting = self._waiting, []
            self._calls.log.flush()
            if self._places is None:
                put = self._calls.evaluation.completions.put
                self._places = self._open_places(
                    lambda answers: put(lambda run: self.answered(answers)),
                    lambda text: put(lambda run: self._calls.log.warning(text)),
                )
            self._places.ask(asks)

    def drop(self) -> None:
        """The run has failed: nobody waits for answers any more."""
        self._closed = True
        self._calls.running -= self._asked
        self._calls.in_flight -= self._asked
        self._asked = 0
        self._waiting.clear()

    def close(self) -> None:
        """The run is over."""
        self._closed = True
        if self._places is not None:
            self._places.close()

    # Answers.

    def answered(self, answers: Answers) -> None:
        """Let jobs go on: with the results that were found, or by themselves."""
        if self._closed:
            return
        calls = self._calls
        put: set[int] = set()
        taken: dict[bytes, list[bytes]] = {}
        for ask, found in answers:
            self._asked -= 1
            calls.running -= 1
            calls.in_flight -= 1
            if found is not None and id(found.objects) not in put:
                put.add(id(found.objects))
                calls.recorder.put_all({oid: data for oid, data in found.objects.items() if data is not None})
            if self._go_on(ask.job, found) and found is not None and found.signer:
                taken.setdefault(found.signer, []).extend({ask.full or ask.shallow, ask.shallow or ask.full})
        for signer, keys in taken.items():
            # Who stops believing them must be able to tell what came from them.
            calls.recorder.note(TAKEN, [signer, b"".join(sorted(keys))])

    def _go_on(self, job: Job | Catch, found: Found | None) -> bool:
        """Let a job or form go on; True if it took what was found."""
        if isinstance(job, Job):
            if job.state is not State.READY:
                return False
            job.start_us = time.time_ns() // 1000
            if found is None or not self._take(job, found):
                self._calls.begin(job)
                return False
            return True
        if job.state >= FINAL:
            return False
        return self._calls.recoveries.answered(job, found.row if found is not None and found.whole else None)

    def _take(self, job: Job, found: Found) -> bool:
        calls = self._calls
        if found.whole:
            calls.cache.source.refresh()
        self._fetched.objects = found.objects
        hit = calls.cache.take(job, found.row, self._fetched, found.whole)
        if hit is None:
            return False
        calls.log.cached(job, found.place)
        job.replayed = True
        recorder = job.recorder
        if hit.ultimate is not None:
            assert hit.call is not None
            assert hit.call_data is not None
            recorder.needs_object(hit.call, hit.call_data)
            recorder.memo(job, hit.call, hit.ultimate.reduction)
            calls.take_whole(job, hit)
            return True
        self._rely(job, hit)
        calls.reduce(job, hit.value, hit.ref, hit.flags)
        return True

    def _rely(self, job: Job, hit: Hit) -> None:
        if hit.flags & Flag.EXPRESSION:
            if hit.ref[0] == LINK_MARK:
                job.recorder.needs_object(hit.ref[1:], hit.data)
            # Whatever becomes of this run, the next one need not ask.
            job.recorder.reduction(job, hit.ref)
        elif hit.ref[0] == LINK_MARK:
            job.recorder.needs_value(hit.ref, hit.value)


__all__ = ["Answers", "Ask", "Fetched", "Found", "Places", "Others"]
