"""What a push or pull cannot do without, by itself: microseconds of CPU for each object.

Arguments: how many objects, and how many bytes each has. Half of the bytes repeat, as in calls, and half are random.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from hashlib import sha256

import lmdb
from xxhash import xxh3_64_digest

from redun.store.remote.frames import FRAME_BYTES, HEAD, compress, expand

_GROUP = 10_000


def _put(rows: list[tuple[bytes, bytes]]) -> None:
    """Write rows as a pull writes objects: groups in the order in which they come, each in the order of its keys."""
    with tempfile.TemporaryDirectory() as folder, lmdb.open(folder, map_size=1 << 36, max_dbs=1) as env:
        table = env.open_db(b"objects")
        for start in range(0, len(rows), _GROUP):
            with env.begin(write=True) as txn:
                txn.cursor(table).putmulti(sorted(rows[start : start + _GROUP]), dupdata=False, overwrite=False)


def _steps(count: int, size: int) -> Iterator[tuple[str, Callable[[], object]]]:
    same = os.urandom(size - size // 2)
    objects = [same + os.urandom(size // 2) for _ in range(count)]
    yield "id: SHA-256", lambda: [sha256(data).digest()[:20] for data in objects]
    yield "row: xxh3", lambda: [xxh3_64_digest(data) + b"o" + data for data in objects]
    raw = b"".join(objects)
    parts = [raw[start : start + FRAME_BYTES] for start in range(0, len(raw), FRAME_BYTES)]
    yield "zstd, packing", lambda: [compress(part) for part in parts]
    frames = [(compress(part)[HEAD.size :], len(part)) for part in parts]
    yield "zstd, expanding", lambda: [expand(frame, length, "") for frame, length in frames]
    ids = [sha256(data).digest()[:20] for data in objects]
    yield "LMDB, objects", lambda: _put(list(zip(ids, objects, strict=True)))
    yield "LMDB, rows of 29 bytes (places, memo)", lambda: _put([(oid, bytes(29)) for oid in ids])


def main() -> None:
    """Measure."""
    count, size = map(int, sys.argv[1:])
    for name, work in _steps(count, size):
        before = time.process_time()
        work()
        print(f"{name:40} {(time.process_time() - before) / count * 1e6:6.2f} us")


if __name__ == "__main__":
    main()
