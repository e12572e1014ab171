"""The measuring harness with a tiny fan-out: that it measures what it says, and refuses what would make its figures worthless."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from bench import sides
from bench.__main__ import parse
from bench.fanout import check_counts, measure
from bench.measure import BenchError, run
from bench.report import ROWS, conditions, table, write_results
from bench.sides import ROOT, Side, tree_side


@pytest.fixture
def ours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Side:
    monkeypatch.setattr(sides, "SCRATCH", tmp_path / "scratch")
    return tree_side("ours", ROOT)


def test_a_tiny_fanout_side_by_side(ours: Side, tmp_path: Path) -> None:
    figures = measure([(ours, 4), (Side("again", ours.program), 2)], repeats=2, replays=2)
    assert list(figures) == ["ours", "again"]
    assert (figures["ours"].jobs, figures["again"].jobs) == (5, 3)
    for found in figures.values():
        counts = {name: len(samples) for name, samples in found.samples.items()}
        assert counts == {"version": 2, "hello": 2, "cold": 2, "replay": 4, "log": 2, "log -": 2}
        assert all(sample.cpu_s > 0 and sample.wall_s > 0 for samples in found.samples.values() for sample in samples)
        assert min(found.cold_bytes) > 0
    rows = table(figures).splitlines()
    assert rows[0] == "|  | ours (5 jobs) | again (3 jobs) | again / ours |"
    assert [row.split(" | ")[0] for row in rows[2:]] == [f"| {title}" for title, _, _ in ROWS]
    page = tmp_path / "RESULTS.md"
    write_results(page, figures, conditions("python -m bench peer", 2, 2), {"ours": "this", "again": "that"})
    assert table(figures) in page.read_text()
    assert "- again: that" in page.read_text()


def test_a_run_that_did_something_else_is_no_measurement(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text("[redun] | ALL      0       0       0       1       2       3\n")
    check_counts(log, cached=1, done=2)
    with pytest.raises(BenchError, match="expected 0 jobs cached and 3 done"):
        check_counts(log, cached=0, done=3)
    log.write_text("")
    with pytest.raises(BenchError, match="no totals"):
        check_counts(log, cached=0, done=3)


def test_a_program_that_fails_is_no_measurement(tmp_path: Path) -> None:
    command = [sys.executable, "-c", "import sys; sys.exit('gone wrong')"]
    with pytest.raises(BenchError, match="status 1:\ngone wrong"):
        run(command, tmp_path, {}, tmp_path / "out", tmp_path / "log")


@pytest.mark.parametrize("args", [["run", "--jobs", "0"], ["peer", "--peer-jobs", "0"], ["compare"], []])
def test_numbers_that_mean_nothing_are_refused(args: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as refused:
        parse(args)
    assert refused.value.code == 2
    assert "usage: python -m bench" in capsys.readouterr().err
