"""Which of several errors counts, and what a job waits for that has recovered from one."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from redun import Scheduler, catch, task
from redun.forms import catch_all

redun_namespace = "error_order"


@task()
def wait_then_fail(event: str, message: str) -> int:
    EVENTS[event].wait()
    raise ValueError(message)


@task()
def fail_then_tell(event: str, message: str) -> int:
    try:
        raise ValueError(message)
    finally:
        EVENTS[event].set()


@task()
def note(event: str) -> int:
    EVENTS[event].wait()
    NOTED.append(event)
    return 1


@task()
def tell(error: Exception, event: str = "handled") -> str:
    EVENTS[event].set()
    return str(error)


EVENTS: dict[str, threading.Event] = {}
NOTED: list[str] = []


@pytest.fixture(autouse=True)
def _events() -> None:
    EVENTS.update({name: threading.Event() for name in ("second", "handled")})
    NOTED.clear()


def run(expr: Any) -> Any:
    return Scheduler(logger=False).run(expr)


def test_the_first_error_of_the_program_counts_though_it_comes_second() -> None:
    pair = [wait_then_fail("second", "left"), fail_then_tell("second", "right")]
    with pytest.raises(ValueError, match="left"):
        run(pair)


def test_a_handler_gets_the_first_error_of_the_program() -> None:
    pair = [wait_then_fail("second", "left"), fail_then_tell("second", "right")]
    assert run(catch(pair, ValueError, tell)) == "left"


def test_an_operator_fails_with_its_left_operand() -> None:
    both = wait_then_fail("second", "left") + fail_then_tell("second", "right")
    assert run(catch(both, ValueError, tell)) == "left"


def test_a_failed_run_does_not_wait_for_what_stands_to_the_right() -> None:
    """`note` runs only once somebody sets its event: after the error it is waited for, being under way, so it is set here."""
    timer = threading.Timer(0.05, EVENTS["handled"].set)
    timer.start()
    with pytest.raises(ValueError, match="left"):
        run([fail_then_tell("second", "left"), note("handled")])
    timer.join()


def test_the_handler_runs_while_calls_beside_the_error_are_under_way_but_the_job_waits_for_them() -> None:
    @task()
    def main() -> Any:
        return catch([fail_then_tell("second", "left"), note("handled")], ValueError, tell)

    # `note` waits for the handler: were the handler to wait for `note`, this would never end.
    assert run(main()) == "left"
    assert NOTED == ["handled"]


def test_a_run_that_has_recovered_ends_what_stood_beside_the_error_further_below() -> None:
    @task()
    def below() -> Any:
        return [fail_then_tell("second", "left"), note("handled")]

    @task()
    def main() -> Any:
        return catch(below(), ValueError, tell)

    # `below` has failed before `note` could end, and `main` needs nothing more.
    assert run(main()) == "left"
    assert NOTED == ["handled"]


def test_the_first_error_that_no_class_takes_is_the_first_in_the_program() -> None:
    pair = [wait_then_fail("second", "left"), fail_then_tell("second", "right")]
    with pytest.raises(ValueError, match="left"):
        run(catch_all(pair, KeyError, tell))
