"""The lines of the live display, the estimate in it, and colours."""

from __future__ import annotations

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from redun.cli.render.colour import colour_error, colour_event, colour_record
from redun.cli.render.estimate import expected_jobs, seconds_left
from redun.cli.render.frame import Facts, cells, clip_cells, clock, frame_lines
from redun.cli.terminal import wants_colour
from redun.evaluation.progress import RunningJob
from redun.provenance.pace import Pace

NAMES = st.text("abc_.", min_size=1, max_size=90)
ROWS = st.tuples(*[st.integers(0, 3_000_000)] * 5)


@given(
    counts=st.dictionaries(NAMES, ROWS, max_size=30),
    left_s=st.none() | st.floats(0, 1e6),
    expected=st.none() | st.integers(0, 10_000_000),
    calls=st.lists(st.text(max_size=300), max_size=3),
    width=st.integers(1, 220),
    height=st.integers(1, 60),
)
def test_it_always_fits(
    counts: dict[str, tuple[int, ...]],
    left_s: float | None,
    expected: int | None,
    calls: list[str],
    width: int,
    height: int,
) -> None:
    running = [RunningJob("12345678", call, 12.0) for call in calls]
    lines = frame_lines(Facts(counts, 75.0, left_s, expected, running), width, height, colours=False)
    assert 1 <= len(lines) <= max(1, height // 2)
    assert all(cells(line) < max(width, 2) for line in lines), lines
    assert all(line.isprintable() for line in lines)


def test_what_matters_comes_first() -> None:
    counts = {f"ns.done{i}": (0, 0, 0, 0, 5) for i in range(30)}
    counts["ns.runs"] = (2, 3, 0, 0, 1)
    lines = frame_lines(Facts(counts, 62.0, 125.0, 400, [RunningJob("1", "ns.runs(n=1)", 61.0)]), 80, 24, colours=False)
    assert "151 of 400 jobs, 1:02, about 2:05 left" in lines[0]
    assert lines[2].split() == ["ns.runs", "2", "3", "0", "0", "1", "6"]
    assert lines[-2] == "and 25 more tasks"
    assert lines[-1] == "     1:01  ns.runs(n=1)"


def test_wide_characters_count_twice() -> None:
    assert cells("名前") == 4
    assert cells("e\u0301") == 1
    assert clip_cells("名前名前", 7) == "名前..."
    assert clip_cells("a\nb\x1b", 20) == "a\\nb\\x1b"


def test_clock() -> None:
    assert [clock(seconds) for seconds in (0, 59.9, 3600, 90_061)] == ["0:00", "0:59", "1:00:00", "25:01:01"]


# -- the estimate


def test_nothing_is_said_without_a_reason() -> None:
    assert seconds_left({"a": (5, 1, 0, 0, 3)}, 100.0, None) is None
    assert expected_jobs({"a": (5, 1, 0, 0, 3)}, None) is None


def test_the_rate_of_this_run_where_there_was_none_before() -> None:
    assert seconds_left({"a": (30, 0, 0, 0, 10)}, 20.0, None) == 60.0


def test_as_it_went_before() -> None:
    pace = Pace({"main": 1, "a": 100}, {"main": 0.0, "a": 0.1})
    assert expected_jobs({"main": (0, 1, 0, 0, 0)}, pace) == 101
    assert seconds_left({"main": (0, 1, 0, 0, 0)}, 0.0, pace) == pytest.approx(10.0)
    # Twice as slow as before.
    assert seconds_left({"main": (0, 1, 0, 0, 0), "a": (50, 0, 0, 0, 50)}, 10.0, pace) == pytest.approx(10.0)
    # What came from the cache took no time, and is not left either.
    assert seconds_left({"main": (0, 1, 0, 0, 0), "a": (10, 0, 0, 90, 0)}, 0.5, pace) == pytest.approx(0.5)


@given(counts=st.dictionaries(NAMES, ROWS, max_size=8), pace=st.dictionaries(NAMES, st.floats(0, 1e5), min_size=1, max_size=8))
def test_it_is_never_negative(counts: dict[str, tuple[int, ...]], pace: dict[str, float]) -> None:
    left = seconds_left(counts, 10.0, Pace(dict.fromkeys(pace, 3), pace))
    assert left is not None
    assert left >= 0


# -- colours


@pytest.mark.parametrize(
    ("env", "asked", "expected"),
    [
        ({}, None, False),
        ({}, True, True),
        ({"CLICOLOR_FORCE": "1"}, None, True),
        ({"CLICOLOR_FORCE": "0"}, None, False),
        ({"FORCE_COLOR": "1"}, None, True),
        ({"FORCE_COLOR": "1", "NO_COLOR": "1"}, None, False),
        ({"CLICOLOR_FORCE": "1"}, False, False),
        ({"NO_COLOR": "1"}, True, True),
    ],
)
def test_when_colours_are_wanted(
    monkeypatch: pytest.MonkeyPatch, env: dict[str, str], asked: bool | None, expected: bool
) -> None:
    for name in ("NO_COLOR", "CLICOLOR_FORCE", "FORCE_COLOR", "CLICOLOR"):
        monkeypatch.delenv(name, raising=False)
    for name, value in env.items():
        monkeypatch.setenv(name, value)
    assert wants_colour(io.StringIO(), asked) is expected


def test_what_gets_colours() -> None:
    assert colour_event("Run    Job 1a2b3c4d:  f()") == "\x1b[34mRun\x1b[0m    Job 1a2b3c4d:  f()"
    assert colour_event("| Run") == "| Run"
    assert colour_error("ValueError: x") == "\x1b[31;1mValueError\x1b[0m: x"
    assert colour_error("my.pkg.WorkerLost") == "\x1b[31;1mmy.pkg.WorkerLost\x1b[0m"
    assert colour_error("an Error: no") == "an Error: no"
    line = "Job 1a2b3c4d [ DONE ] 2026-11-21 07:52:50:  f('[FAILED]')"
    assert colour_record(line) == "Job \x1b[33m1a2b3c4d\x1b[0m \x1b[32m[ DONE ]\x1b[0m 2026-11-21 07:52:50:  f('[FAILED]')"
    assert (
        colour_record("result <-- argument of <8c34026d> link(a)") == "result <-- argument of <\x1b[33m8c34026d\x1b[0m> link(a)"
    )
    assert colour_record("  n = <de772d9e> 0") == "  n = <\x1b[33mde772d9e\x1b[0m> 0"
    path = colour_record("Traceback: Exec 60432ca8 > (2 Jobs) > Job 4ba04437 main > Job 9c50112d leaf")
    assert path.count("\x1b[33m") == 3
    assert colour_record("no result <-- here <8c34026d>") == "no result <-- here <8c34026d>"
