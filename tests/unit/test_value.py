"""Values and the registry of their types: names, lookups, hooks, states, the bundled proxies."""

from __future__ import annotations

import dataclasses
import datetime
import os
import pickle
from collections import namedtuple
from enum import Enum
from pathlib import Path
from typing import Any, ClassVar

import pytest

from redun.decoding import ValueDecoder
from redun.encoding import value_id, value_ref
from redun.errors import EncodeError, ObjectNotFound, RedunError
from redun.value import (
    FileCache,
    Function,
    InvalidValueError,
    ProxyValue,
    TypeError,
    Value,
    get_raw_type_name,
    get_type_registry,
    is_unknown_function,
    make_unknown_function,
)

registry = get_type_registry()


class Polygon(Value):
    type_name = "tests.Polygon"

    def __init__(self, corners: list[tuple[int, int]]) -> None:
        self.corners = corners


class Unnamed(Value):
    pass


class Point:
    def __init__(self, x: int) -> None:
        self.x = x


class Point3(Point):
    pass


class PointProxy(ProxyValue):
    type = Point

    def is_valid(self) -> bool:
        return self.instance.x >= 0


class Color(Enum):
    RED = 1


def roundtrip(value: Any) -> Any:
    parts: dict[bytes, bytes] = {}

    def get(oid: bytes) -> bytes:
        if oid not in parts:
            raise ObjectNotFound(oid)
        return parts[oid]

    from redun.encoding import ValueEncoder

    ref = ValueEncoder(parts.__setitem__).encode(value)
    return ValueDecoder(get).decode(ref)


def test_names_come_from_the_class_or_from_where_it_is():
    assert Polygon.type_name == "tests.Polygon"
    assert Unnamed.type_name == f"{__name__}.Unnamed"
    assert PointProxy.type_name == f"{__name__}.Point"
    assert get_raw_type_name(int) == "builtins.int"
    assert get_raw_type_name(Polygon) == "tests.Polygon"
    assert registry.get_type_name(Point3) == f"{__name__}.Point"
    assert registry.get_type_name(dict) == "builtins.dict"


def test_a_subclass_has_a_name_of_its_own():
    class Square(Polygon):
        pass

    assert Square.type_name != Polygon.type_name
    assert registry.by_name(Square.type_name) is Square
    assert registry.by_name("tests.Polygon") is Polygon


def test_names_lead_back_to_types():
    assert registry.parse_type_name("tests.Polygon") is Polygon
    assert registry.parse_type_name(f"{__name__}.Point") is PointProxy
    assert registry.parse_type_name("builtins.int") is int
    assert registry.parse_type_name("collections.OrderedDict").__name__ == "OrderedDict"
    for gone in ("no.such", "os.path.join", "os.nothing", "", "..", "x"):
        with pytest.raises(TypeError):
            registry.parse_type_name(gone)
    assert issubclass(TypeError, RedunError)
    assert issubclass(TypeError, __builtins__["TypeError"] if isinstance(__builtins__, dict) else __builtins__.TypeError)


def test_a_proxy_is_found_for_the_type_and_for_types_below_it():
    assert registry.proxy_for(Point) is PointProxy
    assert registry.proxy_for(Point3) is PointProxy
    assert registry.proxy_for(int) is None
    assert registry.get_type(Color).type_name == "enum.Enum"
    assert registry.get_type(list) is ProxyValue
    assert registry.get_type(list, use_default=False) is None
    assert registry.get_type(Polygon) is Polygon


def test_a_proxy_defined_late_serves_types_that_were_looked_up_before():
    class Early:
        pass

    assert registry.proxy_for(Early) is None
    assert not registry.has_postprocess(Early)

    class EarlyProxy(ProxyValue):
        type = Early

        def postprocess(self, postprocess_args: dict[str, Any]) -> Any:
            return "post"

    assert registry.proxy_for(Early) is EarlyProxy
    assert registry.has_postprocess(Early)
    assert registry.postprocess(Early(), {}) == "post"


def test_an_attribute_named_type_means_nothing_to_the_registry_but_in_proxies():
    class Car(Value):
        type_name = "tests.Car"
        type = int

    assert registry.proxy_for(int) is None
    assert registry.parse_type_name("tests.Car") is Car


