"""Programs made at random mean what plain Python says: cold, replayed, after a code change, and in whatever order jobs finish."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from redun import Scheduler, catch, cond, task
from redun.executors.base import Executor, run_job
from redun.forms import catch_all, fork_thread, join_thread
from redun.functools import seq
from redun.provenance import Provenance
from redun.store.repository import Store
from redun.subrun import subrun

redun_namespace = "programs"


class Boom(Exception):
    """The error that programs raise; its number tells which of several came first in program order."""


STEP = [1]


def define() -> dict[str, Any]:
    """The tasks of programs; the source of `inc` follows STEP, as an edit would."""

    @task(source=f"return x + {STEP[0]}")
    def inc(x: int) -> int:
        return x + STEP[0]

    @task()
    def add(a: int, b: int = 3) -> int:
        return a + b

    @task()
    def total(items: list[Any]) -> int:
        return sum(_flat(items))

    @task()
    def lazy_total(items: list[Any]) -> Any:
        """Returns an expression: a job with children."""
        result: Any = 0
        for item in _flat(items):
            result = add(result, item)
        return result

    @task()
    def countdown(n: int) -> Any:
        return 0 if n <= 0 else countdown(n - 1)

    @task()
    def fail(x: int) -> int:
        raise Boom(x)

    @task()
    def lazy_fail(x: int) -> Any:
        """Fails in a child, after others."""
        return [add(x, 1), fail(x), add(x, 2), countdown(2)]

    @task()
    def recover(error: Boom) -> int:
        return 7 + int(error.args[0])

    @task()
    def recover_list(error: Boom) -> list[int]:
        return [7 + int(error.args[0])]

    @task()
    def recover_all(items: list[Any]) -> list[int]:
        return [7 + int(item.args[0]) if isinstance(item, Boom) else item for item in items]

    return {name: value for name, value in locals().items() if not name.startswith("_")}


def _flat(items: Any) -> list[int]:
    if isinstance(items, list | tuple):
        return [x for item in items for x in _flat(item)]
    if isinstance(items, dict):
        return [x for item in items.values() for x in _flat(item)]
    return [items]


# A program is a tree of tuples (operation, parts...); `shared` refers to a part that was built before.
PROGRAMS = st.recursive(
    st.tuples(st.just("const"), st.integers(-3, 3)),
    lambda inner: st.one_of(
        st.tuples(st.just("inc"), inner),
        st.tuples(st.just("add"), inner, inner),
        st.tuples(st.just("add1"), inner),
        st.tuples(st.just("plus"), inner, inner),
        st.tuples(st.just("total"), st.lists(inner, max_size=4)),
        st.tuples(st.just("lazy_total"), st.lists(inner, max_size=3)),
        st.tuples(st.just("twice"), inner),
        st.tuples(st.just("cond"), inner, inner, inner),
        st.tuples(st.just("catch"), inner),
        st.tuples(st.just("catch_list"), st.lists(inner, max_size=3)),
        st.tuples(st.just("catch_all"), st.lists(inner, max_size=3)),
        st.tuples(st.just("fail"), inner),
        st.tuples(st.just("lazy_fail"), inner),
        st.tuples(st.just("seq"), st.lists(inner, min_size=1, max_size=3)),
        st.tuples(st.just("countdown"), st.integers(0, 4)),
        st.tuples(st.just("options"), inner),
        st.tuples(st.just("thread"), inner),
        st.tuples(st.just("subrun"), inner),
    ),
    max_leaves=12,
)


def plain(program: Any) -> int:
    """What a program means, by plain Python."""
    operation, *parts = program
    if operation == "const":
        return int(parts[0])
    if operation == "countdown":
        return 0
    if operation in ("inc", "options"):
        return plain(parts[0]) + STEP[0]
    if operation in ("add", "plus"):
        return plain(parts[0]) + plain(parts[1])
    if operation == "add1":
        return plain(parts[0]) + 3
    if operation in ("thread", "subrun"):
        return plain(parts[0])
    if operation in ("total", "lazy_total"):
        return sum([plain(part) for part in parts[0]])
    if operation == "twice":
        return 2 * plain(parts[0])
    if operation == "cond":
        return plain(parts[1]) if plain(parts[0]) > 0 else plain(parts[2])
    if operation == "catch":
        try:
            return plain(parts[0])
        except Boom as error:
            return 7 + int(error.args[0])
    if operation == "catch_list":
        return plain(("catch", ("total", parts[0])))
    if operation == "catch_all":
        return sum(plain(("catch", part)) for part in parts[0])
    if operation == "seq":
        return sum([plain(part) for part in parts[0]])
    raise Boom(plain(parts[0]))


def build(program: Any, tasks: dict[str, Any]) -> Any:
    """The expression of a program."""
    operation, *parts = program
    if operation == "const":
        return parts[0]
    if operation == "countdown":
        return tasks["countdown"](parts[0])
    if operation in ("total", "lazy_total"):
        return tasks[operation]([build(part, tasks) for part in parts[0]])
    if operation == "seq":
        return tasks["total"](seq([build(part, tasks) for part in parts[0]]))
    if operation == "catch_list":
        # The list itself may fail, by any of its parts.
        return tasks["total"](catch([build(part, tasks) for part in parts[0]], Boom, tasks["recover_list"]))
    if operation == "catch_all":
        return tasks["total"](catch_all([build(part, tasks) for part in parts[0]], Boom, tasks["recover_all"]))
    inner = [build(part, tasks) for part in parts]
    if operation == "options":
        return tasks["inc"].options(memory=1)(inner[0])
    if operation == "add1":
        return tasks["add"](inner[0])
    if operation == "thread":
        return join_thread(fork_thread(inner[0]))
    if operation == "subrun":
        return subrun(inner[0], executor="default", load_modules=[])
    if operation == "plus":
        return inner[0] + inner[1]
    if operation == "twice":
        # The same object, two times.
        return tasks["total"]([inner[0], {"again": inner[0]}])
    if operation == "cond":
        return cond(tasks["inc"](inner[0]) > STEP[0], inner[1], inner[2])
    if operation == "catch":
        return catch(inner[0], Boom, tasks["recover"])
    return tasks[operation](*inner)


class ShufflingExecutor(Executor):
    """Runs jobs at once but hands them back in random order, some only when nothing else comes."""

    def __init__(self, seed: int) -> None:
        super().__init__("default")
        self._random = random.Random(seed)
        self._held: list[tuple[Any, bool, Any]] = []

    def submit_jobs(self, jobs: Sequence[Any]) -> None:
        for job in jobs:
            try:
                self._held.append((job, True, run_job(job)))
            except Exception as error:
                self._held.append((job, False, error))
        self._random.shuffle(self._held)
        self._release(self._random.randrange(len(self._held)))

    def grow_after_s(self) -> float | None:
        return 0.0 if self._held else None

    def grow(self) -> None:
        self._release(self._random.randrange(1, len(self._held) + 1) if self._held else 0)

    def _release(self, count: int) -> None:
        for _ in range(count):
            if self._completions is not None:
                self._completions.put(self._held.pop())

    def stop(self) -> None:
        self._held.clear()


def outcome(function: Callable[[], Any]) -> Any:
    try:
        return function()
    except Boom as error:
        return f"boom {error}"


def run(expr: Any, store: Store, seed: int) -> Any:
    return outcome(lambda: Scheduler(store=store, executor=ShufflingExecutor(seed), logger=False).run(expr))


def root_call(store: Store) -> str:
    """Id of the call of the root job: it names all calls below, with arguments and results, failed ones too."""
    provenance = Provenance(store)
    (execution,) = provenance.executions()
    call = next(job for job in provenance.jobs(execution) if job.parent == 0).call
    assert call is not None
    return str(call)


@settings(max_examples=300, deadline=None)
@given(PROGRAMS, st.integers(0, 2**16))
def test_programs_mean_what_python_says(program: Any, seed: int) -> None:
    with Store.in_memory() as store:
        for STEP[0], again in ((1, 0), (1, 1), (2, 2), (1, 3)):
            expected = outcome(lambda: plain(program))
            assert run(build(program, define()), store, seed + again) == expected


@settings(max_examples=300, deadline=None)
@given(PROGRAMS, st.lists(st.integers(0, 2**16), min_size=2, max_size=3))
def test_the_recorded_call_graph_does_not_depend_on_the_order(program: Any, seeds: list[int]) -> None:
    STEP[0] = 1
    graphs = []
    for seed in seeds:
        with Store.in_memory() as store:
            # A call of its own around the program, so that there is a graph even where it is a constant.
            run(define()["total"]([build(program, define())]), store, seed)
            graphs.append(root_call(store))
    assert all(graph == graphs[0] for graph in graphs)


@settings(max_examples=150, deadline=None)
@given(PROGRAMS, st.integers(0, 2**16))
def test_a_replay_makes_no_more_jobs_than_the_cold_run(program: Any, seed: int) -> None:
    STEP[0] = 1
    # A run that fails stops where it failed; the next one may come further.
    assume(not str(outcome(lambda: plain(program))).startswith("boom"))
    with Store.in_memory() as store:
        for again in range(3):
            run(build(program, define()), store, seed + again)
        provenance = Provenance(store)
        newest, middle, cold = [len(list(provenance.jobs(execution))) for execution in provenance.executions()]
        assert newest <= cold
        assert middle <= cold


@pytest.fixture(autouse=True)
def _own_registry() -> Any:
    from redun import get_task_registry

    registry = get_task_registry()
    before = dict(registry._tasks)
    yield
    registry._tasks.clear()
    registry._tasks.update(before)
