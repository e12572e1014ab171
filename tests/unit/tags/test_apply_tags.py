"""Tags that a run gives: to tasks and jobs by options, to values, jobs and the execution by `apply_tags`."""

from __future__ import annotations

from typing import Any

import pytest

from redun import Scheduler, apply_tags, task
from redun.errors import TaskDefinitionError
from redun.provenance import Execution, Provenance
from redun.tag_edits import TagEditor
from redun.tag_records import current

redun_namespace = "tags"

Pairs = tuple[tuple[str, Any], ...]


@task(tags=[("env", "dev"), ("step", 1)])
def plain(x: int) -> int:
    return x + 1


@task(tags={"by": "decorator"})
def call_time(x: int) -> int:
    return x * 2


@task()
def exporting(x: int) -> Any:
    return [plain(x), plain.options(tags=[("own", True)])(x + 1)]


@task()
def tagging(x: int) -> Any:
    return apply_tags(plain(x), tags=[("data", (1, "a")), ("data", 2)], job_tags=[("b", 2)], execution_tags=[("c", 3)])


@task()
def lazily(x: int) -> Any:
    return apply_tags(x, tags=[("made", plain(x))], job_tags={"all": [plain(x)]})


@task()
def inside(x: int) -> Any:
    return len_of([apply_tags([x] * 30, [("large", True)]), apply_tags(x, [("small", True)])])


@task()
def len_of(values: list[Any]) -> int:
    return len(values)


@pytest.fixture
def scheduler() -> Scheduler:
    return Scheduler(logger=False)


def execution(scheduler: Scheduler) -> Execution:
    return next(Provenance(scheduler.store).executions())


def job_tags(scheduler: Scheduler) -> list[tuple[str, Pairs]]:
    provenance = Provenance(scheduler.store)
    return [
        (job.task_name.rpartition(".")[2], provenance.tags.of(job))
        for _, job in provenance.job_tree(next(provenance.executions()))
    ]


def value_tags(scheduler: Scheduler) -> dict[str, Pairs]:
    provenance = Provenance(scheduler.store)
    return {provenance.text(value): tags for value in provenance.values() if (tags := provenance.tags.of(value))}


def test_options_tag_the_task_as_defined_and_each_job_as_called(scheduler: Scheduler) -> None:
    scheduler.run(call_time.options(tags=[("user", "alice")])(plain(1)))
    provenance = Provenance(scheduler.store)
    assert {found.fullname: provenance.tags.of(found) for found in provenance.tasks()} == {
        "tags.plain": (("env", "dev"), ("step", 1)),
        "tags.call_time": (("by", "decorator"),),
        "redun.root_task": (),
    }
    found = dict(job_tags(scheduler))
    assert found["plain"] == (("env", "dev"), ("step", 1))
    assert found["call_time"] == (("user", "alice"),)


def test_exported_tags_reach_the_jobs_below(scheduler: Scheduler) -> None:
    scheduler.run(exporting.export_options(tags=[("batch", 7)])(1))
    assert job_tags(scheduler) == [
        ("exporting", (("batch", 7),)),
        ("plain", (("batch", 7),)),
        ("plain", (("own", True),)),
    ]


def test_cached_jobs_are_tagged_too(scheduler: Scheduler) -> None:
    scheduler.run(plain(1))
    scheduler.run(plain(1))
    assert job_tags(scheduler) == [("plain", (("env", "dev"), ("step", 1)))]


def test_apply_tags_tags_value_job_and_execution_and_is_transparent(scheduler: Scheduler) -> None:
    assert scheduler.run(tagging(9), tags=[("given", "x")]) == 10
    assert value_tags(scheduler) == {"10": (("data", 2), ("data", [1, "a"]))}
    assert dict(job_tags(scheduler))["tagging"] == (("b", 2),)
    provenance = Provenance(scheduler.store)
    assert provenance.tags.of(execution(scheduler)) == (("c", 3), ("given", "x"))


