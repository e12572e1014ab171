"""pyarrow values: round trips, ids that do not follow slices, chunks and what lies under nulls."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest

pa: Any = pytest.importorskip("pyarrow")

from redun.codecs import Buffer, revive  # noqa: E402
from redun.encoding import value_id  # noqa: E402
from redun.errors import DecodeError  # noqa: E402

Kept = Callable[[Any], Any]


def ends(*numbers: int) -> Any:
    return pa.py_buffer(b"".join(number.to_bytes(4, "little") for number in numbers))


VALUES = {
    "ints": lambda: pa.array([1, None, 3]),
    "text": lambda: pa.array(["a", None]),
    "bytes": lambda: pa.array([b"x"]),
    "lists": lambda: pa.array([[1], None, []]),
    "structs": lambda: pa.array([{"a": 1}, None]),
    "truth": lambda: pa.array([True, None]),
    "empty": lambda: pa.array([], pa.int8()),
    "nulls": lambda: pa.nulls(3),
    "dictionary": lambda: pa.array(["a", "b", "a"]).dictionary_encode(),
    "times": lambda: pa.array([dt.datetime(2020, 1, 1)], pa.timestamp("ns", tz="UTC")),
    "decimals": lambda: pa.array([Decimal("1.5")]),
    "large text": lambda: pa.array(["a"], pa.large_string()),
    "maps": lambda: pa.array([[("a", 1)]], pa.map_(pa.string(), pa.int64())),
    "slice": lambda: pa.array([1, 2, 3, 4])[1:3],
    "chunks": lambda: pa.chunked_array([[1], [2, None]]),
    "no chunks": lambda: pa.chunked_array([], pa.int8()),
    "table": lambda: pa.table({"a": [1, 2], "b": ["x", None]}),
    "empty table": lambda: pa.table({}),
    "rows only": lambda: pa.table({"a": [1, 2]}).select([]),
    "batch": lambda: pa.record_batch([pa.array([1])], names=["a"]),
    "empty batch": lambda: pa.record_batch([pa.array([], pa.int8())], names=["a"]),
    "schema": lambda: pa.schema([("a", pa.int8())], metadata={"x": "y"}),
    "field": lambda: pa.field("a", pa.list_(pa.int8()), nullable=False),
    "type": lambda: pa.dictionary(pa.int8(), pa.string()),
    "scalar": lambda: pa.scalar(3),
    "null scalar": lambda: pa.scalar(None, pa.int8()),
    "struct scalar": lambda: pa.scalar({"a": 1}),
    "long": lambda: pa.table({"a": list(range(20_000))}),
}


@pytest.mark.parametrize("name", VALUES)
def test_values(name: str, kept: Kept) -> None:
    value = VALUES[name]()
    back = kept(value)
    assert back.equals(value)
    assert getattr(back, "num_rows", None) == getattr(value, "num_rows", None)
    assert getattr(back, "metadata", None) == getattr(value, "metadata", None)


def test_slices_and_chunks_do_not_count() -> None:
    assert value_id(pa.array([1, None, 3, 4])[1:3]) == value_id(pa.array([None, 3]))
    table = pa.table({"a": [1, 2, 3], "b": ["x", None, "z"]})
    assert value_id(pa.concat_tables([table[:1], table[1:]])) == value_id(table)
    one, two = pa.array(["a"]).dictionary_encode(), pa.array(["b"]).dictionary_encode()
    assert value_id(pa.chunked_array([one, two])) == value_id(pa.chunked_array([pa.array(["a", "b"]).dictionary_encode()]))


def test_what_lies_under_a_null_does_not_count() -> None:
    numbers = pa.py_buffer((1).to_bytes(8, "little") + (99).to_bytes(8, "little"))
    no_nulls, second_null = pa.py_buffer(b"\xff"), pa.py_buffer(b"\xfd")
    pairs = [
        (pa.Array.from_buffers(pa.int64(), 2, [second_null, numbers]), pa.array([1, None])),
        (pa.Array.from_buffers(pa.int64(), 2, [no_nulls, numbers]), pa.array([1, 99])),
        (pa.Array.from_buffers(pa.string(), 2, [second_null, ends(0, 1, 3), pa.py_buffer(b"abc")]), pa.array(["a", None])),
        (pa.Array.from_buffers(pa.bool_(), 2, [None, pa.py_buffer(b"\xff")]), pa.array([True, True])),
    ]
    struct = pa.StructArray.from_arrays([pa.array([1, 2])], names=["a"], mask=pa.array([False, True]))
    pairs.append((struct, pa.array([{"a": 1}, None])))
    pairs.append((pa.ListArray.from_arrays([0, 2], struct), pa.array([[{"a": 1}, None]])))
    for dirty, clean in pairs:
        assert dirty.equals(clean)
        assert value_id(dirty) == value_id(clean)


def test_different_values_differ() -> None:
    values = [
        pa.array([1]),
        pa.array([1], pa.int8()),
        pa.array([1.0]),
        pa.chunked_array([[1]]),
        pa.table({"": [1]}),
        pa.record_batch([pa.array([1])], names=[""]),
        pa.scalar(1),
        pa.field("", pa.int64()),
        pa.schema([pa.field("", pa.int64())]),
        pa.int64(),
    ]
    assert len({value_id(value) for value in values}) == len(values)


def test_a_table_whose_offsets_are_wrong_is_an_error_and_no_crash() -> None:
    sink = pa.BufferOutputStream()
    batch = pa.record_batch([pa.array(["a", "bc"])], names=[""])
    with pa.ipc.new_stream(sink, batch.schema) as writer:
        writer.write_batch(batch)
    data = sink.getvalue().to_pybytes()
    offsets = b"".join(number.to_bytes(4, "little") for number in (0, 1, 3))
    assert data.count(offsets) == 1
    hostile = data.replace(offsets, offsets[:8] + (1_000_000).to_bytes(4, "little"))
    with pytest.raises(DecodeError):
        revive(["pyarrow.Array", Buffer(memoryview(hostile))])


@pytest.mark.parametrize("name", ["Table", "RecordBatch", "ChunkedArray", "Array", "Scalar", "Schema", "Field", "DataType"])
def test_bad_states_are_errors(name: str) -> None:
    for state in (1, None, [], [None, Buffer(memoryview(b"abc"))], Buffer(memoryview(b"")), Buffer(memoryview(bytes(64)))):
        with pytest.raises(DecodeError):
            revive([f"pyarrow.{name}", state])
