"""How two states of a ref lie to each other: an execution grows by segments, a tag never moves."""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum

from redun.store.errors import ObjectNotFound
from redun.store.journal import decode_segment
from redun.store.objects import Kind, split


class Relation(Enum):
    """What one state of a ref is to another."""

    SAME = "same"
    AHEAD = "ahead"
    BEHIND = "behind"
    APART = "apart"


def leads_to(get: Callable[[bytes], bytes], head: bytes, other: bytes) -> bool:
    """Tell whether a segment is, or comes after, another one.

    Args:
        get: returns an object; where it knows one no more, the chain ends there.
    """
    at: bytes | None = head
    while at is not None:
        if at == other:
            return True
        try:
            data = get(at)
        except ObjectNotFound:
            return False
        if split(data)[0] is not Kind.SEGMENT:
            return False
        at = decode_segment(data).parent
    return False


def relation(get: Callable[[bytes], bytes], mine: bytes, theirs: bytes) -> Relation:
    """Tell what my state of a ref is to theirs."""
    if mine == theirs:
        return Relation.SAME
    if leads_to(get, mine, theirs):
        return Relation.AHEAD
    return Relation.BEHIND if leads_to(get, theirs, mine) else Relation.APART
