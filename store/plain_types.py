"""Extensions of plain data: which types there are beyond those of msgpack, and how each is written and read.

Most are written as the canonical bytes of their *state*, a simpler value; a few scalars as bytes of their own. `redun.store.codec` does
the rest. Numbers and states are part of the format (docs/format.md).
"""

from __future__ import annotations

import datetime as dt
import struct
import sys
from collections.abc import Callable
from enum import IntEnum
from typing import Any, TypeAlias

import msgpack

from redun.store.errors import DecodeError, EncodeError

CANONICAL_NAN = b"\xcb\x7f\xf8\x00\x00\x00\x00\x00\x00"

Form: TypeAlias = "tuple[int, Any] | msgpack.ExtType"
"""What an extension is made of: its code and state, or its finished bytes."""


class Ext(IntEnum):
    """Extension types of plain data. Numbers from 32 on belong to the layers above; never reuse one."""

    TUPLE = 1
    SET = 2
    FROZENSET = 3
    BIGINT = 4
    COMPLEX = 5
    BYTEARRAY = 6
    DATE = 7
    TIME = 8
    DATETIME = 9
    TIMEDELTA = 10
    TIMEZONE = 11
    PATH = 12
    DECIMAL = 13
    FRACTION = 14
    UUID = 15
    RANGE = 16
    ELLIPSIS = 17
    ZONEINFO = 18
    SLICE = 19


def encode_float(value: float) -> bytes:
    """Return the msgpack bytes of a float, NaN in its one form."""
    return CANONICAL_NAN if value != value else b"\xcb" + struct.pack(">d", value)


def _plain(code: Ext, state: Callable[[Any], Any]) -> Callable[[Any], Form]:
    return lambda value: (code, state(value))


def _raw(code: Ext, data: Callable[[Any], bytes]) -> Callable[[Any], Form]:
    return lambda value: msgpack.ExtType(code, data(value))


def _bigint_bytes(value: int) -> bytes:
    return value.to_bytes(value.bit_length() // 8 + 1, "big", signed=True)


def _time_state(value: Any) -> list[Any]:
    return [value.hour, value.minute, value.second, value.microsecond, value.fold, value.tzinfo]


def _zone_name(value: dt.timezone) -> str | None:
    # The name is the third of __getinitargs__'s facts; only an explicit one is part of the value.
    args: tuple[Any, ...] = value.__getinitargs__()  # type: ignore[attr-defined]
    return args[1] if len(args) > 1 else None


_WRITERS: dict[type, Callable[[Any], Form]] = {
    int: _raw(Ext.BIGINT, _bigint_bytes),
    complex: _raw(Ext.COMPLEX, lambda value: encode_float(value.real) + encode_float(value.imag)),
    bytearray: _raw(Ext.BYTEARRAY, bytes),
    type(...): _raw(Ext.ELLIPSIS, lambda value: b""),
    dt.date: _plain(Ext.DATE, lambda d: [d.year, d.month, d.day]),
    dt.time: _plain(Ext.TIME, _time_state),
    dt.datetime: _plain(Ext.DATETIME, lambda d: [d.year, d.month, d.day, *_time_state(d)]),
    dt.timedelta: _plain(Ext.TIMEDELTA, lambda d: [d.days, d.seconds, d.microseconds]),
    dt.timezone: _plain(Ext.TIMEZONE, lambda zone: [zone.utcoffset(None), _zone_name(zone)]),
    range: _plain(Ext.RANGE, lambda r: [r.start, r.stop, r.step]),
    slice: _plain(Ext.SLICE, lambda s: [s.start, s.stop, s.step]),
}


def writer_of(kind: type) -> Callable[[Any], Form] | None:
    """Return what writes values of a type, None if nobody here does."""
    writer = _WRITERS.get(kind)
    if writer is None and _LATE and _register_late():
        writer = _WRITERS.get(kind)
    return writer


def _register_late() -> bool:
    """Register types of modules that are slow to import, once somebody else has imported them; True if any was new."""
    found = False
    for name in [name for name in _LATE if name in sys.modules]:
        _WRITERS.update(_LATE.pop(name)(sys.modules[name]))
        found = True
    return found


_LATE: dict[str, Callable[[Any], dict[type, Callable[[Any], Form]]]] = {
    "pathlib": lambda m: {
        getattr(m, name): _plain(Ext.PATH, lambda path, name=name: [name, str(path)])  # type: ignore[misc]
        for name in _PATHS
    },
    "decimal": lambda m: {m.Decimal: _plain(Ext.DECIMAL, str)},
    "fractions": lambda m: {m.Fraction: _plain(Ext.FRACTION, lambda f: [f.numerator, f.denominator])},
    "uuid": lambda m: {m.UUID: _raw(Ext.UUID, lambda value: value.bytes)},
    "zoneinfo": lambda m: {m.ZoneInfo: _plain(Ext.ZONEINFO, _zone_key)},
}
_PATHS: tuple[str, ...] = ("PosixPath", "WindowsPath", "PurePosixPath", "PureWindowsPath")


def _zone_key(zone: Any) -> str:
    if zone.key is None:
        raise EncodeError("a ZoneInfo without key (made by from_file) has no encoding")
    key: str = zone.key
    return key


def _make_path(state: Any) -> Any:
    import pathlib

    name, text = state
    if name not in _PATHS:
        raise DecodeError(f"{name!r} is no kind of path")
    try:
        return getattr(pathlib, name)(text)
    except NotImplementedError:
        # A path of the other system: keep its text and flavour.
        return getattr(pathlib, f"Pure{name}")(text)


def _make_decimal(state: Any) -> Any:
    from decimal import Decimal

    return Decimal(state)


def _make_fraction(state: Any) -> Any:
    from fractions import Fraction

    return Fraction(*state)


def _make_zone(state: Any) -> Any:
    from zoneinfo import ZoneInfo

    return ZoneInfo(state)


def _read_uuid(data: bytes) -> Any:
    from uuid import UUID

    return UUID(bytes=bytes(data))


def _read_complex(data: bytes) -> complex:
    if len(data) != 18 or data[0] != 0xCB or data[9] != 0xCB:
        raise DecodeError(f"a complex number is two floats, found {len(data)} bytes")
    return complex(*struct.unpack(">xdxd", data))


FROM_BYTES: dict[int, Callable[[bytes], Any]] = {
    Ext.BIGINT: lambda data: int.from_bytes(data, "big", signed=True),
    Ext.COMPLEX: _read_complex,
    Ext.BYTEARRAY: bytearray,
    Ext.ELLIPSIS: lambda data: ...,
    Ext.UUID: _read_uuid,
}

FROM_STATE: dict[int, Callable[[Any], Any]] = {
    Ext.TUPLE: tuple,
    Ext.SET: set,
    Ext.FROZENSET: frozenset,
    Ext.DATE: lambda state: dt.date(*state),
    Ext.TIME: lambda state: dt.time(*state[:4]).replace(tzinfo=state[5], fold=state[4]),
    Ext.DATETIME: lambda state: dt.datetime(*state[:7]).replace(tzinfo=state[8], fold=state[7]),
    Ext.TIMEDELTA: lambda state: dt.timedelta(*state),
    Ext.TIMEZONE: lambda state: dt.timezone(state[0]) if state[1] is None else dt.timezone(*state),
    Ext.PATH: _make_path,
    Ext.DECIMAL: _make_decimal,
    Ext.FRACTION: _make_fraction,
    Ext.RANGE: lambda state: range(*state),
    Ext.ZONEINFO: _make_zone,
    Ext.SLICE: lambda state: slice(*state),
}
