"""pyarrow: tables, record batches, arrays, scalars, schemas and types.

    pyarrow.Table  pyarrow.RecordBatch  pyarrow.ChunkedArray  pyarrow.Array  pyarrow.Scalar     a stream of the IPC format
    pyarrow.Schema  pyarrow.Field  pyarrow.DataType                                             a schema of the IPC format

A value is copied into one chunk without offsets before it is written, so neither slices, nor chunks, nor what lies under a null
count. The stream comes back without a copy. It is checked in full when it is read: a bad offset would be a crash later.

Not canonical: columns of text or bytes beyond 2 GiB, which cannot be one chunk.
"""

from __future__ import annotations

import contextlib
from typing import Any

import pyarrow as _pyarrow
from xxhash import xxh3_128_digest

from redun.codecs.buffer import Buffer
from redun.codecs.registry import Codec
from redun.errors import DecodeError
from redun.large_values import FOREVER, LARGE_BYTES, LOOKS

pa: Any = _pyarrow


def _canonical(column: Any) -> Any:
    """Return a chunked column as one array that nobody else's bytes are in."""
    if pa.types.is_dictionary(column.type):
        column = column.unify_dictionaries()
    column = column.combine_chunks()
    chunks = column.chunks if isinstance(column, pa.ChunkedArray) else [column]
    copied = []
    for chunk in chunks:
        with contextlib.suppress(pa.ArrowException, NotImplementedError):
            chunk = _copied(chunk)
        copied.append(chunk)
    return pa.chunked_array(copied, type=column.type)


def _copied(array: Any) -> Any:
    """Return an array in memory of its own, with nothing before, after or under what counts."""
    kind = array.type
    array = array.take(_numbers(len(array)))
    hidden = array.is_null() if array.null_count else None
    if pa.types.is_struct(kind) and kind.num_fields:
        # Unlike `field`, `flatten` makes null what lies under a null.
        return pa.StructArray.from_arrays([_copied(part) for part in array.flatten()], fields=list(kind), mask=hidden)
    if pa.types.is_list(kind) or pa.types.is_large_list(kind):
        make = pa.ListArray if pa.types.is_list(kind) else pa.LargeListArray
        return make.from_arrays(array.offsets, _copied(array.values), type=kind, mask=hidden)
    return array


def _numbers(count: int) -> Any:
    if count < 1024:
        return pa.array(range(count), pa.int64())
    ones = pa.compute.cumulative_sum(pa.repeat(pa.scalar(1, pa.int64()), count))
    return pa.compute.subtract(ones, 1)


def _write(table: Any) -> Buffer:
    # One by one, so that no more than one column is in memory twice.
    columns = [_canonical(column) for column in table.columns]
    table = pa.Table.from_arrays(columns, schema=table.schema) if columns else table
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return Buffer(memoryview(sink.getvalue()))


def _read(content: Any) -> Any:
    if not isinstance(content, Buffer):
        raise DecodeError("a table is a buffer")
    with pa.ipc.open_stream(pa.py_buffer(content.data)) as reader:
        table = reader.read_all()
    table.validate(full=True)
    return table


def _column(array: Any) -> Any:
    return pa.Table.from_arrays([array], schema=pa.schema([pa.field("", array.type)]))


def _write_table(table: Any) -> list[Any]:
    return [table.num_rows if not table.num_columns else None, _write(table)]


def _read_table(state: Any) -> Any:
    rows, content = state
    table = _read(content)
    if rows:
        # Rows without columns: only a column that is dropped again can tell how many.
        if rows > 1 << 40:
            raise DecodeError(f"a table without columns claims {rows} rows")
        table = table.append_column("", pa.nulls(rows)).select([])
    return table


def _read_batch(state: Any) -> Any:
    table = _read_table(state)
    batches = table.combine_chunks().to_batches()
    if len(batches) == 1:
        return batches[0]
    return pa.RecordBatch.from_arrays([column.combine_chunks() for column in table.columns], schema=table.schema)


def _array(chunked: Any) -> Any:
    array = chunked.combine_chunks()
    if isinstance(array, pa.ChunkedArray):
        return array.chunk(0) if array.num_chunks else pa.array([], array.type)
    return array


def _read_column(content: Any) -> Any:
    return _read(content).column(0)


def _write_schema(schema: Any) -> Buffer:
    return Buffer(schema.serialize().to_pybytes())


def _read_schema(content: Any) -> Any:
    return pa.ipc.read_schema(pa.py_buffer(content.data))


_TABLE = Codec("pyarrow.Table", _write_table, _read_table)
_BATCH = Codec("pyarrow.RecordBatch", lambda batch: _write_table(pa.Table.from_batches([batch])), _read_batch)
_CHUNKED = Codec("pyarrow.ChunkedArray", lambda value: _write(_column(value)), _read_column)
_ARRAY = Codec("pyarrow.Array", lambda value: _write(_column(value)), lambda state: _array(_read_column(state)))
_SCALAR = Codec(
    "pyarrow.Scalar",
    lambda value: _write(_column(pa.array([value.as_py()], value.type) if not value.is_valid else pa.repeat(value, 1))),
    lambda state: _read_column(state)[0],
)
_SCHEMA = Codec("pyarrow.Schema", _write_schema, _read_schema)
_FIELD = Codec("pyarrow.Field", lambda field: _write_schema(pa.schema([field])), lambda state: _read_schema(state).field(0))
_TYPE = Codec(
    "pyarrow.DataType",
    lambda kind: _write_schema(pa.schema([pa.field("", kind)])),
    lambda state: _read_schema(state).field(0).type,
)

BY_NAME = {codec.name: codec for codec in (_TABLE, _BATCH, _CHUNKED, _ARRAY, _SCALAR, _SCHEMA, _FIELD, _TYPE)}
_BASES = (
    (pa.Table, _TABLE),
    (pa.RecordBatch, _BATCH),
    (pa.ChunkedArray, _CHUNKED),
    (pa.Array, _ARRAY),
    (pa.Scalar, _SCALAR),
    (pa.Schema, _SCHEMA),
    (pa.Field, _FIELD),
    (pa.DataType, _TYPE),
)


def _look(value: Any) -> Any:
    # What arrow holds cannot be changed: that it is the same object is enough.
    return FOREVER if value.nbytes >= LARGE_BYTES else None


def look_at_chunks(column: Any) -> Any:
    """Return a digest of the memory of a chunked array that belongs to a value that can be changed, or None."""
    if any(pa.types.is_dictionary(part) for part in _types(column.type)):
        return None
    buffers = [buffer for chunk in column.chunks for buffer in chunk.buffers() if buffer is not None]
    if sum([buffer.size for buffer in buffers]) > 4 * column.nbytes:
        # A small part of something large.
        return None
    places = [(chunk.offset, len(chunk), [buffer is None for buffer in chunk.buffers()]) for chunk in column.chunks]
    return str(column.type), places, list(map(xxh3_128_digest, buffers))


def _types(kind: Any) -> list[Any]:
    return [kind, *(part for place in range(kind.num_fields) for part in _types(kind.field(place).type))]


LOOKS.update(dict.fromkeys((pa.Table, pa.RecordBatch, pa.ChunkedArray), _look))


def find(kind: type) -> Codec | None:
    """Return the codec of a type of pyarrow."""
    import pyarrow.compute  # noqa: F401

    return next((codec for base, codec in _BASES if issubclass(kind, base)), None)
