"""What can be asked of calls, jobs, errors and sources without looking at the store."""

from __future__ import annotations

import textwrap
from typing import Any

from redun import Scheduler, task
from redun.functools import map_
from redun.hashing import hash_arguments, hash_eval
from redun.scheduler import ErrorValue, JobInfo, format_task_call, get_arg_defaults, hash_args_eval, set_arg_defaults
from redun.task import scheduler_task
from redun.utils import MultiMap, get_func_source
from redun.value import get_type_registry


@task(namespace="facts", config_args=["debug"])
def add(a: int, b: int = 2, *rest: int, debug: bool = False) -> int:
    return a + b + sum(rest)


def test_arguments_with_defaults() -> None:
    assert get_arg_defaults(add, (1,), {}) == {"b": 2, "debug": False}
    assert set_arg_defaults(add, (1,), {"debug": True}) == ((1,), {"b": 2, "debug": True})
    assert format_task_call(add, (1,), {}) == "facts.add(a=1, b=2, debug=False)"


def test_hashes_of_calls_are_those_that_a_run_uses() -> None:
    registry = get_type_registry()
    both = hash_args_eval(registry, add, (1, 2), {})
    assert hash_args_eval(registry, add, (1,), {}) == both
    assert hash_args_eval(registry, add, (1, 2), {"debug": True}) == both
    for other in ((1, 3), (1, 2, 3), (1, 2, 3, 4), (True, 2)):
        changed = hash_args_eval(registry, add, other, {})
        assert changed[0] != both[0]
        assert changed[1] != both[1]

    @task(namespace="facts")
    def told(x: int, info: JobInfo = JobInfo()) -> Any:  # noqa: B008
        return [info.eval_hash, info.args_hash]

    unknown = JobInfo()
    assert tuple(Scheduler(logger=False).run(told(1))) == hash_args_eval(registry, told, (1, unknown), {})


def test_hashes_for_keys_of_ones_own() -> None:
    registry = get_type_registry()
    assert hash_arguments(registry, [1], {"a": 1, "b": 2}) == hash_arguments(registry, [1], {"b": 2, "a": 1})
    assert hash_arguments(registry, [1], {}) != hash_arguments(registry, ["1"], {})
    whole, arguments = hash_eval(registry, add.hash, [1], {})
    assert arguments == hash_arguments(registry, [1], {})
    assert whole != hash_eval(registry, map_.hash, [1], {})[0]


def test_source_stands_as_it_is_and_counts_dedented() -> None:
    def make() -> Any:
        @task(namespace="facts")
        def moved() -> int:
            return 1

        return moved

    inner = make()
    assert inner.source.startswith("        def moved")
    assert inner.source == get_func_source(inner.func)
    outer = task(name="moved", namespace="facts", source=textwrap.dedent(inner.source))(lambda: 2)
    assert outer.hash == inner.hash


def test_an_error_is_kept_if_it_can_be() -> None:
    registry = get_type_registry()

    def kept(error: BaseException) -> ErrorValue:
        value = registry.deserialize("redun.ErrorValue", registry.serialize(ErrorValue(error)))
        assert isinstance(value, ErrorValue)
        return value

    same = kept(ValueError("no", 3)).error
    assert type(same) is ValueError
    assert same.args == ("no", 3)
    assert kept(Exception("plain")).error.args == ("plain",)
    for error in (ValueError(lambda: 1), ValueError("x" * 100_000)):
        plain = kept(error)
        assert type(plain.error) is Exception
        assert str(plain.error).startswith("ValueError: ")
        assert plain.error_type == "builtins.ValueError"


def test_what_a_special_form_sees_of_the_job() -> None:
    seen: dict[str, Any] = {}

    @scheduler_task(namespace="facts")
    def look(scheduler: Any, parent_job: Any, sexpr: Any) -> Any:
        seen["job"] = parent_job
        seen["facts"] = [
            parent_job.status,
            parent_job.task_name,
            parent_job.get_option("memory"),
            parent_job.get_export_options(),
            parent_job.recording_provenance(),
            parent_job.get_context(),
        ]
        seen["execution"] = parent_job.execution.id
        return 7

    @task(namespace="facts")
    def main() -> Any:
        return look()

    scheduler = Scheduler(logger=False)
    execution = "11111111-2222-4333-8444-555555555555"
    call = main.export_options(memory=4).update_context(a=1)()
    assert scheduler.run(call, execution_id=execution) == 7
    assert seen["facts"] == ["RUNNING", "facts.main", 4, {"memory": 4}, True, {"a": 1}]
    assert seen["execution"] == execution
    assert seen["job"].status == "DONE"
    assert repr(seen["job"]) == f"Job(id={seen['job'].id}, task_name=facts.main)"


def test_a_root_call_whose_default_is_lazy_has_one_root_job() -> None:
    @task(namespace="facts")
    def lazy(x: int = add(1)) -> int:
        return x

    from unittest.mock import Mock

    scheduler = Scheduler(logger=Mock())
    assert scheduler.run(lazy()) == 3
    assert any("redun.root_task" in line for line in scheduler.get_job_status_report())
    assert scheduler.run(lazy(5)) == 5
    assert not any("redun.root_task" in line for line in scheduler.get_job_status_report())


def test_multimaps_equal_dicts_and_pairs() -> None:
    pairs = [("a", 1), ("b", 2), ("a", 3)]
    assert MultiMap(pairs) == {"a": [3, 1], "b": [2]}
    assert MultiMap(pairs) == pairs
    assert MultiMap(pairs) != {"a": [1], "b": [2]}
    assert MultiMap(pairs) != "a"


def test_names_for_annotations_can_be_imported() -> None:
    from redun.task import Func, Func2, Result

    assert [variable.__name__ for variable in (Func, Func2, Result)] == ["Func", "Func2", "Result"]
