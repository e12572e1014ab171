"""Derived tables after a gc: rows that name what is gone are deleted.

Rows are facts that outlive what they name without harm, so whoever updates the tables at the same time may put a few back; the next
gc finds them. Tags that a run that went gave to something that stays are kept in the index until it is made again.

States of handles (`redun.evaluation.handle_states`) stay as long as a journal that stays names a state of the same handle, or one that
was merged with it: what the runs that went have abandoned must not seem valid again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import islice
from typing import TYPE_CHECKING

from redun.provenance.index import Index
from redun.provenance.values import ValueReader
from redun.store.errors import StoreError
from redun.store.ids import ID_BYTES
from redun.store.journal import decode_segment
from redun.store.object_graph import Progress, silent
from redun.store.objects import Flag, Kind

if TYPE_CHECKING:
    from redun.store.gc import Plan
    from redun.store.repository import Store
    from redun.store.sources.base import Table

_AT_ONCE = 5000
_LISTED_AT_ONCE = 50_000
_SEEN = b"seen"


def prune(store: Store, plan: Plan, progress: Progress = silent) -> int:
    """Delete the rows of derived tables that name what a gc has deleted; return how many.

    Args:
        plan: what it did.
    """
    if store.readonly:
        return 0
    source = store.source
    source.refresh()
    there = {name.split("/")[1].replace("-", "") for name, _ in source.refs("executions/")}
    runs = {bytes.fromhex(digits) for digits in there if len(digits) == 32}
    index = Index(source, source, ValueReader(source.get))
    known: dict[bytes, bool] = {}

    def stays(oid: bytes) -> bool:
        found = known.get(oid)
        if found is None:
            # What was dropped to make room is still what a call returned.
            found = known[oid] = source.contains(oid) or plan.source.away(oid) is not None
            if len(known) > 200_000:
                known.clear()
        return found

    zeros = bytes(ID_BYTES)
    tests: list[tuple[Table, Callable[[bytes, bytes], bool]]] = [
        (index.jobs, lambda key, row: row[:16] in runs),
        (index.calls, lambda key, row: key[28:44] in runs),
        (index.parents, lambda key, row: stays(key[:20]) and stays(key[20:40])),
        (index.values, lambda key, row: stays(key[:20] if key[21:41] == zeros else key[21:41])),
        (index.tasks, lambda key, row: stays(key[-ID_BYTES:])),
        (index.runs, lambda key, row: key[20:36] in runs),
        (index.tags, lambda key, row: _is_there(key, runs, index, stays)),
        (index.files, lambda key, row: next(iter(index.values.scan(key[-ID_BYTES:])), None) is not None),
    ]
    count = 0
    for place, (table, holds) in enumerate(tests):
        count += _delete_where(table, _opposite(holds))
        progress("tidying", place + 1, len(tests) + 1)
    count += _prune_handles(plan, source.table("handles"))
    return count


def _is_there(key: bytes, runs: set[bytes], index: Index, stays: Callable[[bytes], bool]) -> bool:
    """Tell whether what a row of `prov_tags` is about is there: kind (1), entity (16 or 20), tag (20)."""
    kind, entity = key[0], key[1:-ID_BYTES]
    if kind == 0:
        return entity in runs
    if kind == 1:
        return index.jobs.get(entity) is not None
    return stays(entity) or (kind == 4 and next(iter(index.values.scan(entity)), None) is not None)


def _opposite(holds: Callable[[bytes, bytes], bool]) -> Callable[[bytes, bytes], bool]:
    return lambda key, row: not holds(key, row)


def _delete_where(table: Table, goes: Callable[[bytes, bytes], bool]) -> int:
    count, start = 0, b""
    while True:
        # A part of what is to go is listed first: a scan holds an old state of the store, and with it the pages that deleting wants.
        rows = table.scan(start=start)
        keys = list(islice((key for key, row in rows if goes(key, row)), _LISTED_AT_ONCE))
        # Nobody else has it: that ends it.
        del rows
        if not keys:
            return count
        count += _delete(table, keys)
        start = keys[-1]


def _delete(table: Table, keys: list[bytes]) -> int:
    for at in range(0, len(keys), _AT_ONCE):
        table.delete_many(keys[at : at + _AT_ONCE])
    return len(keys)


def _prune_handles(plan: Plan, table: Table) -> int:
    rows = [key for key, _ in table.scan() if key != _SEEN]
    if not rows:
        return 0
    neighbours: dict[bytes, list[bytes]] = {}
    for key in rows:
        if key[ID_BYTES : ID_BYTES + 1] in (b"p", b"c"):
            neighbours.setdefault(key[:ID_BYTES], []).append(key[ID_BYTES + 1 :])
    stack = list(_states(plan))
    kept = set(stack)
    while stack:
        for state in neighbours.get(stack.pop(), ()):
            if state not in kept:
                kept.add(state)
                stack.append(state)
    return _delete(table, [key for key in rows if key[:ID_BYTES] not in kept])


def _states(plan: Plan) -> Iterator[bytes]:
    """Yield the states of handles that journals which stay speak of."""
    source = plan.source
    heads = [oid for name, oid in source.refs("executions/")]
    seen: set[bytes] = set()
    while heads:
        oid = heads.pop()
        if oid in seen:
            continue
        seen.add(oid)
        try:
            data = source.get(oid)
            if data[0] != Kind.SEGMENT:
                continue
            segment = decode_segment(data) if data[3] & Flag.HANDLES else None
            heads.extend(source.links(oid)[1:2] or [])  # type: ignore[index]
        except StoreError:
            continue
        for event in segment.handles if segment is not None else ():
            yield event.state
            yield from event.parents or ()
