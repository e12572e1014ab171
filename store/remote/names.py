"""Names inside a remote that come from outside, checked before they become paths, keys or refs."""

from __future__ import annotations

import re
from typing import Any

from redun.store.errors import RemoteDamaged, StoreError
from redun.store.objects import Kind
from redun.store.refs import check_ref_name

_PACK = re.compile(r"[0-9a-f]{64}-[0-9a-f]{8,32}\Z")
_INDEX = re.compile(r"idx/[0-9a-f]{64}\Z")
_UUID = r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"
_REF = re.compile(
    rf"(?:executions/{_UUID}(?:/[0-9a-f]{{16}})?|tags/[a-z]{{1,20}}/[0-9a-f]{{32,40}}/[0-9a-f]{{40}}|pins/(?:[a-z]{{1,20}}/)?[0-9a-f-]{{32,40}})\Z"
)
SHARED_REFS = ("executions/", "tags/", "pins/")
"""Beginnings of the refs that travel."""


def check_pack_name(name: Any) -> str:
    """Return the name of a pack.

    Raises:
        ValueError: it is none.
    """
    if type(name) is not str or not _PACK.match(name):
        raise ValueError(f"{str(name)[:80]!r} is no name of a pack")
    return name


def check_index_name(name: Any) -> str:
    """Return the name of an index.

    Raises:
        ValueError: it is none.
    """
    if type(name) is not str or not _INDEX.match(name):
        raise ValueError(f"{str(name)[:80]!r} is no name of an index")
    return name


def check_shared_ref(name: Any) -> str:
    """Return the name of a ref that may travel.

    Raises:
        ValueError: it is none.
    """
    if type(name) is not str or not _REF.match(name):
        raise ValueError(f"{str(name)[:80]!r} is no name of an execution, tag or pin")
    try:
        check_ref_name(name)
    except StoreError as error:
        raise ValueError(str(error)) from None
    return name


_HEADS = {"executions": Kind.SEGMENT, "tags": Kind.TAG}


def check_head(name: str, data: bytes, where: str) -> None:
    """Refuse a ref that names another kind of object than refs of its kind do.

    Raises:
        RemoteDamaged: says so.
    """
    wanted = _HEADS.get(name.partition("/")[0])
    if wanted is not None and data[:1] != bytes((wanted,)):
        raise RemoteDamaged(f"{where}: {name!r} does not name a {wanted.name.lower()}: it is damaged or made to harm")


def log_name(seq: int) -> str:
    """Return the name of a log entry."""
    return f"log/{seq:012d}"


def checkpoint_name(seq: int) -> str:
    """Return the name of a checkpoint."""
    return f"ckpt/{seq:012d}"


def seq_of(name: str, url: str) -> int:
    """Return the number in the name of a log entry or checkpoint.

    Raises:
        RemoteDamaged: it has none.
    """
    digits = name.partition("/")[2]
    if len(digits) != 12 or not digits.isdigit() or not digits.isascii():
        raise RemoteDamaged(f"{name[:80]!r} in remote {url!r} is no entry of its log: remove it, or choose another place")
    return int(digits)
