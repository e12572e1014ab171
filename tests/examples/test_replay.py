"""Every example runs twice, the second time all from the cache; and each kind of change reruns just what it concerns."""

from __future__ import annotations

import contextlib
import re
import shutil
import sqlite3
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import pytest
from console import steps

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
STATUS_ROW = re.compile(r"^\[redun\] \| (\S+) +(\d+) +(\d+) +(\d+) +(\d+) +(\d+) +(\d+)$", re.MULTILINE)


class Counts(NamedTuple):
    """Jobs of one kind: one row of the status table."""

    pending: int
    running: int
    failed: int
    cached: int
    done: int
    total: int


class Outcome(NamedTuple):
    """What one `redun run` did: standard output, standard error, and the last status table by task."""

    out: str
    log: str
    counts: dict[str, Counts]

    def ran(self) -> dict[str, int]:
        """Return how many jobs of each task really ran, by the task's bare name."""
        return {name.split(".")[-1]: row.done for name, row in self.counts.items() if row.done and name != "ALL"}


class Example:
    """A copy of an example's folder in which commands are run."""

    def __init__(self, folder: Path, environ: Mapping[str, str]) -> None:
        self.folder = folder
        self.environ = environ

    def run(self, *args: str) -> Outcome:
        done = subprocess.run(
            ["redun", "run", *args], cwd=self.folder, env=self.environ, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        table = done.stderr.rpartition("JOB STATUS")[2]
        rows = [(row[0], Counts(*map(int, row[1:]))) for row in STATUS_ROW.findall(table)]
        assert rows, done.stderr
        return Outcome(done.stdout, done.stderr, dict(rows))

    def edit(self, name: str, old: str, new: str) -> None:
        path = self.folder / name
        text = path.read_text()
        assert old in text
        path.write_text(text.replace(old, new))


@pytest.fixture
def example(request: pytest.FixtureRequest, tmp_path: Path, redun_environ: dict[str, str]) -> Example:
    folder = tmp_path / request.param
    shutil.copytree(EXAMPLES / request.param, folder, ignore=shutil.ignore_patterns(".redun", "__pycache__"))
    return Example(folder, redun_environ)


hello = pytest.mark.parametrize("example", ["01_hello_world"], indirect=True)
compiling = pytest.mark.parametrize("example", ["02_compile"], indirect=True)


@pytest.mark.parametrize(
    ("example", "script", "task", "jobs"),
    [
        ("01_hello_world", "hello_world.py", "main", 3),
        ("02_compile", "make.py", "make", 9),
        ("02_compile", "make2.py", "make", 10),
        ("03_control_flow", "control_flow.py", "main", (16, 15)),  # A failure that was recovered from is not made again.
        ("04_recursion", "recursion.py", "main", 301),
        ("05_higher_order", "higher_order.py", "main", 12),
        ("06_functools", "functional.py", "main", 29),
        ("07_context", "context.py", "main", 7),
        ("08_async", "async_tasks.py", "main", (16, 1)),  # Checked as a whole.
        ("09_memoization", "memoization.py", "main", (13, 4)),  # The bill is.
        ("10_job_info", "job_info.py", "main", 3),
        ("11_no_prov", "no_prov.py", "main", (110, 7)),  # What was not recorded is not replayed.
        ("12_threads", "threads.py", "main", 8),
        ("13_subrun", "regions.py", "main", 4),  # Of the scheduler at the top.
        ("16_values", "values.py", "main", 3),
        ("20_etl_sqlite", "etl.py", "main", 6),
        ("30_word_count", "word_count.py", "main", 6),
        ("43_launch", "survey.py", "main", 2),
        ("50_scripts", "align.py", "main", (8, 6)),  # The two jobs inside a script are not looked up.
        ("51_tags", "tags.py", "main", 3),
        ("60_push_pull", "lab.py", "main", 4),
        ("61_read_through", "lab.py", "main", 5),
    ],
    indirect=["example"],
)
def test_twice(example: Example, script: str, task: str, jobs: int | tuple[int, int]) -> None:
    """`jobs` of the first run, and of the second where those are fewer."""
    cold, again = jobs if isinstance(jobs, tuple) else (jobs, jobs)
    first = example.run(script, task)
    second = example.run(script, task)
    assert first.counts["ALL"].total == cold
    assert second.counts["ALL"] == (0, 0, 0, again, 0, again)
    assert second.out == first.out


def test_every_script_runs_twice_or_as_its_readme_says() -> None:
    """Those that need a server, a configuration or a signal are run by the steps of their README."""
    (mark,) = test_twice.pytestmark
    twice = {row[1] for row in mark.args[1]}
    for path in EXAMPLES.glob("*/*.py"):
        commands = [step.command for step in steps((path.parent / "README.md").read_text())]
        # A setup function is run by the configuration that names it.
        assert path.name in twice or path.name == "setup.py" or any(path.name in command for command in commands), path


@hello
def test_hello_reruns_what_changed(example: Example) -> None:
    assert example.run("hello_world.py", "main").ran() == {"main": 1, "get_planet": 1, "greeter": 1}
    argument = example.run("hello_world.py", "main", "--greet", "Hi")
    assert (argument.out, argument.ran()) == ("'Hi, World!'\n", {"main": 1, "greeter": 1})
    example.edit("hello_world.py", '"World"', '"Venus"')
    code = example.run("hello_world.py", "main")
    assert (code.out, code.ran()) == ("'Hello, Venus!'\n", {"get_planet": 1, "greeter": 1})
    example.edit("hello_world.py", '"Venus"', '"World"')
    assert example.run("hello_world.py", "main").ran() == {}


@pytest.mark.parametrize("example", ["20_etl_sqlite"], indirect=True)
def test_etl_reruns_what_changed(example: Example) -> None:
    def spent() -> list[int]:
        with contextlib.closing(sqlite3.connect(example.folder / "shop.db")) as shop:
            return [total for (total,) in shop.execute("SELECT total FROM spent ORDER BY city")]

    example.run("etl.py", "main")
    assert spent() == [180, 300, 180]
    example.edit("etl.py", "sum(price)", "max(price)")
    assert example.run("etl.py", "main").ran() == {"summarize": 1, "report": 1}
    assert spent() == [120, 300, 180]
    example.edit("etl.py", "max(price)", "sum(price)")
    assert example.run("etl.py", "main").ran() == {"summarize": 1}
    assert spent() == [180, 300, 180]
    example.edit("people.csv", "Alan,London", "Alan,Manchester")
    edited = example.run("etl.py", "main")
    assert edited.ran() == {"main": 1, "load": 1, "summarize": 1, "report": 1}
    assert "('Manchester', 60)" in edited.out


@compiling
def test_compile_reruns_what_changed(example: Example) -> None:
    first = example.run("make.py", "make")
    assert first.counts["ALL"] == (0, 0, 0, 1, 8, 9)
    example.edit("lib.c", "Hello", "Goodbye")
    edited = example.run("make.py", "make")
    assert edited.counts["ALL"] == (0, 0, 0, 3, 6, 9)
    assert edited.ran() == {"make": 1, "make_prog": 2, "compile": 1, "link": 2}
    assert subprocess.check_output([example.folder / "prog"], text=True) == "prog: Goodbye, World!\n"
    (example.folder / "prog").unlink()
    removed = example.run("make.py", "make")
    assert removed.counts["ALL"] == (0, 0, 0, 8, 1, 9)
    assert removed.ran() == {"link": 1}
    assert re.search(
        r"Miss   Job \w{8}:  Cached result is no longer valid \(result=File\(path=prog, hash=\w{8}\), ", removed.log
    )


@compiling
def test_table_of_rules_reruns_what_changed(example: Example) -> None:
    assert example.run("make2.py", "make").ran() == {"make": 1, "source": 4, "run_command": 5}
    example.edit("lib.c", "Hello", "Goodbye")
    assert example.run("make2.py", "make").ran() == {"source": 1, "run_command": 3}
    (example.folder / "prog").unlink()
    assert example.run("make2.py", "make").ran() == {"run_command": 1}
    example.edit("make2.py", "gcc -c prog.c", "gcc -O1 -c prog.c")
    assert example.run("make2.py", "make").ran() == {"make": 1, "run_command": 2}
    assert subprocess.check_output([example.folder / "prog"], text=True) == "prog: Goodbye, World!\n"
