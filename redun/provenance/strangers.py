"""What came from somebody who is not trusted: it is shown as what it says it is, and never made into values.

A pull notes the objects that came without trust in the table `foreign` (`redun.sharing`). Small values live inside others and have no row of
their own: where there is anything foreign in a store, all of these are taken for foreign.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from redun.store.ids import LINK_MARK

FOREIGN = "foreign"


def foreign_values(store: Any) -> Callable[[bytes], bool]:
    """Return a function that tells of the ref of a value whether it came from somebody who is not trusted.

    Args:
        store: the store; one with `foreign` set is a remote that is only looked at.
    """
    if getattr(store, "foreign", False):
        return lambda ref: True
    table = store.source.table(FOREIGN)
    known: list[bool] = []

    def is_foreign(ref: bytes) -> bool:
        if not known:
            known.append(any(row for _, row in table.scan()))
        return known[0] and (ref[0] != LINK_MARK or bool(table.get(ref[1:])))

    return is_foreign
