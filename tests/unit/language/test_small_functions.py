"""The small functions that scripts import: text, tags, several values per key, pickles, hashes."""

from __future__ import annotations

import datetime
import io
import math
import pickle
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from redun import hashing, tags, utils
from redun.utils import MultiMap

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(JSON)
def test_a_tag_value_is_read_back_as_it_was(value: Any) -> None:
    assert tags.parse_tag_value(tags.format_tag_value(value)) == value


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("a=1", 1),
        ("a=-1", -1),
        ("a=1.5", 1.5),
        ("a=true", True),
        ("a=True", "True"),
        ("a=null", None),
        ("a=", None),
        ("a=b=c", "b=c"),
        ("a=1abc", "1abc"),
        ('a="1"', "1"),
        ('a={"x": [1]}', {"x": [1]}),
    ],
)
def test_tags_as_words(text: str, value: Any) -> None:
    found = tags.parse_tag_key_value(text)
    assert found == ("a", value)
    assert type(found[1]) is type(value)


def test_tags_that_are_none() -> None:
    for text in ("a", "=1", "a=[1", 'a="x'):
        with pytest.raises(ValueError, match=r"expected key=value|begins like JSON"):
            tags.parse_tag_key_value(text)
    assert tags.parse_tag_key_value("a", value_required=False) == ("a", tags.ANY_VALUE)
    assert tags.format_tag_key_value("k" * 60, "x" * 60, max_length=10) == "kkkkkkk...=xxxxxxx..."


@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 3))))
def test_a_multimap_is_its_pairs_whatever_their_order(pairs: list[tuple[str, int]]) -> None:
    found = MultiMap(pairs)
    assert sorted(found.items()) == sorted(pairs)
    assert len(found) == len(pairs)
    assert found == MultiMap(reversed(pairs))
    assert all(found.has_item(*pair) and pair[1] in found[pair[0]] for pair in pairs)
    assert {key: sorted(values) for key, values in found.as_dict().items()} == {
        key: sorted(value for other, value in pairs if other == key) for key, _ in pairs
    }
    assert (found == MultiMap([*pairs, ("a", 0)])) is False


def test_a_multimap_without_a_key() -> None:
    assert MultiMap().get("z") == []
    assert MultiMap().get("z", None) is None
    with pytest.raises(KeyError):
        MultiMap()["z"]


@given(st.text(), st.integers(3, 20))
def test_trimmed_text_is_short_enough_and_begins_as_it_did(text: str, length: int) -> None:
    trimmed = utils.trim_string(text, length)
    assert len(trimmed) <= length
    assert trimmed == text or (trimmed.endswith("...") and text.startswith(trimmed[:-3]))


def test_tables_times_and_truth() -> None:
    assert list(utils.format_table([["a", "bb"], ["ccc", 1]], "lr")) == ["a   bb", "", "ccc  1"]
    assert list(utils.format_table([["a", "bb"], ["ccc", 1]], "rl", min_width=5)) == ["    a bb   ", "", "  ccc 1    "]
    with pytest.raises(ValueError, match="'x'"):
        list(utils.format_table([["a"]], "x"))
    assert utils.format_timedelta(datetime.timedelta(seconds=61.25)) == "0:01:01.25"
    assert utils.format_timedelta(datetime.timedelta(hours=25, seconds=3)) == "25:00:03.00"
    when = datetime.datetime(2020, 1, 2, 3, 4, 5, tzinfo=datetime.timezone.utc)
    assert utils.format_timestamp(when, datetime.timezone.utc) == "2020-01-02 03:04:05"
    assert [utils.str2bool(text) for text in ("true", "FALSE")] == [True, False]
    with pytest.raises(ValueError, match="'yes'"):
        utils.str2bool("yes")


def test_nested_values() -> None:
    assert sorted(map(str, utils.iter_nested_value([1, (2, {3}), {"k": [4]}]))) == ["1", "2", "3", "4", "k"]
    assert utils.map_nested_value(lambda x: x * 2, [1, (2, {3}), {"k": [4]}]) == [2, (4, {6}), {"kk": [8]}]
    assert list(utils.iter_nested_value_children([1, [2]])) == [(False, 1), (False, [2])]
    assert list(utils.iter_nested_value_children(5)) == [(True, 5)]
    assert utils.merge_dicts([{"a": {"x": 1}, "b": 1}, {"a": {"y": 2}, "b": 2}]) == {"a": {"x": 1, "y": 2}, "b": 2}
    assert utils.merge_dicts([]) == {}


def test_a_pickle_whose_class_is_gone_is_shown_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    class Gone:
        def __init__(self, name: str, friend: Any = None) -> None:
            self.name = name
            self.friend = friend

    Gone.__qualname__ = "Gone"
    module = sys.modules[__name__]
    monkeypatch.setattr(module, "Gone", Gone, raising=False)
    data = utils.pickle_dumps([Gone("A", Gone("B"))])
    monkeypatch.delattr(module, "Gone")
    (shown,) = utils.pickle_preview(data)
    assert repr(shown) == "Gone(name='A', friend=Gone(name='B', friend=None))"
    assert isinstance(shown, utils.PreviewClass)
    assert shown.friend.name == "B"
    with pytest.raises(AttributeError):
        shown.nothing  # noqa: B018
    assert "Unpicklable" in repr(utils.pickle_preview(b"no pickle"))
    with pytest.raises(pickle.UnpicklingError):
        utils.pickle_preview(b"no pickle", raise_error=True)
    with io.BytesIO() as stream:
        utils.pickle_dump({"a": 1}, stream)
        assert utils.pickle_loads(stream.getvalue()) == {"a": 1}


def test_hashes_are_of_content_and_structure() -> None:
    assert hashing.hash_text("a") == hashing.hash_bytes(b"a") == hashing.hash_stream(io.BytesIO(b"a"))
    assert len(hashing.hash_text("a")) == 40
    assert hashing.hash_struct((1, "a")) == hashing.hash_struct([1, "a"]) != hashing.hash_struct([1, "b"])
    assert hashing.hash_struct({"a": 1, "b": 2}) == hashing.hash_struct({"b": 2, "a": 1})
    assert hashing.hash_tag_bytes("A", b"x") != hashing.hash_tag_bytes("B", b"x")
    assert hashing.hash_struct(math.pi) == hashing.hash_struct(math.pi)


def test_results_are_kept_by_the_key_that_is_given() -> None:
    calls = []

    @utils.lru_cache_custom(maxsize=2, cache_key=utils.json_cache_key)
    def double(items: list[int]) -> list[int]:
        calls.append(items)
        return items * 2

    assert double([1]) == double([1]) == [1, 1]
    assert double([2]) == [2, 2]
    assert calls == [[1], [2]]


def test_import_paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", list(sys.path))
    utils.clear_import_paths()
    utils.add_import_path(str(tmp_path))
    utils.add_import_path(str(tmp_path))
    assert utils.get_import_paths() == [str(tmp_path)]
    assert sys.path[0] == str(tmp_path)
    utils.clear_import_paths()
    assert utils.get_import_paths() == []
