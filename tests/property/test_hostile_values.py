"""Bytes that were damaged, cut or made up give an error or a value, never code or a crash: every kind of value, every codec."""

from __future__ import annotations

import contextlib
import os
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgpack
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


FORMS = {
    "object": lambda marker: (42, [["os", "mkdir"], [marker], None, None, None]),
    "object of a class": lambda marker: (42, [["subprocess", "Popen"], [["mkdir", marker]], None, None, None]),
    "builtin": lambda marker: (42, [["builtins", "eval"], [f"__import__('os').mkdir({marker!r})"], None, None, None]),
    "enum": lambda marker: (39, [["os", "mkdir"], None, marker]),
    "namedtuple": lambda marker: (37, [["os", "mkdir"], [marker]]),
    "dataclass": lambda marker: (38, [["os", "mkdir"], {"path": marker}]),
}


def extension(code: int, state: Any) -> bytes:
    return msgpack.packb(msgpack.ExtType(code, msgpack.packb(state)))


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("wrap", ["", "list", "iterated"])
def test_nothing_is_called_to_show_a_value(form: str, wrap: str, tmp_path: Path) -> None:
    marker = str(tmp_path / "called")
    code, state = FORMS[form](marker)
    item = msgpack.ExtType(code, msgpack.packb(state))
    if wrap == "list":
        item = [item]
    elif wrap == "iterated":
        lazy = msgpack.ExtType(42, msgpack.packb([["builtins", "map"], [item, [1]], None, None, None]))
        item = msgpack.ExtType(42, msgpack.packb([["collections", "deque"], [lazy], None, None, None]))
    data = b"\x01\x01\x01\x04" + msgpack.packb(item)

    def get(key: bytes) -> bytes:
        return data

    ref = link_ref(object_id(data))
    shown = preview(ref, get)
    type_name(ref, get)
    subvalues(data, get)
    assert not os.path.exists(marker)
    assert shown.startswith(("<", "[<", "deque"))


@pytest.mark.parametrize("form", ["enum", "namedtuple", "dataclass"])
def test_what_names_a_class_calls_nothing_else(form: str, tmp_path: Path) -> None:
    marker = str(tmp_path / "called")
    with pytest.raises(RedunError):
        ValueDecoder({}.__getitem__).decode_object(b"\x01\x01\x01\x00" + extension(*FORMS[form](marker)))
    assert not os.path.exists(marker)


def test_small_bytes_claim_no_memory() -> None:
    """In a process that has little of it."""
    pytest.importorskip("numpy")
    pytest.importorskip("polars")
    program = """
import resource, msgpack
import numpy, polars
from redun.decoding import ValueDecoder
from redun.errors import RedunError
resource.setrlimit(resource.RLIMIT_AS, (8 << 30, 8 << 30))
E, P = msgpack.ExtType, msgpack.packb
def codec(name, *state): return P(E(44, P([name, list(state)])))
none = E(45, b"")
struct = ["struct", False, 1 << 20, False, [["a", "|i1", 0, None]]]
claims = [b"\\xdd\\xff\\xff\\xff\\xff", b"\\xdf\\xff\\xff\\xff\\xff", b"\\xdb\\xff\\xff\\xff\\xff", b"\\xc9\\xff\\xff\\xff\\xff\\x01",
    b"\\xdd\\x00\\xff\\xff\\xff" * 50, codec("numpy.ndarray", "ndarray", "<U0", [1 << 34], none),
    codec("numpy.ndarray", "ndarray", ["struct", False, 1 << 30, False, []], [4], []),
    codec("numpy.ndarray", "ndarray", struct, [1 << 12], [E(45, bytes(1 << 12))]),
    codec("polars.Series", "n", "Null", [None, (1 << 32) - 1]), codec("pyarrow.Table", 1 << 41, none)]
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
for claim in claims:
    try:
        ValueDecoder({}.__getitem__).decode_object(b"\\x01\\x01\\x01\\x00" + claim)
    except RedunError:
        continue
    raise SystemExit(f"taken: {claim!r}")
assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 200_000
""".replace("\\\\", "\\")
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stderr[-3000:]


def test_made_up_bytes() -> None:
    chance = random.Random(3)
    for _ in range(2000):
        data = chance.randbytes(chance.randrange(60))
        for decode in (restore, ValueDecoder({}.__getitem__).decode_object):
            with contextlib.suppress(RedunError):
                decode(b"\x01\x01\x01" + data if chance.random() < 0.5 else data)
