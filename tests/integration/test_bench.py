"""The measuring harness at tiny sizes: that every workload does what it says, and that what would make figures worthless is refused."""

from __future__ import annotations

import json
import math
import re
import subprocess
import sys
from pathlib import Path

import pytest

from bench import goals, sides
from bench.__main__ import main, parse
from bench.baseline import Baseline
from bench.budget import STEPS
from bench.floors import floors
from bench.measure import BenchError, run
from bench.report import against_baseline, as_json, conditions, side_by_side
from bench.rounds import Found, measure
from bench.sides import REQUIREMENTS, ROOT, Side, tree_side
from bench.site import Site
from bench.workload import Metric, Workload, select, workloads


@pytest.fixture(scope="module")
def ours(tmp_path_factory: pytest.TempPathFactory) -> Side:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sides, "SCRATCH", tmp_path_factory.mktemp("scratch"))
        return tree_side("ours", ROOT)


# Several workloads may differ in size only.
@pytest.mark.parametrize("name", {found.measure: name for name, found in workloads().items()}.values())
def test_a_workload_at_a_tiny_size(ours: Side, tmp_path: Path, name: str) -> None:
    workload = workloads()[name]
    figures = workload.measure(Site(ours, tmp_path), workload.tiny)
    assert figures.keys() == {metric.key for metric in workload.metrics}
    assert all(math.isfinite(figure) for figure in figures.values())
    assert len(workload.title) < 100


def test_sides_take_turns(ours: Side) -> None:
    again = Side("again", ours.python, ours.program, ours.tree)
    found = measure(select(["dir=3", "fanout=3"]), [ours, again], 2)
    assert [(entry.workload.name, entry.size, entry.side) for entry in found] == [
        ("dir", 3, "ours"),
        ("dir", 3, "again"),
        ("fanout", 3, "ours"),
        ("fanout", 3, "again"),
    ]
    assert all(len(entry.rounds) == len(entry.references) == 2 for entry in found)
    figures = found[2].figures()
    assert figures["cold.cpu"] > figures["cold.marginal"]
    assert figures["cold.store"] > 0
    rows = side_by_side(found).splitlines()
    assert "|  | ours | again | again / ours |" in rows
    assert len([row for row in rows if row.startswith("| cold, CPU per job, whole process | ")]) == 1


def test_tools_have_programs_for_what_they_can_do(tmp_path: Path) -> None:
    """That they run is not tried here, for it would need them installed; that they compile, and answer for what they ran."""
    for workload in workloads().values():
        for name in workload.sides:
            assert name in REQUIREMENTS
    programs = sorted((ROOT / "bench" / "tools").rglob("*.py"))
    assert {program.parent.name for program in programs} == REQUIREMENTS.keys() - {"peer"}
    for program in programs:
        text = program.read_text()
        compile(text, str(program), "exec")
        assert ('print("ran", ran)' in text) != ('print("keeps nothing")' in text)
        assert (ROOT / "bench" / "flows" / program.name).exists()
    site = Site(Side("joblib", (sys.executable,)), tmp_path)
    site.out.write_text("ran 3\n")
    site.expect(0, 3)
    with pytest.raises(BenchError, match="expected 0 functions to run, joblib says 'ran 3'"):
        site.expect(None, 0)
    site.out.write_text("keeps nothing\n")
    site.expect(None, 0)
    site.out.write_text("")
    with pytest.raises(BenchError, match="joblib says ''"):
        site.expect(0, None)


def _found(workload: Workload, reference_s: float, **figures: float) -> Found:
    return Found(workload, 10, "ours", [figures], [reference_s])


@pytest.fixture
def pushing() -> Workload:
    metrics = [
        Metric("time", "time taken", "ms", 4),
        Metric("rate", "objects pushed", "objects/s", 100),
        Metric("count", "requests", "requests", 10),
    ]
    return Workload("pushing", "a push", 10, 1, "quick", metrics, lambda site, size: {}, (), 1, 10)


def test_the_baseline_is_set_in_units_of_the_reference(pushing: Workload, tmp_path: Path) -> None:
    page = tmp_path / "BASELINE.json"
    Baseline(page).keep([_found(pushing, 0.05, time=2, rate=1000, count=8)], conditions("python -m bench baseline"))
    assert json.loads(page.read_text())["workloads"]["pushing"]["command"] == "python -m bench baseline"
    baseline = Baseline(page)
    # On a machine half as fast twice the time is the same, and so is half the rate; a count is a count.
    slower = _found(pushing, 0.1, time=4, rate=500, count=4)
    assert [baseline.ratio(slower, metric) for metric in pushing.metrics] == [1, 1, 0.5]
    table = against_baseline([slower], baseline).splitlines()
    assert "| time taken | 4 ms | 2 ms | 1 | <= 4 ms | 1 |" in table
    assert "| objects pushed | 500 objects/s | 1,000 objects/s | 1 | >= 100 objects/s | 0.20 |" in table
    figures = json.loads(as_json([slower], conditions("x"), baseline))["figures"]
    assert [(figure["value"], figure["baseline"], figure["ratio"]) for figure in figures] == [
        (4, 2, 1),
        (500, 1000, 1),
        (4, 8, 0.5),
    ]
    # Another size is another thing.
    other = Found(pushing, 11, "ours", [{"time": 4}], [0.1])
    assert baseline.ratio(other, pushing.metrics[0]) is None
    # What is not measured anew stays.
    baseline.keep([], conditions("y"))
    assert Baseline(page).value(slower, pushing.metrics[0]) == 2


