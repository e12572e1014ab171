"""What scripts ask of tasks and expressions besides calling them."""

from __future__ import annotations

from collections import namedtuple
from typing import Any, NamedTuple

import pytest

from redun import Scheduler, get_task_registry, task
from redun.errors import TaskDefinitionError
from redun.expression import Expression, SimpleExpression
from redun.functools import eval_
from redun.task import CacheCheckValid, CacheScope, Task, get_tuple_type_length


def run(expr: Any) -> Any:
    return Scheduler(logger=False).run(expr)


@task()
def add(a: Any, b: Any = 1) -> Any:
    return a + b


def test_cache_options_are_kept_in_one_form() -> None:
    def scope_of(**options: Any) -> Any:
        made: Task[Any, Any] = task(name="made", namespace="surface", **options)(lambda: None)
        return made.get_task_option("cache_scope")

    assert scope_of(cache=False) is scope_of(cache_scope="CSE") is scope_of(cache_scope=CacheScope.CSE) is CacheScope.CSE
    assert scope_of(cache=True) is CacheScope.BACKEND
    assert scope_of() is None
    assert add.options(cache=False).get_task_option("cache_scope") is CacheScope.CSE
    assert add.options(check_valid="shallow").get_task_options() == {"check_valid": CacheCheckValid.SHALLOW}
    assert add.export_options(cache=False).exported == {"cache_scope"}
    # The later of two ways to say it counts.
    assert add.options(cache_scope="NONE").options(cache=True).get_task_option("cache_scope") is CacheScope.BACKEND
    for option, choice in (("cache_scope", "CacheScope"), ("check_valid", "CacheCheckValid")):
        with pytest.raises(ValueError, match=rf"option {option} of task '.*add': 'typo' is not a valid {choice}, expected"):
            add.options(**{option: "typo"})


def test_cache_false_on_the_command_line_beats_the_definition() -> None:
    ran = []

    @task(cache=True, namespace="surface")
    def noted(x: int) -> int:
        ran.append(x)
        return x

    scheduler = Scheduler(logger=False)
    for _ in range(2):
        scheduler.run(noted(1), option_overrides={"cache": False})
    assert ran == [1, 1]


@pytest.mark.parametrize("nout", ["3", -1, 1.5, True])
def test_a_bad_number_of_outputs_is_refused_at_definition(nout: Any) -> None:
    with pytest.raises(TypeError, match=r"nout of task 'surface.made' must be an integer of at least 0") as caught:
        task(name="made", namespace="surface", nout=nout)(lambda: None)
    assert isinstance(caught.value, TaskDefinitionError)


class Pair(NamedTuple):
    left: int
    right: int


@pytest.mark.parametrize(
    ("annotation", "length"),
    [
        (tuple[int, str], 2),
        (tuple[()], 0),
        (tuple, None),
        (tuple[int, ...], None),
        (Pair, 2),
        (namedtuple("Triple", "a b c"), 3),
        (int, None),
        (list[int], None),
        (None, None),
    ],
)
def test_length_of_tuple_types(annotation: Any, length: int | None) -> None:
    assert get_tuple_type_length(annotation) == length


def test_a_task_that_returns_a_namedtuple_can_be_unpacked() -> None:
    @task(namespace="surface")
    def pair() -> Pair:
        return Pair(1, 2)

    left, right = pair()
    assert run([right, left]) == [2, 1]


def test_options_of_an_expression() -> None:
    assert add(1)._options == {}
    assert add.options(memory=2)(1)._options == {"memory": 2}
    assert add.partial(1).options(memory=2).export_options(disk=3)(1)._options == {"memory": 2, "disk": 3}


def test_an_expression_is_valid_while_its_tasks_and_values_are() -> None:
    @task(namespace="surface")
    def gone(x: Any) -> Any:
        return x

    expr = add(gone(1) + 1, [2])
    assert add(1).is_valid() is True
    assert expr.is_valid() is True
    get_task_registry()._tasks.pop("surface.gone")
    assert expr.is_valid() is False
    assert add(1).is_valid() is True


def test_async_is_asked_by_a_call() -> None:
    @task(cache=False, namespace="surface")
    async def later() -> int:
        return 1

    assert later.is_async()
    assert not add.is_async()


def test_slices_with_bounds_are_lists_of_lazy_items() -> None:
    expr = add([1, 2], [3, 4])
    first, second = expr[1:3]
    assert run([second, first]) == [3, 2]
    assert run(expr[:2]) == [1, 2]
    assert run(expr[0:4:2]) == [1, 3]
    # Where the bounds depend on the length, the slice itself is lazy.
    for key in (slice(1, None), slice(None, -1), slice(-2, None), slice(None, None, -1)):
        assert isinstance(expr[key], Expression)
        assert run(expr[key]) == [1, 2, 3, 4][key]


def test_an_operation_that_is_not_defined() -> None:
    with pytest.raises(NotImplementedError, match="'no_such' is not defined"):
        run(SimpleExpression("no_such", (1,)))


def test_eval_names_its_values() -> None:
    assert run(eval_("[x + y for x in xs]", add(2), xs=[1, 2], pos_args=["y"])) == [4, 5]
    assert run(eval_.partial("x + 1", pos_args=["x"])(add(4))) == 6
    assert run(eval_("\n        (1 +\n         x)\n    ", x=1)) == 2
    with pytest.raises(TypeError, match="2 positional values, but pos_args names 1"):
        run(eval_("x", 1, 2, pos_args=["x"]))
