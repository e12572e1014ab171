"""Texts from a command line as values: every kind of annotation, and a readable ValueError for whatever does not fit."""

# Annotations of users come in every form, old ones too.
# ruff: noqa: UP006, UP007, UP045

from __future__ import annotations

import collections.abc
import datetime
import inspect
import os
import typing
from decimal import Decimal
from enum import Enum
from pathlib import Path, PurePosixPath
from typing import Annotated, Any, Literal, NewType, Optional, TypeVar, Union
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from redun.argument_text import type_label
from redun.task import Task, task
from redun.value import Value, get_type_registry

parse_arg = get_type_registry().parse_arg


class Color(Enum):
    RED = 1
    DARK_RED = 2


class Length(Value):
    def __init__(self, meters: float) -> None:
        self.meters = meters

    @classmethod
    def parse_arg(cls, raw_type: Any, arg: str) -> Any:
        if not arg.endswith("m"):
            raise ValueError(f"expected a length such as 3m, found {arg!r}")
        return raw_type(float(arg[:-1]))


class Plain:
    def __init__(self, text: str) -> None:
        if text == "bad":
            raise KeyError("no bad")
        self.text = text


UserId = NewType("UserId", int)
T = TypeVar("T")


@task(name="parse_me", namespace="tests.arguments")
def parse_me() -> None: ...


@pytest.mark.parametrize(
    ("kind", "text", "expected"),
    [
        (int, "3", 3),
        (int, "-3", -3),
        (float, "1.5", 1.5),
        (float, "1e3", 1000.0),
        (complex, "1+2j", 1 + 2j),
        (Decimal, "1.10", Decimal("1.10")),
        (UUID, "12345678123456781234567812345678", UUID("12345678-1234-5678-1234-567812345678")),
        (bool, "true", True),
        (bool, "TRUE", True),
        (bool, "Yes", True),
        (bool, "1", True),
        (bool, "false", False),
        (bool, "no", False),
        (bool, "0", False),
        (str, "", ""),
        (str, "None", "None"),
        (bytes, "abc", b"abc"),
        (None, "None", None),
        (type(None), "null", None),
        (Color, "RED", Color.RED),
        (Color, "Color.DARK_RED", Color.DARK_RED),
        (datetime.datetime, "2026-11-21", datetime.datetime(2026, 11, 21)),
        (datetime.datetime, "2026-11-21T08:09:10Z", datetime.datetime(2026, 11, 21, 8, 9, 10, tzinfo=datetime.timezone.utc)),
        (datetime.date, "2026-11-21", datetime.date(2026, 11, 21)),
        (datetime.time, "08:09", datetime.time(8, 9)),
        (Path, "a/b", Path("a/b")),
        (PurePosixPath, "a/b", PurePosixPath("a/b")),
        (Optional[int], "3", 3),
        (Optional[int], "None", None),
        (int | None, "none", None),
        (int | str, "3", 3),
        (int | str, "x", "x"),
        (Union[str, int], "3", "3"),
        (Literal["a", 2], "2", 2),
        (Annotated[int, "doc"], "3", 3),
        (UserId, "3", 3),
        (T, "3", "3"),
        (Any, "3", "3"),
        (object, "3", "3"),
        (inspect.Parameter.empty, "3", "3"),
        (list, "a,b", ["a", "b"]),
        (list, "[1, 2.5]", [1, 2.5]),
        (list[int], "1,2", [1, 2]),
        (list[int], "[1, 2]", [1, 2]),
        (list[int], "", []),
        (typing.List[int], "1", [1]),
        (list[list[int]], "[[1], [2, 3]]", [[1], [2, 3]]),
        (list[Optional[int]], "[1, null]", [1, None]),
        (list[str], '["a,b", "c"]', ["a,b", "c"]),
        (collections.abc.Sequence[float], "1,2", [1.0, 2.0]),
        (set[int], "1,1,2", {1, 2}),
        (frozenset[str], "a", frozenset("a")),
        (tuple[int, str], "1,x", (1, "x")),
        (tuple[int, ...], "1,2,3", (1, 2, 3)),
        (tuple, "1,x", ("1", "x")),
        (tuple[()], "", ()),
        (dict[str, int], "a=1,b=2", {"a": 1, "b": 2}),
        (dict[str, int], '{"a": 1}', {"a": 1}),
        (dict, "{}", {}),
        (dict[int, list[int]], '{"1": [2]}', {1: [2]}),
        (dict, "", {}),
        (type, "int", int),
        (type[Color], "pathlib.Path", Path),
        (collections.abc.Callable, "os.path.join", os.path.join),
        (collections.abc.Callable[[int], int], "os.getcwd", os.getcwd),
        (type(lambda: 0), "os.path.join", os.path.join),
    ],
)
def test_texts_become_values(kind: Any, text: str, expected: Any):
    value = parse_arg(kind, text)
    assert value == expected
    assert type(value) is type(expected)


