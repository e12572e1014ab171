"""polars: frames, series and dtypes.

    polars.DataFrame    [[series], [height]]
    polars.Series       [name, dtype, content]
    polars.DataType     dtype

Content is `[bit for each null or nil, buffer]` for numbers, truth values and times, else a list of Python values, as they are seen: so
neither chunks, nor slices, nor the codes behind categories count. Needs numpy. Times inside lists and structs travel as numbers,
as Python's own have no nanoseconds.
"""

from __future__ import annotations

from typing import Any

import polars as _polars

from redun.codecs.buffer import Buffer
from redun.codecs.registry import Codec, NotCanonical
from redun.errors import DecodeError
from redun.large_values import LARGE_BYTES, LOOKS

pl: Any = _polars

_NUMBERS = ("Int8", "Int16", "Int32", "Int64", "UInt8", "UInt16", "UInt32", "UInt64", "Float32", "Float64")
_SIMPLE = (*_NUMBERS, "Boolean", "String", "Binary", "Date", "Time", "Null", "Int128", "Object", "Float16", "UInt128")
_AS_NUMBERS = {"Date": "Int32", "Time": "Int64", "Datetime": "Int64", "Duration": "Int64"}


def _write_dtype(dtype: Any) -> Any:
    """Return a dtype as plain data: its name, or its name and what it is made of."""
    name = dtype.base_type().__name__
    if name in _SIMPLE:
        return name
    if isinstance(dtype, type):
        # `pl.List` without an item type: the class itself.
        return [name]
    if name == "Datetime":
        return [name, dtype.time_unit, dtype.time_zone]
    if name == "Duration":
        return [name, dtype.time_unit]
    if name == "Decimal":
        return [name, dtype.precision, dtype.scale]
    if name == "Enum":
        return [name, dtype.categories.to_list()]
    if name == "Categorical":
        return [name, []]
    if name == "List":
        return [name, _write_dtype(dtype.inner)]
    if name == "Array":
        return [name, _write_dtype(dtype.inner), dtype.size]
    if name == "Struct":
        return [name, [[field.name, _write_dtype(field.dtype)] for field in dtype.fields]]
    raise NotCanonical


def _read_dtype(state: Any) -> Any:
    if isinstance(state, str):
        if state not in _SIMPLE:
            raise DecodeError(f"{state!r} is no dtype")
        return getattr(pl, state)()
    name, *parts = state
    if name not in ("Datetime", "Duration", "Decimal", "Enum", "Categorical", "List", "Array", "Struct"):
        raise DecodeError(f"{name!r} is no dtype")
    kind = getattr(pl, name)
    if not parts:
        return kind
    if "Object" in ([inner for _, inner in parts[0]] if name == "Struct" else [parts[0]]):
        raise DecodeError("objects cannot stand inside other types")
    if name == "Categorical":
        return kind()
    if name in ("List", "Array"):
        return kind(_read_dtype(parts[0]), *parts[1:])
    if name == "Struct":
        return kind([pl.Field(field, _read_dtype(inner)) for field, inner in parts[0]])
    return kind(*parts)


def _stored(dtype: Any) -> Any:
    """Return the dtype in which a nested value travels: times as numbers, categories as text."""
    name = dtype.base_type().__name__
    if name in _AS_NUMBERS:
        return getattr(pl, _AS_NUMBERS[name])()
    if name in ("Categorical", "Enum"):
        return pl.String()
    if name == "List":
        return pl.List(_stored(dtype.inner))
    if name == "Array":
        return pl.Array(_stored(dtype.inner), dtype.size)
    if name == "Struct":
        return pl.Struct([pl.Field(field.name, _stored(field.dtype)) for field in dtype.fields])
    return dtype


def _write_series(series: Any) -> list[Any]:
    dtype = series.dtype
    return [series.name, _write_dtype(dtype), _write_content(series, dtype)]


