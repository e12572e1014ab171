"""Checkpoints: the sum of the log every 100 entries, so that a new reader need not read it from the start.

Whoever writes entry 100, 200, ... writes the checkpoint after it, put-if-absent; if that fails nothing is lost, and the next one covers
more entries. The indexes since the last checkpoint become one run, cut by id into parts; as long as the last run is at most twice as
large, it is merged in, too. So the number of runs grows with the logarithm of the number of objects, and an object's row is written as
often as that.
"""

from __future__ import annotations

from collections.abc import Callable

from redun.store.errors import RemoteError, StoreError
from redun.store.remote.backends.base import patiently
from redun.store.remote.index import Index, decode_index, encode_index, index_name
from redun.store.remote.log import (
    CHECKPOINT_EVERY,
    ENTRY_LIMIT,
    Checkpoint,
    IndexFact,
    PackFact,
    Shard,
    decode_checkpoint,
    verified,
)
from redun.store.remote.names import checkpoint_name, seq_of
from redun.store.remote.remote import Remote

_GROWTH = 2
_MOST_MERGED = 2_000_000
"""Runs of more rows stay as they are: merging takes memory for all of them."""
_ROW_BYTES = 25


def checkpoint_if_due(remote: Remote, said: Callable[[str], None] = lambda text: None) -> bool:
    """Write a checkpoint if the last entry calls for one.

    Args:
        said: is told if it could not be written.

    Returns:
        True if one was written.
    """
    if not remote.seq or remote.seq % CHECKPOINT_EVERY:
        return False
    try:
        return write_checkpoint(remote)
    except (RemoteError, StoreError) as error:
        said(f"the checkpoint after entry {remote.seq} could not be written, the next one will do: {error}")
        return False


def write_checkpoint(remote: Remote) -> bool:
    """Sum up the log as far as it was taken in.

    Returns:
        False if somebody else did it.

    Raises:
        RemoteError: the remote cannot be read or written.
    """
    known = remote.known
    names = patiently(lambda: remote.backend.names("ckpt/"))
    last: Checkpoint | None = None
    before = 0
    if names:
        before = seq_of(names[-1], remote.backend.url)
        if before >= known.seq:
            return False
        where = f"{remote.where}: checkpoint {before}"
        last = decode_checkpoint(remote.file(checkpoint_name(before), ENTRY_LIMIT), where)
        signer = verified(last, where, remote.secret)
        last.runs = [[shard.said_by(signer) for shard in run] for run in last.runs]
    facts, fresh = _since(remote, before, known.seq)
    packs = {
        pack.name: pack for pack in (*(last.packs if last is not None else ()), *facts) if remote.mirror.is_alive(pack.name)
    }
    runs = [list(run) for run in last.runs if run] if last is not None else []
    vouchers: dict[bytes, None] = {}
    while runs and _rows(runs[-1]) <= min(_GROWTH * len(fresh), _MOST_MERGED):
        older = Index()
        for shard, data in zip(runs[-1], remote.each(remote.index_bytes, [shard.part for shard in runs[-1]]), strict=True):
            older.update(_alive(remote, decode_index(data, f"{remote.where}: {shard.part.name}")))
        older.update(fresh)
        fresh = older
        vouchers.update(dict.fromkeys(runs.pop()[0].vouchers))
    # Rows of packs that are gone may stay in runs that are not merged: readers know which packs there are.
    if len(fresh):
        runs.append(_write_run(remote, fresh, tuple(vouchers)))
    made = Checkpoint(
        known.remote,
        known.seq,
        known.digest,
        list(packs.values()),
        list(remote.mirror.ref_facts()),
        runs,
    )
    data = made.encode(remote.writer)
    return patiently(lambda: remote.backend.put_new(checkpoint_name(known.seq), data))


def _write_run(remote: Remote, index: Index, vouchers: tuple[bytes, ...]) -> list[Shard]:
    parts = list(index.split())
    encoded = remote.each(encode_index, parts)
    remote.each(lambda data: patiently(lambda: remote.backend.put_new(index_name(data), data)), encoded)
    firsts = [min([*part.places, *part.absent, *[key for key, _ in part.claims]], default=b"") for part in parts]
    # What comes before the first id belongs to the first part.
    firsts[0] = b""
    return [Shard(first, IndexFact(index_name(data), len(data)), vouchers) for first, data in zip(firsts, encoded, strict=True)]


def _rows(run: list[Shard]) -> int:
    """Return about how many rows a run has, from the sizes of its files."""
    return sum([shard.part.size for shard in run]) // _ROW_BYTES


def _since(remote: Remote, before: int, seq: int) -> tuple[list[PackFact], Index]:
    """Return the packs and objects that entries after a checkpoint added."""
    facts: list[PackFact] = []
    found = Index()
    for number in range(before + 1, seq + 1):
        recent = remote.mirror.recent(number)
        if recent is None:
            entry = remote.entry(number)
            indexes = [entry.inline] if entry.inline else remote.each(remote.index_bytes, entry.indexes)
            recent = entry.writer, entry.packs, indexes
        signer, packs, indexes = recent
        facts += packs
        for data in indexes:
            index = _alive(remote, decode_index(data, f"{remote.where}: index of entry {number}"))
            found.update(index.said_by(signer, number))
    return facts, found


def _alive(remote: Remote, index: Index) -> Index:
    """Return an index without what lies in packs that are gone, so that it does not stand before what is known otherwise."""
    return index.without([name for name in index.packs if not remote.mirror.is_alive(name)])
