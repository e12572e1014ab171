"""Tags against a model: a set of pairs that is added to, updated and removed from, in one store or in two that are merged."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from redun.provenance import Provenance
from redun.store.repository import Store
from redun.store.sources.base import Batch, RefUpdate
from redun.tag_edits import NoSuchTag, TagEditor
from redun.tag_records import REF_PREFIX, Pair, TagRecord, current, in_order, pack
from redun.tags import ANY_VALUE, check_tags, format_tag_value, parse_tag_value

ENTITY = bytes(range(20))
KEYS = st.sampled_from(["env", "user", "a.b"])
VALUES = st.sampled_from([1, True, 1.5, "1", None, [1, "x"], {"b": 1, "a": 2}])
PAIRS = st.lists(st.tuples(KEYS, VALUES), min_size=1, max_size=3)
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("add"), PAIRS),
        st.tuples(st.just("update"), PAIRS),
        st.tuples(st.just("remove"), PAIRS),
        st.tuples(st.just("remove key"), KEYS.map(lambda key: [(key, ANY_VALUE)])),
    ),
    max_size=12,
)


def packed(pairs: Any) -> set[bytes]:
    return {pack(pair) for pair in check_tags(pairs)}


class Model:
    """The tags of one thing as a plain set of packed pairs."""

    def __init__(self) -> None:
        self.pairs: dict[bytes, Pair] = {}

    def apply(self, verb: str, pairs: list[Pair]) -> bool:
        """Return False where a step is refused."""
        keys = {key for key, _ in pairs}
        if verb == "remove key":
            if not keys <= {key for key, _ in self.pairs.values()}:
                return False
            self.pairs = {name: pair for name, pair in self.pairs.items() if pair[0] not in keys}
            return True
        if verb == "remove":
            if not packed(pairs) <= self.pairs.keys():
                return False
            for name in packed(pairs):
                del self.pairs[name]
            return True
        if verb == "update":
            self.pairs = {name: pair for name, pair in self.pairs.items() if pair[0] not in keys}
        self.pairs.update({pack(pair): pair for pair in check_tags(pairs)})
        return True


def step(store: Store, verb: str, pairs: list[Pair]) -> bool:
    editor = TagEditor(store, "me")
    verbs: dict[str, Callable[..., Any]] = {"add": editor.add, "update": editor.update}
    try:
        verbs.get(verb, editor.remove)("value", ENTITY, pairs)
    except NoSuchTag:
        return False
    return True


def records(store: Store) -> list[TagRecord]:
    return Provenance(store).tags.records("value", ENTITY)


@settings(max_examples=60, deadline=None)
@given(STEPS)
def test_any_steps_leave_what_a_set_would_hold(steps: list[tuple[str, list[Pair]]]) -> None:
    with Store.in_memory() as store:
        model = Model()
        said = 0
        for verb, pairs in steps:
            assert step(store, verb, pairs) == model.apply(verb, pairs)
            held = current(records(store))
            assert {pack(pair) for pair in held} == model.pairs.keys()
            assert len(held) == len(model.pairs)
            # History only grows.
            assert len(records(store)) >= said
            said = len(records(store))
        ordered = in_order(records(store))
        places = {record.id: place for place, record in enumerate(ordered)}
        assert all(places[parent] < places[record.id] for record in ordered for parent in record.parents)


def merge(source: Store, target: Store) -> None:
    """Bring the tags of one store to another, as a pull would: refs and objects that are not there."""
    there = dict(target.source.refs(REF_PREFIX))
    new = [(name, oid) for name, oid in source.source.refs(REF_PREFIX) if name not in there]
    objects = {oid: source.source.get(oid) for _, oid in new}
    target.source.commit(Batch(objects, {}, [RefUpdate(name, None, oid) for name, oid in new]))


@settings(max_examples=40, deadline=None)
@given(STEPS, STEPS, STEPS)
def test_two_stores_that_were_changed_apart_agree_once_merged(
    before: list[tuple[str, list[Pair]]], left: list[tuple[str, list[Pair]]], right: list[tuple[str, list[Pair]]]
) -> None:
    with Store.in_memory() as here, Store.in_memory() as there:
        for verb, pairs in before:
            step(here, verb, pairs)
        merge(here, there)
        common = {pack(pair) for pair in current(records(here))}
        for verb, pairs in left:
            step(here, verb, pairs)
        for verb, pairs in right:
            step(there, verb, pairs)
        held_here = {pack(pair) for pair in current(records(here))}
        held_there = {pack(pair) for pair in current(records(there))}
        merge(here, there)
        merge(there, here)
        merged = {pack(pair) for pair in current(records(here))}
        assert merged == {pack(pair) for pair in current(records(there))}
        # What both hold stays; what only one has added is added.
        assert (held_here - common) | (held_there - common) <= merged
        assert merged <= held_here | held_there


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(1 << 63), (1 << 64) - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(st.text(min_size=1), JSON)
def test_records_keep_any_json(key: str, value: Any) -> None:
    [(key, kept)] = check_tags({key: value})
    record = TagRecord("job", bytes(16), key, kept, (bytes(20), bytes([1] * 20)), 5, "me")
    assert TagRecord.decode(record.encode()) == record
    assert kept == value


@pytest.mark.parametrize("text", ["nan", "NaN", "inf", "-Infinity", "1e999"])
def test_numbers_that_json_has_not_stay_words(text: str) -> None:
    assert parse_tag_value(text) == text
    assert format_tag_value(text) == text


@given(JSON)
def test_text_of_a_value_gives_the_value(value: Any) -> None:
    assert parse_tag_value(format_tag_value(value)) == value
