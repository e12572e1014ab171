"""Errors of the read side."""

from __future__ import annotations

from collections.abc import Sequence

from redun.errors import RedunError
from redun.provenance.model import Candidate


class NotRecorded(RedunError, LookupError):
    """Nothing in the store goes by this name."""


class AmbiguousId(RedunError, LookupError):
    """An id prefix fits several things.

    Args:
        prefix: what was asked for.
        candidates: what it may mean.
        more: True if there are further ones.
    """

    def __init__(self, prefix: str, candidates: Sequence[Candidate], more: bool = False) -> None:
        count = f"{len(candidates)} or more things" if more else f"{len(candidates)} things"
        super().__init__(f"{prefix!r} is the beginning of {count}: give more digits")
        self.prefix = prefix
        self.candidates = tuple(candidates)
        self.more = more
