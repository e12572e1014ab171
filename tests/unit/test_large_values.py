"""Large arguments that are used many times are hashed once, and what was changed in the meantime is hashed again."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from redun import Scheduler, encoding, task
from redun.encoding import ValueEncoder, value_ref
from redun.large_values import LARGE_BYTES

np: Any = pytest.importorskip("numpy")
COUNT = LARGE_BYTES // 4


@pytest.fixture
def hashed(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Sizes of the large objects that were hashed."""
    sizes: list[int] = []
    real = encoding.object_id

    def counting(data: bytes) -> bytes:
        if len(data) >= LARGE_BYTES:
            sizes.append(len(data))
        return real(data)

    monkeypatch.setattr(encoding, "object_id", counting)
    return sizes


@task(namespace="tests.large")
def use(value: Any, number: int) -> int:
    return number + len(value)


@task(namespace="tests.large")
def give(kind: str) -> Any:
    return MAKERS[kind]()


@task(namespace="tests.large")
def share(value: Any) -> list[int]:
    return [use(value, number) for number in range(10)]


def _frame() -> Any:
    return pytest.importorskip("pandas").DataFrame({"a": np.zeros(COUNT)})


def _table() -> Any:
    return pytest.importorskip("pyarrow").table({"a": np.zeros(COUNT)})


MAKERS: dict[str, Callable[[], Any]] = {
    "array": lambda: np.zeros(COUNT),
    "array in Fortran's order": lambda: np.asfortranarray(np.zeros((COUNT // 2, 2))),
    "bytes": lambda: bytes(4 * COUNT),
    "text": lambda: "x" * (4 * COUNT),
    "frame": _frame,
    "table": _table,
}


@pytest.mark.parametrize("kind", MAKERS)
def test_a_large_argument_is_hashed_once(kind: str, hashed: list[int]) -> None:
    value = MAKERS[kind]()
    assert Scheduler(logger=False).run(share(value)) == [number + len(value) for number in range(10)]
    assert len(hashed) <= 2


@pytest.mark.parametrize("kind", MAKERS)
def test_a_large_result_is_hashed_once(kind: str, hashed: list[int]) -> None:
    Scheduler(logger=False).run(share(give(kind)))
    assert len(hashed) <= 2


def test_a_list_is_hashed_once_for_the_expressions_of_a_result(hashed: list[int]) -> None:
    value = ["x" * 100] * (LARGE_BYTES // 100)
    ValueEncoder().object([use(value, number) for number in range(10)])
    assert len(hashed) == 1


@pytest.mark.parametrize("kind", ["array", "frame"])
def test_what_was_changed_is_hashed_again(kind: str) -> None:
    encoder = ValueEncoder(reused=lambda ref, value: None)
    value = MAKERS[kind]()
    before = encoder.encode(value)
    assert encoder.encode(value) == before
    if kind == "array":
        value[5] = 1
    else:
        value.loc[5, "a"] = 1.0
    after = encoder.encode(value)
    assert after != before
    assert after == value_ref(value)


def test_what_is_reused_is_relied_on() -> None:
    put: list[bytes] = []
    relied: list[bytes] = []
    encoder = ValueEncoder(lambda oid, data: put.append(oid), reused=lambda ref, value: relied.append(ref))
    value = np.zeros(COUNT)
    ref = encoder.encode(value)
    assert ref[1:] in put
    assert encoder.encode(value) == ref
    assert relied == [ref]
    del put[:]
    encoder.forget()
    encoder.encode(value)
    assert ref[1:] in put


def test_values_are_not_kept_alive() -> None:
    import gc
    import weakref

    encoder = ValueEncoder(reused=lambda ref, value: None)
    value = np.zeros(COUNT)
    encoder.encode(value)
    gone = weakref.ref(value)
    del value
    gc.collect()
    assert gone() is None
