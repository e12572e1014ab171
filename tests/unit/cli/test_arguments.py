"""Arguments from words by a task's signature."""

from __future__ import annotations

import contextlib
import dataclasses
import decimal
import enum
from collections.abc import Callable
from typing import Annotated, Any, NamedTuple, Optional, TypedDict

import pytest
from hypothesis import given
from hypothesis import strategies as st

from redun import task
from redun.cli.arguments import HelpAsked, TaskArguments
from redun.cli.errors import CommandError
from redun.task import Task


class Color(enum.Enum):
    red = 1
    blue = 2


@dataclasses.dataclass
class Point:
    x: int
    y: float = 2.0
    seen: bool = dataclasses.field(default=False, init=False)


class Pair(NamedTuple):
    a: int
    b: str = "b"


class Facts(TypedDict, total=False):
    a: int
    b: list[Color]


def arguments(function: Callable[..., Any]) -> TaskArguments:
    made: Task[Any, Any] = task(namespace="args")(function)
    return TaskArguments(made, "flow.py")


def parse(function: Callable[..., Any], *words: str) -> dict[str, Any]:
    """Return what the function's parameters are bound to, by Python's own rules."""
    found = arguments(function)
    args, kwargs = found.parse(list(words))
    return dict(found.task.signature.bind(*args, **kwargs).arguments)


def typed(
    n: int = 0,
    color: Color = Color.red,
    maybe: Optional[list[int]] = None,  # noqa: UP045
    pair: tuple[int, str] = (0, ""),
    unique: set[int] | None = None,
    table: dict[str, int] | None = None,
    marked: Annotated[list[float], "any"] = (),  # type: ignore[assignment]
    plain=5,  # type: ignore[no-untyped-def]
    broken: NoSuchName = None,  # type: ignore[name-defined] # noqa: F821
    long_name: bool = False,
) -> None:
    """Take things.

    Args:
        n: how many,
            at most.
        color (Color): which one.

    Returns:
        Nothing.
    """


@pytest.mark.parametrize(
    ("words", "bound"),
    [
        (["--n", "3"], {"n": 3}),
        (["--n=-3"], {"n": -3}),
        (["--n", "-3"], {"n": -3}),
        (["--n", "1", "--n", "2"], {"n": 2}),
        (["--color", "blue"], {"color": Color.blue}),
        (["--color", "Color.blue"], {"color": Color.blue}),
        (["--maybe", "1", "-2", "--n", "5"], {"maybe": [1, -2], "n": 5}),
        (["--maybe="], {"maybe": []}),
        (["--maybe=[1, 2]"], {"maybe": [1, 2]}),
        (["--pair", "1", "2"], {"pair": (1, "2")}),
        (["--unique", "1", "1"], {"unique": {1}}),
        (["--table", "a=1,b=2"], {"table": {"a": 1, "b": 2}}),
        (["--marked", "1", "2"], {"marked": [1.0, 2.0]}),
        (["--plain", "3"], {"plain": "3"}),
        (["--broken", "text"], {"broken": "text"}),
        (["--long-name", "true"], {"long_name": True}),
        (["--long_name", "yes"], {"long_name": True}),
        (["--plain=--n"], {"plain": "--n"}),
        (["--plain", ""], {"plain": ""}),
        ([], {}),
    ],
)
def test_words_to_values(words: list[str], bound: dict[str, Any]) -> None:
    assert parse(typed, *words) == bound


@pytest.mark.parametrize(
    ("words", "parts"),
    [
        (["--n"], ["--n needs a value"]),
        (["--n", "--color", "red"], ["--n needs a value"]),
        (["--n", "x"], ["--n", "'args.typed'", "'x'"]),
        (["--color", "green"], ["red, blue"]),
        (["--pair", "1"], ["expected 2 values, found 1"]),
        (["--colour", "red"], ["did you mean --color?"]),
        (["stray"], ["'stray'"]),
        (["--n", "1", "2"], ["'2'"]),
        (["--no-prov"], ["come before the script"]),
        (["--"], ["--"]),
        (["--help=x"], ["--help"]),
    ],
)
def test_words_that_do_not_fit(words: list[str], parts: list[str]) -> None:
    with pytest.raises(CommandError) as caught:
        parse(typed, *words)
    assert [part for part in parts if part not in str(caught.value)] == []


