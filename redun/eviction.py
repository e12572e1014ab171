"""Which values to drop when a store is to become smaller although all of it is wanted: the least recently used ones.

A value may be dropped if a call that stays returned it: the call is its recipe, and says which task with which arguments gives it
again. It was used last by the newest execution of which a job made a call that returned it or was given it; of the values of one
execution the largest goes first. What is only an argument stays, and so do results of failed calls, values of executions that run,
and what pins lead to.

What a value drags along, blocks of arrays and the like, goes with it.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Collection, Iterator
from typing import TYPE_CHECKING

from redun.errors import RedunError
from redun.records import CallRecord, ExecutionRecord, TaskRecord
from redun.store.errors import StoreError
from redun.store.ids import LINK_MARK
from redun.store.journal import decode_segment
from redun.store.object_graph import ObjectGraph
from redun.store.objects import Kind

if TYPE_CHECKING:
    from redun.store.gc import Plan
    from redun.store.repository import Store
    from redun.store.sources.base import Source


def choose(store: Store, limit_bytes: int | None, tasks: Collection[str] = ()) -> Callable[[Plan], list[int]]:
    """Return what tells a gc which values to drop, least recently used first.

    Args:
        limit_bytes: how many bytes of objects may stay; None: no value of `tasks` stays.
        tasks: names of the tasks whose results may go, full or their last parts; of all tasks, if there are none.
    """

    def chosen(plan: Plan) -> list[int]:
        graph, live = plan.graph, plan.live
        total = sum([size for size, stays in zip(graph.sizes, live, strict=True) if stays])
        if limit_bytes is not None and total <= limit_bytes:
            return []
        used, may_go = _uses(store.source, graph, live, tasks)
        spared = plan.pinned()
        for name, head in plan.heads().items():
            if store.is_alive(name.split("/")[1]):
                graph.reach([number for number in [graph.number(head)] if number >= 0], spared)
        candidates = [number for number in range(graph.count) if may_go[number] and not spared[number]]
        candidates.sort(key=lambda number: (used[number], -graph.sizes[number], number))
        if limit_bytes is None:
            return candidates
        referrers = _referrers(graph, live)
        taken = []
        for number in candidates:
            if total <= limit_bytes:
                break
            taken.append(number)
            total -= _freed(graph, number, referrers)
        return taken

    return chosen


def results(source: Source, graph: ObjectGraph, live: bytearray) -> Iterator[tuple[int, CallRecord, list[int]]]:
    """Yield the calls that have stored values: number, record, number of the result if that is one.

    A reduction that is not the result is an expression, and as such part of the recipe.
    """
    kinds = graph.kinds
    for number in graph.of_kind(Kind.CALL):
        if not live[number] or not any(kinds[target] == Kind.VALUE for target in graph.targets(number)):
            continue
        try:
            record = CallRecord.decode(source.get(graph.id(number)))
        except StoreError:
            continue
        value = graph.number(record.result[1:]) if record.result[0] == LINK_MARK else -1
        yield number, record, [value] if value >= 0 else []


class TaskNames:
    """Names of tasks by id; read once each."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._names: dict[bytes, str] = {}

    def of(self, task: bytes) -> str:
        """Return a task's fullname, "" if it cannot be read."""
        if task not in self._names:
            try:
                self._names[task] = TaskRecord.decode(self._source.get(task)).fullname
            except RedunError:
                self._names[task] = ""
        return self._names[task]


def last_uses(source: Source, graph: ObjectGraph, live: bytearray) -> array[int]:
    """Return for each call when the newest execution began of which a job made it, UTC microseconds; 0: never."""
    used = array("Q", bytes(8 * graph.count))
    begun: dict[bytes, int] = {}
    for number in graph.of_kind(Kind.SEGMENT):
        if not live[number]:
            continue
        try:
            segment = decode_segment(source.get(graph.id(number)))
            if segment.execution not in begun:
                begun[segment.execution] = ExecutionRecord.decode(source.get(segment.execution)).start_us
        except StoreError:
            continue
        start_us = begun[segment.execution]
        for job in segment.jobs:
            call = -1 if job.call is None else graph.number(job.call)
            if call >= 0 and start_us > used[call]:
                used[call] = start_us
    return used


def _uses(source: Source, graph: ObjectGraph, live: bytearray, tasks: Collection[str]) -> tuple[array[int], bytearray]:
    """Return for each value when it was used last, and a byte that says whether it may go."""
    from redun.provenance import matches_name

    used = last_uses(source, graph, live)
    may_go = bytearray(graph.count)
    names = TaskNames(source)
    for number, record, values in results(source, graph, live):
        for target in graph.targets(number):
            if graph.kinds[target] == Kind.VALUE and used[number] > used[target]:
                used[target] = used[number]
        if record.failed or (tasks and not any(matches_name(names.of(record.task), name) for name in tasks)):
            continue
        for value in values:
            may_go[value] = 1
    return used, may_go


def _referrers(graph: ObjectGraph, live: bytearray) -> array[int]:
    """Return for each object how many that stay link it."""
    counts = array("I", bytes(4 * graph.count))
    for number in range(graph.count):
        if live[number]:
            for target in graph.targets(number):
                counts[target] += 1
    return counts


def _freed(graph: ObjectGraph, number: int, referrers: array[int]) -> int:
    """Return the bytes of a value and of what only it leads to, and take note that it is gone."""
    freed = 0
    stack = [number]
    while stack:
        at = stack.pop()
        freed += graph.sizes[at]
        for target in graph.targets(at):
            referrers[target] -= 1
            if not referrers[target]:
                stack.append(target)
    return freed
