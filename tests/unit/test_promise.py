"""Promises by themselves: what special forms build on."""

from __future__ import annotations

from typing import Any

import pytest

from redun.errors import SchedulerError
from redun.promise import Promise, wait_promises


def test_callbacks_get_values_and_chain() -> None:
    promise: Promise[int] = Promise()
    chained = promise.then(lambda x: x + 1).then(lambda x: Promise(lambda resolve, reject: resolve(x * 10)))
    assert promise.is_pending
    with pytest.raises(SchedulerError, match="pending"):
        promise.value  # noqa: B018
    promise.do_resolve(1)
    assert (chained.value, chained.is_fulfilled, chained.is_rejected) == (20, True, False)
    promise.do_resolve(5)
    promise.do_reject(ValueError())
    assert promise.value == 1
    assert promise.then().value == 1


def test_errors_travel_until_somebody_catches_them() -> None:
    promise: Promise[int] = Promise(lambda resolve, reject: 1 / 0)
    assert promise.is_rejected
    assert isinstance(promise.then(lambda x: x).error, ZeroDivisionError)
    assert promise.catch(lambda error: 7).then(lambda x: x + 1).value == 8

    def raise_again(error: BaseException) -> Any:
        raise KeyError from error

    assert isinstance(promise.catch(raise_again).error, KeyError)
    assert promise.value is promise.error
    with pytest.raises(ValueError, match="was fulfilled"):
        Promise(lambda resolve, reject: resolve(1)).error  # noqa: B018


def test_all_and_wait() -> None:
    parts: list[Promise[int]] = [Promise(), Promise()]
    everything, settled = Promise.all(parts), wait_promises(parts)
    parts[1].do_resolve(2)
    assert everything.is_pending
    parts[0].do_resolve(1)
    assert everything.value == [1, 2]
    assert settled.value == parts
    assert Promise.all([]).value == []
    failing: list[Promise[int]] = [Promise(), Promise()]
    everything, settled = Promise.all(failing), wait_promises(failing)
    failing[0].do_reject(ValueError("first"))
    assert isinstance(everything.error, ValueError)
    assert settled.is_pending
    failing[1].do_resolve(1)
    assert settled.value == failing


def test_long_chains_do_not_recurse() -> None:
    first: Promise[int] = Promise()
    last: Promise[int] = first
    for _ in range(50_000):
        last = last.then(lambda x: x + 1)
    first.do_resolve(0)
    assert last.value == 50_000
