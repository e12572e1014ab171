"""Bytes that were damaged, cut or made up give an error or a value, never code or a crash: every kind of value, every codec."""

from __future__ import annotations

import contextlib
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from redun.decoding import ValueDecoder
from redun.describe import preview, subvalues, type_name
from redun.encoding import ValueEncoder, restore
from redun.errors import RedunError
from redun.store.ids import link_ref, object_id
from tests.golden.foreign import PACKAGES
from tests.golden.make import values

ROOT = Path(__file__).resolve().parents[2]
EACH = 60


def damaged(data: bytes, chance: random.Random) -> bytes:
    """Return bytes with a few of them changed, cut out, doubled, or with the end missing."""
    made = bytearray(data)
    for _ in range(chance.choice((1, 1, 2, 4))):
        place = chance.randrange(4, max(len(made), 5))
        what = chance.randrange(5)
        if what == 0:
            del made[place:]
        elif what == 1:
            made[place : place + 1] = bytes([chance.randrange(256)])
        elif what == 2:
            made[place : place + 4] = chance.choice((b"\xff\xff\xff\xff", bytes(4), b"\x7f\xff\xff\xff"))
        elif what == 3:
            del made[place : place + chance.randrange(1, 9)]
        else:
            made[place:place] = made[place : place + chance.randrange(1, 9)]
    return bytes(made)


def attack(value: Any, chance: random.Random) -> int:
    """Decode damaged bytes of a value in every way; return how many were refused."""
    parts: dict[bytes, bytes] = {}
    data = ValueEncoder(parts.__setitem__).object(value)
    refused = 0
    for _ in range(EACH):
        hostile = damaged(data, chance)
        stored = {key: part if chance.random() < 0.5 else damaged(part, chance) for key, part in parts.items()}
        oid = object_id(hostile)
        stored[oid] = hostile

        def get(key: bytes, stored: dict[bytes, bytes] = stored) -> bytes:
            from redun.errors import ObjectNotFound

            if key not in stored:
                raise ObjectNotFound(key)
            return stored[key]

        try:
            value = ValueDecoder(get).decode_object(hostile)
        except RedunError:
            refused += 1
        else:
            # Looking at it may fail in Python, but nowhere else.
            with contextlib.suppress(Exception):
                repr(value)
        preview(link_ref(oid), get)
        type_name(link_ref(oid), get)
        subvalues(hostile, get)
    return refused


def test_damaged_plain_values() -> None:
    chance = random.Random(1)
    refused = sum(attack(value, chance) for name, value in values().items() if name != "deep")
    assert refused > 100


@pytest.mark.parametrize("package", PACKAGES)
def test_damaged_foreign_values(package: str) -> None:
    """In a process of its own: native code that crashes takes its process with it."""
    pytest.importorskip(package)
    program = f"""
import random, sys, warnings
warnings.simplefilter("ignore")
from tests.property.test_hostile_values import attack, PACKAGES
chance = random.Random(2)
print(sum(attack(value, chance) for _ in range(3) for value in PACKAGES[{package!r}]().values()))
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, f"ended with {done.returncode}: {done.stderr[-3000:]}"
    assert int(done.stdout) > 50


def test_made_up_bytes() -> None:
    chance = random.Random(3)
    for _ in range(2000):
        data = chance.randbytes(chance.randrange(60))
        for decode in (restore, ValueDecoder({}.__getitem__).decode_object):
            with contextlib.suppress(RedunError):
                decode(b"\x01\x01\x01" + data if chance.random() < 0.5 else data)
