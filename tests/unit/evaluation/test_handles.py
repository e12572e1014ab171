"""Handles in workflows: what runs again, what holds, what is abandoned."""

from __future__ import annotations

import pickle
import threading
from collections.abc import Callable
from typing import Any, ClassVar

import pytest

from redun import Handle, Scheduler, merge_handles, task
from redun.errors import EncodeError, HandleError, NoCurrentScheduler
from redun.evaluation.current import set_current_scheduler
from redun.functools import identity, seq
from redun.handle import state_id
from redun.scheduler import cond
from redun.store.repository import Store
from tests.unit.evaluation.conftest import Runs

redun_namespace = "test_handles"


class Log(Handle):
    """A list outside of redun that handles write to."""

    lines: ClassVar[list[str]] = []

    def __init__(self, name: str, url: str = "log:", namespace: str | None = None) -> None:
        self.instance = Log.lines


@pytest.fixture(autouse=True)
def _empty_log() -> None:
    Log.lines.clear()


def valid(store: Store, *handles: Handle) -> list[bool]:
    scheduler = Scheduler(store=store, logger=False)
    set_current_scheduler(scheduler)
    try:
        return [handle.is_valid() for handle in handles]
    finally:
        set_current_scheduler(None)


def parents(store: Store, handle: Handle) -> int:
    return len(Scheduler(store=store, logger=False).handle_states.parents(state_id(handle)))


def writers(runs: Runs, versions: dict[str, str]) -> Callable[[str], Any]:
    """Tasks that take a handle and give it back, by name; a version is the task's code."""

    def define(name: str) -> Any:
        @task(name=name, version=versions.get(name, "1"))
        def write(conn: Log, *texts: str) -> Log:
            runs.done.append(name)
            conn.append(name)
            return conn

        return write

    return define


def pipeline(runs: Runs, names: list[str], **versions: str) -> Any:
    define = writers(runs, versions)
    steps = [define(name) for name in names]

    @task(version=" ".join(names))
    def workflow() -> Any:
        runs.done.append("workflow")
        conn: Any = Log("log")
        for step in steps:
            conn = step(conn)
        return conn

    return workflow()


def test_a_pipeline_is_replayed(runs: Runs) -> None:
    first = runs(pipeline(runs, ["a", "b", "c"]))
    assert runs.done == ["workflow", "a", "b", "c"]
    again = runs(pipeline(runs, ["a", "b", "c"]))
    assert runs.done == []
    assert first.get_hash() == again.get_hash()
    assert valid(runs.store, first) == [True]
    assert again.instance is Log.lines


def test_a_longer_pipeline_runs_only_its_end(runs: Runs) -> None:
    runs(pipeline(runs, ["a", "b"]))
    runs(pipeline(runs, ["a", "b", "c"]))
    assert runs.done == ["workflow", "c"]


def test_code_that_was_reverted_runs_again(runs: Runs) -> None:
    old = runs(pipeline(runs, ["a", "b", "c"]))
    new = runs(pipeline(runs, ["a", "b", "c"], b="2"))
    assert runs.done == ["b", "c"]
    assert valid(runs.store, old, new) == [False, True]
    back = runs(pipeline(runs, ["a", "b", "c"]))
    assert runs.done == ["b", "c"]
    assert back.get_hash() == old.get_hash()
    assert valid(runs.store, back, new) == [True, False]
    runs(pipeline(runs, ["a", "b", "c"]))
    assert runs.done == []


def test_an_early_change_abandons_everything_after_it(runs: Runs) -> None:
    runs(pipeline(runs, ["a", "b", "c"]))
    runs(pipeline(runs, ["a", "b", "c"], a="2"))
    assert runs.done == ["a", "b", "c"]
    runs(pipeline(runs, ["a", "b", "c"]))
    assert runs.done == ["a", "b", "c"]


def test_a_failing_call_has_abandoned_what_was_there(runs: Runs) -> None:
    old = runs(pipeline(runs, ["a", "b"]))

    @task(name="b", version="bad")
    def bad(conn: Log) -> Log:
        raise ValueError("half done")

    @task(version="a b")
    def workflow() -> Any:
        return bad(writers(runs, {})("a")(Log("log")))

    with pytest.raises(ValueError, match="half done"):
        runs(workflow())
    assert valid(runs.store, old) == [False]
    runs(pipeline(runs, ["a", "b"]))
    assert runs.done == ["b"]


def test_without_the_cache_states_stay(runs: Runs) -> None:
    first = runs(pipeline(runs, ["a", "b"]))
    again = runs(pipeline(runs, ["a", "b"]), cache=False)
    assert runs.done == ["workflow", "a", "b"]
    assert valid(runs.store, first, again) == [True, True]
    runs(pipeline(runs, ["a", "b"]))
    assert runs.done == []