def test_all_missing_arguments_are_named_at_once() -> None:
    def needs(a: int, b: str, *, c: float, d: int = 0) -> None: ...

    with pytest.raises(CommandError, match="missing arguments --a, --c: --a int --b TEXT --c float"):
        parse(needs, "--b", "x")


def test_every_kind_of_parameter() -> None:
    def kinds(first: int, /, second: int = 2, *rest: int, only: int = 0, **more: int) -> None: ...

    assert parse(kinds, "--first", "1") == {"first": 1}
    found = parse(kinds, "--first", "1", "--rest", "5", "6", "--only", "7", "--any-thing", "8")
    assert found == {"first": 1, "second": 2, "rest": (5, 6), "only": 7, "more": {"any_thing": 8}}


def test_help_is_ours_unless_it_is_a_parameter() -> None:
    def with_help(help: str, h: int = 0) -> None: ...

    assert parse(with_help, "--help", "x") == {"help": "x"}
    for word in ("--help", "-h"):
        with pytest.raises(HelpAsked):
            parse(typed, word)


def test_help_shows_types_defaults_and_docs() -> None:
    text = " ".join(arguments(typed).help().split())
    for part in (
        "Usage: redun run flow.py",
        "Take things.",
        "Returns: Nothing.",
        "--n N how many, at most. [int; default: 0]",
        "--color {red,blue} which one. [Color; default: red]",
        "--maybe MAYBE [MAYBE ...]",
        "[int ...; default: None]",
        "[int str; default: (0, '')]",
        "--long-name LONG_NAME [bool; default: False]",
    ):
        assert part in text, text
    assert "Args:" not in text


@pytest.mark.parametrize(
    ("kind", "text", "value"),
    [
        (Point, '{"x": 1}', Point(1)),
        (Point, '{"y": 3, "x": "4"}', Point(4, 3.0)),
        (Point, "[1, 2.5]", Point(1, 2.5)),
        (Point, "5", Point(5)),
        (Pair, '[1, "z"]', Pair(1, "z")),
        (Pair, "7", Pair(7)),
        (Facts, '{"a": 1, "b": ["red"]}', {"a": 1, "b": [Color.red]}),
        (Facts, "a=3", {"a": 3}),
        (list[int] | None, "None", None),
    ],
)
def test_values_with_fields(kind: Any, text: str, value: Any) -> None:
    def function(one: Any = 0) -> None: ...

    function.__annotations__["one"] = kind
    assert parse(function, "--one", text) == {"one": value}


@pytest.mark.parametrize(
    ("kind", "text", "part"),
    [
        (Point, '{"x": "z"}', "expected an int, found 'z'"),
        (Point, '{"zz": 1}', "has no field 'zz': expected some of x, y"),
        (Point, '{"y": 1}', "'x'"),
        (Point, '{"x": ', "a JSON object or array of x, y"),
        (Point, "[1, 2, 3]", "3 items"),
        (Pair, "q", "expected an int"),
        (Facts, '{"a": "q"}', "expected an int, found 'q'"),
        (Facts, "q=1", "has no field 'q'"),
        (decimal.Decimal, "x", "expected a Decimal (task"),
    ],
)
def test_fields_that_do_not_fit(kind: Any, text: str, part: str) -> None:
    def function(one: Any = 0) -> None: ...

    function.__annotations__["one"] = kind
    with pytest.raises(CommandError, match="argument --one") as caught:
        parse(function, "--one", text)
    assert part in str(caught.value)


def test_names_in_small_letters() -> None:
    def function(fastqA: str, Name_of: int = 1, fastqa: str = "") -> None: ...

    assert parse(function, "--fastqA", "x", "--name-of", "2") == {"fastqA": "x", "Name_of": 2}
    assert parse(function, "--fastqa", "x", "--fastqA", "y", "--Name_of", "3") == {"fastqA": "y", "fastqa": "x", "Name_of": 3}


@given(st.lists(st.text(st.characters(exclude_categories=("Cs",)), max_size=6), max_size=6))
def test_any_words_are_taken_or_refused(words: list[str]) -> None:
    with contextlib.suppress(CommandError, HelpAsked):
        parse(typed, *words)


@given(st.integers(), st.lists(st.floats(allow_nan=False)), st.text(st.characters(exclude_categories=("Cs",))))
def test_values_come_back(n: int, marked: list[float], plain: str) -> None:
    bound = parse(typed, f"--n={n}", *(["--marked", *map(repr, marked)] if marked else ["--marked="]), f"--plain={plain}")
    assert bound == {"n": n, "marked": marked, "plain": plain}
