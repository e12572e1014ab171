"""`map_`: calls for the items of a list, whether the list, its items or the task are known yet or not."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from redun import catch, task
from redun.functools import map_, starmap
from redun.provenance import Provenance

from .conftest import Runs


@task(namespace="maps")
def inc(x: int) -> int:
    return x + 1


@task(namespace="maps")
def numbers() -> list[int]:
    return [1, 2]


@task(namespace="maps")
def pick() -> Any:
    return inc


def test_whatever_is_lazy(runs: Runs) -> None:
    assert runs(map_(inc, [inc(0), 5])) == [2, 6]
    assert runs(map_(inc, (inc(0),))) == [2]
    assert runs(map_(inc, numbers())) == [2, 3]
    assert runs(map_(pick(), [inc(0)])) == [2]
    assert runs(map_(pick(), numbers())) == [2, 3]
    assert runs(map_(inc, map_(inc, numbers()))) == [3, 4]
    assert runs(map_(inc, [])) == []
    assert runs(map_(a_task=inc, values=numbers())) == [2, 3]
    assert runs(map_(inc.options(memory=1), [1])) == [2]
    assert runs(map_(str, [inc(0)])) == ["1"]
    assert runs(starmap(inc, [{"x": inc(0)}])) == [2]


def test_a_call_does_not_wait_for_the_other_items(runs: Runs) -> None:
    mapped = threading.Event()

    @task(cache=False)
    def slow() -> int:
        assert mapped.wait(10)
        return 2

    @task(cache=False)
    def note(x: int) -> int:
        mapped.set()
        return x

    assert runs(map_(note, [1, slow()])) == [1, 2]


def test_each_call_derives_from_its_own_item(runs: Runs) -> None:
    @task(namespace="maps")
    def main() -> Any:
        return map_(inc, [inc(10), inc(20)])

    assert runs(main()) == [12, 22]
    provenance = Provenance(runs.store)
    found = {}
    for job in provenance.jobs(provenance.execution("-")):
        if job.task_name == "maps.inc":
            (argument,) = provenance.arguments(job) or ()
            found[provenance.text(argument.value)] = {provenance.text(value) for value in provenance.upstream(job)}
    assert {"21", "20"} <= found["21"]
    assert not {"11", "10"} & found["21"]


@pytest.mark.parametrize("values", [3, [1, "a"]])
def test_errors(runs: Runs, values: Any) -> None:
    with pytest.raises(TypeError):
        runs(map_(inc, values))
    assert runs(catch(map_(inc, values), TypeError, repr)).startswith("TypeError")