@pytest.mark.parametrize(
    ("kind", "text", "message"),
    [
        (int, "x", "expected an int, found 'x'"),
        (int, "", "expected an int, found ''"),
        (float, "1,5", "expected a float, found '1,5'"),
        (bool, "maybe", "expected true or false, found 'maybe'"),
        (Color, "BLUE", "expected one of RED, DARK_RED, found 'BLUE'"),
        (Color, "Hue.RED", "expected one of RED"),
        (datetime.datetime, "yesterday", "ISO form"),
        (datetime.date, "yesterday", "expected a date in ISO form, found 'yesterday'"),
        (type(None), "3", "expected None, found '3'"),
        (int | None, "x", "expected int or None, found 'x'"),
        (Literal["a", 2], "b", "expected one of a, 2, found 'b'"),
        (list[int], "1,x", "expected an int, found 'x'"),
        (list[int], "[1", "JSON array"),
        (tuple[int, str], "1", "expected 2 items, found 1"),
        (dict[str, int], "a", "key=value"),
        (dict, "{a}", "JSON object"),
        (UUID, "1", "."),
        (Decimal, "x", "expected a Decimal, found 'x'"),
        (Length, "3", "expected a length such as 3m"),
        (Plain, "bad", "expected a Plain, found 'bad'"),
        (collections.abc.Callable, "no.such.function", "name of a task or function"),
        (type(lambda: 0), "no.such", "Function not found: no.such"),
        (type, "nothing", "name of a class"),
        (Task, "tests.arguments.parse_my", "did you mean 'tests.arguments.parse_me'"),
        (datetime.timedelta, "5", "expected a timedelta"),
    ],
)
def test_what_does_not_fit_is_a_readable_value_error(kind: Any, text: str, message: str):
    with pytest.raises(ValueError, match=message.replace("(", r"\(")):
        parse_arg(kind, text)


def test_classes_of_values_parse_for_themselves():
    assert parse_arg(Length, "3m").meters == 3.0
    assert parse_arg(Length | None, "none") is None
    assert [item.meters for item in parse_arg(list[Length], "1m,2m")] == [1.0, 2.0]
    assert parse_arg(Plain, "good").text == "good"


def test_tasks_are_found_by_fullname():
    assert parse_arg(Task, "tests.arguments.parse_me") is parse_me
    assert parse_arg(Task[Any, Any], "tests.arguments.parse_me") is parse_me
    assert parse_arg(collections.abc.Callable, "tests.arguments.parse_me") is parse_me


@pytest.mark.parametrize(
    ("kind", "label"),
    [(int, "int"), (list[int], "list[int]"), (Optional[int], "int | None"), (None, "None"), (Any, "Any"), (Color, "Color")],
)
def test_types_are_labelled_as_people_write_them(kind: Any, label: str):
    assert type_label(kind) == label


KINDS = [
    int,
    float,
    bool,
    Color,
    datetime.datetime,
    datetime.date,
    Decimal,
    UUID,
    list[int],
    set[float],
    tuple[int, str],
    dict[str, int],
    dict[int, dict[str, bool]],
    list[dict[str, list[int]]],
    int | None,
    Literal["a"],
    type(None),
    Length,
    Task,
]


@given(st.sampled_from(KINDS), st.text(max_size=12) | st.text(alphabet='[]{}":,=0123456789.-eE ', max_size=12))
def test_no_text_does_anything_but_fit_or_raise_value_error(kind: Any, text: str):
    try:
        parse_arg(kind, text)
    except ValueError as error:
        found = str(error)
        if not found:
            raise AssertionError("a ValueError without a message") from error


@given(st.lists(st.integers()))
def test_lists_can_be_given_in_both_forms(items: list[int]):
    import json

    assert parse_arg(list[int], json.dumps(items)) == items
    assert parse_arg(list[int], ",".join(map(str, items))) == items
