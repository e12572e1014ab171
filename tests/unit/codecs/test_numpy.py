"""numpy values: round trips, writable memory, ids that follow content only."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

np: Any = pytest.importorskip("numpy")

from redun.encoding import restore, value_bytes, value_id  # noqa: E402
from redun.errors import DecodeError  # noqa: E402

Kept = Callable[[Any], Any]

ARRAYS = {
    "ints": lambda: np.arange(5),
    "empty": lambda: np.zeros((0, 3)),
    "no items of text": lambda: np.zeros((2, 0), dtype="S3"),
    "0-d": lambda: np.array(3.5),
    "transposed": lambda: np.arange(12).reshape(3, 4).T,
    "fortran": lambda: np.asfortranarray(np.arange(12.0).reshape(3, 4)),
    "every second": lambda: np.arange(9)[::2],
    "backwards": lambda: np.arange(9)[::-1],
    "broadcast": lambda: np.broadcast_to(np.arange(3), (2, 3)),
    "text": lambda: np.array(["a", "bcd"]),
    "bytes": lambda: np.array([b"a"]),
    "void": lambda: np.array([b"abc"], dtype="V3"),
    "objects": lambda: np.array([1, "a", None, [1, 2], (1,)], dtype=object),
    "objects 2-d": lambda: np.array([[1, "a"], [None, {"k": 1}]], dtype=object),
    "times": lambda: np.array(["2020", "NaT"], dtype="M8[ns]"),
    "spans": lambda: np.array([1, 2], dtype="m8[h]"),
    "big endian": lambda: np.array([np.nan, 1]).astype(">f4"),
    "complex": lambda: np.array([1 + 2j, np.nan]),
    "half": lambda: np.array([1.5, np.nan], dtype="f2"),
    "long double": lambda: np.array([1.5, np.nan], dtype=np.longdouble),
    "truth": lambda: np.array([True, False]),
    "structured": lambda: np.array([(1, 2.5, "x")], dtype=[("a", "i4"), ("b", "f8"), ("c", "O")]),
    "aligned": lambda: np.zeros(3, dtype=np.dtype("i1,f8", align=True)),
    "nested fields": lambda: np.zeros(2, dtype=[("a", "f4", (2, 2)), ("b", [("c", "i2")])]),
    "titles": lambda: np.zeros(2, dtype=[(("title", "a"), "f4")]),
    "matrix": lambda: np.matrix([[1, 2]]),
    "records": lambda: np.rec.array([(1, 2)], dtype=[("a", "i4"), ("b", "i4")]),
    "long": lambda: np.arange(100_000),
    "long fields": lambda: np.zeros(50_000, dtype=[("a", "i1"), ("b", "f8")]),
}


@pytest.mark.parametrize("name", ARRAYS)
def test_arrays_come_back_equal_and_writable(name: str, kept: Kept) -> None:
    array = ARRAYS[name]()
    array.flags.writeable = name == "broadcast" and array.flags.writeable
    back = kept(array)
    assert back.dtype == array.dtype
    assert back.shape == array.shape
    assert repr(back) == repr(array)
    assert back.flags.writeable
    assert back.flags.aligned
    np.testing.assert_array_equal(back, array)


@pytest.mark.parametrize(
    "make",
    [
        lambda: np.float64(1),
        lambda: np.float32("nan"),
        lambda: np.int8(3),
        lambda: np.bool_(True),
        lambda: np.str_("a\0"),
        lambda: np.bytes_(b"x\0"),
        lambda: np.datetime64("2020-01-01"),
        lambda: np.datetime64("NaT"),
        lambda: np.timedelta64(5, "h"),
        lambda: np.longdouble(2.5),
        lambda: np.complex64(1j),
        lambda: np.void(b"abc"),
        lambda: np.array([(1, 2)], dtype="i4,i4")[0],
        lambda: np.dtype("f8"),
        lambda: np.dtype([("a", "i4", (2,))]),
        lambda: np.float64,
        lambda: np.sin,
    ],
)
def test_scalars_and_types(make: Any, kept: Kept) -> None:
    value = make()
    assert repr(kept(value)) == repr(value)


def test_masked_arrays(kept: Kept) -> None:
    for array in (
        np.ma.array([1, 2], mask=[0, 1]),
        np.ma.array([1.0, 2]),
        np.ma.array([1, 2], mask=[1, 0], fill_value=7, hard_mask=True),
    ):
        back = kept(array)
        assert repr(back) == repr(array)
        assert back.hardmask == array.hardmask
        assert back.fill_value == array.fill_value
        assert back.data.tolist() == array.data.tolist()


@pytest.mark.skipif(not hasattr(np, "dtypes") or not hasattr(np.dtypes, "StringDType"), reason="numpy 1 has no StringDType")
def test_variable_text(kept: Kept) -> None:
    for dtype, items in ((np.dtypes.StringDType(), ["a", "bb"]), (np.dtypes.StringDType(na_object=None), ["a", None])):
        back = kept(np.array(items, dtype=dtype))
        assert back.dtype == dtype
        assert back.tolist() == items


def test_a_random_generator_goes_on_where_it_was(kept: Kept) -> None:
    generator = np.random.default_rng(3)
    generator.random()
    assert kept(generator).random() == generator.random()


def test_views_and_copies_have_one_id() -> None:
    base = np.arange(20.0).reshape(4, 5)
    for view in (base.T, base[::2], base[:, ::-1], base[1:3, 2:]):
        assert value_id(view) == value_id(view.copy()) == value_id(np.asfortranarray(view))
    frozen = base.copy()
    frozen.flags.writeable = False
    assert value_id(frozen) == value_id(base)


def test_nans_and_garbage_between_fields_do_not_count() -> None:
    odd = np.array([0x7FF8000000000007, 0xFFF8000000000000], dtype="u8").view("f8")
    assert value_id(odd) == value_id(np.array([np.nan, np.nan]))
    dtype = np.dtype("i1,f8", align=True)
    clean, dirty = np.zeros(2, dtype), np.frombuffer(b"\xff" * 2 * dtype.itemsize, dtype).copy()
    for name in dtype.names:
        dirty[name] = 0
    assert clean.tobytes() != dirty.tobytes()
    assert value_id(clean) == value_id(dirty)


def test_different_arrays_differ() -> None:
    values = [
        np.arange(6),
        np.arange(6).reshape(2, 3),
        np.arange(6).reshape(3, 2),
        np.arange(6).astype("i4"),
        np.arange(6).astype(">i8"),
        np.arange(6.0),
        np.arange(6).astype("m8[s]"),
        np.arange(6).astype("m8[ms]"),
        np.arange(6).astype(object),
        list(range(6)),
        np.ma.array(np.arange(6)),
        np.array([0.0]),
        np.array([-0.0]),
        np.array(1.0),
        np.float64(1.0),
        1.0,
        np.float32(1.0),
        np.str_("a"),
        "a",
        np.array("a"),
        np.bool_(True),
        True,
    ]
    assert len({value_id(value) for value in values}) == len(values)


def test_equal_arrays_of_one_value_keep_memory_of_their_own() -> None:
    array = np.arange(100_000)
    first, second = restore(value_bytes([array, array.copy()]))
    first[0] = 7
    assert second[0] == 0


def test_items_of_arrays_may_be_anything() -> None:
    from redun import File
    from redun.value import get_type_registry

    array = np.array([File("a"), {"k": np.arange(2)}], dtype=object)
    back = restore(value_bytes(array))
    assert back[0].path == "a"
    assert back[1]["k"].tolist() == [0, 1]
    assert get_type_registry().is_valid(back)


@pytest.mark.parametrize(
    "state",
    [
        ["numpy.ndarray", ["ndarray", "<f8", [3], b""]],
        ["numpy.ndarray", ["ndarray", "O", [3], []]],
        ["numpy.ndarray", ["ndarray", "f8,f8", [1], []]],
        ["numpy.ndarray", ["ndarray", "<f8", [-1], []]],
        ["numpy.ndarray", ["ndarray", "<f8", [1 << 62], []]],
        ["numpy.ndarray", ["nothing", "<f8", [0], []]],
        ["numpy.ndarray", 3],
        ["numpy.dtype", ["struct", False, 1 << 60, False, []]],
        ["numpy.nothing", 1],
        ["nothing", 1],
        [1, 2],
        [],
    ],
)
def test_bad_states_are_errors(state: Any) -> None:
    from redun.codecs import revive

    with pytest.raises(DecodeError):
        revive(state)


class Signal(np.ndarray):  # type: ignore[misc,name-defined]
    """An array that knows its rate."""

    rate: int = 0

    def __array_finalize__(self, other: Any) -> None:
        self.rate = getattr(other, "rate", 0)


def signal(array: Any, rate: int) -> Any:
    found = array.view(Signal)
    found.rate = rate
    return found


def test_subclasses_of_others_are_what_they_derive_from_and_more(kept: Callable[[Any], Any]) -> None:
    value = signal(np.arange(6.0).reshape(2, 3), 44)
    back = kept(value)
    assert (back == value).all()
    assert back.rate == 44
    assert value_id(signal(np.asfortranarray(value.view(np.ndarray)), 44)) == value_id(value)
    different = [signal(value.view(np.ndarray), 45), value.view(np.ndarray), signal(np.zeros((2, 3)), 44)]
    assert len({value_id(value), *map(value_id, different)}) == 4


class OwnWay(Signal):
    def __reduce__(self) -> Any:
        return OwnWay.made, (self.rate,)

    @staticmethod
    def made(rate: int) -> Any:
        return signal(np.zeros(1), rate).view(OwnWay)


def test_a_subclass_that_pickles_in_a_way_of_its_own_is_asked(kept: Callable[[Any], Any]) -> None:
    assert kept(signal(np.zeros(1), 7).view(OwnWay)).rate == 7
