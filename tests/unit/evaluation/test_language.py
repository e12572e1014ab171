"""What workflows mean, through the public API: results, what runs again and what does not."""

from __future__ import annotations

import dataclasses
import re
import threading
from collections import namedtuple
from pathlib import Path
from typing import Any

import pytest

from redun import File, PartialTask, Scheduler, Task, catch, cond, get_context, task, throw
from redun.errors import (
    CircularCall,
    DryRunResult,
    ExpressionError,
    LimitError,
    SchedulerError,
    TaskDefinitionError,
    ValueEncodeError,
)
from redun.functools import compose, delay, flat_map, flatten, force, identity, map_, no_prov, seq, starmap, zip_
from redun.promise import Promise
from redun.provenance import Provenance
from redun.scheduler import catch_all
from redun.task import scheduler_task
from redun.value import Value
from tests.unit.evaluation.conftest import Runs

redun_namespace = "language"

Point = namedtuple("Point", "x y")


@dataclasses.dataclass(frozen=True)
class Box:
    item: Any
    tag: str = "t"


@task()
def inc(x: int) -> int:
    return x + 1


@task()
def add(a: int, b: int = 10, *, c: int = 0) -> int:
    return a + b + c


@task()
def fail(message: str) -> None:
    raise ValueError(message)


@task()
def text(error: Exception) -> str:
    return f"caught {error}"


def test_nested_values_are_evaluated_in_place(runs: Runs) -> None:
    value = {"list": [inc(1), (inc(2), 5)], inc(3): {"set": {1, 2}}, "point": Point(inc(4), 0), "box": Box([inc(5)])}
    assert runs(value) == {"list": [2, (3, 5)], 4: {"set": {1, 2}}, "point": Point(5, 0), "box": Box([6])}


def test_lazy_operators(runs: Runs) -> None:
    @task()
    def numbers() -> list[int]:
        return [3, 4]

    @task()
    def point() -> Any:
        return Point(1, [2])

    n = numbers()
    exprs = [n[0] + n[1], 10 - n[0], n[0] ** 2, -n[0], n[0] < n[1], n[0] == 3, ~n[0], n[0] & 1, point().y[0], 2 @ Matrix()]
    assert runs(exprs[:-1]) == [7, 7, 9, -3, True, True, -4, 1, 2]


class Matrix:
    def __rmatmul__(self, other: int) -> str:
        return f"{other}@"


def test_what_only_a_value_can_tell_is_refused() -> None:
    for use in (bool, len, list, lambda e: e and 1):
        with pytest.raises(ExpressionError):
            use(inc(1))


def test_known_lengths_iterate_and_slice(runs: Runs) -> None:
    @task(nout=3)
    def three() -> list[int]:
        return [1, 2, 3]

    @task()
    def pair() -> tuple[int, str]:
        return (1, "a")

    @task(nout=0)
    def none() -> list[int]:
        return []

    a, b, c = three()
    x, y = pair()
    assert runs([c, b, a, y, x]) == [3, 2, 1, "a", 1]
    assert runs(three()[1:3]) == [2, 3]
    assert list(none()) == []


def test_signature_is_checked_at_the_call() -> None:
    for wrong in (lambda: add(), lambda: add(1, 2, 3), lambda: add(1, d=1), lambda: add(1, a=2)):
        with pytest.raises(TypeError, match=r"add\(\)"):
            wrong()


def test_equal_calls_run_once_however_they_are_written(runs: Runs) -> None:
    seen = []

    @task()
    def note(x: int, y: int = 2) -> int:
        seen.append((x, y))
        return x + y

    assert runs([note(1), note(1), note(x=1), note(1, 2), note(1, y=2), note(identity(1))]) == [3] * 6
    assert seen == [(1, 2)]


def test_cache_scopes(runs: Runs) -> None:
    seen: list[str] = []

    @task(cache=False)
    def cse(x: int) -> int:
        seen.append("cse")
        return x

    @task(cache_scope="NONE")
    def none(x: int) -> int:
        seen.append("none")
        return x

    @task()
    def main() -> list[Any]:
        return [cse(1), cse(identity(1)), none(1), none(identity(1))]

    runs(main())
    assert sorted(seen) == ["cse", "none", "none"]
    runs(main())
    assert sorted(seen) == ["cse", "cse", "none", "none", "none", "none"]
    with pytest.raises(TaskDefinitionError, match="cache_scope"):
        task(cache_scope="nowhere")(inc.func)


