"""`JobInfo`: arguments that tell a task of its own job, and do not keep its result from being found again."""

from __future__ import annotations

from typing import Any

import pytest

from redun import get_task_registry, task
from redun.scheduler import JobInfo

redun_namespace = "info_test"

ran: list[str] = []


@task()
def facts(x: int, info: JobInfo = JobInfo()) -> dict[str, Any]:  # noqa: B008
    ran.append("facts")
    return {**vars(info), "x": x}


@task()
def job_of(info: JobInfo) -> str:
    return info.job_id


@task()
def inside(infos: list[JobInfo], *, named: JobInfo = JobInfo()) -> list[str]:  # noqa: B008
    return [infos[0].job_id, named.job_id]


@task()
def of_many(*args: Any, **kwargs: Any) -> list[str]:
    return [info.job_id for info in [*args, *kwargs.values()]]


@task()
def itself(info: JobInfo = JobInfo()) -> JobInfo:  # noqa: B008
    return info


@task()
def parent_and_child(info: JobInfo = JobInfo()) -> Any:  # noqa: B008
    return [info.job_id, job_of(info)]


@pytest.fixture(autouse=True)
def _registered() -> None:
    ran.clear()
    for one in (facts, job_of, inside, of_many, itself, parent_and_child):
        get_task_registry().add(one)


EXECUTION = "0e2d1c6a-6d2a-4b0e-8f4b-3a1f0c7e9b11"


def test_a_default_argument_is_the_running_job(runs: Any) -> None:
    found = runs(facts.options(memory=3)(1), execution_id=EXECUTION)
    assert found["execution_id"] == EXECUTION
    assert len(found["job_id"]) == 36
    assert len(found["eval_hash"]) == len(found["args_hash"]) == 40
    assert found["eval_hash"] != found["args_hash"]
    assert found["options"]["memory"] == 3
    assert found["x"] == 1


def test_the_facts_do_not_count_in_the_eval_hash(runs: Any) -> None:
    first = runs(facts(1))
    assert runs(facts(1)) == first
    assert runs(facts(1, info=JobInfo(job_id="given"))) == first
    assert ran == ["facts"]
    other = runs(facts(2))
    assert other["args_hash"] != first["args_hash"]
    assert ran == ["facts", "facts"]


def test_the_args_hash_is_of_the_arguments_alone(runs: Any) -> None:
    first, second = runs(itself(), cache=False), runs(itself(), cache=False)
    assert (first.args_hash, first.eval_hash) == (second.args_hash, second.eval_hash)
    assert first.job_id != second.job_id
    assert first.execution_id != second.execution_id


def test_a_job_info_as_result_is_kept_as_it_was(runs: Any) -> None:
    first = runs(itself())
    assert isinstance(first, JobInfo)
    assert vars(runs(itself())) == vars(first)
    assert first.job_id in repr(first)


def test_each_job_gets_its_own_even_when_handed_that_of_another(runs: Any) -> None:
    parent, child = runs(parent_and_child())
    assert parent != child
    assert len(child) == 36


def test_every_place_of_an_argument_is_replaced_but_not_inside_containers(runs: Any) -> None:
    deep, named = runs(inside([JobInfo(job_id="kept")]))
    assert deep == "kept"
    assert len(named) == 36
    found = runs(of_many(JobInfo(), a=JobInfo()))
    assert len(set(found)) == 1
    assert len(found[0]) == 36


def test_a_task_below_prov_false_knows_its_execution(runs: Any) -> None:
    @task(prov=False)
    def unrecorded(info: JobInfo = JobInfo()) -> str:  # noqa: B008
        return info.execution_id

    @task
    def main() -> Any:
        return unrecorded()

    assert runs(main(), execution_id=EXECUTION) == EXECUTION


def test_a_job_info_made_by_hand_says_what_it_was_given() -> None:
    assert (
        repr(JobInfo("a", "b", "c", "d", {"m": 1}))
        == "JobInfo(execution_id=a, job_id=b, eval_hash=c, args_hash=d, options={'m': 1})"
    )
    assert vars(JobInfo()) == {"execution_id": "", "job_id": "", "eval_hash": "", "args_hash": "", "options": {}, "number": 0}
