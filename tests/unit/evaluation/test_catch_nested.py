"""`catch` around a nested value: any part of it may fail, and what the others do afterwards does not matter."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from redun import catch, task

from .conftest import Runs


@pytest.mark.parametrize("fails_first", [True, False])
def test_a_list_with_a_failing_part(runs: Runs, fails_first: bool) -> None:
    failed = threading.Event()

    @task(cache=False)
    def fails() -> Any:
        failed.set()
        raise ValueError("no")

    @task(cache=False)
    def waits(x: int) -> int:
        if fails_first:
            assert failed.wait(10)
        return x

    @task()
    def handler(error: ValueError) -> Any:
        return [waits(2), str(error)]

    @task()
    def main() -> Any:
        return catch([waits(1), {"part": fails()}, waits(3)], ValueError, handler)

    assert runs(main()) == [2, "no"]
    assert runs(main()) == [2, "no"]
    assert runs(catch((waits(1), [waits(3)]), ValueError, handler)) == (1, [3])


def test_a_failure_at_once(runs: Runs) -> None:
    """The failed operation may be through before `catch` has named all that it waits for: what it takes is in the cache."""

    @task()
    def same(x: Any) -> Any:
        return x

    @task()
    def handler(error: Exception) -> Any:
        return same(type(error).__name__)

    for _ in range(2):
        assert runs(same(1)) == 1
        assert runs(catch(same(1) / 0, ZeroDivisionError, handler)) == "ZeroDivisionError"
        assert runs(catch([same(1).nothing, same(2)], AttributeError, handler)) == "AttributeError"
        assert runs(catch([same(1), same(1)[0]], TypeError, handler)) == "TypeError"
        assert runs([catch(same(x).nothing, AttributeError, handler) for x in range(3)]) == ["AttributeError"] * 3


def test_plain_values_pass_through(runs: Runs) -> None:
    assert runs(catch([1, {"a": 2}], ValueError, str)) == [1, {"a": 2}]
    assert runs(catch([], ValueError, str)) == []
