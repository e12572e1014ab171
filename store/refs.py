"""Names of refs: like git's, a path of harmless parts."""

from __future__ import annotations

import re

from redun.store.errors import StoreError

_PART = re.compile(r"[A-Za-z0-9._-]+\Z")


def check_ref_name(name: str) -> None:
    """Refuse names that could reach outside or mean something else in a file system.

    Raises:
        StoreError: names the part that is wrong.
    """
    for part in name.split("/"):
        if not _PART.match(part) or part in (".", ".."):
            raise StoreError(
                f"ref name {name!r} is not valid: each part must be of letters, digits, '.', '_', '-', found {part!r}"
            )
