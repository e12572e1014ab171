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
        listing: what tells them apart, each on a line of its own that begins with a line break; their kinds and ids by default.
    """

    def __init__(self, prefix: str, candidates: Sequence[Candidate], more: bool = False, listing: str | None = None) -> None:
        if listing is None:
            listing = "".join([f"\n  {candidate.kind} {candidate.id}" for candidate in candidates])
        if more:
            listing += "\n  ... and more"
        super().__init__(f"id prefix {prefix!r} is ambiguous, give more digits; it may be:{listing}")
        self.prefix = prefix
        self.candidates = tuple(candidates)
        self.more = more


class NotTrusted(RedunError):
    """A value came from somebody who is not trusted, and is not made into a Python value: that might run their code.

    Args:
        value_id: 40 hex digits.
    """

    def __init__(self, value_id: str) -> None:
        super().__init__(
            f"value {value_id[:8]} came from a repo without a signature that is trusted, so it is not loaded: that might run code of "
            "whoever pushed it; 'redun keys list' shows who that is, 'redun keys trust' trusts them"
        )
