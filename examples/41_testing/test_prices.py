"""Tests of the workflow: of its functions, of the whole, and of what it does not do twice."""

from __future__ import annotations

import pytest
from prices import main, mean, parse

from redun import Scheduler
from redun.provenance import Provenance

pytest_plugins = ["redun.pytest"]


def test_a_task_is_a_function() -> None:
    assert parse.func("12.50 EUR") == 12.5
    with pytest.raises(ValueError, match="not in EUR"):
        parse.func("3 USD")


def test_the_workflow(scheduler: Scheduler) -> None:
    assert scheduler.run(main(["1 EUR", "3 EUR", "9 USD"])) == 2


def test_errors_come_through(scheduler: Scheduler) -> None:
    with pytest.raises(ZeroDivisionError):
        scheduler.run(mean([]))


def test_an_offer_more_reads_just_that_one(scheduler: Scheduler) -> None:
    scheduler.run(main(["1 EUR"]))
    scheduler.run(main(["1 EUR", "3 EUR"]))
    provenance = Provenance(scheduler.store)
    statuses = [job.status.name for job in provenance.jobs(provenance.execution("-")) if job.task_name.endswith(".parse")]
    assert sorted(statuses) == ["CACHED", "DONE"]