def test_a_dry_run_changes_nothing(runs: Runs) -> None:
    from redun.errors import DryRunResult

    old = runs(pipeline(runs, ["a", "b"]))
    with pytest.raises(DryRunResult):
        runs(pipeline(runs, ["a", "b"], a="2"), dryrun=True)
    assert valid(runs.store, old) == [True]
    assert runs(pipeline(runs, ["a", "b"]), dryrun=True).get_hash() == old.get_hash()


def branches(runs: Runs, names: list[str], named: bool = False, **versions: str) -> Any:
    define = writers(runs, versions)
    steps = {name: define(name[0]) for name in names}

    @task(version=f"{names} {named}")
    def workflow() -> Any:
        conn = Log("log")
        return merge_handles([step(conn.fork(name) if named else conn, name) for name, step in steps.items()])

    return workflow()


def test_unnamed_forks_are_told_apart_by_call_order(runs: Runs) -> None:
    first = runs(branches(runs, ["a1", "b1", "a2"]))
    assert sorted(runs.done) == ["a", "a", "b"]
    assert parents(runs.store, first) == 3
    runs(branches(runs, ["a1", "b1", "a2"]))
    assert runs.done == []
    runs(branches(runs, ["a1", "b1", "a2", "a3"]))
    assert runs.done == ["a"]
    runs(branches(runs, ["b1", "a2", "a1"]))
    assert sorted(runs.done) == ["a", "a", "b"]
    runs(branches(runs, ["b1", "a2", "a1"]))
    assert runs.done == []


def test_named_forks_do_not_care_for_order(runs: Runs) -> None:
    first = runs(branches(runs, ["a1", "b1", "a2"], named=True))
    again = runs(branches(runs, ["a2", "a1", "b1"], named=True))
    assert runs.done == []
    assert again.get_hash() == first.get_hash()


def test_a_changed_branch_leaves_the_others_alone(runs: Runs) -> None:
    old = runs(branches(runs, ["a1", "b1", "c1"]))
    new = runs(branches(runs, ["a1", "b1", "c1"], b="2"))
    assert runs.done == ["b"]
    assert valid(runs.store, old, new) == [False, True]
    runs(branches(runs, ["a1", "b1", "c1"]))
    assert runs.done == ["b"]
    assert valid(runs.store, old, new) == [True, False]


def test_the_order_of_branches_does_not_depend_on_which_is_quicker(runs: Runs) -> None:
    define = writers(runs, {})

    @task()
    def slow(text: str) -> str:
        return text

    @task()
    def workflow() -> Any:
        conn = Log("log")
        return merge_handles([define("a")(conn, identity(slow("x"))), define("b")(conn, "y")])

    @task(name="workflow", version="known")
    def known() -> Any:
        conn = Log("log")
        return merge_handles([define("a")(conn, "x"), define("b")(conn, "y")])

    first = runs(workflow())
    assert runs(known()).get_hash() == first.get_hash()
    assert runs.done == []


def test_two_calls_on_an_argument_do_not_abandon_each_other(runs: Runs) -> None:
    define = writers(runs, {})

    @task()
    def load(conn: Log) -> Any:
        return merge_handles([define("a")(conn), define("b")(conn)])

    @task()
    def workflow() -> Any:
        conn = Log("log").fork("mine")
        return merge_handles([load(conn), define("c")(conn)])

    runs(workflow())
    assert sorted(runs.done) == ["a", "b", "c"]
    runs(workflow())
    assert runs.done == []


def test_one_state_by_two_ways(runs: Runs) -> None:
    define = writers(runs, {})

    @task()
    def workflow() -> Any:
        conn = define("a")(Log("log"))
        other = seq([conn])[0]
        return merge_handles([define("b")(conn), define("c")(other), define("d")(cond(True, conn, None), "d")])

    runs(workflow())
    assert sorted(runs.done) == ["a", "b", "c", "d"]
    runs(workflow())
    assert runs.done == []


def test_one_handle_twice_in_a_call(runs: Runs) -> None:
    @task()
    def both(one: Log, two: list[Log], *, three: Log) -> list[Any]:
        runs.done.append("both")
        return [one, {"two": two}, three]

    @task()
    def workflow() -> Any:
        conn = Log("log")
        return both(conn, [conn], three=conn)

    one, two, three = runs(workflow())
    assert valid(runs.store, one, two["two"][0], three) == [True, True, True]
    runs(workflow())
    assert runs.done == []