def test_validity_is_asked_of_values_proxies_and_what_is_nested():
    class Stale(Value):
        def is_valid(self) -> bool:
            return False

    assert registry.is_valid(3)
    assert registry.is_valid(Point(1))
    assert not registry.is_valid(Point3(-1))
    assert not registry.is_valid(Stale())
    pair = namedtuple("pair", "a b")
    for nest in (lambda v: [v], lambda v: {"k": (1, v)}, lambda v: {frozenset([v]): 1}, lambda v: pair(1, [v])):
        assert registry.is_valid_nested(nest(Polygon([])))
        assert not registry.is_valid_nested(nest(Stale()))


def test_hooks_default_to_the_value_itself():
    polygon = Polygon([(1, 2)])
    assert registry.preprocess(polygon, {}) is polygon
    assert registry.postprocess(polygon, {}) is polygon
    point = Point(1)
    assert registry.preprocess(point, {}) is point
    assert registry.preprocess([1], {}) == [1]
    assert not any(
        registry.has_preprocess(kind) or registry.has_postprocess(kind) for kind in (int, Polygon, Point, list, Color)
    )


def test_hooks_that_are_overridden_are_noticed():
    class Counting(Value):
        def preprocess(self, preprocess_args: dict[str, Any]) -> Any:
            return preprocess_args["job"]

    class More(Counting):
        pass

    assert registry.has_preprocess(More)
    assert not registry.has_postprocess(More)
    assert registry.preprocess(More(), {"job": 7}) == 7


def test_subvalues_are_found_inside_containers_and_values():
    class Pair(Value):
        def __init__(self, *parts: Value) -> None:
            self.parts = parts

        def iter_subvalues(self):
            return iter(self.parts)

    a, b = Polygon([]), Polygon([(1, 1)])
    pair = Pair(a, b)
    assert list(registry.iter_subvalues(pair)) == [a, b]
    assert list(registry.iter_subvalues({"x": [a, 3], "y": pair})) == [a, pair, a, b]
    assert list(registry.iter_subvalues("text")) == []


def test_state_does_not_depend_on_the_order_of_assignment():
    one, other = Unnamed(), Unnamed()
    one.a, one.b = 1, 2  # type: ignore[attr-defined]
    other.b, other.a = 2, 1  # type: ignore[attr-defined]
    assert value_id(one) == value_id(other)
    other.b = 3  # type: ignore[attr-defined]
    assert value_id(one) != value_id(other)


def test_slots_belong_to_the_state():
    class Slotted(Value):
        __slots__ = ("x",)

    class Below(Slotted):
        __slots__ = "y"

    value = Below()
    value.x, value.y = 1, [2]
    assert value.__getstate__() == {"x": 1, "y": [2]}
    again = Below.deserialize(Below, value.serialize())
    assert (again.x, again.y) == (1, [2])


def test_a_value_that_is_also_a_builtin_must_say_what_it_holds():
    class Numbers(Value, list):  # type: ignore[misc, type-arg]
        pass

    with pytest.raises(EncodeError, match="__getstate__"):
        value_id(Numbers())

    class Saying(Value, list):  # type: ignore[misc, type-arg]
        def __getstate__(self) -> Any:
            return list(self)

        def __setstate__(self, state: Any) -> None:
            self[:] = state

    value = Saying()
    value.extend([1, 2])
    assert list(Saying.deserialize(Saying, value.serialize())) == [1, 2]


def test_values_survive_store_serialization_and_pickle():
    value = Polygon([(1, 2), (3, 4)])
    for again in (
        roundtrip(value),
        registry.deserialize("tests.Polygon", registry.serialize(value)),
        pickle.loads(pickle.dumps(value)),
    ):
        assert type(again) is Polygon
        assert again.corners == [(1, 2), (3, 4)]
        assert again.get_hash() == value.get_hash()


@pytest.mark.parametrize(
    "value", [3, "a", None, [1, {2}], {"a": (1, 2.5)}, b"x", True, Color.RED, datetime.datetime(2026, 1, 2)]
)
def test_plain_data_goes_through_the_registry(value: Any):
    name = registry.get_type_name(type(value))
    if name != "builtins.NoneType":
        assert registry.deserialize(name, registry.serialize(value)) == value
    assert registry.get_hash(value) == value_id(value).hex()
    assert registry.get_serialization_format(value) == "application/msgpack"
    assert registry.get_value(value).instance == value  # type: ignore[attr-defined]


