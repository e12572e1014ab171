"""A job whose executor is not there: it fails, is recorded as failed, and needs no executor if its result is known."""

from __future__ import annotations

from typing import Any

import pytest

from redun import catch, task
from redun.errors import DryRunResult
from redun.provenance import Provenance
from redun.scheduler import SchedulerError
from redun.store.journal import Status

from .conftest import Runs


@task(namespace="refused")
def inc(x: int) -> int:
    return x + 1


def test_the_job_is_recorded_as_failed(runs: Runs) -> None:
    @task(namespace="refused")
    def main() -> Any:
        return [inc(0), inc.options(executor="nowhere")(1)]

    with pytest.raises(SchedulerError, match="unknown executor 'nowhere'"):
        runs(main())
    provenance = Provenance(runs.store)
    failed = [job.task_name for job in provenance.jobs(provenance.execution("-")) if job.status is Status.FAILED]
    assert sorted(failed) == ["refused.inc", "refused.main"]


def test_a_known_result_needs_no_executor(runs: Runs) -> None:
    elsewhere = inc.options(executor="nowhere")
    assert runs(inc(5)) == 6
    assert runs(elsewhere(5)) == 6
    with pytest.raises(SchedulerError, match="'nowhere'"):
        runs(elsewhere(6))
    with pytest.raises(DryRunResult):
        runs(elsewhere(6), dryrun=True)


def test_it_can_be_recovered_from(runs: Runs) -> None:
    assert runs(catch(inc.options(executor="nowhere")(1), SchedulerError, str)).startswith("unknown executor 'nowhere'")
