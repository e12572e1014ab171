"""A task that is defined anew under its name, as in a notebook: the name stands for the newest definition."""

from __future__ import annotations

from typing import Any

from redun import task
from redun.provenance import Provenance

from .conftest import Runs


def define(version: str) -> Any:
    @task(name="again", namespace="anew", version=version)
    def again(x: int = 0) -> str:
        return f"{version} {x}"

    return again


def test_expressions_made_before_call_the_new_one(runs: Runs) -> None:
    old = define("1")
    expr = old(5)
    assert runs(expr) == "1 5"
    define("2")
    assert runs(expr) == "2 5"
    assert runs([old(1), old.options(memory=2)(2)]) == ["2 1", "2 2"]
    define("1")
    assert runs(expr) == "1 5"


def test_a_definition_that_changes_during_a_run_is_recorded(runs: Runs) -> None:
    @task(namespace="anew", cache=False)
    def main(first: str) -> Any:
        return define("new")(7)

    before = define("old")
    assert runs(main(before(6))) == "new 7"
    provenance = Provenance(runs.store)
    jobs = [job for job in provenance.jobs(provenance.execution("-")) if job.task_name == "anew.again"]
    assert {provenance.get_task(job.task_hash).version for job in jobs} == {"old", "new"}
