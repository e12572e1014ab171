"""Values beyond 4 GiB, by the same road with a lower limit; long buffers of pickles; unstable ids are said once."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from redun import encoding
from redun.decoding import ValueDecoder
from redun.describe import preview, type_name
from redun.encoding import ValueEncoder, restore, value_bytes
from redun.errors import DecodeError, EncodeError
from redun.store import codec
from redun.store.codec import Encoder
from redun.store.objects import Flag, links

LONG = "x" * 200
VALUES = {
    "text": LONG,
    "text that is not ascii": "Ä" * 101,
    "bytes in a list": [b"y" * 200],
    "text as a key": {LONG: 1, "b": [LONG]},
    "tuple": tuple(range(200)),
    "set": set(range(200)),
    "bytearray": [bytearray(200)],
    "tuple of long things": (LONG, (LONG * 2, [tuple(range(300))])),
    "number": 1 << 4000,
    "nested": [[[(LONG,)]]],
    "short": (1, "a"),
}


@pytest.fixture
def low(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(codec, "PIECE_MAX", 100)
    monkeypatch.setattr(encoding, "PIECE_MAX", 100)


@pytest.mark.usefixtures("low")
@pytest.mark.parametrize("name", VALUES)
def test_long_pieces_stand_beside_the_value(name: str) -> None:
    value = VALUES[name]
    encoder = ValueEncoder(lambda oid, data: None)
    data = encoder.object(value)
    assert bool(links(data)) == (name != "short")
    assert len(data) < 500
    back = restore(value_bytes(value))
    assert back == value
    assert type(back) is type(value)


@pytest.mark.usefixtures("low")
def test_both_encoders_spill_alike() -> None:
    for value in VALUES.values():
        spilled: list[tuple[int, bytes]] = []

        def spill(what: int, data: bytes, kept: list[tuple[int, bytes]] = spilled) -> Any:
            kept.append((what, data))
            import msgpack

            return msgpack.ExtType(48, bytes([what, len(kept)]))

        encoder = Encoder(spill=spill)
        fast = encoder.encode(value)
        first, spilled[:] = list(spilled), []
        deep = encoder._encode_deep(value)
        # An attempt that gave up may have spilled before; what counts is what stands in the end.
        assert deep[-50:] == fast[-50:] or first != spilled
        assert set(spilled) <= set(first)


@pytest.mark.usefixtures("low")
def test_long_values_are_shown() -> None:
    parts: dict[bytes, bytes] = {}
    ref = ValueEncoder(parts.__setitem__).encode(LONG)
    assert preview(ref, parts.__getitem__) == repr(LONG)
    assert type_name(ref, parts.__getitem__) == "builtins.str"


@pytest.mark.usefixtures("low")
def test_where_nothing_can_stand_beside_a_long_piece_is_refused() -> None:
    with pytest.raises(EncodeError, match="too long"):
        Encoder().encode((LONG,))


@pytest.mark.usefixtures("low")
def test_a_long_piece_that_is_damaged_is_an_error() -> None:
    parts: dict[bytes, bytes] = {}
    data = ValueEncoder(parts.__setitem__).object((LONG,))
    for hostile in (b"", b"abc", data):
        with pytest.raises(DecodeError):
            ValueDecoder(lambda oid, hostile=hostile: hostile).decode_object(data)
    with pytest.raises(DecodeError):
        ValueDecoder(parts.__getitem__).decode_object(data[:-1] + b"\xff")


class Setter:
    """Has a state setter, which only pickle can serve."""

    def __init__(self, content: Any) -> None:
        self.content = content

    def __reduce_ex__(self, protocol: Any) -> Any:
        import pickle

        return Setter, (None,), [pickle.PickleBuffer(self.content)], None, None, set_content


def set_content(made: Setter, state: Any) -> None:
    made.content = state[0]


def test_long_buffers_of_pickles_are_out_of_band() -> None:
    parts: dict[bytes, bytes] = {}
    encoder = ValueEncoder(parts.__setitem__)
    data = encoder.object(Setter(bytearray(b"z" * 100_000)))
    assert encoder.flags & Flag.UNSTABLE
    assert len(data) < 500
    back = ValueDecoder(parts.__getitem__).decode_object(data)
    assert bytes(back.content) == b"z" * 100_000
    back.content[0] = 1
    short = restore(value_bytes(Setter(b"abc")))
    assert bytes(short.content) == b"abc"


def test_an_unstable_type_is_said_once(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(encoding, "_said_types", set())
    with caplog.at_level(logging.WARNING, logger="redun"):
        for _ in range(3):
            value_bytes(Setter(b"abc"))
    (record,) = caplog.records
    assert f"{__name__}.Setter" in record.getMessage()
