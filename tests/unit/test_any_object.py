"""Objects of any class: what names cannot tell apart is refused, what contains itself is pickled, all that is part of a value counts."""

from __future__ import annotations

import dataclasses
import enum
import functools
import io
import logging
from collections import namedtuple
from typing import Any

import pytest

from redun import Scheduler, task
from redun.describe import type_name
from redun.encoding import ValueEncoder, restore, value_bytes, value_id
from redun.errors import EncodeError
from redun.nested import map_leaves
from redun.store.objects import Flag
from redun.value import ProxyValue, Value, get_type_registry
from tests.property.kinds import Computed, DataError, DataList, DataOf, MySet, Named, NamedWithMore, Plain, Reducing


class Tree:
    def __init__(self, name: str, parent: Tree | None = None) -> None:
        self.name = name
        self.parent = parent
        self.children: list[Tree] = []
        if parent is not None:
            parent.children.append(self)


@task(namespace="tests.any_object", version="1")
def inc(x: int) -> int:
    return x + 1


def tree() -> Tree:
    root = Tree("root")
    Tree("leaf", Tree("branch", root))
    return root


@pytest.mark.parametrize(
    "wrap", [lambda x: x, lambda x: [x, 1], lambda x: {"k": (getattr(x, "name", 1), [x])}, lambda x: [[x], [inc(x)]]]
)
def test_what_contains_itself_is_pickled_as_one(wrap: Any, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, logger="redun"):
        value = wrap(tree())
        encoder = ValueEncoder()
        encoder.object(value)
        assert encoder.flags & Flag.UNSTABLE
        restore(value_bytes(value))
        # An encoder goes on as before.
        assert encoder.encode([1]) == ValueEncoder().encode([1])


def test_what_contains_itself_comes_back_whole() -> None:
    back = restore(value_bytes([tree(), 5]))[0]
    branch = back.children[0]
    assert branch.parent is back
    assert branch.children[0].parent is branch


def test_plain_containers_that_contain_themselves_are_refused() -> None:
    loop: list[Any] = []
    loop.append({"k": loop})
    with pytest.raises(EncodeError, match="contains itself"):
        value_id(loop)


def test_a_tree_goes_through_a_workflow() -> None:
    @task(namespace="tests.any_object")
    def count(node: Tree) -> int:
        return 1 + sum(map(len, (node.children, node.children[0].children)))

    @task(namespace="tests.any_object")
    def plant() -> Tree:
        return tree()

    scheduler = Scheduler(logger=False)
    assert scheduler.run(count(plant())) == 3
    assert scheduler.run(count(plant())) == 3


def made_of(x: int) -> Any:
    class Local:
        value = x

    return Local


@pytest.mark.parametrize(
    "make",
    [
        lambda: made_of(1),
        lambda: made_of(1)(),
        lambda: namedtuple("Elsewhere", "a")(1),
        lambda: enum.Enum("Gone", "A").A,  # type: ignore[attr-defined]
        lambda: dataclasses.make_dataclass("Made", ["a"])(1),
        lambda: [type("Plain2", (Plain,), {})(1)],
    ],
)
def test_classes_that_no_name_leads_to_are_refused(make: Any) -> None:
    with pytest.raises(EncodeError, match="cannot be found by its name"):
        value_id(make())


def test_rows_of_frames_are_refused_as_their_columns_would_not_count() -> None:
    pd: Any = pytest.importorskip("pandas")
    with pytest.raises(EncodeError, match=r"pandas\.core\.frame\.Pandas"):
        value_id(next(pd.DataFrame({"a": [1]}).itertuples()))


def test_classes_of_values_in_two_functions_are_two() -> None:
    def first() -> Any:
        class Local(Value):
            pass

        return Local

    def second() -> Any:
        class Local(Value):
            pass

        return Local

    a, b = first(), second()
    assert value_id(a()) != value_id(b())
    assert a.type_name == b.type_name == "tests.unit.test_any_object.Local"
    assert type(restore(value_bytes(a()))) is a
    assert type(restore(value_bytes(b()))) is b


def test_proxies_of_two_local_classes_are_two() -> None:
    def first() -> Any:
        class Thing:
            pass

        return Thing

    def second() -> Any:
        class Thing:
            pass

        return Thing

    def proxied(kind: Any) -> Any:
        class Proxy(ProxyValue):
            type = kind

            def serialize(self) -> bytes:
                return b"x"

            @classmethod
            def deserialize(cls, raw_type: Any, data: bytes) -> Any:
                return raw_type()

        return kind()

    a, b = proxied(first()), proxied(second())
    assert value_id(a) != value_id(b)
    assert type(restore(value_bytes(a))) is type(a)
    assert get_type_registry().get_type_name(type(a)) == "tests.unit.test_any_object.Thing"


def test_class_variables_are_no_part_of_a_value(monkeypatch: pytest.MonkeyPatch) -> None:
    before = value_id(Computed(1))
    back = restore(value_bytes(Computed(1)))
    assert vars(back) == {"a": 1, "c": 4}
    monkeypatch.setattr(Computed, "shared", 10)
    assert value_id(Computed(1)) == before
    monkeypatch.undo()
    copied = map_leaves(lambda x: x, Computed(1))
    assert vars(copied) == {"a": 1, "c": 4}


def test_content_besides_the_fields_counts() -> None:
    one, two = DataList(1), DataList(1)
    two.append(5)
    assert value_id(one) != value_id(two)
    more = NamedWithMore(1, 2)
    more.more = 3  # type: ignore[attr-defined]
    assert value_id(more) != value_id(NamedWithMore(1, 2))


def test_containers_with_more_than_their_items_are_copied_whole() -> None:
    listed = DataList(1)
    listed.append(5)
    copied = map_leaves(lambda x: x + 1, listed)
    assert (type(copied), copied.a, list(copied)) == (DataList, 2, [5])
    more = NamedWithMore(1, 2)
    more.more = 3  # type: ignore[attr-defined]
    found = map_leaves(lambda x: x + 1, more)
    assert (found, found.more) == ((2, 3), 3)
    error = map_leaves(lambda x: x + 1, DataError(1))
    assert (type(error), error.a) == (DataError, 2)
    assert map_leaves(lambda x: x + 1, [DataOf(1), Named(1)]) == [DataOf(2), Named(2, 3)]


@pytest.mark.parametrize(
    "make", [lambda: ValueError(1), lambda: functools.partial(int, 1), lambda: io.BytesIO(b"x"), lambda: io.StringIO("x")]
)
def test_having_looked_at_the_attributes_does_not_count(make: Any) -> None:
    before = value_id(make())
    value = make()
    vars(value)
    assert value_id(value) == before


@pytest.mark.parametrize(
    ("value", "name"),
    [
        (Plain(1), "tests.property.kinds.Plain"),
        (Tree("a"), "tests.unit.test_any_object.Tree"),
        (Reducing(1), "tests.property.kinds.Reducing"),
        (MySet("a"), "tests.property.kinds.MySet"),
        (ValueError(1), "builtins.ValueError"),
        (Plain, "builtins.type"),
        (DataList(1), "tests.property.kinds.DataList"),
    ],
)
def test_the_type_of_an_object_is_known_without_it(value: Any, name: str) -> None:
    parts: dict[bytes, bytes] = {}
    ref = ValueEncoder(parts.__setitem__).encode(value)
    assert type_name(ref, parts.__getitem__) == name
