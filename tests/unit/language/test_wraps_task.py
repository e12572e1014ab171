"""Tasks around tasks, to any depth: names, options, hashes, and what runs again after a change."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from redun import Task, get_task_registry, task
from redun.errors import TaskDefinitionError
from redun.task import wraps_task

redun_namespace = "wrap_test"


def pair(**options: Any) -> Any:
    """A decorator whose task calls the inner one lazily and returns its result twice."""

    @wraps_task(wrapper_name="_pair", **options)
    def make(inner_task: Task[..., Any]) -> Callable[..., Any]:
        def do_pair(*args: Any, **kwargs: Any) -> Any:
            value = inner_task(*args, **kwargs)
            return [value, value]

        return do_pair

    return make


@wraps_task()
def _direct(inner_task: Task[..., Any]) -> Callable[..., Any]:
    def do_direct(*args: Any, **kwargs: Any) -> Any:
        return inner_task.func(*args, **kwargs) + 100

    return do_direct


def test_the_inner_task_moves_to_a_hidden_namespace_and_both_are_found_by_name(runs: Any) -> None:
    @pair()
    @task(memory=4)
    def base(x: int, y: int = 2) -> int:
        return x + y

    inner = base.inner_task
    assert (base.fullname, inner.fullname) == ("wrap_test.base", "wrap_test._pair.base")
    assert base.wrapped_task is inner
    assert inner.wrapped_task is None
    assert inner.inner_task is inner
    registry = get_task_registry()
    assert registry.get("wrap_test.base") is base
    assert registry.get("wrap_test._pair.base") is inner
    assert registry.get(hash=inner.hash) is inner
    assert runs(base(1)) == [3, 3]
    assert runs(base(1, y=5)) == [6, 6]


def test_every_level_below_carries_the_names_of_the_wrappers_outside_it(runs: Any) -> None:
    @pair()
    @_direct
    @pair()
    @task(name="renamed", namespace="elsewhere")
    def base(x: int) -> int:
        return x

    chain = []
    level: Task[..., Any] | None = base
    while level is not None:
        chain.append(level.fullname)
        level = level.wrapped_task
    assert chain == [
        "elsewhere.renamed",
        "elsewhere._pair.renamed",
        "elsewhere._direct._pair.renamed",
        "elsewhere._pair._direct._pair.renamed",
    ]
    assert base.inner_task.fullname == chain[-1]
    assert all(get_task_registry().get(name) is not None for name in chain)


def test_without_a_namespace_the_wrapper_is_the_whole_hidden_namespace() -> None:
    @pair()
    @task(namespace="")
    def base(x: int) -> int:
        return x

    assert (base.fullname, base.inner_task.fullname) == ("base", "_pair.base")


def test_options_of_wrapper_and_inner_task_stay_with_their_own() -> None:
    @pair(memory=1, executor="default", export_options={"vcpus": 3}, version="9")
    @task(memory=8, limits=["db"], nout=2)
    def base(x: int) -> Any:
        return [x, x]

    inner = base.inner_task
    assert base.get_task_option("memory") == 1
    assert base.get_task_option("vcpus") == 3
    assert base.get_task_option("limits") is None
    assert base.version == "9"
    assert base.nout is None
    assert (inner.get_task_option("memory"), inner.get_task_option("limits"), inner.nout) == (8, ["db"], 2)
    assert inner.get_task_option("vcpus") is None
    changed = base.options(memory=2)
    assert changed.get_task_option("memory") == 2
    assert changed.inner_task is inner


def test_load_module_is_the_module_of_the_user() -> None:
    @pair()
    @_direct
    @task(load_module="users.module")
    def base(x: int) -> int:
        return x

    assert base.load_module == "users.module"

    @pair()
    @task
    def other(x: int) -> int:
        return x

    assert other.load_module == __name__


def test_the_signature_is_the_inner_one_with_its_defaults(runs: Any) -> None:
    seen: list[Any] = []

    @wraps_task()
    def _spy(inner_task: Task[..., Any]) -> Callable[..., Any]:
        def spy(*args: Any, **kwargs: Any) -> Any:
            seen.append((args, kwargs))
            return inner_task(*args, **kwargs)

        return spy

    @_spy
    @task
    def base(x: int, y: int = 2) -> int:
        return x * y

    assert str(base.signature) == "(x: 'int', y: 'int' = 2) -> 'int'"
    assert runs(base(4)) == 8
    assert seen == [((4,), {"y": 2})]


def test_a_wrapper_may_take_arguments_that_the_inner_task_does_not_know(runs: Any) -> None:
    def make(use: bool) -> Any:
        @wraps_task(wrapper_name="_extra", use_wrapper_signature=use)
        def wrapper(inner_task: Task[..., Any]) -> Callable[..., Any]:
            def with_extra(x: int, extra: int = 7) -> Any:
                return [inner_task(x), extra]

            return with_extra

        @wrapper
        @task(namespace=f"use_{use}")
        def base(x: int) -> int:
            return x

        return base

    for use in (False, True):
        assert runs(make(use)(1)) == [1, 7]
        assert runs(make(use)(1, extra=3)) == [1, 3]
    assert list(make(True).signature.parameters) == ["x", "extra"]
    assert list(make(False).signature.parameters) == ["x"]
    with pytest.raises(TypeError, match="base"):
        make(True)(1, 2, 3)


def test_the_same_task_may_be_used_directly_as_a_function_or_lazily(runs: Any) -> None:
    @_direct
    @task
    def base(x: int) -> int:
        return x

    assert runs(base(1)) == 101
    assert base.func(1) == 101
    assert base.inner_task.func(1) == 1


def test_script_tasks_and_plain_functions_can_be_wrapped(runs: Any) -> None:
    @pair()
    @task(script=True)
    def shell() -> str:
        return "echo hi"

    @pair()
    def plain(x: int) -> int:
        return x

    assert runs(shell()) == [b"hi\n", b"hi\n"]
    assert runs(plain(1)) == [1, 1]
    assert plain.inner_task.fullname == "wrap_test._pair.plain"


def test_wraps_task_without_parentheses_is_the_same(runs: Any) -> None:
    @wraps_task
    def _bare(inner_task: Task[..., Any]) -> Callable[..., Any]:
        def bare(x: int) -> Any:
            return inner_task(x)

        return bare

    @_bare
    @task
    def base(x: int) -> int:
        return x

    assert base.inner_task.fullname == "wrap_test._bare.base"
    assert runs(base(1)) == 1


def test_a_task_with_options_is_wrapped_with_them() -> None:
    @task(memory=1)
    def base(x: int) -> int:
        return x

    wrapped = pair()(base.options(memory=5))
    assert wrapped.fullname == "wrap_test.base"
    assert wrapped.inner_task.get_task_option("memory") == 5


@pytest.mark.parametrize(
    ("name", "said"),
    [("no good", "'no good' of wrapper 'make'"), ("1", "'1' of wrapper"), ("", "'' of wrapper"), ("a..b", "'a..b'")],
)
def test_a_wrapper_name_that_is_no_namespace_is_refused(name: str, said: str) -> None:
    with pytest.raises(TaskDefinitionError, match=said):

        @wraps_task(wrapper_name=name)
        def make(inner_task: Task[..., Any]) -> Callable[..., Any]:
            return inner_task.func


def test_what_cannot_be_wrapped_is_refused_by_name() -> None:
    @task
    def base(x: int) -> int:
        return x

    with pytest.raises(TaskDefinitionError, match="PartialTask"):
        pair()(base.partial(1))
    with pytest.raises(TaskDefinitionError, match="found int"):
        pair()(5)

    @wraps_task()
    def _task_again(inner_task: Task[..., Any]) -> Callable[..., Any]:
        @task
        def inside(x: int) -> Any:
            return inner_task(x)

        return inside

    with pytest.raises(TaskDefinitionError, match=r"'_task_again'.*'wrap_test._task_again.base'.*plain function"):
        _task_again(base)


def test_hash_of_what_the_wrapper_was_made_with_joins_in() -> None:
    def hashes(**options: Any) -> tuple[str, str]:
        @pair(**options)
        @task
        def base(x: int) -> int:
            return x

        return base.hash, base.inner_task.hash

    plain, one, other = hashes(), hashes(wrapper_hash_includes=[1]), hashes(wrapper_hash_includes=[2])
    assert len({plain[0], one[0], other[0]}) == 3
    assert {plain[1], one[1], other[1]} == {plain[1]}
    assert hashes(wrapper_extra_hash_data=[1]) == one
    assert hashes(memory=3) == plain


PROGRAM = """
    from redun import task
    from redun.task import wraps_task

    redun_namespace = "program"
    done = []

    @wraps_task()
    def _outer(inner_task):
        def do_outer(*args, **kwargs):
            done.append("outer")
            return ["OUTER", inner_task(*args, **kwargs)]
        return do_outer

    @wraps_task()
    def _middle(inner_task):
        def do_middle(*args, **kwargs):
            done.append("middle")
            return ["MIDDLE", inner_task(*args, **kwargs)]
        return do_middle

    @_outer
    @_middle
    @task
    def base(x):
        done.append("base")
        return ["BASE", x]

    @task
    def main():
        done.append("main")
        return base(1)
