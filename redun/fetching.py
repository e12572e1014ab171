"""Values that were left in repos, fetched when they are needed. Light: what knows of remotes is imported when the first one is."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from redun.config import Config
    from redun.elsewhere import Elsewhere
    from redun.store.repository import Store

Said = Callable[[str], None]


@contextmanager
def fetch_when_needed(store: Store, config: Config, said: Said) -> Iterator[None]:
    """Have a store fetch values that were left in repos, as long as this lasts. Nothing is opened before one is needed.

    Args:
        said: is told of repos that cannot be reached.
    """
    source = store.source
    if not hasattr(source, "elsewhere") or store.readonly or not config.get("repos"):
        yield
        return
    opened: list[Elsewhere] = []

    def bring(oid: bytes) -> bool:
        if not opened:
            from redun.elsewhere import Elsewhere

            # Through a source of its own: a commit of the run's would say that it relies on nothing any more.
            opened.append(Elsewhere(store.another(), config, said))
        return opened[0].bring(oid)

    source.elsewhere = bring
    try:
        yield
    finally:
        source.elsewhere = None
        for one in opened:
            one.close()
