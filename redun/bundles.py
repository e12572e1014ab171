"""Bundles from and into a store: `redun export -o FILE` and `redun import FILE`. The bytes: `redun.store.remote.bundle`.

An import is trusted like code, as that of lines is: a result may be an expression, and nothing signs a bundle.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, BinaryIO

from redun.journal_memo import new_memo
from redun.store.reach import reachable
from redun.store.remote.bundle import Bundle, read_bundle, write_bundle
from redun.store.remote.log import Writer
from redun.store.sources.base import Batch
from redun.store.who import user_at_host
from redun.travel import Selection, check_vouched, doubtful_refs, memo_elsewhere, movements, select, shared_refs, tags_about

if TYPE_CHECKING:
    from redun.store.repository import Store

_KINDS = ("execution", "job", "call", "task", "value")


def export_bundle(
    store: Store,
    ids: Sequence[str],
    stream: BinaryIO,
    progress: Callable[[int, int], None] = lambda objects, size: None,
) -> Bundle:
    """Write executions and other things with all that they lead to.

    Args:
        ids: what to write; everything if there are none.

    Raises:
        RedunError: an id is not known, or an object is gone.
        OSError: the stream cannot be written.
    """
    source = store.source
    selection = select(store, ids, _KINDS) if ids else Selection(shared_refs(source))
    heads = dict(selection.heads)
    if not ids:
        for name in doubtful_refs(source):
            heads.pop(name, None)
    else:
        check_vouched(source, heads)
        heads.update(tags_about(source, selection.heads, selection.executions, dict(source.refs("tags/"))))

    def memo() -> Iterable[tuple[bytes, bytes]]:
        return memo_elsewhere(source, selection.executions, reachable(source, selection.heads.values())) if ids else ()

    return write_bundle(source, heads, stream, Writer(store.identity(), user_at_host()), memo, progress)


def import_bundle(
    store: Store,
    stream: BinaryIO,
    where: str,
    said: Callable[[str], None] = lambda text: None,
    progress: Callable[[int, int], None] = lambda objects, size: None,
) -> tuple[Bundle, int]:
    """Take in a bundle.

    Args:
        where: names it, for messages.
        said: is told of refs that are here in another state, and stay.

    Returns:
        What came, and how many refs are new.

    Raises:
        StoreError: it is damaged, or the store cannot be written; nothing names what of it was stored.
    """
    source = store.source
    bundle = read_bundle(source, stream, where, progress)
    source.refresh()
    updates, apart = movements(source, bundle.refs, source.get, "import")
    for name in apart:
        said(f"{name} is here in another state and stays as it is")
    moves = [(update.name, update.old, update.new) for update in updates if update.new is not None]
    rows = new_memo(source, moves, bundle.memo.items())
    if updates or rows:
        source.commit(Batch(memo=rows, refs=updates, links=bundle.ids.union([new for _, _, new in moves])))
    return bundle, len(updates)
