"""polars values: round trips, ids that do not follow chunks, slices and codes of categories."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest

pytest.importorskip("numpy")
pl: Any = pytest.importorskip("polars")

from polars.testing import assert_frame_equal, assert_series_equal  # noqa: E402

from redun.codecs import Buffer, revive  # noqa: E402
from redun.encoding import restore, value_bytes, value_id  # noqa: E402
from redun.errors import DecodeError  # noqa: E402

Kept = Callable[[Any], Any]
NOON = dt.datetime(2020, 1, 1, 12)

SERIES = {
    "ints": lambda: pl.Series("a", [1, None, 3]),
    "text": lambda: pl.Series("a", ["x", None]),
    "bytes": lambda: pl.Series([b"x"]),
    "floats": lambda: pl.Series([1.5, float("nan"), None]),
    "truth": lambda: pl.Series([True, None, False]),
    "times": lambda: pl.Series([NOON, None]),
    "nanoseconds": lambda: pl.Series([1, 2]).cast(pl.Datetime("ns")),
    "zoned": lambda: pl.Series([NOON]).dt.replace_time_zone("Europe/Berlin"),
    "dates": lambda: pl.Series([dt.date(2020, 1, 1), None]),
    "hours": lambda: pl.Series([dt.time(1, 2)]),
    "spans": lambda: pl.Series([dt.timedelta(1), None]),
    "lists": lambda: pl.Series([[1], None, []]),
    "lists of nanoseconds": lambda: pl.Series([[1, 2]]).cast(pl.List(pl.Datetime("ns"))),
    "structs": lambda: pl.Series([{"a": 1, "b": "x"}, None]),
    "categories": lambda: pl.Series(["a", "b", None], dtype=pl.Categorical()),
    "enum": lambda: pl.Series(["a"], dtype=pl.Enum(["b", "a"])),
    "decimals": lambda: pl.Series([Decimal("1.50")]),
    "nulls": lambda: pl.Series([None, None]),
    "arrays": lambda: pl.Series([[1, 2], None], dtype=pl.Array(pl.Int8, 2)),
    "no ints": lambda: pl.Series([], dtype=pl.Int8),
    "no nulls": lambda: pl.Series([], dtype=pl.Null),
    "big ints": lambda: pl.Series([2**100], dtype=pl.Int128),
    "categories in structs": lambda: pl.Series([{"c": "x"}], dtype=pl.Struct({"c": pl.Categorical()})),
}


@pytest.mark.parametrize("name", SERIES)
def test_series(name: str, kept: Kept) -> None:
    series = SERIES[name]()
    back = kept(series)
    assert back.dtype == series.dtype
    assert_series_equal(back, series)


def test_frames(kept: Kept) -> None:
    frame = pl.DataFrame({"a": [1, 2], "b": ["x", None]})
    for one in (frame, pl.DataFrame(), frame.clear(), frame.with_columns(c=pl.lit(1.5))):
        assert_frame_equal(kept(one), one)


def test_types(kept: Kept) -> None:
    for kind in (pl.Int8(), pl.Datetime("ms", "UTC"), pl.List(pl.Int8), pl.Struct({"a": pl.Enum(["x"])}), pl.Int8):
        assert kept(kind) == kind


def test_how_a_frame_was_made_does_not_count() -> None:
    frame = pl.DataFrame({"a": [1, 2, 3], "c": ["x", "y", "z"]}, schema_overrides={"c": pl.Categorical()})
    ways = [pl.concat([frame[:1], frame[1:]]), frame.reverse().reverse(), restore(value_bytes(frame)), frame.lazy().collect()]
    assert {value_id(way) for way in ways} == {value_id(frame)}
    assert value_id(pl.Series([1, None, 3, 4])[1:3]) == value_id(pl.Series([None, 3]))
    late = pl.Series(["q", "z", "y"], dtype=pl.Categorical())[1:]
    assert value_id(late) == value_id(pl.Series(["z", "y"], dtype=pl.Categorical()))


def test_different_values_differ() -> None:
    values = [
        pl.Series([1]),
        pl.Series("a", [1]),
        pl.Series([1], dtype=pl.Int8),
        pl.Series([1.0]),
        pl.Series([None], dtype=pl.Int64),
        pl.Series([0]),
        pl.Series(["a"]),
        pl.Series(["a"], dtype=pl.Categorical()),
        pl.Series(["a"], dtype=pl.Enum(["a"])),
        pl.DataFrame({"": [1]}),
        pl.Int64(),
    ]
    assert len({value_id(value) for value in values}) == len(values)


@pytest.mark.parametrize(
    "state",
    [
        ["polars.Series", 1],
        ["polars.Series", ["a", "Int8", [None, Buffer(memoryview(b"abc"))], 1]],
        ["polars.Series", ["a", "Int64", [None, Buffer(memoryview(b"abc"))]]],
        ["polars.Series", ["a", "Int8", [Buffer(memoryview(b"")), Buffer(memoryview(b"abc"))]]],
        ["polars.Series", ["a", "String", [None, Buffer(memoryview(b"abc"))]]],
        ["polars.Series", ["a", "Null", [None, -1]]],
        ["polars.Series", ["a", "nothing", [None, []]]],
        ["polars.Series", ["a", ["Datetime", "xx", None], [None, Buffer(memoryview(bytes(8)))]]],
        ["polars.DataFrame", [[], 0, 0]],
        ["polars.DataType", ["DataFrame"]],
    ],
)
def test_bad_states_are_errors(state: Any) -> None:
    with pytest.raises(DecodeError):
        revive(state)
