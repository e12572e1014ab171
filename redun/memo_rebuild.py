"""The memo made again from the journals, for when it is damaged or lost.

Every segment says which eval hashes became known in it (`Segment.memo`, `Segment.reductions`). Followed in the order in which segments
were committed, the newest word on a key is the row that the memo has. Not in any journal, and kept if they are sound: rows that came
with an import, and those of executions that were dropped since.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

from redun.errors import RedunError
from redun.evaluation.cache import NO_CALL, memo_row
from redun.evaluation.others import TAKEN
from redun.records import call_head
from redun.store.ids import ID_BYTES, LINK_MARK
from redun.store.journal import Segment, decode_segment
from redun.store.sources.base import Batch, Source
from redun.travel import doubtful_refs

_EXECUTIONS = "executions/"
_AT_ONCE = 5000
DISOWNED = "disowned"
"""Table: signer, 32 bytes -> empty: what runs took from them is not taken in again."""


def memo_links(row: bytes) -> list[bytes]:
    """List the ids that a memo row leads to: a call, unless its subtree never finished, and a reduction, unless it is inline."""
    call, ref = row[:ID_BYTES], row[ID_BYTES:]
    found = [] if call == NO_CALL else [call]
    if ref[:1] == bytes((LINK_MARK,)):
        found.append(ref[1:])
    return found


def taken_in(segment: Segment) -> Iterator[tuple[bytes, list[bytes]]]:
    """Yield what a segment says of results that were taken from repos while the run went on: signer and keys of the memo."""
    for name, fact in segment.extra:
        if name == TAKEN and isinstance(fact, list) and len(fact) == 2 and all(type(part) is bytes for part in fact):
            yield fact[0], [fact[1][at : at + ID_BYTES] for at in range(0, len(fact[1]), ID_BYTES)]


def segments_in_order(source: Source) -> Iterator[Segment]:
    """Yield all segments that refs lead to, or led to, in the order in which they were committed; what cannot be read is left out."""
    seen: set[bytes] = set()
    # What strangers said of results was never taken in.
    doubtful = doubtful_refs(source)
    movements = ((entry.name, entry.new) for entry in source.reflog())
    for heads in (movements, source.refs(_EXECUTIONS)):
        for name, head in heads:
            if head is None or not name.startswith(_EXECUTIONS) or name in doubtful:
                continue
            fresh: list[Segment] = []
            at: bytes | None = head
            while at is not None and at not in seen:
                seen.add(at)
                try:
                    segment = decode_segment(source.get(at))
                except RedunError:
                    break
                fresh.append(segment)
                at = segment.parent
            yield from reversed(fresh)


def memo_rows(source: Source) -> dict[bytes, bytes]:
    """Return the rows that the journals give. Time and memory grow with all jobs of the store that were not taken from the cache."""
    rows: dict[bytes, bytes] = {}
    without: set[bytes] = set()
    disowned = {signer for signer, _ in source.table(DISOWNED).scan()}
    for segment in segments_in_order(source):
        for key, ref in segment.reductions:
            rows[key] = memo_row(None, ref)
        for key, call in segment.memo:
            try:
                rows[key] = memo_row(call, call_head(source.get(call)).reduction)
            except RedunError:
                continue
        if disowned:
            # Their calls may stand in a later segment.
            without.update(key for signer, keys in taken_in(segment) if signer in disowned for key in keys)
    return {key: row for key, row in rows.items() if key not in without and all(map(source.contains, memo_links(row)))}


def rebuild_memo(source: Source) -> tuple[int, int]:
    """Make the memo again.

    Returns:
        How many rows were written because they were missing or damaged or said something else, and how many the journals give.
    """
    rows = memo_rows(source)
    changed = iter([(key, row) for key, row in rows.items() if source.memo_get(key) != row])
    count = 0
    while some := dict(islice(changed, _AT_ONCE)):
        source.commit(Batch(memo=some))
        count += len(some)
    return count, len(rows)
