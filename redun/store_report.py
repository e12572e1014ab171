"""What a store holds and what makes it grow: behind `redun store info`."""

from __future__ import annotations

import heapq
import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from redun.errors import RedunError
from redun.eviction import TaskNames, results
from redun.store.gc import Census, Plan
from redun.store.object_graph import ObjectGraph, Progress, silent
from redun.store.objects import Kind

if TYPE_CHECKING:
    from redun.store.repository import Store


@dataclass
class LargeValue:
    """A value that takes much room.

    Attributes:
        id: 40 digits. size: bytes, blocks that only it has included.
        tasks: names of the tasks that returned it, or were given it if none did.
    """

    id: str
    size: int
    tasks: list[str] = field(default_factory=list)


@dataclass
class Growth:
    """What an execution added.

    Attributes:
        execution: UUID. objects, size: how many objects it was the first to lead to, and their bytes.
        start_us: UTC microseconds. argv: its command line.
    """

    execution: str
    objects: int
    size: int
    start_us: int
    argv: tuple[str, ...]


@dataclass
class StoreReport:
    """What a store holds.

    Attributes:
        folder, format: where it is, number of its form on disk.
        census: objects and bytes by kind.
        file_size, file_used: bytes of `data.mdb`, and of the pages in use in it; blobs_size: of files beside it.
        unreached: objects that nothing leads to, and their bytes: the next gc deletes them.
        values: the largest ones, first the largest. tasks: (name, results, bytes), first what takes most.
        growth: executions that are there, newest first.
    """

    folder: str
    format: int
    census: Census
    file_size: int
    file_used: int
    blobs_size: int
    unreached: tuple[int, int]
    values: list[LargeValue]
    tasks: list[tuple[str, int, int]]
    growth: list[Growth]


def report(store: Store, most: int = 10, progress: Progress = silent) -> StoreReport:
    """Look through a store.

    Args:
        most: how many values, tasks and executions to name.

    Raises:
        StoreError: it is in memory, or cannot be read.
    """
    plan = Plan(store, progress=progress)
    graph = plan.graph
    everything = bytearray(b"\1" * graph.count)
    sizes = _with_parts(graph)
    census = plan.report().before
    environment = plan.source.environment()
    unreached = [number for number in range(graph.count) if not plan.live[number]]
    growth = _growth(store, plan, most)
    return StoreReport(
        folder=str(store.folder),
        format=environment.format,
        census=census,
        file_size=os.stat(plan.source.folder / "data.mdb").st_size,
        file_used=environment.used_bytes(),
        blobs_size=sum([status.st_size for _, _, status in plan.source.blobs.files()]),
        unreached=(len(unreached), sum([graph.sizes[number] for number in unreached])),
        values=_largest(store, graph, everything, sizes, most),
        tasks=_tasks(store, graph, everything, sizes)[:most],
        growth=growth,
    )


def _with_parts(graph: ObjectGraph) -> dict[int, int]:
    """Return the bytes of values with the blocks that they link: number -> bytes, for values that link any."""
    found = {}
    for number in graph.of_kind(Kind.VALUE):
        targets = graph.targets(number)
        if targets:
            found[number] = graph.sizes[number] + sum([graph.sizes[target] for target in targets])
    return found


def _size(graph: ObjectGraph, sizes: dict[int, int], number: int) -> int:
    return sizes.get(number, graph.sizes[number])


def _largest(store: Store, graph: ObjectGraph, live: bytearray, sizes: dict[int, int], most: int) -> list[LargeValue]:
    parts = {target for number in sizes for target in graph.targets(number)}
    whole = (number for number in graph.of_kind(Kind.VALUE) if number not in parts)
    top = heapq.nlargest(most, whole, key=lambda number: (_size(graph, sizes, number), -number))
    names = TaskNames(store.source)
    returned: dict[int, set[str]] = {number: set() for number in top}
    given: dict[int, set[str]] = {number: set() for number in top}
    for number, record, values in results(store.source, graph, live):
        for target in graph.targets(number):
            if target in returned:
                (returned if target in values else given)[target].add(names.of(record.task))
    return [
        LargeValue(graph.id(number).hex(), _size(graph, sizes, number), sorted(returned[number] or given[number]))
        for number in top
    ]


def _tasks(store: Store, graph: ObjectGraph, live: bytearray, sizes: dict[int, int]) -> list[tuple[str, int, int]]:
    """Return name, number of distinct stored results, and their bytes for each task, first what takes most."""
    names = TaskNames(store.source)
    found: dict[str, set[int]] = {}
    for _, record, values in results(store.source, graph, live):
        if values:
            found.setdefault(names.of(record.task), set()).update(values)
    listed = []
    for name, values_of in found.items():
        listed.append((name, len(values_of), sum([_size(graph, sizes, number) for number in values_of])))
    return sorted(listed, key=lambda row: (-row[2], row[0]))


def _growth(store: Store, plan: Plan, most: int) -> list[Growth]:
    from redun.provenance import Provenance

    executions = list(Provenance(store).executions())
    heads: dict[str, list[bytes]] = {}
    for name, oid in plan.heads().items():
        heads.setdefault(name.split("/")[1], []).append(oid)
    met = bytearray(plan.graph.count)
    found = []
    for execution in reversed(executions):
        numbers = [plan.graph.number(oid) for oid in heads.get(execution.id, ())]
        try:
            count, size = plan.graph.reach([number for number in numbers if number >= 0], met)
        except RedunError:
            continue
        found.append(Growth(execution.id, count, size, execution.start_us, execution.argv))
    return found[::-1][:most]