"""


def run_program(runs: Any, load: Any, **changes: str) -> tuple[Any, list[str]]:
    module = load(PROGRAM, **changes)
    value = runs(module.main())
    return value, module.done


def test_a_change_at_any_level_runs_that_level_and_those_outside_it(runs: Any, load: Any) -> None:
    assert run_program(runs, load) == (["OUTER", ["MIDDLE", ["BASE", 1]]], ["main", "outer", "middle", "base"])
    assert run_program(runs, load) == (["OUTER", ["MIDDLE", ["BASE", 1]]], [])
    # The hash of the outer task includes those within, so it is another task; but main's code is the same.
    assert run_program(runs, load, BASE="base2") == (["OUTER", ["MIDDLE", ["base2", 1]]], ["outer", "middle", "base"])
    assert run_program(runs, load, MIDDLE="middle2") == (["OUTER", ["middle2", ["BASE", 1]]], ["outer", "middle"])
    assert run_program(runs, load, OUTER="outer2") == (["outer2", ["MIDDLE", ["BASE", 1]]], ["outer"])
    # Reverted code is what it was.
    assert run_program(runs, load) == (["OUTER", ["MIDDLE", ["BASE", 1]]], [])


def test_shallow_checks_see_a_change_of_the_inner_task(runs: Any, load: Any) -> None:
    program = PROGRAM.replace("@task\n    def main", "@task(check_valid='shallow')\n    def main")
    module = load(program)
    assert runs(module.main()) == ["OUTER", ["MIDDLE", ["BASE", 1]]]
    module = load(program)
    assert runs(module.main()) == ["OUTER", ["MIDDLE", ["BASE", 1]]]
    assert module.done == []
    module = load(program, BASE="base2")
    assert runs(module.main()) == ["OUTER", ["MIDDLE", ["base2", 1]]]
    assert module.done == ["outer", "middle", "base"]


def test_a_wrapped_task_is_a_value_like_any_task(runs: Any) -> None:
    @pair()
    @task
    def base(x: int) -> int:
        return x

    @task
    def apply(a_task: Task[..., Any], x: int) -> Any:
        return a_task(x)

    assert runs(apply(base, 1)) == [1, 1]
    assert runs(apply(base.inner_task, 1)) == 1
    assert runs(base.partial(1)()) == [1, 1]


def test_recursion_goes_through_the_wrapper(runs: Any, load: Any) -> None:
    module = load(
        """
        from redun import task
        from redun.task import wraps_task

        redun_namespace = "program"
        done = []

        @wraps_task()
        def _count(inner_task):
            def counted(*args, **kwargs):
                done.append(args)
                return inner_task(*args, **kwargs)
            return counted

        @_count
        @task
        def down(n):
            return n if n == 0 else down(n - 1)
        """
    )
    assert runs(module.down(3)) == 0
    assert module.done == [(3,), (2,), (1,), (0,)]
