"""Large arguments that are used many times are hashed once, and what was changed in the meantime is hashed again."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from redun import Scheduler, encoding, task
from redun.encoding import ValueEncoder, value_ref
from redun.large_values import LARGE_BYTES
from redun.store.repository import Store

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


def _frame(**columns: Any) -> Any:
    return pytest.importorskip("pandas").DataFrame(columns or {"a": np.zeros(COUNT)})


def _pandas(dtype: Any, items: Any = None) -> Any:
    pd = pytest.importorskip("pandas")
    column = pd.Series(TEXTS if items is None else items, dtype=dtype)
    return pd.DataFrame({"a": column, "b": np.zeros(len(column))})


def _categories() -> Any:
    pd = pytest.importorskip("pandas")
    return _frame(
        a=pd.Categorical.from_codes(np.zeros(LARGE_BYTES + 7, "i1") + np.arange(LARGE_BYTES + 7) % 3, ["x", "y", "z"])
    )


def _zoned() -> Any:
    pd = pytest.importorskip("pandas")
    return _frame(a=pd.date_range("2020-01-01", periods=COUNT, freq="s", tz="Europe/Berlin"))


def _polars() -> Any:
    return pytest.importorskip("polars").DataFrame({"a": TEXTS, "b": np.zeros(ROWS), "c": [None, *range(ROWS - 1)]})


ROWS = LARGE_BYTES // 30
TEXTS = [f"text number {number:40}" for number in range(ROWS)]
MISSING = [None, float("nan"), *TEXTS[2:]]


def _table() -> Any:
    return pytest.importorskip("pyarrow").table({"a": np.zeros(COUNT)})


MAKERS: dict[str, Callable[[], Any]] = {
    "array": lambda: np.zeros(COUNT),
    "array in Fortran's order": lambda: np.asfortranarray(np.zeros((COUNT // 2, 2))),
    "bytes": lambda: bytes(4 * COUNT),
    "text": lambda: "x" * (4 * COUNT),
    "frame": _frame,
    "table": _table,
    "tuple": lambda: (*range(COUNT), ("nested", frozenset(("a", 1.5)))),
    "frame of texts": lambda: _pandas("str"),
    "frame of objects": lambda: _pandas(object),
    "frame of objects, some missing": lambda: _pandas(object, MISSING),
    "frame of nullable numbers": lambda: _pandas("Int64", [None, *range(COUNT - 1)]),
    "frame of categories": _categories,
    "frame of times in a zone": _zoned,
    "series": lambda: _pandas("str")["a"],
    "polars frame": _polars,
    "polars series": lambda: _polars()["a"],
}


@pytest.mark.parametrize("kind", MAKERS)
def test_a_large_argument_is_hashed_once(kind: str, hashed: list[int]) -> None:
    value = MAKERS[kind]()
    value_ref(value)
    once = len(hashed)
    assert once >= 1
    del hashed[:]
    assert Scheduler(logger=False).run(share(value)) == [number + len(value) for number in range(10)]
    assert len(hashed) <= 2 * once


@pytest.mark.parametrize("kind", MAKERS)
def test_a_large_result_is_hashed_once(kind: str, hashed: list[int]) -> None:
    value_ref(MAKERS[kind]())
    once = len(hashed)
    Scheduler(logger=False).run(share(give(kind)))
    assert len(hashed) <= 3 * once


def test_a_list_is_hashed_once_for_the_expressions_of_a_result(hashed: list[int]) -> None:
    value = ["x" * 100] * (LARGE_BYTES // 100)
    ValueEncoder().object([use(value, number) for number in range(10)])
    assert len(hashed) == 1


@pytest.mark.parametrize("kind", [kind for kind in MAKERS if kind not in ("bytes", "text", "tuple", "table")])
def test_what_was_changed_is_hashed_again(kind: str) -> None:
    encoder = ValueEncoder(reused=lambda ref, value: None)
    value = MAKERS[kind]()
    before = encoder.encode(value)
    assert encoder.encode(value) == before
    if kind.startswith("array"):
        value[5] = 1
    elif kind == "polars frame":
        value[5, "a"] = "changed"
    elif kind == "series":
        value.iloc[5] = value.iloc[6]
    elif kind == "polars series":
        value[5] = "changed"
    else:
        value.iloc[5, 0] = value.iloc[6, 0] if kind != "frame" else 1.0
    after = encoder.encode(value)
    assert after != before
    assert after == value_ref(value)


@pytest.mark.parametrize("change", ["None for nan", "name", "dtype", "index", "number among texts", "text in the end"])
def test_every_change_of_a_frame_is_seen(change: str) -> None:
    encoder = ValueEncoder(reused=lambda ref, value: None)
    value = _pandas(object, MISSING)
    encoder.encode(value)
    if change == "None for nan":
        value.iloc[1, 0] = None
    elif change == "name":
        value.columns = ["a", "c"]
    elif change == "dtype":
        value["b"] = value["b"].astype("float32")
    elif change == "index":
        value.index = value.index + 1
    elif change == "number among texts":
        value.iloc[7, 0] = 7
    else:
        value.iloc[-1, 0] = "x"
    assert encoder.encode(value) == value_ref(value)


@pytest.mark.parametrize("make", [lambda: ([1] * COUNT,), lambda: (bytearray(4 * COUNT),), lambda: (np.zeros(COUNT),)])
def test_tuples_of_what_can_change_are_hashed_again(make: Any) -> None:
    encoder = ValueEncoder(reused=lambda ref, value: None)
    value = make()
    before = encoder.encode(value)
    value[0][0] = 9
    assert encoder.encode(value) == value_ref(value) != before


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


@task(namespace="tests.large")
def give_and_use(kind: str) -> int:
    return use(give(kind), 0)


@pytest.mark.parametrize("kind", ["bytes", "text", "tuple"])
def test_what_was_read_from_the_cache_is_not_hashed_again(kind: str, hashed: list[int]) -> None:
    with Store.in_memory() as store:
        first = Scheduler(store=store, logger=False).run(give_and_use(kind))
        assert hashed
        del hashed[:]
        assert Scheduler(store=store, logger=False).run(give_and_use(kind)) == first
    assert not hashed
