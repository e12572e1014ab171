"""What lies upstream and downstream of anything: of an execution, a job, a call, a task, a value, a file.

Upstream follows `redun.provenance.dataflow`, whose steps are explained there. Downstream is the same read backwards. What a call
returned goes to

* the jobs of which an argument was derived from it, as the journal says, and their children that were passed that argument on;
* the parents whose result was derived from it;
* the calls of any execution that were given a registered value (a File) in it. Plain values are followed this way only if it is a
  value that was asked about: that two jobs are given 1 tells nothing.

A job's downstream stays within its execution; that of a call is found in every execution that made it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from uuid import UUID

from redun.provenance.history import History
from redun.provenance.model import Call, Execution, FileUse, Job, Task, Value
from redun.provenance.objects import ObjectReader
from redun.provenance.values import ValueReader
from redun.store.ids import ref_id

Thing = Execution | Job | Call | Task | Value | FileUse
"""Whatever has an upstream and a downstream."""

Slot = int | str | None
Uses = dict[bytes, list[tuple[int, Slot]]]


class Downstream:
    """Walks from calls to those that used what they returned. For one use.

    Args:
        histories: gives the executions in which a call (20-byte id) was made.
        consuming: gives the ids of the calls that were given a value.
        within: the only execution to look at, if there is one.
    """

    def __init__(
        self,
        objects: ObjectReader,
        values: ValueReader,
        histories: Callable[[bytes], Iterable[History]],
        consuming: Callable[[Value], Iterable[bytes]],
        within: History | None = None,
    ) -> None:
        self._objects = objects
        self._values = values
        self._histories = histories
        self._consuming = consuming
        self._within = within
        self._uses: dict[UUID, Uses] = {}
        self._followed: set[tuple[UUID, int, Slot]] = set()

    def calls(self, start: Iterable[bytes], given: Value | None = None) -> Iterator[bytes]:
        """Yield the ids of calls that used the results of some calls, or were given a value; each once, nearest first.

        Args:
            start: ids of calls, not yielded themselves.
            given: a value.
        """
        waiting = deque(start)
        seen = set(waiting)
        reached: Iterable[bytes] = () if given is None else self._consuming(given)
        while True:
            for call in reached:
                if call not in seen:
                    seen.add(call)
                    waiting.append(call)
                    yield call
            if not waiting:
                return
            reached = self._users(waiting.popleft())

    def _users(self, call: bytes) -> Iterator[bytes]:
        for history in self._histories(call) if self._within is None else (self._within,):
            for number, slot in self._uses_in(history).get(call, ()):
                yield from self._call_of(history, number)
                if slot is not None:
                    yield from self._passed_on(history, number, slot)
        record = self._objects.call_record(call)
        if record is None or record.failed or self._within is not None:
            return
        for _, data in self._values.inside(record.result):
            yield from self._consuming(Value(data))

    def _uses_in(self, history: History) -> Uses:
        """Call -> (job, slot) of what was derived from it; None stands for the job's result."""
        key = UUID(history.execution.id)
        found = self._uses.get(key)
        if found is None:
            found = self._uses[key] = {}
            for number, slots in history.upstreams.items():
                for slot, calls in slots.items():
                    for call in calls:
                        found.setdefault(call, []).append((number, slot))
        return found

    def _call_of(self, history: History, number: int) -> Iterator[bytes]:
        job = history.jobs.get(number)
        if job is not None and job.call is not None:
            yield job.call

    def _passed_on(self, history: History, number: int, slot: Slot) -> Iterator[bytes]:
        """Yield the calls below a job that were given its argument, or a part of it, and not what another call returned."""
        waiting = [(number, slot)]
        while waiting:
            parent, at = waiting.pop()
            key = UUID(history.execution.id), parent, at
            held = None if key in self._followed else self._argument(history, parent, at)
            self._followed.add(key)
            if held is None:
                continue
            for child in history.children(parent):
                for place, ref in self._arguments(history, child):
                    if place not in history.upstreams.get(child, {}) and self._values.holds(held, ref_id(ref)):
                        yield from self._call_of(history, child)
                        waiting.append((child, place))

    def _argument(self, history: History, number: int, slot: Slot) -> bytes | None:
        return dict(self._arguments(history, number)).get(slot)

    def _arguments(self, history: History, number: int) -> list[tuple[Slot, bytes]]:
        for call in self._call_of(history, number):
            record = self._objects.call_record(call)
            if record is not None:
                return [*enumerate(record.args), *record.kwargs]
        return []
