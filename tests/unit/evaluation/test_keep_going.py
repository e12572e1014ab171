"""`keep_going` and `max_failures`: what is done when a job has failed."""

from __future__ import annotations

from typing import Any

import pytest

from redun import Scheduler, catch, cond, task
from redun.functools import seq

redun_namespace = "keep_going"

DONE: list[Any] = []


@pytest.fixture(autouse=True)
def _nothing_done() -> None:
    DONE.clear()


@task()
def do(x: Any, after: Any = None) -> Any:
    DONE.append(x)
    return x


@task(cache=False)
def fail(text: str) -> None:
    raise LookupError(text)


@task()
def group(name: str, size: int) -> Any:
    return [do(f"{name}0"), fail(name), *[do(f"{name}{i}") for i in range(1, size)]]


@task()
def recover(error: Exception) -> str:
    return str(error)


def run(expr: Any, **options: Any) -> Any:
    return Scheduler(config={"executors": {"default": {"max_workers": 1}}}, logger=False).run(expr, **options)


def test_everything_else_is_done() -> None:
    with pytest.raises(LookupError, match=r"^a$"):
        run([group("a", 200), group("b", 3), do("c")], keep_going=True)
    assert sorted(DONE) == sorted([*[f"a{i}" for i in range(200)], "b0", "b1", "b2", "c"])


def test_what_depends_on_it_is_not() -> None:
    with pytest.raises(LookupError, match=r"^a$"):
        run([do("x", after=fail("a")), do("y", after=do("z")), seq([fail("b"), do("never")])], keep_going=True)
    assert sorted(DONE) == ["y", "z"]


def test_the_first_in_program_order_counts() -> None:
    with pytest.raises(LookupError, match=r"^first$"):
        run([do(fail("first")), fail("second")], keep_going=True)


def test_forms_go_on() -> None:
    assert run([catch(fail("a"), LookupError, recover), cond(do(True), do(1), fail("b"))], keep_going=True) == ["a", 1]
    with pytest.raises(LookupError, match=r"^c$"):
        run([cond(fail("c"), do(2), do(3)), catch([do(4), fail("d"), do(5)], LookupError, recover)], keep_going=True)
    assert DONE.count(4) == DONE.count(5) == 1
    assert 2 not in DONE
    assert 3 not in DONE


def test_success_is_the_same() -> None:
    assert run([do(i) for i in range(10)], keep_going=True, max_failures=1) == list(range(10))


def test_equal_calls_fail_together() -> None:
    with pytest.raises(LookupError):
        run([do(fail("a")), do(1), [fail("a")], do(2)], keep_going=True)
    assert sorted(DONE) == [1, 2]


def test_enough_failures_end_the_run() -> None:
    calls = [call for i in range(5000) for call in (fail(f"no {i}"), do(i))]
    with pytest.raises(LookupError, match=r"^no"):
        run(calls, max_failures=5)
    assert len(DONE) < 5000


def test_by_default_a_failure_ends_the_run() -> None:
    with pytest.raises(LookupError):
        run([fail("a"), *[do(i) for i in range(5000)]])
    assert len(DONE) < 5000


class Lines(list[str]):
    """A logger."""

    def log(self, level: int, text: str) -> None:
        self.append(text)

    def warning(self, text: str) -> None:
        self.append(text)


def test_the_others_are_told() -> None:
    lines = Lines()
    with pytest.raises(LookupError):
        Scheduler(logger=lines).run([fail("one"), fail("two"), catch(fail("three"), LookupError, recover)], keep_going=True)
    told = [line for line in lines if "Failed as well" in line]
    assert len(told) == 1
    assert told[0].endswith("keep_going.fail: LookupError: two")
