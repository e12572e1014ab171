"""Stores of older formats, brought to the present one.

The row `format` of the table `meta` counts the changes that were made to what stands in a store's folder (docs/format.md, section 9).
Whoever opens an older store for writing upgrades it first, alone: other processes that have it open would go on writing the old form.
Each step is one write transaction that also writes the new number, so a store is never between two formats: a process that is killed
while it upgrades leaves one of the formats, whole, and the next one goes on from there.

A store that can only be read is read as it is: `Environment.format` says which format that is.

To add a step: raise `STORE_FORMAT`, add a function to `_STEPS`, and put a store of the format before into tests/golden.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from redun.store.errors import FormatTooNew, StoreError
from redun.store.rows import guarded, unguarded

STORE_FORMAT = 2
_KEY = b"format"


def read_format(txn: Any, meta: Any, folder: Path) -> int | None:
    """Return the format that a store states, None if it states none.

    Args:
        txn: a transaction of LMDB. meta: its table `meta`, None if there is none.

    Raises:
        FormatTooNew: it is newer than this redun.
    """
    row = None if meta is None else txn.get(_KEY, db=meta)
    if row is None or not row.isdigit() or int(row) < 1:
        return None
    return check_format(int(row), folder)


def check_format(number: int, folder: Path) -> int:
    """Return a format that this redun knows.

    Raises:
        FormatTooNew: it is newer.
    """
    if number > STORE_FORMAT:
        raise FormatTooNew(
            f"store {str(folder)!r} has format {number}, this redun reads up to {STORE_FORMAT}: upgrade redun, or choose another folder"
        )
    return number


def write_format(txn: Any, meta: Any, number: int = STORE_FORMAT) -> None:
    """State a store's format."""
    txn.put(_KEY, str(number).encode(), db=meta)


def upgrade(write: Callable[[Callable[[Any], Any]], Any], tables: dict[str, Any], found: int) -> None:
    """Bring a store to the present format, step by step.

    Args:
        write: runs a function in a write transaction.
        tables: LMDB's handles of all tables by name.
        found: the format that the store has.

    Raises:
        StoreUnavailable: the disk does not take it; the store has one of the formats between, whole.
    """
    for number in range(found, STORE_FORMAT):
        step = _STEPS[number]

        def work(txn: Any, step: Callable[[Any, dict[str, Any]], None] = step, number: int = number) -> None:
            step(txn, tables)
            write_format(txn, tables["meta"], number + 1)

        write(work)


def _keys_under_checksums(txn: Any, tables: dict[str, Any]) -> None:
    """1 to 2: checksums take in the key, those of objects aside. What is damaged stays so; derived rows are made again."""
    for name in ("refs", "reflog", "memo"):
        for key, row in list(txn.cursor(tables[name])):
            content = unguarded(row)
            if content is not None:
                txn.put(key, guarded(content, key), db=tables[name])
    for name, handle in tables.items():
        if name.startswith("t_"):
            txn.drop(handle, delete=False)


_STEPS: dict[int, Callable[[Any, dict[str, Any]], None]] = {1: _keys_under_checksums}

if sorted(_STEPS) != list(range(1, STORE_FORMAT)):
    raise StoreError("every format before the present one needs a step to the next")