def test_the_page_shows_the_baseline(pushing: Workload, tmp_path: Path) -> None:
    text = goals.PAGE.read_text()
    assert goals.put_between(text, goals.BEGIN, goals.table(Baseline())) == text, "`python -m bench page` makes the table anew"
    for name, keys in goals.SHOWN.items():
        assert set(keys) <= {metric.key for metric in workloads()[name].metrics if metric.goal is None}
    baseline = Baseline(tmp_path / "BASELINE.json")
    fib = workloads()["fib"]
    figures = {"cold.jobs": 47.0, "replay.jobs": 94.0, "ratio": 2.0, "cold.cpu": 0.1}
    baseline.keep([Found(fib, 16, "ours", [figures], [0.05])], conditions("x"))
    page = tmp_path / "page.md"
    page.write_text(f"above\n{goals.BEGIN}old\n{goals.END}below\n")
    goals.write(baseline, page)
    assert page.read_text().startswith(f"above\n{goals.BEGIN}| workload | figure | goal |")
    assert page.read_text().endswith(
        "| `fib`, N = 16 | cold, jobs |  | 47 jobs |  |\n"
        "|  | replay, jobs |  | 94 jobs |  |\n"
        f"|  | jobs of the replay against those of the cold run | <= 1 x | 2 x | 2 |\n{goals.END}below\n"
    )
    page.write_text("nothing")
    with pytest.raises(BenchError, match="no place for the table"):
        goals.write(baseline, page)


def test_a_file_that_is_no_baseline(tmp_path: Path) -> None:
    page = tmp_path / "BASELINE.json"
    page.write_text("[]")
    with pytest.raises(BenchError, match="no baseline"):
        Baseline(page)


def test_a_run_that_did_something_else_is_no_measurement(ours: Side, tmp_path: Path) -> None:
    site = Site(ours, tmp_path)
    site.log.write_text("[redun] | ALL      0       0       0       1       2       3\n")
    site.expect(1, 2)
    site.expect(None, 2)
    with pytest.raises(BenchError, match=r"expected 0 jobs from the cache, the log of ours has 1:\n\[redun\]"):
        site.expect(0, 3)
    site.log.write_text("[redun] | ALL      0       0       1       1       2       4\n")
    with pytest.raises(BenchError, match="the log of ours has"):
        site.expect(1, 2)
    site.log.write_text("")
    with pytest.raises(BenchError, match="no totals"):
        site.expect(0, 3)


def test_a_program_that_fails_is_no_measurement(tmp_path: Path) -> None:
    command = [sys.executable, "-c", "import sys; sys.exit('gone wrong')"]
    with pytest.raises(BenchError, match="status 1:\ngone wrong"):
        run(command, tmp_path, {}, tmp_path / "out", tmp_path / "log")


@pytest.mark.parametrize(
    "args",
    [
        ["run", "--rounds", "0"],
        ["compare"],
        [],
        ["measure"],
        ["run", "--format", "xml"],
        ["baseline", "--rounds", "x"],
        ["peer", "--beside", "x"],
    ],
)
def test_words_that_mean_nothing_are_refused(args: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as refused:
        parse(args)
    assert refused.value.code == 2
    assert "usage: python -m bench" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["run", "fanuot"], "there is no workload 'fanuot'; did you mean 'fanout'?"),
        (["run", "nothing-like-it"], "there is no workload 'nothing-like-it'; `python -m bench list` shows them"),
        (["peer", "gc"], "no other tool can do gc"),
        (["peer", "dri"], "there is no workload 'dri'; did you mean 'dir'?"),
        (["run", "fanout=many"], "the size of fanout is a whole number from 1 on, not 'many'"),
        (["compare", "HEAD", "-w", "fanout=0"], "the size of fanout is a whole number from 1 on, not '0'"),
        (["compare", "no-such-revision"], "git rev-parse --verify"),
    ],
)
def test_names_that_mean_nothing_are_refused(args: list[str], message: str) -> None:
    with pytest.raises(BenchError) as refused:
        main(args)
    assert message in str(refused.value)


def test_the_list_names_all(capsys: pytest.CaptureFixture[str]) -> None:
    main(["list"])
    shown = capsys.readouterr().out
    assert all(f"  {name} " in shown for name in workloads())


def test_the_budget_of_a_job_is_told_by_steps():
    done = subprocess.run(
        [sys.executable, "-m", "bench.budget", "--jobs", "5000", "--rounds", "1"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    rows = [line for line in done.stdout.splitlines() if line.startswith("|")]
    assert [row.split("|")[1].strip() for row in rows[2:-1]] == [step for step, _ in STEPS]
    assert set(floors()) <= {step for step, _ in STEPS}
    assert re.search(r"Commits: [1-9]\d* cold, [1-9]\d* replayed", done.stdout)
    assert "Alive when the evaluation ends, replay: " in done.stdout


def test_scale_goes_through_the_whole_life_of_a_run(tmp_path: Path) -> None:
    keep, plot = tmp_path / "figures.json", tmp_path / "scale.svg"
    words = ["--sizes", "3", "5", "--trees", "9", "--keep", str(keep), "--plot", str(plot)]
    done = subprocess.run(
        [sys.executable, "-m", "bench.scale", *words], cwd=ROOT, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stderr
    figures = json.loads(keep.read_text())
    assert list(figures) == ["fanout 3", "fanout 5", "tree 3"]
    steps = list(figures["fanout 5"])
    assert {"cold", "replay", "redun log -", "push", "pull", "gc --keep-last 0"} < set(steps)
    assert all(list(row) == steps for row in figures.values())
    assert all(figure["cpu_s"] > 0 and figure["store_bytes"] > 0 for row in figures.values() for figure in row.values())
    assert "| 3 jobs | 5 jobs | 12 jobs (tree) |" in done.stdout
    assert plot.read_text().count("<circle") == 2 * 10
