"""What the bare operations of each step of a job take, in a loop that does nothing else: the floor of `bench.budget`.

No job can be had for less in this language with these libraries: what is packed, hashed, looked up and written here is what must
be, and all else (which job it is, what state it is in, who waits for it) is left out.
"""

from __future__ import annotations

import os
import tempfile
import threading
import time
from collections import deque
from collections.abc import Callable
from hashlib import sha256
from queue import SimpleQueue
from typing import Any

import lmdb
import msgpack
from xxhash import xxh3_64_digest

MANY = 20_000

_pack = msgpack.Packer(strict_types=True).pack


class _Slots:
    __slots__ = tuple([f"a{number}" for number in range(30)])

    def __init__(self) -> None:
        for name in ("a0", "a1", "a2"):
            setattr(self, name, None)


def _us(work: Callable[[int], Any]) -> float:
    """Return the CPU microseconds of one call, the loop's own left off; the best of three."""
    found = []
    for _ in range(3):
        began = time.process_time()
        for _ in range(MANY):
            pass
        empty = time.process_time() - began
        began = time.process_time()
        for number in range(MANY):
            work(number)
        found.append((time.process_time() - began - empty) / MANY * 1e6)
    return min(found)


def _queues() -> float:
    there: SimpleQueue[Any] = SimpleQueue()
    back: SimpleQueue[Any] = SimpleQueue()

    def work() -> None:
        while (job := there.get()) is not None:
            back.put((job, True, job))

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    began = time.process_time()
    for number in range(MANY):
        there.put(number)
    for _ in range(MANY):
        back.get()
    took = time.process_time() - began
    there.put(None)
    thread.join()
    return took / MANY * 1e6


def _rows() -> tuple[float, float]:
    """Return what it takes to write two rows of a job, 5,000 jobs in a transaction, and to look one up."""
    ids = [sha256(b"%d" % number).digest()[:20] for number in range(MANY)]
    with tempfile.TemporaryDirectory(prefix="redun-bench-") as folder, lmdb.open(folder, map_size=1 << 30, max_dbs=2) as env:
        tables = [env.open_db(name) for name in (b"objects", b"memo")]
        began = time.process_time()
        for at in range(0, MANY, 5000):
            with env.begin(write=True) as txn:
                for table, body in zip(tables, (bytes(70), bytes(35)), strict=True):
                    rows = [(oid, xxh3_64_digest(body) + body) for oid in sorted(ids[at : at + 5000])]
                    txn.cursor(table).putmulti(rows)
        written = (time.process_time() - began) / MANY * 1e6
        with env.begin(db=tables[0]) as txn:
            get = txn.get
            looked = _us(lambda number: xxh3_64_digest((get(ids[number]) or b"")[8:]))
    return written, looked


def floors() -> dict[str, tuple[float, float]]:
    """Return step (as in `bench.budget.STEPS`) -> microseconds at least, cold and replayed."""
    oid, small = bytes(20), _pack([1, 0, 12345])
    written, looked = _rows()
    hashed = _us(lambda number: sha256(b"x" * 60).digest()[:20])
    packed = _us(lambda number: b"head" + _pack(number))
    call = _us(lambda number: b"head" + oid + _pack([0, [small], [], None, small, [], []])) + hashed
    unpacked = _us(lambda number: msgpack.unpackb(small))
    row = _us(lambda number: _pack([0, 0, [number]]))
    line = _us(lambda number: f"Cached Job {oid[:4].hex()}:  bench.inc(i={number}) (eval_hash={oid[:4].hex()})")
    table: dict[int, Any] = {}
    queue: deque[int] = deque()

    def state(number: int) -> None:
        table[number] = (number, oid)
        queue.append(number)
        queue.popleft()
        table.pop(number)

    told = _us(state)
    job = _us(lambda number: _Slots())
    column = _us(lambda number: (number, oid, 0, oid, number, 5, 2, oid)) + 4 * packed / 2
    return {
        "expressions encoded": (row, 0.0),
        "expressions decoded": (0.0, unpacked),
        "commit: rows, checksums, fsync": (written, 0.0),
        "commit: the segment": (column, column),
        "call object: encoded, hashed": (call, 0.0),
        "log line": (line, line),
        "memo looked up, result read and decoded": (looked, 2 * looked + unpacked),
        "arguments: encoded, hashed to the eval hash": (packed + hashed, packed + hashed),
        "result: looked at, encoded": (packed, 0.0),
        "job made: plan, id, window": (job + _us(lambda number: os.urandom(16)) / 16, job),
        "handed to a worker and back": (_queues(), 0.0),
        "state: table, queue, duplicates, parent": (told, told),
    }