def test_a_task_may_make_a_handle(runs: Runs) -> None:
    @task()
    def connect(url: str) -> Log:
        runs.done.append("connect")
        return Log("log", url)

    @task()
    def workflow(url: str) -> Any:
        return writers(runs, {})("a")(connect(url))

    conn = runs(workflow("x"))
    assert conn.get_hash() != Log("log", "x").get_hash()
    runs(workflow("x"))
    assert runs.done == []
    runs(workflow("y"))
    assert runs.done == ["connect", "a"]
    runs(workflow("x"))
    assert runs.done == []


def test_several_forks_in_a_chain_are_all_recorded(runs: Runs) -> None:
    @task()
    def workflow() -> Any:
        return writers(runs, {})("a")(Log("log").fork("x").fork("y").fork("z"))

    done = runs(workflow())
    states = Scheduler(store=runs.store, logger=False).handle_states
    at, chain = state_id(done), 0
    while found := states.parents(at):
        (at,) = found
        chain += 1
    assert chain == 5
    assert at == state_id(Log("log"))
    assert states.is_valid(at)


def test_a_handle_at_the_root(runs: Runs) -> None:
    define = writers(runs, {})
    conn = Log("log")
    one = runs(define("a")(conn))
    two = runs(define("b")(conn))
    assert valid(runs.store, one, two) == [False, True]
    back = runs(define("a")(conn))
    assert runs.done == ["a"]
    assert back.get_hash() == one.get_hash()
    assert valid(runs.store, one, two) == [True, False]


def test_one_handle_with_two_stores(runs: Runs) -> None:
    """What a handle's object remembers of one store must not count in another."""
    conn = Log("log")
    with Store.in_memory() as other:
        Scheduler(store=other, logger=False).run(writers(runs, {})("a")(conn))
        first = runs(writers(runs, {})("a")(conn))
        assert runs.done == ["a"]
        assert valid(runs.store, first) == [True]
        runs(writers(runs, {})("a")(conn))
        assert runs.done == []


def test_a_rolled_back_handle_may_be_used_but_gives_nothing_that_holds(runs: Runs) -> None:
    define = writers(runs, {})
    old = runs(define("a")(Log("log")))
    runs(define("b")(Log("log")))
    after = runs(define("c")(old))
    assert valid(runs.store, old, after) == [False, False]
    runs(define("c")(old))
    assert runs.done == ["c"]


def test_a_shallow_check_sees_states(runs: Runs) -> None:
    def program(version: str) -> Any:
        step = writers(runs, {"a": version})("a")

        @task(check_valid="shallow")
        def workflow() -> Any:
            runs.done.append("workflow")
            return step(Log("log"))

        return workflow()

    runs(program("1"))
    runs(program("1"))
    assert runs.done == []
    runs(program("2"))
    assert runs.done == ["a"]
    runs(program("1"))
    assert "a" in runs.done


def test_states_are_found_again_from_the_journal(runs: Runs) -> None:
    old = runs(pipeline(runs, ["a", "b"]))
    new = runs(pipeline(runs, ["a", "b"], b="2"))
    runs.store.index_source().table("handles").clear()
    assert valid(runs.store, old, new) == [False, True]
    runs(pipeline(runs, ["a", "b"], b="2"))
    assert runs.done == []


def test_a_task_below_prov_false_abandons_too(runs: Runs) -> None:
    old = runs(pipeline(runs, ["a", "b"]))

    @task(version="hidden")
    def workflow() -> Any:
        runs.done.append("workflow")
        return writers(runs, {})("c").options(prov=False)(writers(runs, {})("a")(Log("log")))

    runs(workflow())
    assert valid(runs.store, old) == [False]


def test_a_run_that_records_nothing(runs: Runs) -> None:
    old = runs(pipeline(runs, ["a", "b"]))
    done = runs(pipeline(runs, ["a", "b"]), provenance=False)
    assert runs.done == ["workflow", "a", "b"]
    assert done.instance is Log.lines
    assert valid(runs.store, old) == [True]


def test_a_scheduler_may_run_again(runs: Runs) -> None:
    """What one run of a scheduler knew of states serves the next, other runs in between counted in."""
    scheduler = Scheduler(store=runs.store, logger=False)
    old = scheduler.run(pipeline(runs, ["a", "b"]))
    scheduler.run(pipeline(runs, ["a", "b"]), provenance=False)
    runs(pipeline(runs, ["a", "b"], b="2"))
    runs.done.clear()
    back = scheduler.run(pipeline(runs, ["a", "b"]))
    assert runs.done == ["b"]
    assert back.get_hash() == old.get_hash()
    runs(pipeline(runs, ["a", "b"]))
    assert runs.done == []


