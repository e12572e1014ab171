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
