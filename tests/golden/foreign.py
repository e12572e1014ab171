"""The golden bytes of values of numpy, pandas, polars and pyarrow; see `tests.golden.make`, whose rules hold here as well.

`python -m tests.golden.foreign` prints the present state as JSON, to be appended to `foreign.json`. Only values whose dtypes are said
in full: what pandas makes of a plain list of texts is for its releases to say.
"""

from __future__ import annotations

import datetime as dt
import json
from typing import Any

from redun.encoding import ValueEncoder
from redun.store.ids import object_id


def numpy_values() -> dict[str, Any]:
    """Name -> value."""
    import numpy as np

    from tests.golden.foreign_classes import Signal

    signal = np.arange(3, dtype="<i8").view(Signal)
    signal.rate = 44
    return {
        "subclass": signal,
        "ints": np.arange(3, dtype="<i8"),
        "big endian": np.array([1.5, np.nan], dtype=">f4"),
        "2-d": np.arange(6, dtype="<i4").reshape(2, 3).T,
        "0-d": np.array(1.5, dtype="<f8"),
        "text": np.array(["a", "bc"], dtype="<U2"),
        "objects": np.array([1, "a", None], dtype=object),
        "times": np.array(["2020-01-01", "NaT"], dtype="<M8[ns]"),
        "structured": np.array([(1, 2.0)], dtype=[("a", "<i4"), ("b", "<f8")]),
        "masked": np.ma.array(np.array([1, 2], dtype="<i8"), mask=[False, True]),
        "scalar": np.float32(1.5),
        "scalar text": np.str_("a"),
        "dtype": np.dtype([("a", "<i4", (2,))]),
        "long": np.zeros(10_000, dtype="<f8"),
    }


def pandas_values() -> dict[str, Any]:
    """Name -> value."""
    import numpy as np
    import pandas as pd

    from tests.golden.foreign_classes import frame_class

    measured = frame_class()({"a": np.array([1, 2], "<i8")}, columns=pd.Index(["a"], dtype=object))
    measured.unit = "m"
    return {
        "subclass": measured,
        "frame": pd.DataFrame(
            {"a": np.array([1, 2], "<i8"), "b": np.array([1.5, np.nan], "<f8")}, columns=pd.Index(["a", "b"], dtype=object)
        ),
        "series": pd.Series(np.array([1, 2], "<i8"), name="s", index=pd.Index([5, 6], dtype="int64")),
        "nullable": pd.Series([1, None], dtype="Int64"),
        "category": pd.Series(pd.Categorical.from_codes([0, 1, -1], pd.Index([10, 20], dtype="int64"))),
        "string": pd.Series(["a", None], dtype=pd.StringDtype("python")),
        "zoned": pd.Series(pd.DatetimeIndex(["2020-01-01"], dtype="datetime64[ns, UTC]")),
        "days": pd.date_range("2020-01-01", periods=2, freq="D", unit="ns"),
        "levels": pd.MultiIndex.from_arrays(
            [pd.Index([1, 2], dtype="int64"), pd.Index([3, 4], dtype="int64")], names=["a", "b"]
        ),
        "timestamp": pd.Timestamp("2020-01-01").as_unit("ns"),
        "missing": [pd.NA, pd.NaT],
    }


def polars_values() -> dict[str, Any]:
    """Name -> value."""
    import polars as pl

    return {
        "frame": pl.DataFrame({"a": [1, None], "b": ["x", None], "c": [1.5, float("nan")], "d": [True, False]}),
        "times": pl.Series("t", [dt.datetime(2020, 1, 1)], dtype=pl.Datetime("us", "UTC")),
        "nested": pl.Series("n", [[{"a": 1}], None]),
        "categories": pl.Series("k", ["a", "b", "a"], dtype=pl.Categorical()),
        "dtype": pl.Struct({"a": pl.Enum(["x"])}),
    }


def arrow_values() -> dict[str, Any]:
    """Name -> value."""
    import pyarrow as pa

    return {
        "table": pa.table({"a": pa.array([1, None], pa.int64()), "b": pa.array(["x", None], pa.string())}),
        "array": pa.array([1.5], pa.float64()),
        "schema": pa.schema([("a", pa.int8())]),
    }


PACKAGES = {"numpy": numpy_values, "pandas": pandas_values, "polars": polars_values, "pyarrow": arrow_values}


def objects(package: str) -> dict[str, str]:
    """Name -> hex of the object's bytes, or of its id where it is long."""
    made = {}
    for name, value in PACKAGES[package]().items():
        data = ValueEncoder().object(value)
        made[f"{package} {name}"] = data.hex() if len(data) <= 300 else f"id {object_id(data).hex()}"
    return made


if __name__ == "__main__":
    print(json.dumps({name: data for package in PACKAGES for name, data in objects(package).items()}, indent=1))
