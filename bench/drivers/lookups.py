"""Open a store that `collection.py fill` made and look things up in it; arguments: its folder, how many jobs it holds.

The ids are spread over the whole store, and each is asked for once.
"""

import json
import random
import resource
import sys
import time
from pathlib import Path

from redun.store.ids import object_id
from redun.store.objects import Codec, Kind, header
from redun.store.repository import Store

LOOKUPS = 10_000


def main() -> None:
    """Measure."""
    folder, jobs = Path(sys.argv[1]), int(sys.argv[2])
    chosen = random.Random(8).choices(range(1, jobs + 1), k=min(LOOKUPS, jobs))
    raw = header(Kind.VALUE, Codec.RAW)
    values = [object_id(raw + b"%d" % number * 12) for number in chosen]
    keys = [object_id(b"key%d" % number) for number in chosen]
    began = time.process_time()
    with Store.open(folder) as store:
        source = store.source
        opened = time.process_time()
        for oid in values:
            source.get(oid)
        got = time.process_time()
        if not all(source.memo_get(key) for key in keys):
            sys.exit("a row of the memo is missing")
        remembered = time.process_time()
        for oid in values:
            source.find(oid.hex()[:12])
        found = time.process_time()
    each = 1e6 / len(chosen)
    figures = {
        "open": (opened - began) * 1e3,
        "get": (got - opened) * each,
        "memo": (remembered - got) * each,
        "find": (found - remembered) * each,
        "peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6,
    }
    print(json.dumps(figures))


main()