def test_serialize_replaces_the_state_and_may_call_the_default():
    class Own(Value):
        type_name = "tests.Own"

        def __init__(self, x: int) -> None:
            self.x = x

        def serialize(self) -> bytes:
            return b"own" + super().serialize()

        @classmethod
        def deserialize(cls, raw_type: Any, data: bytes) -> Any:
            assert data.startswith(b"own")
            return super().deserialize(raw_type, data[3:])

    assert roundtrip(Own(5)).x == 5
    assert registry.get_serialization_format(Own(5)) == "application/octet-stream"


def test_a_proxy_that_serializes_replaces_the_encoding_and_may_call_the_default():
    class Thing:
        x = 0

    # Pickle finds the class by its name.
    globals()["Thing"] = Thing
    Thing.__qualname__ = "Thing"

    class ThingProxy(ProxyValue):
        type = Thing

        def serialize(self) -> bytes:
            return super().serialize()

    thing = Thing()
    thing.x = 4
    assert roundtrip([thing])[0].x == 4


def test_get_hash_decides_what_counts_as_equal():
    class Loose(Value):
        def __init__(self, x: int) -> None:
            self.x = x

        def get_hash(self, data: bytes | None = None) -> str:
            return "0" * 40

    assert registry.get_hash(Loose(1)) == registry.get_hash(Loose(2))


def test_functions_are_named_by_module_and_name():
    proxy = registry.get_value(roundtrip)
    assert isinstance(proxy, Function)
    assert proxy.fullname == f"{__name__}.roundtrip"
    assert registry.get_type_name(type(roundtrip)) == "builtins.function"
    assert value_ref(os.path.join) == value_ref(os.path.join)


def test_unknown_functions_say_so():
    unknown = make_unknown_function("gone.f")
    assert is_unknown_function(unknown)
    assert not is_unknown_function(len)
    with pytest.raises(ValueError, match=r"Function 'gone\.f' cannot be found"):
        unknown(1)
    assert not registry.is_valid(unknown)


def test_a_function_that_is_gone_comes_back_as_a_stand_in():
    data = registry.serialize(os.path.join)
    assert registry.deserialize("builtins.function", data) is os.path.join
    gone = Function.deserialize("builtins.function", data.replace(b"join", b"nioj"))
    assert is_unknown_function(gone)
    assert not registry.is_valid(gone)


def test_a_local_function_is_no_value():
    with pytest.raises(InvalidValueError, match="top of a module"):
        Function(lambda: 1)
    from redun import Scheduler, task

    @task(namespace="tests.values", cache=False)
    def give() -> Any:
        return lambda: 1

    with pytest.raises(InvalidValueError, match="top of a module"):
        Scheduler(logger=False).run(give())


def test_hooks_may_leave_out_what_they_do_not_use():
    class Row(Value):
        def get_hash(self):
            return "aaa"

    assert registry.get_hash(Row()) == "aaa"
    assert registry.get_type_name(Row) == f"{__name__}.Row"


def test_a_class_may_stay_out_of_the_registry():
    class Hidden(Value):
        register = False
        type_name = "tests.Hidden"

    assert registry.by_name("tests.Hidden") is None


def test_names_of_plain_types_lead_to_their_hooks():
    from redun.value import Bool, NoneType, Set

    assert registry.parse_type_name("builtins.bool") is Bool
    assert registry.parse_type_name("builtins.set") is Set
    assert registry.parse_type_name("builtins.NoneType") is NoneType
    assert registry.deserialize("builtins.set", registry.serialize({1, 2})) == {1, 2}
    assert registry.deserialize("builtins.bool", registry.serialize(True)) is True


def test_a_proxy_finds_values_in_containers():
    inner = Polygon([])
    assert list(registry.get_value([1, {"k": inner}]).iter_subvalues()) == [inner]


def test_times_come_in_many_forms():
    for text in ("2022-07-01 10:05:33 +0400", "2022-07-01T10:05:33+04:00", "July 1 2022 10:05:33 +0400"):
        found = registry.parse_arg(datetime.datetime, text)
        assert found == datetime.datetime(2022, 7, 1, 10, 5, 33, tzinfo=datetime.timezone(datetime.timedelta(hours=4)))


