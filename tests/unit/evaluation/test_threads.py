"""fork_thread and join_thread."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from redun import Scheduler, task
from redun.forms import fork_thread, join_thread
from redun.provenance import Provenance
from redun.records import CallRecord
from redun.store.repository import Store
from redun.threads import Thread

redun_namespace = "threads"

EVENTS: dict[str, threading.Event] = {}
CALLED: list[str] = []


@pytest.fixture(autouse=True)
def _fresh() -> None:
    EVENTS.update(go=threading.Event())
    CALLED.clear()


@task()
def double(x: int) -> int:
    EVENTS["go"].wait()
    CALLED.append("double")
    return 2 * x


@task()
def make_thread(x: int) -> Any:
    return fork_thread(double(x))


@task()
def open_gate(thread: Thread) -> Thread:
    """Runs only once `make_thread` has ended, though what it forked has not: that waits for this."""
    CALLED.append("open_gate")
    EVENTS["go"].set()
    return thread


@task()
def take(thread: Thread) -> Any:
    return join_thread(thread)


@task()
def main(x: int) -> Any:
    return take(open_gate(make_thread(x)))


@task()
def fail(x: int) -> int:
    raise ValueError(f"no {x}")


def run(expr: Any, store: Store | None = None) -> Any:
    return Scheduler(store=store, logger=False).run(expr)


def test_a_job_ends_before_what_it_forked_and_another_gets_its_value() -> None:
    with Store.in_memory() as store:
        assert run(main(10), store) == 20
        assert CALLED == ["open_gate", "double"]
        assert run(main(10), store) == 20
        assert CALLED == ["open_gate", "double"]


def test_the_execution_waits_for_threads_that_nobody_joins() -> None:
    @task()
    def forget() -> str:
        return "begun", fork_thread(double(1))  # type: ignore[return-value]

    timer = threading.Timer(0.05, EVENTS["go"].set)
    timer.start()
    begun, thread = run(forget())
    timer.join()
    assert begun == "begun"
    assert isinstance(thread, Thread)
    assert CALLED == ["double"]


def test_a_thread_may_be_joined_twice_and_hold_a_nested_value() -> None:
    EVENTS["go"].set()

    @task()
    def twice() -> Any:
        thread = fork_thread([double(1), {"two": double(2)}])
        return [join_thread(thread), join_thread(thread)]

    assert run(twice()) == [[2, {"two": 4}]] * 2


def test_the_error_of_a_thread_is_the_error_of_who_joins_it() -> None:
    with pytest.raises(ValueError, match="no 3"):
        run(join_thread(fork_thread(fail(3))))


def test_an_error_in_a_thread_that_nobody_joins_does_not_fail_the_execution() -> None:
    @task()
    def forget() -> Any:
        return [fork_thread(fail(3)), 1]

    assert run(forget())[1] == 1


def test_joining_something_else_is_refused() -> None:
    with pytest.raises(TypeError, match="needs a thread"):
        run(join_thread(7))


def test_the_call_of_who_joins_names_the_calls_of_the_thread_and_that_of_who_forked_does_not() -> None:
    with Store.in_memory() as store:
        run(main(10), store)
        provenance = Provenance(store)
        (execution,) = provenance.executions()
        jobs = {job.task_name: job for job in provenance.jobs(execution)}

        def children(name: str) -> list[str]:
            call = jobs[f"threads.{name}"].call
            assert call is not None
            return [child.hex() for child in CallRecord.decode(store.source.get(bytes.fromhex(call))).children]

        assert children("make_thread") == []
        assert children("take") == [jobs["threads.double"].call]
        assert provenance.parent_id(jobs["threads.double"]) == jobs["threads.make_thread"].id


def test_a_dry_run_reports_what_a_thread_would_run() -> None:
    from redun.scheduler import DryRunResult

    with pytest.raises(DryRunResult):
        Scheduler(logger=False).run(fork_thread(double(1)), dryrun=True)


def test_a_replay_joins_the_threads_that_it_began_and_makes_no_more_jobs() -> None:
    EVENTS["go"].set()

    def jobs(store: Store) -> list[str]:
        provenance = Provenance(store)
        return sorted(job.task_name for job in provenance.jobs(provenance.execution("-")))

    with Store.in_memory() as store:
        assert run(main(4), store) == 8
        cold = jobs(store)
        assert run(main(4), store) == 8
        assert jobs(store) == cold
        assert sorted(CALLED) == ["double", "open_gate"]


def test_a_thread_read_from_the_store_is_evaluated_if_nobody_began_it() -> None:
    EVENTS["go"].set()
    with Store.in_memory() as store:
        thread = run(make_thread(4), store)
        stored = Thread(thread.expr)
        assert run([take(stored), take(stored)], store) == [8, 8]