def test_a_replay_says_the_same_and_no_more(scheduler: Scheduler) -> None:
    scheduler.run(tagging(9))
    scheduler.run(tagging(9))
    provenance = Provenance(scheduler.store)
    assert len(list(provenance.executions())) == 2
    assert [tags for kind, _, tags in provenance.tags.all(["value"])] == [(("data", 2), ("data", [1, "a"]))]
    # The tags of an execution are its own: the second one has been given them again.
    assert [provenance.tags.of(found) for found in provenance.executions()] == [(("c", 3),), (("c", 3),)]


def test_what_somebody_removed_is_not_brought_back_by_a_run(scheduler: Scheduler) -> None:
    scheduler.run(tagging(9))
    [(kind, entity, _)] = Provenance(scheduler.store).tags.all(["value"])
    TagEditor(scheduler.store).remove(kind, entity, [("data", 2)])
    scheduler.run(tagging(9))
    assert value_tags(scheduler) == {"10": (("data", [1, "a"]),)}
    TagEditor(scheduler.store).add(kind, entity, [("data", 2)])
    assert value_tags(scheduler) == {"10": (("data", 2), ("data", [1, "a"]))}


def test_tags_may_be_expressions(scheduler: Scheduler) -> None:
    assert scheduler.run(lazily(4)) == 4
    assert value_tags(scheduler) == {"4": (("made", 5),)}
    assert dict(job_tags(scheduler))["lazily"] == (("all", [5]),)


def test_a_tagged_value_is_kept_even_if_no_call_has_it(scheduler: Scheduler) -> None:
    assert scheduler.run(inside(3)) == 2
    assert value_tags(scheduler) == {str([3] * 30): (("large", True),), "3": (("small", True),)}


def test_apply_tags_as_root_and_below_prov_false(scheduler: Scheduler) -> None:
    assert scheduler.run(apply_tags([plain(1)], [("root", 1)])) == [2]
    assert value_tags(scheduler) == {"[2]": (("root", 1),)}
    unrecorded = Scheduler(logger=False)
    assert unrecorded.run(tagging.options(prov=False)(9)) == 10
    assert list(Provenance(unrecorded.store).tags.all()) == []


def test_a_failed_job_keeps_its_tags(scheduler: Scheduler) -> None:
    @task(name="failing", namespace="tags", tags=[("fails", True)])
    def failing() -> None:
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        scheduler.run(failing())
    assert job_tags(scheduler) == [("failing", (("fails", True),))]


@pytest.mark.parametrize(
    ("tags", "part"),
    [
        ("env=dev", "list of .key, value. pairs"),
        (["env"], "pairs, found 'env'"),
        ([("env",)], "pairs, found"),
        ([(1, 2)], "must be text, found 1"),
        ([("", 2)], "is empty"),
        ([("env", object())], "tag 'env' must be JSON data, found object"),
        ([("env", {(1, 2): 3})], "tag 'env' must be JSON data, found dict"),
        ([("env", 1 << 70)], "more than 64 bits"),
        ([("env", float("nan"))], "tag 'env' must be JSON data, found float"),
    ],
)
def test_what_is_no_tag_is_refused(scheduler: Scheduler, tags: Any, part: str) -> None:
    with pytest.raises((TypeError, ValueError), match=part):
        scheduler.run(apply_tags(1, tags))
    with pytest.raises((TypeError, ValueError), match=part):
        scheduler.run(plain(1), tags=tags)
    if not isinstance(tags, str):
        with pytest.raises(TaskDefinitionError, match=f"tags of task 'tags.refused': .*{part}"):
            task(name="refused", namespace="tags", tags=tags)(lambda: 1)


def test_tags_of_an_interrupted_run_are_known(scheduler: Scheduler) -> None:
    # The end of an execution tells its tags; without one they are found in its journal.
    scheduler.run(tagging(9))
    provenance = Provenance(scheduler.store)
    head = next(iter(provenance._executions._all_heads().values()))
    from redun.provenance.history import _tags_in_chain

    assert _tags_in_chain(scheduler.store.source, head.segment, []) == [("c", 3)]
    assert [record.key for record in provenance.tags.history(execution(scheduler))] == ["c"]
    assert current(provenance.tags.records("execution", head.id)) == (("c", 3),)
