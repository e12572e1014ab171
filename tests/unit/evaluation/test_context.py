"""Context: what `get_context` sees, in results, in arguments and in defaults.

Defaults that are calls (ruff B008) are the point here.
"""

# ruff: noqa: B006, B008

from __future__ import annotations

from typing import Any

from redun import catch, get_context, task
from redun.provenance import Provenance

from .conftest import Runs


def test_a_default_sees_the_context_of_its_own_call(runs: Runs) -> None:
    @task()
    def scale(x: int, factor: int = get_context("unit.factor", 2)) -> int:
        runs.done.append(f"scale {x} {factor}")
        return x * factor

    tenfold = scale.update_context({"unit": {"factor": 10}})
    assert runs(scale(4)) == 8
    assert runs(tenfold(4)) == 40
    assert runs.done == ["scale 4 10"]
    assert runs(tenfold(4)) == 40
    assert runs.done == []
    assert runs(tenfold(4, 3)) == 12
    assert runs(scale(4), context={"unit": {"factor": 5}}) == 20


def test_updates_of_the_context_add_up_and_are_inherited(runs: Runs) -> None:
    @task()
    def total(x: int, plus: int = get_context("plus", 0), times: int = get_context("times", 1)) -> int:
        return (x + plus) * times

    @task()
    def main(x: int) -> Any:
        return [total(x), total.update_context(times=3)(x)]

    assert runs(total.update_context(plus=1).update_context(times=2)(5)) == 12
    assert runs(main.update_context(plus=1)(5)) == [6, 18]


def test_what_the_caller_wrote_sees_the_callers_context(runs: Runs) -> None:
    @task()
    def pair(x: Any, y: Any = get_context("who", "nobody")) -> list[Any]:
        return [x, y]

    @task()
    def main() -> Any:
        return pair.update_context(who="inner")(get_context("who", "nobody"))

    assert runs(main(), context={"who": "outer"}) == ["outer", "inner"]


def test_calls_in_a_default_see_the_context_and_are_children_of_the_caller(runs: Runs) -> None:
    @task()
    def ask() -> Any:
        return get_context("name", "?")

    @task()
    def greet(names: list[Any] = [ask(), ask()]) -> str:
        return " and ".join(names)

    @task()
    def main() -> Any:
        return [greet.update_context(name="Ada")(), greet.update_context(name="Bob")(), greet()]

    assert runs(main()) == ["Ada and Ada", "Bob and Bob", "? and ?"]
    provenance = Provenance(runs.store)
    by_name: dict[str, set[str | None]] = {}
    for job in provenance.jobs(provenance.execution("-")):
        by_name.setdefault(job.task_name, set()).add(provenance.parent_id(job))
    assert by_name["ask"] == by_name["greet"]


def test_an_error_in_a_default_in_a_context_can_be_caught(runs: Runs) -> None:
    @task()
    def fails(x: Any) -> Any:
        raise ValueError(x)

    @task()
    def takes(x: Any = fails(get_context("word", "none"))) -> Any:
        return x

    @task()
    def main() -> Any:
        return catch(takes.update_context(word="told")(), ValueError, str)

    assert runs(main()) == "told"
    assert runs(main()) == "told"
