"""pandas: frames, series, indexes, arrays, scalars.

    pandas.DataFrame    [[column arrays], columns, index, attrs, flags]
    pandas.Series       [array, index, name, attrs, flags]
    pandas.Index        [kind, ...], see `_write_index`
    pandas.array        [kind, ...], see `_write_array`
    pandas.scalar       [kind, ...]
    pandas.subclass     [class, frame or series, {name in `_metadata`: value}]: of other packages

Written column by column, so blocks do not count, nor views, unused levels of a MultiIndex, or what lies under a mask. What does
count: order of rows and columns, dtypes, categories, the kind of the index (a RangeIndex is not an Index of the same numbers), `freq`.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any

import numpy as _numpy
import pandas as _pandas
from xxhash import xxh3_128_digest

from redun.codecs.registry import Codec, NotCanonical, keeps_its_pickling
from redun.errors import DecodeError
from redun.large_values import LOOKS

np: Any = _numpy
pd: Any = _pandas

# Frames and series.


def _write_frame(frame: Any) -> list[Any]:
    columns = [frame.iloc[:, place].array for place in range(frame.shape[1])]
    return [list(map(_write_array, columns)), frame.columns, frame.index, *_write_extras(frame)]


def _read_frame(state: Any) -> Any:
    columns, names, index, attrs, unique = state
    if len(columns) != len(names):
        raise DecodeError(f"{len(columns)} columns, but {len(names)} names")
    series = {place: _series(_read_array(column), index) for place, column in enumerate(columns)}
    frame = pd.DataFrame(series, index=index, copy=False)
    frame.columns = names
    return _with_extras(frame, attrs, unique)


def _write_series(series: Any) -> list[Any]:
    return [_write_array(series.array), series.index, series.name, *_write_extras(series)]


def _read_series(state: Any) -> Any:
    array, index, name, attrs, unique = state
    series = _series(_read_array(array), index)
    series.name = name
    return _with_extras(series, attrs, unique)


def _series(array: Any, index: Any) -> Any:
    # Said explicitly: some versions take an array of objects that are all text for one of text.
    return pd.Series(array, index=index, dtype=array.dtype, copy=False)


def _write_extras(value: Any) -> list[Any]:
    return [dict(value.attrs), value.flags.allows_duplicate_labels]


def _with_extras(value: Any, attrs: Any, duplicates: Any) -> Any:
    value.attrs = attrs
    if not duplicates:
        value.flags.allows_duplicate_labels = False
    return value


# Arrays: [kind, ...].


def _write_array(array: Any) -> list[Any]:
    kind = type(array).__name__
    writer = _ARRAY_WRITERS.get(kind)
    if writer is None or type(array).__module__.partition(".")[0] != "pandas":
        # Of another package: like any other object.
        return ["other", array]
    return [kind, *writer(array)]


def _write_datetimes(array: Any) -> list[Any]:
    zone = getattr(array.dtype, "tz", None)
    return [
        np.asarray(array.view("i8") if zone is None else array.tz_convert("UTC").tz_localize(None).view("i8")),
        array.unit,
        zone,
    ]


def _read_datetimes(parts: list[Any]) -> Any:
    numbers, unit, zone = parts
    array = pd.array(numbers.view(f"M8[{unit}]"), dtype=f"datetime64[{unit}]")
    return array if zone is None else array.tz_localize("UTC").tz_convert(zone)


def _write_masked(array: Any) -> list[Any]:
    mask = np.asarray(array.isna())
    data = array._data
    if mask.any():
        data = data.copy()
        data[mask] = 0
    return [data, mask]


def _masked_reader(name: str) -> Callable[[list[Any]], Any]:
    return lambda parts: getattr(pd.arrays, name)(*parts)


def _write_strings(array: Any) -> list[Any]:
    dtype = array.dtype
    missing = getattr(dtype, "na_value", pd.NA)
    return [dtype.storage, "NA" if missing is pd.NA else "nan", _without_missing(array)]


def _without_missing(array: Any) -> list[Any]:
    return [None if missing else text for text, missing in zip(array, array.isna(), strict=True)]


def _read_strings(parts: list[Any]) -> Any:
    storage, missing, texts = parts
    dtype = pd.StringDtype(storage) if missing == "NA" else pd.StringDtype(storage, na_value=np.nan)
    return pd.array(texts, dtype=dtype)


def _write_categorical(array: Any) -> list[Any]:
    return [np.asarray(array.codes), array.categories, bool(array.ordered)]


def _read_categorical(parts: list[Any]) -> Any:
    codes, categories, ordered = parts
    return pd.Categorical.from_codes(codes, categories=categories, ordered=ordered)


def _write_sparse(array: Any) -> list[Any]:
    return [
        np.asarray(array.sp_values),
        np.asarray(array.sp_index.indices),
        len(array),
        array.fill_value,
        array.sp_index.__class__.__name__,
    ]


def _read_sparse(parts: list[Any]) -> Any:
    values, places, size, fill, kind = parts
    if size > 1 << 40 or (len(places) and (places.min() < 0 or places.max() >= size)):
        raise DecodeError("places of a sparse array lie outside of it")
    make = getattr(pd.arrays.SparseArray, "from_indices", None)
    if make is not None:
        return make(values, places, size, fill, kind="block" if kind == "BlockIndex" else "integer")
    # Before pandas 3.1.
    from pandas._libs.sparse import IntIndex

    index = IntIndex(size, places)
    return pd.arrays.SparseArray(
        values, sparse_index=index.to_block_index() if kind == "BlockIndex" else index, fill_value=fill
    )


_ARRAY_WRITERS: dict[str, Callable[[Any], list[Any]]] = {
    "NumpyExtensionArray": lambda array: [array.to_numpy(copy=False)],
    "PandasArray": lambda array: [array.to_numpy(copy=False)],
    "DatetimeArray": _write_datetimes,
    "TimedeltaArray": lambda array: [np.asarray(array.view("i8")), array.unit],
    "PeriodArray": lambda array: [np.asarray(array.view("i8")), array.dtype.name],
    "IntervalArray": lambda array: [array.left, array.right, array.closed],
    "IntegerArray": _write_masked,
    "FloatingArray": _write_masked,
    "BooleanArray": _write_masked,
    "StringArray": _write_strings,
    "StringArrayNumpySemantics": _write_strings,
    "ArrowStringArray": _write_strings,
    "ArrowStringArrayNumpySemantics": _write_strings,
    "ArrowExtensionArray": lambda array: [array.__arrow_array__()],
    "Categorical": _write_categorical,
    "SparseArray": _write_sparse,
}
_ARRAY_READERS: dict[str, Callable[[list[Any]], Any]] = {
    "NumpyExtensionArray": lambda parts: parts[0],
    "PandasArray": lambda parts: parts[0],
    "DatetimeArray": _read_datetimes,
    "TimedeltaArray": lambda parts: pd.array(parts[0].view(f"m8[{parts[1]}]"), dtype=f"timedelta64[{parts[1]}]"),
    "PeriodArray": lambda parts: pd.arrays.PeriodArray(parts[0], dtype=parts[1]),
    "IntervalArray": lambda parts: pd.arrays.IntervalArray.from_arrays(parts[0], parts[1], closed=parts[2]),
    "IntegerArray": _masked_reader("IntegerArray"),
    "FloatingArray": _masked_reader("FloatingArray"),
    "BooleanArray": _masked_reader("BooleanArray"),
    "ArrowExtensionArray": lambda parts: pd.arrays.ArrowExtensionArray(parts[0]),
    "StringArray": _read_strings,
    "StringArrayNumpySemantics": _read_strings,
    "ArrowStringArray": _read_strings,
    "ArrowStringArrayNumpySemantics": _read_strings,
    "Categorical": _read_categorical,
    "SparseArray": _read_sparse,
    "other": lambda parts: parts[0],
}


def _read_array(state: Any) -> Any:
    kind, *parts = state
    reader = _ARRAY_READERS.get(kind)
    if reader is None:
        raise DecodeError(f"{kind!r} is no kind of array")
    return reader(parts)


def _read_lone_array(state: Any) -> Any:
    array = _read_array(state)
    return pd.arrays.NumpyExtensionArray(array) if isinstance(array, np.ndarray) else array


# Indexes: [kind, name, ...].


def _write_index(index: Any) -> list[Any]:
    kind = type(index)
    if kind is pd.RangeIndex:
        return ["range", index.name, index.start, index.stop, index.step]
    if kind is pd.MultiIndex:
        if not index.nlevels:
            raise NotCanonical
        levels = [index.get_level_values(place) for place in range(index.nlevels)]
        return ["multi", list(index.names), [_write_array(level.array) for level in levels]]
    if kind not in (pd.Index, pd.DatetimeIndex, pd.TimedeltaIndex, pd.PeriodIndex, pd.IntervalIndex, pd.CategoricalIndex):
        raise NotCanonical
    step = getattr(index, "freq", None) if kind in (pd.DatetimeIndex, pd.TimedeltaIndex) else None
    return ["index", index.name, _write_array(index.array), None if step is None else _write_offset(step)]


def _read_index(state: Any) -> Any:
    kind, name, *parts = state
    if kind == "range":
        return pd.RangeIndex(*parts, name=name)
    if kind == "multi":
        return pd.MultiIndex.from_arrays([_index(_read_array(level)) for level in parts[0]], names=name)
    if kind != "index":
        raise DecodeError(f"{kind!r} is no kind of index")
    array, step = parts
    index = _index(_read_array(array), name)
    if step is not None:
        index.freq = _read_offset(step)
    return index


def _index(array: Any, name: Any = None) -> Any:
    return pd.Index(array, dtype=array.dtype, name=name, copy=False)


def _write_offset(offset: Any) -> Any:
    """Text where it says all (`D`, `2h`), else the offset as an object."""
    with contextlib.suppress(ValueError, AttributeError):
        text: str = offset.freqstr
        if pd.tseries.frequencies.to_offset(text) == offset:
            return text
    return [offset]


def _read_offset(state: Any) -> Any:
    return pd.tseries.frequencies.to_offset(state) if isinstance(state, str) else state[0]


# Scalars.


def _write_scalar(value: Any) -> list[Any]:
    if value is pd.NaT:
        return ["NaT"]
    if value is pd.NA:
        return ["NA"]
    if isinstance(value, pd.Timestamp):
        return ["Timestamp", value.asm8.view("i8").item(), value.unit, value.tz, value.fold]
    if isinstance(value, pd.Timedelta):
        return ["Timedelta", value.asm8.view("i8").item(), value.unit]
    if isinstance(value, pd.Period):
        return ["Period", value.ordinal, value.freqstr]
    return ["Interval", value.left, value.right, value.closed]


def _read_scalar(state: Any) -> Any:
    kind, *parts = state
    if kind == "NaT":
        return pd.NaT
    if kind == "NA":
        return pd.NA
    if kind == "Timestamp":
        number, unit, zone, fold = parts
        found = pd.Timestamp(np.datetime64(number, unit))
        if zone is None:
            return found.replace(fold=fold) if fold else found
        return found.tz_localize("UTC").tz_convert(zone)
    if kind == "Timedelta":
        return pd.Timedelta(np.timedelta64(parts[0], parts[1]))
    if kind == "Period":
        return pd.Period(ordinal=parts[0], freq=parts[1])
    if kind == "Interval":
        return pd.Interval(*parts)
    raise DecodeError(f"{kind!r} is no kind of scalar")


# Subclasses of other packages.


def _write_subclass(value: Any) -> list[Any]:
    base = _base(type(value))
    state = value.__getstate__()
    # What a class names in `_metadata` is what pandas keeps of it besides.
    more = {name: state.pop(name, None) for name in value._metadata if name not in base._metadata}
    plain = base.__new__(base)
    plain.__setstate__({**state, "_metadata": base._metadata})
    return [type(value), plain, dict(sorted(more.items()))]


def _read_subclass(parts: Any) -> Any:
    kind: Any
    kind, plain, more = parts
    fits = isinstance(kind, type) and issubclass(kind, pd.DataFrame | pd.Series) and type(plain) is _base(kind)
    if not fits:
        raise DecodeError(f"{kind!r} is no class of frames or series")
    value: Any = kind.__new__(kind)
    value.__setstate__({**plain.__getstate__(), "_metadata": kind._metadata, **more})
    return value


def _base(kind: Any) -> Any:
    return pd.DataFrame if issubclass(kind, pd.DataFrame) else pd.Series


_FRAME = Codec("pandas.DataFrame", _write_frame, _read_frame)
_SERIES = Codec("pandas.Series", _write_series, _read_series)
_INDEX = Codec("pandas.Index", _write_index, _read_index)
_ARRAY = Codec("pandas.array", _write_array, _read_lone_array)
_SCALAR = Codec("pandas.scalar", _write_scalar, _read_scalar)
_SUBCLASS = Codec("pandas.subclass", _write_subclass, _read_subclass)

BY_NAME = {codec.name: codec for codec in (_FRAME, _SERIES, _INDEX, _ARRAY, _SCALAR, _SUBCLASS)}
_SCALARS = (pd.Timestamp, pd.Timedelta, pd.Period, pd.Interval, type(pd.NA), type(pd.NaT))


class _Same:
    """Equal to another one of identical indexes: of the same types, names and labels."""

    def __init__(self, *indexes: Any) -> None:
        self.indexes = indexes

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Same) and all(
            one.identical(two) for one, two in zip(self.indexes, other.indexes, strict=True)
        )

    __hash__ = None  # type: ignore[assignment]


def _look_at_frame(frame: Any) -> Any:
    """As `numpy_arrays.look`; frames with intervals, sparse columns or objects other than texts are passed over."""
    if frame.attrs:
        return None
    digests = [_look_at_array(frame.iloc[:, place].array) for place in range(frame.shape[1])]
    if None in digests:
        return None
    names = list(frame.index.names), list(frame.columns.names)
    return _Same(frame.index, frame.columns), names, frame.flags.allows_duplicate_labels, digests


def _look_at_series(series: Any) -> Any:
    digest = None if series.attrs else _look_at_array(series.array)
    if digest is None:
        return None
    return _Same(series.index), list(series.index.names), [series.name], series.flags.allows_duplicate_labels, digest


def _look_at_array(array: Any) -> Any:
    """Return a digest of a column by which a change can be told, or None."""
    kind = type(array).__name__
    parts: Any
    if kind in ("NumpyExtensionArray", "PandasArray", "StringArray", "StringArrayNumpySemantics"):
        parts = [np.asarray(array)]
    elif kind in ("IntegerArray", "FloatingArray", "BooleanArray"):
        parts = [array._data, array._mask]
    elif kind in ("DatetimeArray", "TimedeltaArray", "PeriodArray"):
        parts = [array.asi8]
    elif kind == "Categorical":
        return _Same(array.categories), bool(array.ordered), xxh3_128_digest(np.ascontiguousarray(array.codes).data)
    elif kind in ("ArrowStringArray", "ArrowStringArrayNumpySemantics", "ArrowExtensionArray"):
        from redun.codecs.arrow_tables import look_at_chunks

        found = look_at_chunks(array._pa_array)
        return None if found is None else (kind, str(array.dtype), found)
    else:
        return None
    digests = list(map(_look_at_numbers, parts))
    return None if None in digests else (kind, str(array.dtype), digests)


def _look_at_numbers(array: Any) -> Any:
    if array.dtype.kind in "biufcmM":
        return array.dtype.str, xxh3_128_digest(np.ascontiguousarray(array).view(np.uint8).data)
    if array.dtype.kind != "O":
        return None
    missing = pd.isna(array)
    if set(map(type, array[missing].tolist())) - {float, type(None)}:
        return None
    texts = array[~missing].tolist()
    if set(map(type, texts)) - {str}:
        return None
    # Each text knows its hash.
    hashes = np.fromiter(map(hash, texts), np.int64, len(texts))
    nones = [place for place in np.flatnonzero(missing).tolist() if array[place] is None]
    return xxh3_128_digest(hashes.data), xxh3_128_digest(missing.data), nones


LOOKS[pd.DataFrame] = _look_at_frame
LOOKS[pd.Series] = _look_at_series


def find_subclass(kind: type) -> Codec | None:
    """Return the codec of a type that another package derives from one of pandas."""
    return _SUBCLASS if issubclass(kind, pd.DataFrame | pd.Series) and keeps_its_pickling(kind, _base(kind)) else None


def find(kind: type) -> Codec | None:
    """Return the codec of a type of pandas."""
    if kind is pd.DataFrame:
        return _FRAME
    if kind is pd.Series:
        return _SERIES
    if issubclass(kind, pd.Index):
        return _INDEX
    if kind in _SCALARS:
        return _SCALAR
    return _ARRAY if kind.__name__ in _ARRAY_WRITERS and issubclass(kind, pd.api.extensions.ExtensionArray) else None
