"""What every source refuses, so that bytes from outside never reach a key, a file name or another source's limits."""

from __future__ import annotations

import re

from redun.store.errors import StoreError
from redun.store.ids import ID_BYTES
from redun.store.refs import check_ref_name
from redun.store.sources.base import Batch

MAX_TABLES = 24
MAX_KEY_BYTES = 511
MAX_REF_BYTES = 400

_TABLE_NAME = re.compile(r"[a-z_]+\Z")
_WHOLE_IDS = {ID_BYTES}


def check_batch(batch: Batch) -> None:
    """Refuse keys that are no ids, and names that are no refs. A few dozen nanoseconds per id.

    Raises:
        StoreError: says which.
    """
    for what, keys in (
        ("object id", batch.objects),
        ("eval hash", batch.memo),
        ("eval hash", batch.forget),
        ("link", batch.links),
    ):
        if keys and set(map(len, keys)) != _WHOLE_IDS:
            wrong = next(key for key in keys if len(key) != ID_BYTES)
            raise StoreError(f"{what} {wrong!r} has {len(wrong)} bytes, expected {ID_BYTES}")
    for update in batch.refs:
        check_ref_name(update.name)
        if len(update.name) > MAX_REF_BYTES:
            raise StoreError(
                f"ref name {update.name[:40]!r}... has {len(update.name)} characters, expected at most {MAX_REF_BYTES}"
            )
        for oid in (update.old, update.new):
            if oid is not None and len(oid) != ID_BYTES:
                raise StoreError(f"ref {update.name!r} is to hold {oid!r} of {len(oid)} bytes, expected an id of {ID_BYTES}")


def check_table_name(name: str) -> None:
    """Refuse names of tables beyond `a-z_`.

    Raises:
        StoreError: says so.
    """
    if not _TABLE_NAME.match(name):
        raise StoreError(f"table name {name!r} is not valid: expected letters a-z and '_'")


def check_table_keys(name: str, keys: list[bytes]) -> None:
    """Refuse keys that a source could not hold.

    Raises:
        StoreError: a key is empty or longer than 511 bytes.
    """
    lengths = set(map(len, keys))
    if lengths and (min(lengths) < 1 or max(lengths) > MAX_KEY_BYTES):
        raise StoreError(f"keys of table {name!r} have {min(lengths)} to {max(lengths)} bytes, expected 1 to {MAX_KEY_BYTES}")


def after_prefix(prefix: bytes) -> bytes | None:
    """Return the first key behind all keys that begin with a prefix, None if there is none."""
    stripped = prefix.rstrip(b"\xff")
    return stripped[:-1] + bytes((stripped[-1] + 1,)) if stripped else None


def prefix_digits(hex_prefix: str) -> str | None:
    """Return the digits of an id prefix in lower case, None if no id can begin so."""
    digits = hex_prefix.lower()
    return digits if len(digits) <= 2 * ID_BYTES and not digits.strip("0123456789abcdef") else None