def define(body: str, name: str = "changing", **options: Any) -> Task[Any, Any]:
    """Define a task from text, as an edit of a script would."""
    scope: dict[str, Any] = {"__name__": __name__, "redun_namespace": redun_namespace, "runs_of": RUNS_OF, "inc": inc}
    exec(f"def {name}(x):\n    runs_of.append('{name}')\n    {body}", scope)
    return task(source=body, **options)(scope[name])


RUNS_OF: list[str] = []


def count(runs: Runs, expr: Any) -> tuple[Any, list[str]]:
    RUNS_OF.clear()
    return runs(expr), sorted(RUNS_OF)


def test_changed_code_runs_again_and_reverted_code_is_a_hit(runs: Runs) -> None:
    assert count(runs, define("return x + 1")(1)) == (2, ["changing"])
    assert count(runs, define("return x + 1")(1)) == (2, [])
    assert count(runs, define("return x + 2")(1)) == (3, ["changing"])
    assert count(runs, define("return x + 1")(1)) == (2, [])


def test_full_check_sees_changes_deep_down_and_replays_what_lies_above(runs: Runs) -> None:
    def workflow(leaf: str) -> Any:
        deep = define(leaf, "deep")
        middle = define("return deep(x)", "middle")
        middle.func.__globals__["deep"] = deep
        return middle(1)

    assert count(runs, workflow("return x + 1")) == (2, ["deep", "middle"])
    assert count(runs, workflow("return x + 5")) == (6, ["deep"])
    assert count(runs, workflow("return x + 1")) == (2, [])


def test_shallow_check_takes_the_final_value_unless_a_task_below_changed(runs: Runs) -> None:
    def workflow(leaf: str) -> Any:
        deep = define(leaf, "deep")
        middle = define("return deep(x)", "middle", check_valid="shallow")
        middle.func.__globals__["deep"] = deep
        return middle(1)

    assert count(runs, workflow("return x + 1")) == (2, ["deep", "middle"])
    assert count(runs, workflow("return x + 1")) == (2, [])
    assert count(runs, workflow("return x + 5")) == (6, ["deep"])


def test_version_stands_for_the_source(runs: Runs) -> None:
    assert count(runs, define("return x + 1", version="1")(1)) == (2, ["changing"])
    assert count(runs, define("return x + 100", version="1")(1)) == (2, [])
    assert count(runs, define("return x + 100", version="2")(1)) == (101, ["changing"])


def test_hash_includes_join_in_whatever_their_order() -> None:
    one = define("return x", hash_includes=[1, "a"])
    assert one.hash == define("return x", hash_includes=["a", 1]).hash
    assert one.hash != define("return x", hash_includes=["b", 1]).hash


def test_config_args_stay_outside_the_key(runs: Runs) -> None:
    seen = []

    @task(config_args=["threads"])
    def work(x: int, threads: int) -> int:
        seen.append(threads)
        return x

    assert runs([work(1, 2)]) == runs([work(1, 4)]) == [1]
    assert seen == [2]
    with pytest.raises(TaskDefinitionError, match="config_args"):
        runs(task(config_args=["nope"])(inc.func)(1))


def test_default_arguments_may_be_expressions(runs: Runs) -> None:
    @task()
    def lazy(x: int, y: int = inc(4)) -> int:  # type: ignore[assignment]
        return x + y

    assert runs([lazy(1), lazy(1, 2)]) == [6, 3]


def test_options_may_be_expressions(runs: Runs) -> None:
    assert runs(inc.options(memory=inc(1))(1)) == 2
    assert runs([inc.options(executor=identity("default"))(5)]) == [6]


def test_tasks_and_partials_are_values(runs: Runs) -> None:
    @task()
    def apply(function: Any, x: int) -> int:
        return function(x)  # type: ignore[no-any-return]

    @task()
    def make(n: int) -> Any:
        return add.partial(n)

    assert runs([apply(inc, 1), apply(add.partial(5), 1), make(3)(4), add.partial(1).partial(c=5)(2)]) == [2, 6, 7, 8]
    assert isinstance(add.partial(1), PartialTask)


def test_cond_evaluates_one_branch_only(runs: Runs) -> None:
    assert runs(cond(inc(0) == 1, inc(1), fail("no"))) == 2
    assert runs(cond(inc(0) > 5, fail("a"), inc(0) < 5, "b", fail("c"))) == "b"
    assert runs(cond(False, 1)) is None


