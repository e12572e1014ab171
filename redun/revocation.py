"""A signer who is not believed any more: what it brought here is not used from now on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from redun.journal_memo import journal_memo
from redun.memo_rebuild import DISOWNED, segments_in_order, taken_in
from redun.provenance.strangers import FOREIGN
from redun.store.errors import StoreError
from redun.store.keys import fingerprint
from redun.store.reach import reachable
from redun.store.sources.base import Batch
from redun.travel import EXECUTIONS, UNTRUSTED

if TYPE_CHECKING:
    from redun.store.repository import Store
    from redun.store.sources.base import Source


def disown(store: Store, mark: str) -> tuple[int, int]:
    """Take back what a signer's executions told the memo, and what runs took from them; the executions stay here to be looked at.

    Args:
        mark: fingerprint of the signer.

    Returns:
        how many executions that were, and how many results of runs here.

    Raises:
        StoreError: the store cannot be read or written.
    """
    source = store.source
    taken = _disown_taken(source, mark)
    theirs = pulled_from(source, mark)
    if not theirs:
        return 0, taken
    forget: set[bytes] = set()
    for name in theirs:
        head = source.read_ref(name)
        if head is None or not name.startswith(EXECUTIONS):
            continue
        try:
            forget.update(key for key, row in journal_memo(source, head) if source.memo_get(key) == row)
        except StoreError:
            # What is damaged in their journals leads nowhere in the memo either.
            continue
    source.commit(Batch(forget=forget))
    source.table(UNTRUSTED).put_many([(name.encode(), repo.encode()) for name, repo in theirs.items()])
    heads = dict(source.refs())
    kept = reachable(source, [head for name, head in heads.items() if name not in theirs])
    brought = reachable(source, [heads[name] for name in theirs if name in heads])
    repo = next(iter(theirs.values())).encode()
    source.table(FOREIGN).put_many([(oid, repo) for oid in brought if oid not in kept])
    return len({name.split("/")[1] for name in theirs if name.startswith(EXECUTIONS)}), taken


def _disown_taken(source: Source, mark: str) -> int:
    """Forget results that runs here took from repos, as a signer had said so."""
    forget: set[bytes] = set()
    for segment in segments_in_order(source):
        for signer, keys in taken_in(segment):
            if fingerprint(signer) == mark:
                forget.update(key for key in keys if source.memo_get(key) is not None)
                source.table(DISOWNED).put_many([(signer, b"")])
    if forget:
        source.commit(Batch(forget=forget))
        source.refresh()
    return len(forget)


def pulled_from(source: Source, mark: str) -> dict[str, str]:
    """Return the refs that were last set by a pull of what a signer signed, with the names of the repos."""
    found: dict[str, str] = {}
    for entry in source.reflog():
        words = entry.message.split()
        signer = bytes.fromhex(words[2]) if len(words) == 3 and words[0] == "pull" and len(words[2]) == 64 else b""
        if signer and fingerprint(signer) == mark:
            found[entry.name] = words[1]
        else:
            found.pop(entry.name, None)
    return found
