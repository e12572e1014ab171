"""numpy: arrays, scalars, dtypes, masked arrays.

    numpy.ndarray         [class, dtype, shape, content]
    numpy.scalar          [dtype, content]
    numpy.text            str or bytes (scalars that an array could not hold without loss)
    numpy.dtype           dtype
    numpy.ma.MaskedArray  [data, mask or nil, fill value or nil, hard mask]
    numpy.subclass        [class, array, attributes]: of other packages

Content is one buffer in C order, a list of items (object and StringDType), or one content for each field (structured): so neither
strides, nor order, nor the garbage between fields count. NaNs have one form, as in plain floats. Arrays come back writable.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as _numpy
from xxhash import xxh3_128_digest

from redun.codecs.buffer import Buffer
from redun.codecs.registry import Codec, NotCanonical, keeps_its_pickling
from redun.errors import DecodeError
from redun.large_values import LARGE_BYTES, LOOKS

np: Any = _numpy

_CLASSES: dict[str, Any] = {
    "ndarray": np.ndarray,
    "matrix": np.matrix,
    "recarray": np.recarray,
    "chararray": np.char.chararray,
}
_CLASS_NAMES = {kind: name for name, kind in _CLASSES.items()}
# A map of a file is an array like others once its file is out of sight.
_CLASS_NAMES[np.memmap] = "ndarray"

_LONG_DOUBLE_BYTES = 10 if np.finfo(np.longdouble).nmant == 63 else 0


def write_array(array: Any) -> list[Any]:
    """Return the state of an array."""
    name = _CLASS_NAMES[type(array)]
    array = array.view(np.ndarray)
    return [name, write_dtype(array.dtype), list(array.shape), _write_content(array)]


def read_array(state: Any) -> Any:
    """Return the array of a state."""
    name, dtype, shape, content = state
    if not all(type(n) is int and n >= 0 for n in shape):
        raise DecodeError(f"a shape is a list of sizes, found {shape!r}")
    array = _read_content(read_dtype(dtype), tuple(shape), content)
    return array if name == "ndarray" else array.view(_CLASSES[name])


def _write_content(array: Any) -> Any:
    dtype = array.dtype
    if dtype.names is not None:
        return [_write_content(array[name]) for name in dtype.names]
    if dtype.kind in "OT":
        return array.reshape(-1).tolist()
    flat = np.ascontiguousarray(array).reshape(-1)
    if flat.nbytes == 0:
        return Buffer(b"")
    return Buffer(one_nan(flat).view(np.uint8).data)


def one_nan(flat: Any) -> Any:
    """Return numbers with all NaNs alike; the same array if it has none."""
    if flat.dtype.kind not in "fc":
        return flat
    parts = flat if flat.dtype.kind == "f" else flat.view(flat.dtype.str[:1] + f"f{flat.dtype.itemsize // 2}")
    nans = np.isnan(parts)
    long_double = _LONG_DOUBLE_BYTES and parts.dtype.itemsize > 8
    if not long_double and not nans.any():
        return flat
    parts = parts.copy()
    parts[nans] = np.nan
    if long_double:
        # 10 bytes of number, the rest is whatever was in memory.
        parts.view(np.uint8).reshape(-1, parts.dtype.itemsize)[:, _LONG_DOUBLE_BYTES:] = 0
    return parts


def _read_content(dtype: Any, shape: tuple[int, ...], content: Any) -> Any:
    if dtype.subdtype is not None:
        base, inner = dtype.subdtype
        return _read_content(base, shape + inner, content)
    count = math.prod(shape)
    if dtype.names is not None:
        if len(content) != len(dtype.names):
            raise DecodeError(f"{len(dtype.names)} fields, but content of {len(content)}")
        fields = [_read_content(dtype.fields[name][0], shape, part) for name, part in zip(dtype.names, content, strict=True)]
        used = sum([dtype.fields[name][0].itemsize for name in dtype.names])
        if count * dtype.itemsize > 1 << 28 and dtype.itemsize > 1024 * used:
            raise DecodeError(f"{count} items of {dtype.itemsize} bytes, of which {used} are used")
        array = np.zeros(shape, dtype)
        for name, field in zip(dtype.names, fields, strict=True):
            array[name] = field
        return array
    if dtype.kind in "OT":
        if len(content) != count:
            raise DecodeError(f"an array of {count} items, but {len(content)} are there")
        if dtype.kind == "T":
            return np.array(content, dtype=dtype).reshape(shape)
        return np.fromiter(content, dtype=object, count=count).reshape(shape)
    if len(content) != count * dtype.itemsize:
        raise DecodeError(f"an array of {count} items of {dtype.itemsize} bytes, but {len(content)} bytes are there")
    if not len(content):
        return np.zeros(shape, dtype)
    return np.frombuffer(content.data, dtype=dtype).reshape(shape)


def write_dtype(dtype: Any) -> Any:
    """Return a dtype as plain data. Metadata does not count, as it does not in comparisons."""
    if dtype.subdtype is not None:
        base, shape = dtype.subdtype
        return ["array", write_dtype(base), list(shape)]
    if dtype.names is not None:
        fields = [[name, *_title_last(dtype.fields[name])] for name in dtype.names]
        return ["struct", issubclass(dtype.type, np.record), dtype.itemsize, dtype.isalignedstruct, fields]
    if dtype.kind == "T":
        return ["string", dtype.coerce, *([dtype.na_object] if hasattr(dtype, "na_object") else [])]
    if dtype.isbuiltin == 2 or not dtype.type.__module__.startswith("numpy"):
        raise NotCanonical
    return dtype.str


def _title_last(field: Any) -> list[Any]:
    inner, offset, *title = field
    return [write_dtype(inner), offset, title[0] if title else None]


def read_dtype(state: Any) -> Any:
    """Return the dtype of a state."""
    if isinstance(state, str):
        found = np.dtype(state)
        if found.str != state:
            raise DecodeError(f"{state!r} is no dtype")
        return found
    kind, *rest = state
    if kind == "array":
        return np.dtype((read_dtype(rest[0]), tuple(rest[1])))
    if kind == "string":
        na = {"na_object": rest[1]} if len(rest) > 1 else {}
        return np.dtypes.StringDType(coerce=rest[0], **na)
    if kind != "struct":
        raise DecodeError(f"{kind!r} is no kind of dtype")
    record, itemsize, aligned, fields = rest
    names, inner, offsets, titles = (list(column) for column in zip(*fields, strict=True)) if fields else ([], [], [], [])
    spec = {"names": names, "formats": [read_dtype(one) for one in inner], "offsets": offsets, "itemsize": itemsize}
    if any(title is not None for title in titles):
        spec["titles"] = titles
    found = np.dtype(spec, align=aligned)
    return np.dtype((np.record, found)) if record else found


def _write_scalar(value: Any) -> list[Any]:
    array = np.asarray(value)
    return [write_dtype(array.dtype), _write_content(array)]


def _read_scalar(state: Any) -> Any:
    dtype, content = state
    return _read_content(read_dtype(dtype), (), content)[()]


def _read_text(state: Any) -> Any:
    if not isinstance(state, str | bytes):
        raise DecodeError(f"expected text, found {state!r}")
    return np.str_(state) if isinstance(state, str) else np.bytes_(state)


def _write_masked(array: Any) -> list[Any]:
    mask = array.mask
    fill = array._fill_value
    return [
        array.data.view(np.ndarray),
        None if mask is np.ma.nomask else mask,
        None if fill is None else np.asarray(fill),
        bool(array.hardmask),
    ]


def _read_masked(state: Any) -> Any:
    data, mask, fill, hard = state
    return np.ma.MaskedArray(data, mask=np.ma.nomask if mask is None else mask, fill_value=fill, hard_mask=hard)


def _write_subclass(array: Any) -> list[Any]:
    return [type(array), array.view(np.ndarray), dict(sorted(getattr(array, "__dict__", {}).items()))]


def _read_subclass(state: Any) -> Any:
    kind, array, attributes = state
    if not (isinstance(kind, type) and issubclass(kind, np.ndarray) and type(array) is np.ndarray):
        raise DecodeError(f"{kind!r} is no class of arrays")
    found = array.view(kind)
    for name, item in attributes.items():
        setattr(found, name, item)
    return found


_ARRAY = Codec("numpy.ndarray", write_array, read_array)
_SCALAR = Codec("numpy.scalar", _write_scalar, _read_scalar)
_TEXT = Codec("numpy.text", lambda value: str(value) if isinstance(value, str) else bytes(value), _read_text)
_DTYPE = Codec("numpy.dtype", write_dtype, read_dtype)
_MASKED = Codec("numpy.ma.MaskedArray", _write_masked, _read_masked)
_SUBCLASS = Codec("numpy.subclass", _write_subclass, _read_subclass)

BY_NAME = {codec.name: codec for codec in (_ARRAY, _SCALAR, _TEXT, _DTYPE, _MASKED, _SUBCLASS)}


def look(array: Any) -> Any:
    """Return a digest of an array's content by which a change can be told, or None (see `redun.large_values`)."""
    dtype = array.dtype
    if (
        array.nbytes < LARGE_BYTES
        or dtype.hasobject
        or dtype.kind == "T"
        or not (array.flags.c_contiguous or array.flags.f_contiguous)
    ):
        return None
    flat = array.reshape(-1, order="C" if array.flags.c_contiguous else "F")
    return dtype.str, array.shape, array.flags.c_contiguous, xxh3_128_digest(flat.view(np.uint8).data)


LOOKS[np.ndarray] = look


def find_subclass(kind: type) -> Codec | None:
    """Return the codec of a type that another package derives from one of numpy."""
    return _SUBCLASS if issubclass(kind, np.ndarray) and keeps_its_pickling(kind, np.ndarray) else None


def find(kind: type) -> Codec | None:
    """Return the codec of a type of numpy."""
    if kind in _CLASS_NAMES:
        return _ARRAY
    if kind is np.str_ or kind is np.bytes_:
        return _TEXT
    if issubclass(kind, np.generic):
        return _SCALAR
    if issubclass(kind, np.dtype):
        return _DTYPE
    return _MASKED if kind is np.ma.MaskedArray else None