def test_another_merge_abandons_what_came_after_the_first(runs: Runs) -> None:
    def program(*names: str) -> Any:
        define = writers(runs, {})
        steps, end = {name: define(name) for name in names}, define("end")

        @task(version=f"{names}")
        def workflow() -> Any:
            conn = Log("log")
            return end(merge_handles([step(conn.fork(name)) for name, step in steps.items()]))

        return workflow()

    runs(program("a", "b"))
    runs(program("a", "b", "c"))
    assert runs.done == ["c", "end"]
    runs(program("a", "b"))
    assert runs.done == ["end"]


def test_two_merges_of_one_branch_in_one_run(runs: Runs) -> None:
    def program(**versions: str) -> Any:
        a, b, c, left, right = map(writers(runs, versions), ["a", "b", "c", "left", "right"])

        @task(version="1")
        def workflow() -> Any:
            conn = Log("log")
            one, two, three = a(conn), b(conn), c(conn)
            return [left(merge_handles([one, two])), right(merge_handles([one, three]))]

        return workflow()

    runs(program())
    assert sorted(runs.done) == ["a", "b", "c", "left", "right"]
    runs(program())
    assert runs.done == []
    runs(program(a="2"))
    assert sorted(runs.done) == ["a", "left", "right"]
    runs(program(a="2"))
    assert runs.done == []


def test_a_task_may_ask_whether_its_handle_holds(runs: Runs) -> None:
    @task()
    def ask(conn: Log) -> bool:
        return conn.is_valid()

    @task()
    def workflow() -> Any:
        return ask(writers(runs, {})("a")(Log("log")))

    assert runs(workflow()) is True


@pytest.mark.parametrize("gives", ["new", "read", "fork"])
def test_a_task_may_give_back_another_handle_to_the_same_thing(runs: Runs, gives: str) -> None:
    """Whatever way the result is made, another call on the argument abandons it."""

    def program(version: str) -> Any:
        @task(name="swap", version=version)
        def swap(conn: Log) -> Any:
            runs.done.append("swap")
            if gives == "new":
                return Log("log")
            return pickle.loads(pickle.dumps(conn.fork("x").fork("y"))) if gives == "read" else conn.fork("x")

        @task(version="1")
        def workflow() -> Any:
            return swap(Log("log"))

        return workflow()

    old = runs(program("1"))
    new = runs(program("2"))
    assert valid(runs.store, old, new) == [False, True]
    runs(program("1"))
    assert runs.done == ["swap"]


def test_outside_of_a_run_nobody_knows() -> None:
    with pytest.raises(NoCurrentScheduler):
        Log("log").is_valid()


def test_a_state_that_was_never_reached_is_not_valid(runs: Runs) -> None:
    assert valid(runs.store, Log("log")) == [False]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ([], "needs at least one handle"),
        ([1], "found a int"),
        ([Log("one"), Log("two")], "found 'one', 'two'"),
    ],
)
def test_what_cannot_be_merged(runs: Runs, given: list[Any], message: str) -> None:
    with pytest.raises(HandleError, match=message):
        runs(merge_handles(given))


def test_what_makes_no_handle(runs: Runs) -> None:
    with pytest.raises(EncodeError, match=r"an argument of handle 'test_handles.log' of '.*Log' cannot be recorded: .*lock"):
        Log("log", threading.Lock())  # type: ignore[arg-type]
    with pytest.raises(AttributeError, match="a handle needs a name as its first argument"):
        runs(identity(writers(runs, {})("a")(Handle())))


def test_merging_one_is_no_change(runs: Runs) -> None:
    @task()
    def workflow() -> Any:
        conn = writers(runs, {})("a")(Log("log"))
        return [conn, merge_handles([conn, conn]), merge_handles(seq([conn]))]

    hashes = {conn.get_hash() for conn in runs(workflow())}
    assert len(hashes) == 1


def test_a_call_after_a_merge_depends_on_every_branch(runs: Runs) -> None:
    def program(**versions: str) -> Any:
        a, b, end = map(writers(runs, versions), ["a", "b", "end"])

        @task(version="1")
        def workflow() -> Any:
            conn = Log("log")
            return end(merge_handles([a(conn), b(conn)]))

        return workflow()

    runs(program())
    runs(program(b="2"))
    assert runs.done == ["b", "end"]
    runs(program())
    assert runs.done == ["b", "end"]
    runs(program())
    assert runs.done == []


def test_the_order_of_a_call_is_looked_up_however_many_take_the_handle() -> None:
    from redun.evaluation.handles import Uses
    from redun.evaluation.node import Scope

    uses = Uses(Scope(None))
    source = ("handle", "h")
    assert [uses.order(source, call, 0) for call in (7, 8, 7, 9)] == [1, 2, 1, 3]
    # A second time by the same call, and another source.
    assert uses.order(source, 8, 1) == 4
    assert uses.order(source, 8, 0) == 2
    assert uses.order(("expression", 1), 8, 0) == 1
