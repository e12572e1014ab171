"""The rules that keep a remote whole while many push, pull and collect garbage there at once: what follows from what is known.

They are functions without requests, so that `tests/faults/test_remote_model.py` can run them through a million interleavings. What
they rest on: entries of the log have one order, and whoever adds one has seen all before it.

1. An object that the indexes name is there with all that it leads to. A push stops walking where something is there already.
2. Whoever relied on a pack (found something there, or sent it) and then sees an entry that drops it, plans again: `outdated`.
3. An entry is written within half the grace of the first of its packs: `in_time`. So a gc beside it does not see its packs as left over.
4. A gc drops packs by an entry first: those that are not wanted, and those that nobody named for the whole grace. Only then it deletes
   them, the former after the grace, so that those who read need not start again: `may_delete`.
5. What a gc keeps obeys 1, garbage in packs that stay included: `packs_to_keep`. What came in while it planned is wanted, too.

Rule 3 needs clocks that are not hours apart; should they be, rule 4's entry still comes before the deletion, and rule 2 notices.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping

from redun.store.remote.log import Entry

GRACE_US = 24 * 3600 * 1_000_000
"""A remote gc deletes what no entry names only after so long."""
DEADLINE_US = GRACE_US // 2 - 3600 * 1_000_000
"""So an entry is written within half of it after the first of its packs was sent, an hour less for slow clocks."""
ALIVE_SHARE = 0.5
"""A pack of which less is wanted is written anew."""


def outdated(
    entry: Entry,
    relied: Collection[str],
    is_alive: Callable[[str], bool],
    was_dropped: Callable[[str], bool],
    ref: Callable[[str], bytes | None],
) -> str:
    """Tell why an entry does not fit what is known by now; empty if it does. Asked before each attempt to write it.

    What counts is what is known, not which entries were quicker: an entry of our own may have been written with its answer lost, others
    may have come after it, and another process of this machine may have taken in all of them.

    Args:
        relied: names of packs in which something was found; "" stands for what was known to be elsewhere.
        is_alive: tells of a pack whether the log names it. was_dropped: whether an entry dropped it.
        ref: returns what a ref names.
    """
    if any(name and not is_alive(name) for name in relied) or any(was_dropped(pack.name) for pack in entry.packs):
        return "packs that were relied on are gone"
    return "a ref was moved meanwhile" if any(ref(move.name) != move.old for move in entry.refs) else ""


def in_time(since_us: int | None, now_us: int | None) -> bool:
    """Tell whether an entry may be written.

    Args:
        since_us: when the first of its packs was sent, None if there is none. now_us: the time; both by the place's clock.
    """
    return since_us is None or now_us is None or now_us - since_us <= DEADLINE_US


def may_resume(sent_us: int, now_us: int | None) -> bool:
    """Tell whether a pack that an interrupted push sent may still be named: there must be time left for the rest."""
    return now_us is None or now_us - sent_us < DEADLINE_US // 2


def may_delete(written_us: int | None, dropped_us: int | None, now_us: int, grace_us: int) -> bool:
    """Tell whether the file of a pack may be deleted that is not named any more, or never was.

    Args:
        written_us: when the file was written, None if the place does not tell. dropped_us: when the entry that dropped it was, None if
            none did.
    """
    since = dropped_us if dropped_us is not None else written_us
    return grace_us == 0 or (since is not None and since + grace_us <= now_us)


def packs_to_keep(
    shares: Mapping[str, float], outside: Mapping[str, Collection[bytes]], homes: Callable[[bytes], Iterable[str]]
) -> set[str]:
    """Choose the packs that stay as they are; what is wanted of the others is written anew.

    Args:
        shares: of each pack, how much of it is wanted, 0 to 1.
        outside: of packs with objects that are not wanted: what those link and is not wanted either.
        homes: returns the packs that hold an object.

    Returns:
        The packs that are wanted enough, without those whose garbage would then lead to what is not there.
    """
    keep = {name for name, share in shares.items() if share >= ALIVE_SHARE}
    while True:
        broken = [name for name in keep if any(keep.isdisjoint(homes(oid)) for oid in outside.get(name, ()))]
        if not broken:
            return keep
        keep.difference_update(broken)


__all__ = ["DEADLINE_US", "GRACE_US", "in_time", "may_delete", "may_resume", "outdated", "packs_to_keep"]
