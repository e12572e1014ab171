"""Rows of the memo, made again from what journals say: for what comes from elsewhere, and for a store that lost its memo."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from redun.evaluation.cache import memo_row
from redun.records import call_head
from redun.store.errors import RedunError
from redun.store.journal import decode_results
from redun.store.sources.base import Source


def journal_memo(source: Source, head: bytes, until: bytes | None = None) -> Iterator[tuple[bytes, bytes]]:
    """Yield eval hash and row of the memo for all that a journal tells of, newest first: of two rows for one key the first counts.

    Args:
        head: the newest segment.
        until: a segment whose own rows, and older ones, are left out.

    Raises:
        StoreError: a segment or call is gone or damaged.
    """
    at: bytes | None = head
    while at is not None and at != until:
        at, memo, reductions = decode_results(source.get(at))
        for key, call in reversed(memo):
            yield key, memo_row(call, call_head(source.get(call)).reduction)
        for key, ref in reversed(reductions):
            yield key, memo_row(None, ref)


def new_memo(
    source: Source, moves: Iterable[tuple[str, bytes | None, bytes]], pairs: Iterable[tuple[bytes, bytes]]
) -> dict[bytes, bytes]:
    """Return the rows of the memo that come with journals, whose objects are here, and with pairs; what is known here wins.

    Args:
        moves: name, old and new id of refs; those that are no executions are passed over.
        pairs: eval hash and call of what other journals tell of.

    Raises:
        StoreError: a segment or call is gone or damaged.
    """
    rows: dict[bytes, bytes] = {}

    def add(found: Iterable[tuple[bytes, bytes]]) -> None:
        for key, row in found:
            if key not in rows and source.memo_get(key) is None:
                rows[key] = row

    for name, old, new in moves:
        if name.startswith("executions/"):
            add(journal_memo(source, new, old))
    add(call_memo(source, pairs))
    return rows


def call_memo(source: Source, pairs: Iterable[tuple[bytes, bytes]]) -> Iterator[tuple[bytes, bytes]]:
    """Yield eval hash and row of the memo for pairs of eval hash and call; calls that are not here are left out."""
    for key, call in pairs:
        if source.contains(call):
            try:
                yield key, memo_row(call, call_head(source.get(call)).reduction)
            except RedunError:
                # Somebody says of an eval hash that it leads to something that is no call.
                continue
