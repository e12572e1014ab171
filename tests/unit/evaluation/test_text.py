"""Values as text in lines of the log: one line each, cut."""

from __future__ import annotations

from typing import Any

import pytest

from redun.cli.render import words
from redun.evaluation.text import format_call, format_value, one_line


class Tall:
    def __repr__(self) -> str:
        return "Tall(\n    1,\n    2,\n)"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("a\nb", r"'a\nb'"),
        (["a\nb"], r"['a\nb']"),
        (Tall(), "Tall( 1, 2, )"),
        ([Tall()], "[Tall( 1, 2, )]"),
        ("two  blanks", "'two  blanks'"),
    ],
)
def test_a_value_takes_one_line(value: Any, text: str) -> None:
    assert format_value(value) == text


@pytest.mark.parametrize("package", ["pandas", "polars", "pyarrow"])
def test_tables_are_told_by_rows_and_columns(package: str) -> None:
    module: Any = pytest.importorskip(package)
    table = {"pandas": "DataFrame", "polars": "DataFrame", "pyarrow": "table"}[package]
    made = getattr(module, table)({"a": [1, 2], "b": ["x", "y"]})
    assert format_value(made) == f"<{type(made).__name__} of 2 rows: a, b>"
    assert "\n" not in format_value([made, {"k": made}])


def test_series_are_told_by_rows_and_name() -> None:
    pd: Any = pytest.importorskip("pandas")
    assert format_value(pd.Series([1, 2], name="n")) == "<Series of 2 rows: n>"
    assert format_value(pd.Series([1, 2])) == "<Series of 2 rows>"


def test_arrays_keep_their_brackets() -> None:
    np: Any = pytest.importorskip("numpy")
    assert format_value(np.arange(4).reshape(2, 2)) == "array([[0, 1], [2, 3]])"
    shown = format_value(np.zeros((100, 100)))
    assert len(shown) == 200
    assert shown.endswith("...")


def test_what_is_long_is_cut() -> None:
    assert format_value(list(range(1000)), 20) == "[0, 1, 2, 3, 4, 5..."
    assert "\n" not in format_call("ns.f", ["a"], [Tall()], {"b": Tall()})
    assert one_line("a\n  b") == "a b"


@pytest.mark.parametrize(
    ("text", "limit", "shown"),
    [
        ("abc", 3, "abc"),
        ("abcd", 3, "..."),
        ("a\n    b", 10, "a b"),
        ("a\n" + " " * 100 + "b", 10, "a ..."),
        ("x" * 50, 10, "x" * 7 + "..."),
    ],
)
def test_the_command_line_cuts_alike(text: str, limit: int, shown: str) -> None:
    assert words.clip(text, limit) == shown