class Big:
    def __init__(self, items: list[int]) -> None:
        self.items = items


class BigCache(FileCache):
    type = Big
    base_path: ClassVar[str] = ""


def test_file_cache_keeps_the_content_in_a_file_named_by_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(BigCache, "base_path", str(tmp_path / "cache"))
    big = Big(list(range(1000)))
    ref = value_ref(big)
    (file,) = (tmp_path / "cache").iterdir()
    assert value_ref(Big(list(range(1000)))) == ref
    assert len(list((tmp_path / "cache").iterdir())) == 1
    assert value_ref(Big([1])) != ref
    assert roundtrip(big).items == big.items
    data = registry.serialize(big)
    assert os.fsdecode(data) == str(file)
    file.unlink()
    with pytest.raises(InvalidValueError, match=file.name):
        registry.deserialize(registry.get_type_name(Big), data)


class Weighed:
    def __init__(self, weight: int, colour: str) -> None:
        self.weight = weight
        self.colour = colour


class WeighedProxy(ProxyValue):
    type = Weighed

    def get_hash(self, data: bytes | None = None) -> str:
        return f"weight {self.instance.weight}"


def test_a_proxy_says_what_counts_as_the_same_argument():
    from redun import Scheduler, task

    calls = []

    @task(namespace="tests.values")
    def weigh(thing: Weighed) -> int:
        calls.append(thing.colour)
        return thing.weight

    scheduler = Scheduler(logger=False)
    assert scheduler.run(weigh(Weighed(1, "red"))) == 1
    assert scheduler.run(weigh(Weighed(1, "blue"))) == 1
    assert scheduler.run(weigh(Weighed(2, "blue"))) == 2
    assert calls == ["red", "blue"]


def test_a_proxy_says_whether_a_stored_value_may_be_used():
    from redun import Scheduler, task

    calls = []

    @task(namespace="tests.values")
    def make(x: int) -> list[Any]:
        calls.append(x)
        return [Point(x)]

    scheduler = Scheduler(logger=False)
    for x in (1, 1, -1, -1):
        assert scheduler.run(make(x))[0].x == x
    assert calls == [1, -1, -1]


def test_what_is_gone_is_shown_by_its_name():
    from redun.describe import preview

    parts: dict[bytes, bytes] = {}
    from redun.encoding import ValueEncoder

    encoder = ValueEncoder(parts.__setitem__)
    for value, shown in (
        (Weighed(1, "red"), "<test_valux.Weighed {'weight': 1, 'colour': 'red'}>"),
        ([Weighed], "[<test_valux.Weighed>]"),
        (Color.RED, "<test_valux.Color 'RED'>"),
    ):
        module = (
            type(value if not isinstance(value, list) else value[0]).__module__
            if not isinstance(value, list)
            else Weighed.__module__
        )
        data = encoder.object(value).replace(module.encode(), (module[:-1] + "x").encode())
        parts[b"x" * 20] = data
        assert preview(b"\x00" + b"x" * 20, parts.__getitem__) == shown.replace("test_valux", module[:-1] + "x")


@dataclasses.dataclass
class Report:
    """The newest form of a class, of which older ones were stored."""

    title: str
    pages: int = 1
    notes: list[str] = dataclasses.field(default_factory=list)
    seen: bool = dataclasses.field(init=False)


@pytest.mark.parametrize("older", [["title"], ["title", "pages"]])
def test_a_dataclass_that_has_got_a_field_makes_its_old_values_a_miss(older: list[str], monkeypatch: pytest.MonkeyPatch):
    from redun import Scheduler, task

    @task(namespace="value_fields", version="1")
    def write(title: str) -> Any:
        written.append(title)
        return [Report(*[title, 1][: len(older)])]

    written: list[str] = []
    scheduler = Scheduler(logger=False)
    newest, before = Report, dataclasses.make_dataclass("Report", older)
    before.__module__ = __name__
    monkeypatch.setitem(globals(), "Report", before)
    assert type(scheduler.run(write("tides"))[0]) is before
    monkeypatch.setitem(globals(), "Report", newest)
    for _ in range(2):
        (report,) = scheduler.run(write("tides"))
        assert report.notes == []
        assert not hasattr(report, "seen")
    assert written == ["tides", "tides"]
