"""Formats on disk may not change within a format version: golden bytes of every kind of object."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from redun.decoding import ValueDecoder
from redun.encoding import ValueEncoder, restore, value_bytes
from redun.errors import ObjectNotFound
from redun.store.journal import decode_segment, encode_segment
from redun.tag_records import TagRecord
from tests.golden.make import objects, values

GOLDEN: dict[str, str] = json.loads(Path(__file__).with_name("objects.json").read_text())


@pytest.fixture(scope="module")
def made() -> dict[str, str]:
    return objects()


def test_no_kind_is_missing(made: dict[str, str]) -> None:
    assert made.keys() == GOLDEN.keys()


@pytest.mark.parametrize("name", GOLDEN)
def test_bytes_are_those_of_old(name: str, made: dict[str, str]) -> None:
    assert made[name] == GOLDEN[name]


@pytest.mark.parametrize("name", [name for name in values() if name not in ("class", "nan", "large argument")])
def test_golden_values_can_be_read(name: str) -> None:
    golden = GOLDEN[f"value {name}"]
    data = ValueEncoder().object(values()[name]) if golden.startswith("id ") else bytes.fromhex(golden)

    def nothing(oid: bytes) -> bytes:
        raise ObjectNotFound(oid)

    value = ValueDecoder(nothing).decode_object(data)
    assert ValueEncoder().object(value) == data


def test_large_arguments_travel_beside_the_expression() -> None:
    value = restore(value_bytes(values()["large argument"]))
    assert value.args == ("y" * 5000,)


def test_golden_segments_can_be_read() -> None:
    for name in ("segment", "segment with handles", "first segment", "segment with tags", "segment with outputs"):
        data = bytes.fromhex(GOLDEN[name])
        assert encode_segment(decode_segment(data)) == data


@pytest.mark.parametrize("name", ["tag", "tag of a run", "tag removed"])
def test_golden_tags_can_be_read(name: str) -> None:
    data = bytes.fromhex(GOLDEN[name])
    assert TagRecord.decode(data).encode() == data
