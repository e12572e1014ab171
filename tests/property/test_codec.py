"""The canonical codec: equal values have equal bytes, bytes give the value back, hostile bytes give an error."""

from __future__ import annotations

import contextlib
import datetime as dt
import math
import os
import struct
import subprocess
import sys
from decimal import Decimal
from fractions import Fraction
from pathlib import PurePosixPath, PureWindowsPath
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from redun.store.codec import Decoder, Encoder
from redun.store.codec_deep import decode_deep, encode_deep
from redun.store.errors import DecodeError, EncodeError

SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.integers(min_value=2**60, max_value=2**70),
    st.floats(),
    st.text(alphabet=st.characters()),
    st.sampled_from(["\ud800", "a\udfffb", "Ä", "\x00"]),
    st.binary(max_size=40),
    st.complex_numbers(),
    st.dates(),
    st.times(),
    st.datetimes(timezones=st.one_of(st.none(), st.just(dt.timezone.utc), st.just(dt.timezone(dt.timedelta(hours=2), "x")))),
    st.timedeltas(),
    st.decimals(allow_nan=False),
    st.fractions(),
    st.uuids(),
    st.builds(PurePosixPath, st.text(alphabet="abc/.", max_size=8)),
    st.builds(PureWindowsPath, st.text(alphabet="abc.", max_size=8)),
    st.builds(range, st.integers(-9, 9), st.integers(-9, 9)),
    st.just(...),
    st.builds(bytearray, st.binary(max_size=8)),
)
HASHABLE = st.recursive(
    SCALARS.filter(lambda value: not isinstance(value, bytearray)),
    lambda inner: st.one_of(st.tuples(inner, inner), st.frozensets(inner, max_size=4)),
    max_leaves=8,
)
VALUES = st.recursive(
    st.one_of(SCALARS, HASHABLE),
    lambda inner: st.one_of(
        st.lists(inner, max_size=5),
        st.tuples(inner, inner),
        st.dictionaries(HASHABLE, inner, max_size=4),
        st.sets(HASHABLE, max_size=4),
    ),
    max_leaves=20,
)


def same(a: Any, b: Any) -> bool:
    """Equality that knows types, NaN, the sign of zero and the order of dicts."""
    if type(a) is not type(b):
        return False
    if isinstance(a, float):
        return struct.pack(">d", a) == struct.pack(">d", b) or (math.isnan(a) and math.isnan(b))
    if isinstance(a, complex):
        return same(a.real, b.real) and same(a.imag, b.imag)
    if isinstance(a, list | tuple):
        return len(a) == len(b) and all(map(same, a, b))
    if isinstance(a, dict):
        return len(a) == len(b) and all(same(x, y) and same(a[x], b[y]) for x, y in zip(a, b, strict=True))
    if isinstance(a, set | frozenset):
        return Encoder().encode(a) == Encoder().encode(b)
    return bool(a == b) and repr(a) == repr(b)


@settings(max_examples=400, deadline=None)
@given(VALUES)
def test_round_trip_keeps_value_and_type(value: Any) -> None:
    assert same(Decoder().decode(Encoder().encode(value)), value)


@settings(max_examples=400, deadline=None)
@given(VALUES)
def test_the_deep_codec_agrees_with_the_fast_one(value: Any) -> None:
    encoder, decoder = Encoder(), Decoder()
    data = encoder.encode(value)
    assert encode_deep(encoder.form, value) == data
    assert same(decode_deep(decoder.maker, decoder._unpack, data), value)


@settings(max_examples=300, deadline=None)
@given(VALUES, VALUES)
def test_different_values_have_different_bytes(a: Any, b: Any) -> None:
    encoder = Encoder()
    assert (encoder.encode(a) == encoder.encode(b)) == same(a, b)


@settings(max_examples=500, deadline=None)
@given(st.one_of(st.binary(max_size=60), VALUES.map(lambda v: Encoder().encode(v))), st.integers(0, 100), st.integers(0, 255))
def test_damaged_bytes_give_a_value_or_a_decode_error(data: bytes, place: int, byte: int) -> None:
    damaged = bytearray(data)
    if damaged:
        damaged[place % len(damaged)] = byte
    for hostile in (bytes(damaged), bytes(damaged[: place % (len(damaged) + 1)])):
        with contextlib.suppress(DecodeError):
            Decoder().decode(hostile)


@pytest.mark.parametrize("wrap", [lambda x: [x], lambda x: (x,), lambda x: {"a": x}, lambda x: [(x, 1)]])
def test_nesting_of_any_depth(wrap: Any) -> None:
    value: Any = 1
    for _ in range(20_000):
        value = wrap(value)
    encoder = Encoder()
    data = encoder.encode(value)
    assert encoder.encode(Decoder().decode(data)) == data


@pytest.mark.parametrize(
    ("a", "b"),
    [
        ([b"x"], [bytearray(b"x")]),
        ((1, 2), [1, 2]),
        ({1}, frozenset({1})),
        (1, 1.0),
        (1, True),
        (0.0, -0.0),
        ("a", b"a"),
        ({"a": 1, "b": 2}, {"b": 2, "a": 1}),
        (2**64, float(2**64)),
        (Decimal("1.0"), Decimal("1.00")),
        (Fraction(1), 1),
        (UUID(int=1), UUID(int=1).bytes),
        (dt.datetime(2020, 1, 1), dt.datetime(2020, 1, 1, tzinfo=dt.timezone.utc)),
    ],
)
def test_near_misses_differ(a: Any, b: Any) -> None:
    encoder = Encoder()
    assert encoder.encode(a) != encoder.encode(b)
    assert encoder.encode([a]) != encoder.encode([b])


def test_every_nan_is_one() -> None:
    odd = struct.unpack(">d", b"\xff\xf8\x00\x00\x00\x00\x00\x07")[0]
    encoder = Encoder()
    for shape in (lambda x: x, lambda x: [x], lambda x: (x, [x]), lambda x: {"k": x}):
        assert encoder.encode(shape(odd)) == encoder.encode(shape(math.nan))


def test_what_has_no_encoding_is_named() -> None:
    with pytest.raises(EncodeError, match="object"):
        Encoder().encode([object()])
    loop: list[Any] = []
    loop.append(loop)
    with pytest.raises(EncodeError, match="contains itself"):
        Encoder().encode(loop)
    # An encoder goes on after a failure.
    assert Decoder().decode(Encoder().encode((1, [2]))) == (1, [2])


PROGRAM = """
from redun.store.codec import Encoder
from redun.store.ids import object_id
value = [{1, "a", (2, 3), None, 2.5, b"x"}, frozenset(["p", "q", ("r", frozenset([1, 2]))]), {"k": {"x", "y", "z"}}]
print(object_id(Encoder().encode(value)).hex())
"""


def test_ids_do_not_depend_on_the_hash_seed() -> None:
    ids = set()
    for seed in range(8):
        env = {**os.environ, "PYTHONHASHSEED": str(seed)}
        ids.add(subprocess.run([sys.executable, "-c", PROGRAM], env=env, capture_output=True, text=True, check=True).stdout)
    assert len(ids) == 1
