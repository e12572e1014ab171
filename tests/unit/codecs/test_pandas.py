"""pandas values: round trips, ids that do not follow how a frame was built."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import Any
from zoneinfo import ZoneInfo

import pytest

np: Any = pytest.importorskip("numpy")
pd: Any = pytest.importorskip("pandas")

from redun.encoding import restore, value_bytes, value_id  # noqa: E402
from redun.errors import DecodeError  # noqa: E402

Kept = Callable[[Any], Any]

SERIES = {
    "ints": lambda: pd.Series([1, 2]),
    "floats": lambda: pd.Series([1.0, np.nan]),
    "text": lambda: pd.Series(["a", None]),
    "objects that are text": lambda: pd.Series(["a", "b"], dtype=object),
    "string": lambda: pd.Series(["a", None], dtype="string"),
    "string python": lambda: pd.Series(["a", None], dtype="string[python]"),
    "Int64": lambda: pd.Series([1, None], dtype="Int64"),
    "boolean": lambda: pd.Series([True, None], dtype="boolean"),
    "Float32": lambda: pd.Series([1.5, None], dtype="Float32"),
    "category": lambda: pd.Series(["x", "y", "x", None], dtype="category"),
    "ordered": lambda: pd.Series(pd.Categorical(["x", "y"], categories=["y", "x", "z"], ordered=True)),
    "times": lambda: pd.Series(pd.to_datetime(["2020-01-01", None])),
    "zoned": lambda: pd.Series(pd.date_range("2020-10-24", periods=50, freq="h", tz="Europe/Berlin")),
    "spans": lambda: pd.Series(pd.to_timedelta([1, 2], unit="h")),
    "periods": lambda: pd.Series(pd.period_range("2020", periods=3, freq="M")),
    "intervals": lambda: pd.Series(pd.interval_range(0, 3)),
    "sparse": lambda: pd.Series(pd.arrays.SparseArray([0, 0, 1, 2])),
    "sparse blocks": lambda: pd.Series(pd.arrays.SparseArray([0, 0, 1, 2], kind="block")),
    "lists": lambda: pd.Series([[1], [2, 3]]),
    "none": lambda: pd.Series([], dtype="float64"),
    "named": lambda: pd.Series([1, 2], name=("a", 1), index=["x", "y"]),
    "mixed": lambda: pd.Series([pd.Timestamp("2020"), pd.NaT, pd.NA, None, pd.Timedelta(1), pd.Interval(0, 1)], dtype=object),
}
FRAMES = {
    "two columns of one name": lambda: pd.DataFrame([[1, 2], [3, 4]], columns=["a", "a"]),
    "nothing": lambda: pd.DataFrame(),
    "rows only": lambda: pd.DataFrame(index=[1, 2]),
    "no rows": lambda: pd.DataFrame({"a": []}),
    "levels": lambda: pd.DataFrame(
        np.zeros((3, 2)), columns=pd.MultiIndex.from_tuples([("a", 1), ("b", 2)], names=["x", None])
    ),
    "long": lambda: pd.DataFrame(np.arange(60_000.0).reshape(20_000, 3), columns=list("abc")),
    **{f"with {name}": lambda make=make: pd.DataFrame({"a": make().reset_index(drop=True)}) for name, make in SERIES.items()},
}
INDEXES = {
    "plain": lambda: pd.Index([1, 2], name="q"),
    "range": lambda: pd.RangeIndex(3),
    "text": lambda: pd.Index(["a", "b"]),
    "days": lambda: pd.date_range("2020", periods=3),
    "zoned": lambda: pd.date_range("2020", periods=3, tz="Asia/Tokyo", freq="2h"),
    "working days": lambda: pd.date_range("2020", periods=3, freq=pd.offsets.CustomBusinessDay(holidays=["2020-01-02"])),
    "spans": lambda: pd.timedelta_range("1h", periods=3),
    "periods": lambda: pd.period_range("2020", periods=2, freq="Q"),
    "intervals": lambda: pd.interval_range(0, 2),
    "categories": lambda: pd.CategoricalIndex(["a", "b"]),
    "levels": lambda: pd.MultiIndex.from_product([[1, 2], ["a", None]]),
    "empty levels": lambda: pd.MultiIndex.from_arrays([[], []]),
    "Int64": lambda: pd.Index([1, None], dtype="Int64"),
    "empty": lambda: pd.Index([]),
    "objects": lambda: pd.Index([1, "a"], dtype=object),
}


@pytest.mark.parametrize("name", SERIES)
def test_series(name: str, kept: Kept) -> None:
    series = SERIES[name]()
    pd.testing.assert_series_equal(kept(series), series)


@pytest.mark.parametrize("name", FRAMES)
def test_frames(name: str, kept: Kept) -> None:
    frame = FRAMES[name]()
    back = kept(frame)
    pd.testing.assert_frame_equal(back, frame, check_freq=True)
    assert list(back.dtypes) == list(frame.dtypes)


@pytest.mark.parametrize("name", INDEXES)
def test_indexes(name: str, kept: Kept) -> None:
    index = INDEXES[name]()
    back = kept(index)
    pd.testing.assert_index_equal(back, index, exact=True)
    assert getattr(back, "freq", None) == getattr(index, "freq", None)


@pytest.mark.parametrize(
    "make",
    [
        lambda: pd.Timestamp("2020-01-01T01", tz="Europe/Berlin"),
        lambda: pd.Timestamp("2020-10-25T02:30:00+01:00").tz_convert("Europe/Berlin"),
        lambda: pd.Timestamp("2020", tz=dt.timezone.utc),
        lambda: pd.Timestamp("2020", tz=ZoneInfo("Europe/Rome")),
        lambda: pd.Timestamp.max,
        lambda: pd.Timestamp.min,
        lambda: pd.Timedelta("1h"),
        lambda: pd.NaT,
        lambda: pd.NA,
        lambda: pd.Period("2020-02"),
        lambda: pd.Interval(0, 1, closed="both"),
        lambda: pd.offsets.Day(2),
        lambda: pd.CategoricalDtype(["a"]),
        lambda: pd.Int64Dtype(),
        lambda: pd.DatetimeTZDtype("ns", "UTC"),
        lambda: pd.array([1, None]),
        lambda: pd.arrays.NumpyExtensionArray(np.array([1])) if hasattr(pd.arrays, "NumpyExtensionArray") else pd.array([1]),
        lambda: pd.Categorical(["a"]),
        lambda: pd.StringDtype(),
    ],
)
def test_scalars_arrays_and_types(make: Any, kept: Kept) -> None:
    value = make()
    assert repr(kept(value)) == repr(value)


def test_arrow_columns(kept: Kept) -> None:
    pa = pytest.importorskip("pyarrow")
    for kind in (pa.int64(), pa.string(), pa.timestamp("ns", "UTC")):
        series = pd.Series([1, None]).astype("Int64").astype(pd.ArrowDtype(pa.int64())).astype(pd.ArrowDtype(kind))
        pd.testing.assert_series_equal(kept(series), series)


def test_frames_built_in_different_ways_have_one_id() -> None:
    frame = pd.DataFrame({"a": [1.0, 2.0], "b": [3.0, 4.0]})
    grown = pd.DataFrame({"a": [1.0, 2.0]})
    grown["b"] = [3.0, 4.0]
    ways = [
        pd.DataFrame(np.array([[1.0, 3.0], [2.0, 4.0]]), columns=["a", "b"]),
        grown,
        pd.DataFrame({"b": [3.0, 4.0], "a": [1.0, 2.0]})[["a", "b"]],
        pd.concat([frame.iloc[:1], frame.iloc[1:]]),
        frame.T.T,
        frame.copy(),
        pd.DataFrame([{"a": 1.0, "b": 3.0}, {"a": 2.0, "b": 4.0}]),
        restore(value_bytes(frame)),
    ]
    assert {value_id(way) for way in ways} == {value_id(frame)}


def test_what_cannot_be_seen_does_not_count() -> None:
    levels = pd.MultiIndex.from_product([["a", "b"], [1, 2]])
    assert value_id(levels[:2]) == value_id(pd.MultiIndex.from_tuples([("a", 1), ("a", 2)]))
    hidden = pd.array([1, 2], dtype="Int64")
    hidden[1] = pd.NA
    other = pd.array([1, 3], dtype="Int64")
    other[1] = pd.NA
    assert value_id(hidden) == value_id(other)


def test_different_frames_differ() -> None:
    values = [
        pd.DataFrame({"a": [1, 2]}),
        pd.DataFrame({"a": [1.0, 2.0]}),
        pd.DataFrame({"b": [1, 2]}),
        pd.DataFrame({"a": [2, 1]}),
        pd.DataFrame({"a": [1, 2]}, index=[1, 0]),
        pd.DataFrame({"a": [1, 2]}, index=pd.Index([0, 1])),
        pd.DataFrame({"a": [1, 2]}, dtype="Int64"),
        pd.DataFrame({"a": [1, 2]}, dtype="category"),
        pd.DataFrame({"a": [1, 2]}, dtype=object),
        pd.Series([1, 2]),
        pd.Series([1, 2], name="a"),
        pd.Index([1, 2]),
        pd.array([1, 2]),
        np.array([1, 2]),
        [1, 2],
        pd.Categorical(["a", "b"]),
        pd.Categorical(["a", "b"], categories=["b", "a"]),
        pd.Categorical(["a", "b"], ordered=True),
        pd.date_range("2020", periods=2),
        pd.date_range("2020", periods=2, tz="UTC"),
        pd.Timestamp("2020"),
        dt.datetime(2020, 1, 1),
        np.datetime64("2020-01-01"),
    ]
    assert len({value_id(value) for value in values}) == len(values)


def test_a_frame_from_the_store_can_be_changed() -> None:
    back = restore(value_bytes(pd.DataFrame(np.zeros((10_000, 2)), columns=["a", "b"])))
    back.loc[0, "a"] = 9.0
    back["c"] = 1
    assert back.iloc[0].tolist() == [9.0, 0.0, 1.0]


def test_attributes_and_flags_are_kept(kept: Kept) -> None:
    frame = pd.DataFrame({"a": [1]}).set_flags(allows_duplicate_labels=False)
    frame.attrs["source"] = "x"
    back = kept(frame)
    assert back.attrs == {"source": "x"}
    assert not back.flags.allows_duplicate_labels


@pytest.mark.parametrize(
    "state",
    [
        ["pandas.DataFrame", [[], [], [], {}, True, 1]],
        ["pandas.DataFrame", 1],
        ["pandas.Series", [["nothing"], [], None, {}, True]],
        ["pandas.Index", ["range", None, "a", 1, 1]],
        ["pandas.Index", ["nothing", None]],
        ["pandas.array", ["Categorical", [7], ["a"], False]],
        ["pandas.array", ["SparseArray", [1], [7], 1 << 50, 0, "IntIndex"]],
        ["pandas.scalar", ["Timestamp", "a", "ns", None, 0]],
        ["pandas.scalar", ["nothing"]],
    ],
)
def test_bad_states_are_errors(state: Any) -> None:
    from redun.codecs import revive

    with pytest.raises(DecodeError):
        revive(state)


class Measured(pd.DataFrame):  # type: ignore[misc,name-defined]
    _metadata = ["unit"]  # noqa: RUF012
    unit: Any = None

    @property
    def _constructor(self) -> Any:
        return Measured


class Row(pd.Series):  # type: ignore[misc,name-defined]
    _metadata = ["_name", "unit"]  # noqa: RUF012
    unit: Any = None


def measured(unit: Any, **columns: Any) -> Any:
    found = Measured(columns)
    found.unit = unit
    return found


def test_subclasses_of_others_are_what_they_derive_from_and_more(kept: Callable[[Any], Any]) -> None:
    value = measured("m", a=[1, 2], b=["x", None])
    back = kept(value)
    pd.testing.assert_frame_equal(pd.DataFrame(back), pd.DataFrame(value))
    assert back.unit == "m"
    one_by_one = measured("m", a=[1, 2])
    one_by_one["b"] = ["x", None]
    assert value_id(one_by_one) == value_id(value)
    different = [measured("s", a=[1, 2], b=["x", None]), pd.DataFrame(value), measured("m", a=[1, 2])]
    assert len({value_id(value), *map(value_id, different)}) == 4


def test_subclasses_of_series_keep_their_name(kept: Callable[[Any], Any]) -> None:
    value = Row([1, 2], name="n")
    value.unit = {"m"}
    back = kept(value)
    assert (back.name, back.unit, list(back)) == ("n", {"m"}, [1, 2])