def test_catch(runs: Runs) -> None:
    assert runs(catch(fail("x"), ValueError, text)) == "caught x"
    assert runs(catch(inc(1), ValueError, text)) == 2
    assert runs(catch(fail("x"), (KeyError, ValueError), text)) == "caught x"
    assert runs(catch(fail("x"), KeyError, inc, ValueError, text)) == "caught x"
    assert runs(catch(add(fail("deep"), 1), ValueError, text)) == "caught deep"
    with pytest.raises(ValueError, match="x"):
        runs(catch(fail("x"), KeyError, text))
    with pytest.raises(ZeroDivisionError):
        runs(catch(fail("x"), ValueError, task(name="bad")(lambda error: 1 // 0)))


def test_catch_all_waits_and_shows_errors_in_place(runs: Runs) -> None:
    @task()
    def describe(outcome: list[Any]) -> list[str]:
        return [str(item) for item in outcome]

    assert runs(catch_all([inc(1), fail("a"), fail("b"), 7], ValueError, describe)) == ["2", "a", "b", "7"]
    assert runs(catch_all([inc(1)], ValueError, describe)) == [2]
    assert runs(catch_all([fail("a"), fail("a")], ValueError, describe)) == ["a", "a"]
    with pytest.raises(ValueError, match="a"):
        runs(catch_all([fail("a")], KeyError, describe))


def test_throw(runs: Runs) -> None:
    with pytest.raises(KeyError):
        runs(throw(KeyError("k")))
    assert runs(catch(throw(ValueError("t")), ValueError, text)) == "caught t"


def test_seq_is_sequential(runs: Runs) -> None:
    order = []

    @task()
    def note(x: int) -> int:
        order.append(x)
        return x

    assert runs(seq([note(i) for i in range(20)])) == list(range(20))
    assert order == list(range(20))


def test_functools(runs: Runs) -> None:
    @task()
    def items() -> list[int]:
        return [1, 2]

    @task()
    def twice(x: int) -> list[int]:
        return [x, x]

    assert runs(map_(inc, items())) == [2, 3]
    assert runs(flat_map(twice, items())) == [1, 1, 2, 2]
    assert runs(flatten([items(), [inc(8)]])) == [1, 2, 9]
    assert runs(starmap(add, [{"a": inc(0)}, {"a": 1, "b": 1}])) == [11, 2]
    assert runs(zip_(items(), [inc(0), "b"])) == [(1, 1), (2, "b")]
    assert runs(compose(inc, add)(1, 2)) == 4
    assert runs(force(delay(inc(1)))) == 2


def test_context(runs: Runs) -> None:
    @task()
    def look() -> Any:
        return [get_context("a.b"), get_context("nope", 7)]

    assert runs(look(), context={"a": {"b": 1}}) == [1, 7]
    assert runs(look(), context={"a": {"b": 2}}) == [2, 7]
    assert runs([look(), look.update_context(a={"b": 3})()], context={"a": {"b": 2}}) == [[2, 7], [3, 7]]


def test_limits_hold_and_are_released(runs: Runs) -> None:
    lock = threading.Lock()
    now: list[int] = [0, 0]

    @task(limits={"db": 2})
    def use(x: int) -> int:
        with lock:
            now[0] += 1
            now[1] = max(now)
        threading.Event().wait(0.002)
        with lock:
            now[0] -= 1
        if x == 3:
            raise ValueError("three")
        return x

    @task()
    def main() -> list[Any]:
        return [catch(use(i), ValueError, text) for i in range(20)]

    runs(main(), config={"limits": {"db": 4}})
    assert 1 <= now[1] <= 2
    with pytest.raises(LimitError, match="'db'"):
        runs(use(100))


def test_endless_recursion_with_equal_arguments_is_an_error(runs: Runs) -> None:
    @task()
    def again(x: int) -> Any:
        return again(x)

    @task()
    def ping(x: int) -> Any:
        return [pong(x)]

    @task()
    def pong(x: int) -> Any:
        return ping(x)

    for endless in (again, ping):
        with pytest.raises(CircularCall, match="calls itself"):
            runs(endless(1))


def test_what_cannot_be_recorded_is_named(runs: Runs) -> None:
    @task()
    def lock() -> Any:
        return threading.Lock()

    with pytest.raises(ValueEncodeError, match=r"result of language\.lock .*lock"):
        runs(lock())
    with pytest.raises(ValueEncodeError, match=r"argument 'x' of language\.inc .*lock"):
        runs(inc(threading.Lock()))  # type: ignore[arg-type]


def test_a_class_that_has_gone_is_a_miss(runs: Runs) -> None:
    RUNS_OF.clear()
    make = define("return type('Gone', (), {'__module__': __name__})", "make")
    scope = make.func.__globals__
    scope["Gone"] = None
    expr = define("return inc", "make")(1)
    assert count(runs, expr)[1] == ["make"]


def test_dry_run_stops_where_jobs_would_run(runs: Runs) -> None:
    @task()
    def main(x: int) -> Any:
        return inc(x)

    with pytest.raises(DryRunResult):
        runs(main(1), dryrun=True)
    assert runs(main(1)) == 2
    assert runs(main(1), dryrun=True) == 2
    with pytest.raises(DryRunResult):
        runs(main(2), dryrun=True)


def test_unknown_executors_are_named(runs: Runs) -> None:
    with pytest.raises(SchedulerError, match=r"'moon'.*'default'"):
        runs(inc.options(executor="moon")(1))


def test_replay_makes_no_more_jobs_than_the_cold_run(runs: Runs) -> None:
    @task()
    def fib(n: int) -> Any:
        return n if n < 2 else add(fib(n - 1), fib(n - 2), c=0)

    jobs = []
    for _ in range(2):
        assert runs(fib(16)) == 987
        refs = sorted(runs.store.source.refs("executions/"))
        jobs.append(len(refs))
    from redun.store.journal import chain

    counts = []
    for _, head in runs.store.source.refs("executions/"):
        numbers = {job.number for segment in chain(runs.store.source.get, head) for job in segment.jobs}
        counts.append(len(numbers))
    assert counts[0] == counts[1]


def test_errors_fail_the_run_and_are_never_cached(runs: Runs) -> None:
    tries = []

    @task()
    def flaky() -> str:
        tries.append(1)
        if len(tries) == 1:
            raise OSError("first")
        return "ok"

    with pytest.raises(OSError, match="first"):
        runs(flaky())
    assert runs(flaky()) == "ok"


def test_positional_and_keyword_variadics(runs: Runs) -> None:
    @task()
    def gather(*args: int, **kwargs: int) -> Any:
        return [list(args), kwargs]

    assert runs(gather(1, inc(1), k=inc(2))) == [[1, 2], {"k": 3}]


def test_scheduler_runs_without_configuration_and_returns_plain_values() -> None:
    assert Scheduler(logger=False).run(5) == 5
    assert Scheduler(logger=False).run([inc(1)]) == [2]


def test_files_inside_a_cached_expression_must_be_valid(runs: Runs, tmp_path: Path) -> None:
    path = tmp_path / "x"

    @task()
    def read(file: File) -> Any:
        return file.read()

    @task()
    def main() -> Any:
        return [read(File(str(path))), 1]

    path.write_text("one")
    assert runs(main()) == ["one", 1]
    assert runs(main(), dryrun=True) == ["one", 1]
    path.write_text("other")
    assert runs(main()) == ["other", 1]


def test_a_validity_check_that_raises_is_no_hit(runs: Runs) -> None:
    seen = []

    class Moody(Value):
        type_name = "language.Moody"

        def is_valid(self) -> bool:
            raise OSError("not today")

    @task()
    def make() -> Any:
        seen.append(1)
        return Moody()

    runs(make())
    runs(make())
    assert len(seen) == 2


def test_user_written_special_forms(runs: Runs) -> None:
    @scheduler_task(namespace="language")
    def either(scheduler: Any, parent_job: Any, sexpr: Any, first: Any, second: Any) -> Any:
        """The first that does not fail."""
        return scheduler.evaluate(first, parent_job=parent_job).catch(
            lambda error: scheduler.evaluate(second, parent_job=parent_job)
        )

    @scheduler_task(namespace="language")
    def both(scheduler: Any, parent_job: Any, sexpr: Any, *exprs: Any) -> Any:
        return Promise.all([scheduler.evaluate(expr, parent_job=parent_job) for expr in exprs]).then(sum)

    @task()
    def main() -> Any:
        return [either(fail("a"), inc(1)), either(inc(5), fail("b")), both(inc(1), inc(2), 4), inc(both(1, 2))]

    assert runs(main()) == [2, 6, 9, 4]
    assert runs(main()) == [2, 6, 9, 4]
    assert runs(both(inc(1), 1)) == 3
    with pytest.raises(ValueError, match="x"):
        runs(either(fail("y"), fail("x")))
    with pytest.raises(SchedulerError, match="special forms"):
        Scheduler(logger=False).evaluate(inc(1))


def recorded_tasks(runs: Runs) -> list[str]:
    """Names of the tasks of all recorded jobs."""
    provenance = Provenance(runs.store)
    return sorted(
        job.task_name.rpartition(".")[2] for execution in provenance.executions() for job in provenance.jobs(execution)
    )


def test_prov_false_keeps_jobs_and_what_is_below_out_of_the_record(runs: Runs) -> None:
    seen = []

    @task()
    def leaf(x: int) -> int:
        seen.append(x)
        return x

    @task(prov=False)
    def hidden(x: int) -> Any:
        return [leaf(x), leaf.options(prov=True)(x + 1)]

    @task()
    def main() -> Any:
        return [leaf(1), hidden(10), hidden.options(prov=True)(20), leaf(10)]

    for _ in range(2):
        assert runs(main()) == [1, [10, 11], [20, 21], 10]
    assert sorted(seen) == [1, 10, 10, 10, 11, 11, 20, 21]
    assert recorded_tasks(runs) == sorted(2 * ["main", "leaf", "hidden", "leaf", "leaf", "leaf"])
    before = recorded_tasks(runs)
    assert runs(hidden(1)) == [1, 2]
    assert runs(main(), provenance=False) == [1, [10, 11], [20, 21], 10]
    assert recorded_tasks(runs) == before


def test_no_prov_records_one_call_and_replays_it_until_code_below_changes(runs: Runs) -> None:
    def workflow(leaf: str) -> Any:
        deep = define(leaf, "deep")
        middle = define("return deep(x)", "middle")
        middle.func.__globals__["deep"] = deep
        return no_prov([middle(1), middle(2)])

    assert count(runs, workflow("return x + 1")) == ([2, 3], ["deep", "deep", "middle", "middle"])
    assert count(runs, workflow("return x + 1")) == ([2, 3], [])
    assert count(runs, workflow("return x + 5"))[0] == [6, 7]
    assert "middle" not in recorded_tasks(runs)
    assert "no_prov" in recorded_tasks(runs)


def test_async_tasks_await_expressions(runs: Runs) -> None:
    seen = []

    @task()
    def slow(x: int) -> int:
        seen.append(x)
        threading.Event().wait(0.001)
        return x

    @task(cache=False)
    async def one(x: int) -> int:
        value = await slow(x)
        if value > 1:
            value += await one(x - 1)
        return value + await (slow(x) + 1)

    @task(check_valid="shallow")
    async def many(n: int) -> Any:
        import asyncio

        values = await asyncio.gather(*[one(i) for i in range(n)])
        try:
            await fail("inside")
        except ValueError as error:
            return [sum(values), str(error), inc(1)]

    assert runs(one(3)) == (3 + (2 + (1 + 2) + 3) + 4)
    first = runs(many(30))
    assert first[1:] == ["inside", 2]
    seen.clear()
    assert runs(many(30)) == first
    assert seen == []
    with pytest.raises(TaskDefinitionError, match="shallow"):

        @task()
        async def wrong() -> None: ...

    @task(cache=False)
    async def fails() -> None:
        await fail("again")

    with pytest.raises(ValueError, match="again"):
        runs(fails())
    with pytest.raises(SchedulerError, match="async task"):
        inc(1).__await__().send(None)  # type: ignore[attr-defined]


def test_async_tasks_see_changes_of_what_they_awaited(runs: Runs) -> None:
    def workflow(leaf: str) -> Any:
        deep = define(leaf, "deep")

        @task(check_valid="shallow", name="waits")
        async def waits(x: int) -> Any:
            RUNS_OF.append("waits")
            return await deep(x)

        return waits(1)

    assert count(runs, workflow("return x + 1")) == (2, ["deep", "waits"])
    assert count(runs, workflow("return x + 1")) == (2, [])
    assert count(runs, workflow("return x + 5")) == (6, ["deep", "waits"])


def test_a_recovery_ends_with_any_change_of_what_led_to_it(runs: Runs) -> None:
    def workflow(inner: str, context: Any = None) -> Any:
        inner_task = define(inner, "inner")
        outer = define("return inner(x)", "outer")
        outer.func.__globals__["inner"] = inner_task

        @task(name="invert")
        def invert(x: int) -> float:
            return 1 / x

        @task(name="minus")
        def minus(error: Exception) -> int:
            return -1

        @task(name="main")
        def main() -> Any:
            return catch(invert(outer(1)), ZeroDivisionError, minus)

        return main()

    assert runs(workflow("return 0")) == -1
    assert runs(workflow("return 0")) == -1
    assert runs(workflow("return 1")) == 1.0
    assert runs(workflow("return 0")) == -1


def test_a_recovery_holds_in_its_context_only(runs: Runs) -> None:
    @task()
    def invert(x: int) -> float:
        return 1 / x

    @task()
    def minus(error: Exception) -> int:
        return -1

    @task()
    def main() -> Any:
        return catch(invert(get_context("x")), ZeroDivisionError, minus)

    for _ in range(2):
        assert runs(main.update_context({"x": 0})()) == -1
        assert runs(main.update_context({"x": 1})()) == 1.0
        assert runs(main(), context={"x": 0}) == -1
        assert runs(main(), context={"x": 1}) == 1.0


def test_errors_of_options_can_be_caught_and_are_recorded(runs: Runs) -> None:
    @task()
    def main() -> Any:
        return catch(inc.options(executor="moon")(1), SchedulerError, text)

    assert "moon" in runs(main())
    with pytest.raises(SchedulerError):
        runs(inc.options(executor="moon")(1))
    newest = next(iter(Provenance(runs.store).executions()))
    assert newest.status.name == "FAILED"


def test_allowed_cache_results_leave_out_what_they_do_not_name(runs: Runs) -> None:
    seen = []

    @task(allowed_cache_results={"SINGLE"})
    def note(x: int) -> int:
        seen.append(x)
        return x

    @task()
    def main() -> Any:
        return [note(1), note(identity(1))]

    runs(main())
    assert seen == [1, 1]
    runs(main())
    assert seen == [1, 1]


class Odd(Exception):
    """Takes other arguments than it passes on, and carries what cannot be recorded."""

    def __init__(self, a: int, b: int, keep: Any = None) -> None:
        super().__init__(f"odd {a}")
        self.b = b
        self.keep = keep


class Mute(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no text")


def test_odd_exceptions(runs: Runs) -> None:
    seen: list[Any] = []

    @task()
    def odd(keep: bool) -> None:
        raise Odd(1, 2, threading.Lock() if keep else None)

    @task()
    def mute() -> None:
        raise Mute

    @task()
    def note(error: Exception) -> Any:
        seen.append(error)
        return str(error) if type(error) is not Mute else "mute"

    for _ in range(2):
        assert runs(catch(odd(False), Odd, note)) == "odd 1"
        assert runs(catch(mute(), Mute, note)) == "mute"
        assert runs(catch(odd(True), Odd, note)) == "odd 1"
        for failing in (mute(), odd(True)):
            with pytest.raises((Odd, Mute)):
                runs(failing)
    assert [type(error) for error in seen][:3] == [Odd, Mute, Odd]
    assert seen[0].b == 2


def test_functions_that_cannot_be_told_apart_are_refused(runs: Runs) -> None:
    def make(n: int) -> Any:
        return lambda x: x + n

    @task()
    def apply(function: Any, x: int) -> Any:
        return function(x)

    for function in (make(1), lambda x: x):
        with pytest.raises(ValueEncodeError, match="top of a module"):
            runs(apply(function, 10))
    assert runs([apply(abs, -3), apply(same_number, 4)]) == [3, 4]


def same_number(x: int) -> int:
    return x


def test_values_that_contain_themselves_are_refused(runs: Runs) -> None:
    @task()
    def loop() -> Any:
        items: list[Any] = []
        items.append([1, {"k": items}])
        return items

    with pytest.raises(ValueEncodeError, match="contains itself"):
        runs(loop())


def test_types_that_only_copyreg_knows(runs: Runs) -> None:
    @task()
    def pattern(text: str) -> Any:
        return re.compile(text)

    @task()
    def match(pattern: Any, text: str) -> bool:
        return bool(pattern.match(text))

    assert runs(match(pattern("a+"), "aa")) is True
    assert runs(match(pattern("a+"), "aa"), dryrun=True) is True


def test_huge_numbers(runs: Runs) -> None:
    assert runs(inc(10**5000)) == 10**5000 + 1
