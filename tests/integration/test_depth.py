"""Depth: chains of 100,000 nested lazy calls and a recursion 10,000 jobs deep, cold, replayed and in `log`."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.integration.conftest import Cli

SCRIPT = """
from redun import catch, task

redun_namespace = "deep"


@task()
def inc(x):
    return x + 1


@task()
def first(items):
    return items[0] + 1


@task()
def zero(error):
    return 0


@task()
def calls(n: int):
    x = 0
    for _ in range(n):
        x = inc(x)
    return x


@task()
def operators(n: int):
    x = inc(-1)
    for _ in range(n):
        x = x + 1
    return x


@task()
def lists(n: int):
    x = 0
    for _ in range(n):
        x = first([x])
    return x


@task()
def catches(n: int):
    x = 0
    for _ in range(n):
        x = catch(inc(x), ValueError, zero)
    return x


@task()
def recursion(n: int):
    return 0 if n == 0 else recursion(n - 1)


@task()
def wrap(n: int):
    nested = inc(n)
    for _ in range(n):
        nested = [nested]
    return nested


@task()
def unwrap(nested):
    while isinstance(nested, list):
        [nested] = nested
    return nested


@task()
def calls_in_lists(n: int):
    return unwrap([wrap(n)])
"""


@pytest.mark.parametrize(
    ("name", "depth", "result"),
    [
        ("calls", 100_000, 100_000),
        ("operators", 100_000, 100_000),
        ("lists", 100_000, 100_000),
        ("catches", 100_000, 100_000),
        ("recursion", 10_000, 0),
    ],
)
def test_deep(cli: Cli, tmp_path: Path, name: str, depth: int, result: int) -> None:
    (tmp_path / "deep.py").write_text(SCRIPT)
    cold = cli("run", "deep.py", name, "--n", str(depth))
    assert (cold.status, cold.stdout) == (0, f"{result}\n")
    replayed = cli("run", "deep.py", name, "--n", str(depth))
    assert (replayed.status, replayed.stdout) == (0, f"{result}\n")
    assert "Run    Job" not in replayed.stderr
    jobs = 2 if name == "operators" else depth + 1
    tree = cli("log", "-")
    assert tree.status == 0
    assert f"Jobs: {jobs} (DONE: 0, CACHED: {jobs}, FAILED: 0)" in tree.stdout
    last_job = next(line.split()[1] for line in tree.stdout.splitlines() if line.lstrip().startswith("Job "))
    job = cli("log", last_job)
    assert job.status == 0
    assert f"deep.{name}" in job.stdout
    assert len(job.stdout) < 1_000_000


def test_a_call_deep_inside_lists(cli: Cli, tmp_path: Path) -> None:
    """As a result and as an argument, each an expression graph whose root is nested."""
    (tmp_path / "deep.py").write_text(SCRIPT)
    for logged in ("Run", "Cached"):
        ended = cli("run", "deep.py", "calls_in_lists", "--n", "20000")
        assert (ended.status, ended.stdout) == (0, "20001\n")
        assert sorted(ended.jobs(logged)) == ["calls_in_lists", "inc", "unwrap", "wrap"]