def _write_content(series: Any, dtype: Any) -> list[Any]:
    name = dtype.base_type().__name__
    if name == "Null":
        return [None, len(series)]
    if name == "Object":
        return [None, series.to_list()]
    if name in _AS_NUMBERS:
        series = series.to_physical()
    elif name == "Boolean":
        series = series.cast(pl.UInt8())
    elif name not in _NUMBERS:
        return [None, series.cast(_stored(dtype)).to_list()]
    from redun.codecs.numpy_arrays import np, one_nan

    nulls = Buffer(np.packbits(series.is_null().to_numpy()).data) if series.null_count() else None
    flat = one_nan(series.fill_null(0).rechunk().to_numpy())
    return [nulls, Buffer(flat.view("u1").data if len(flat) else b"")]


def _read_series(state: Any) -> Any:
    name, dtype_state, content = state
    dtype = _read_dtype(dtype_state)
    return _read_content(dtype, *content).rename(name)


def _read_content(dtype: Any, nulls: Any, content: Any) -> Any:
    name = dtype.base_type().__name__
    if name == "Null":
        if not 0 <= content < (1 << 32) - 1:
            raise DecodeError(f"a column cannot have {content!r} nulls")
        return pl.Series("", [None], dtype=dtype).new_from_index(0, content) if content else pl.Series("", [], dtype=dtype)
    if name == "Object":
        return pl.Series("", content, dtype=dtype)
    if not isinstance(content, Buffer):
        return pl.Series("", content, dtype=_stored(dtype)).cast(dtype)
    import numpy as np

    stored = pl.UInt8() if name == "Boolean" else _stored(dtype)
    kind = stored.base_type().__name__
    if kind not in _NUMBERS:
        raise DecodeError(f"{name} is not kept as numbers")
    # Copied, as polars goes on using memory that it did not make, and that a caller could change.
    numbers = np.frombuffer(content.data, dtype=kind.lower()) if len(content) else np.zeros(0, kind.lower())
    series = pl.Series("", numbers.copy(), dtype=stored)
    if nulls is not None:
        if len(nulls) != (len(series) + 7) // 8:
            raise DecodeError(f"{len(nulls)} bytes of nulls for {len(series)} items")
        mask = np.unpackbits(np.frombuffer(nulls.data, "u1"), count=len(series)).astype(bool)
        series = pl.select(pl.when(pl.Series(mask)).then(None).otherwise(series)).to_series().rename("")
    return series.cast(dtype)


def _write_frame(frame: Any) -> list[Any]:
    return [[_write_series(series) for series in frame.get_columns()], frame.height]


def _guarded(read: Any) -> Any:
    """Polars fails by panics where others raise: what it panics at is a bad state as well."""

    def reader(state: Any) -> Any:
        try:
            return read(state)
        except pl.exceptions.PanicException as error:
            raise DecodeError(f"polars cannot make a value of what was stored: {error}") from error

    return reader


def _read_frame(state: Any) -> Any:
    columns, height = state
    frame = pl.DataFrame([_read_series(column) for column in columns])
    if columns and frame.height != height:
        raise DecodeError(f"columns of {frame.height} rows in a frame of {height}")
    return frame


_FRAME = Codec("polars.DataFrame", _write_frame, _guarded(_read_frame))
_SERIES = Codec("polars.Series", _write_series, _guarded(_read_series))
_TYPE = Codec("polars.DataType", _write_dtype, _guarded(_read_dtype))

BY_NAME = {codec.name: codec for codec in (_FRAME, _SERIES, _TYPE)}


def _look_at_frame(frame: Any) -> Any:
    if frame.estimated_size() < LARGE_BYTES:
        return None
    try:
        from redun.codecs.arrow_tables import look_at_chunks

        table = frame.to_arrow()
    except Exception:
        # Without pyarrow, or of a type that it does not know.
        return None
    looks = list(map(look_at_chunks, table.columns))
    return None if None in looks else (frame.columns, frame.dtypes, looks)


def _look_at_series(series: Any) -> Any:
    return _look_at_frame(series.to_frame())


LOOKS[pl.DataFrame] = _look_at_frame
LOOKS[pl.Series] = _look_at_series


def find(kind: type) -> Codec | None:
    """Return the codec of a type of polars."""
    if kind is pl.DataFrame:
        return _FRAME
    if kind is pl.Series:
        return _SERIES
    return _TYPE if issubclass(kind, pl.DataType) else None
