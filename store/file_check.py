"""Whether `data.mdb` hangs together: what opening asks of every file, and what it asks of one whose last writer was killed."""

from __future__ import annotations

from pathlib import Path

from redun.store.heads import Meta, read_metas
from redun.store.pages import FREE, MAIN, Snapshot

_LOOKS = 20
_SMALL_BYTES = 32 << 20


def check_head(path: Path) -> str | None:
    """Look at what LMDB believes when it opens a file, at the price of three pages. Safe beside writers.

    A head page that is wrong makes LMDB refuse the file or, worse, take the snapshot before the last for the newest: then
    acknowledged commits are gone, silently. The two head pages bear consecutive numbers of transactions, and each transaction but
    the first frees some pages under its own number, so a wrong one shows.

    Returns:
        What is wrong; None if nothing is, or if the file is none of LMDB's (LMDB says that better).
    """
    wrong: str | None = None
    for _ in range(_LOOKS):
        # What is seen while somebody commits may contradict itself, but not time and again.
        try:
            metas = read_metas(path)
        except OSError:
            return None
        sound = [meta for meta in metas if isinstance(meta, Meta)]
        if not sound:
            return None
        try:
            wrong = _contradiction(metas, sound, path)
        except OSError:
            return None
        if wrong is None:
            return None
    return wrong


def _contradiction(metas: list[Meta | str], sound: list[Meta], path: Path) -> str | None:
    for number, meta in enumerate(metas):
        if not isinstance(meta, Meta):
            return f"head page {number} is not what it was: {meta}"
    first, second = sorted(meta.transaction for meta in sound)
    if second and (second - first != 1 or any(meta.transaction % 2 != meta.page for meta in sound)):
        return f"its two head pages state transactions {sound[0].transaction} and {sound[1].transaction}"
    newest = max(sound, key=lambda meta: meta.transaction)
    needed, found = (newest.last_page + 1) * newest.page_size, path.stat().st_size
    if found < needed:
        return f"data.mdb has {found} bytes, its header says {needed}: it was cut short"
    if newest.transaction < 2:
        return None
    try:
        with Snapshot(path, newest) as snapshot:
            freed = snapshot.newest_freed()
            problems = [one for one in snapshot.problems if one.table in (MAIN, FREE)]
    except (OSError, ValueError) as error:
        return str(error)
    if problems:
        return problems[0].what
    if freed != newest.transaction:
        return f"its newest head page states transaction {newest.transaction}, but the last one that freed pages was {freed}"
    return None


def check_pages(path: Path) -> str | None:
    """Check the pages of a file that nobody writes; return what is wrong with the first wrong one.

    Everything in a small file; in a large one what may be looked at in a second: all branches, and the heads of leaves.
    """
    try:
        with Snapshot(path) as snapshot:
            snapshot.shallow = path.stat().st_size > _SMALL_BYTES
            problems = snapshot.check()
    except (OSError, ValueError) as error:
        return str(error)
    if not problems:
        return None
    more = f", and {len(problems) - 1} more" if len(problems) > 1 else ""
    return f"table {problems[0].table!r}: {problems[0].what}{more}"
