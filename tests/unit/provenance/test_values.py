"""Values described from their bytes alone."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from redun.encoding import ValueEncoder
from redun.evaluation.failure import ErrorValue
from redun.extensions import UserExt
from redun.provenance import values
from redun.provenance.values import ValueReader
from redun.store.ids import link_ref, object_id
from tests.unit.provenance.journals import FakeFile


def reader() -> tuple[ValueReader, ValueEncoder]:
    objects: dict[bytes, bytes] = {}

    def get(oid: bytes) -> bytes:
        from redun.store.errors import ObjectNotFound

        try:
            return objects[oid]
        except KeyError:
            raise ObjectNotFound(oid) from None

    return ValueReader(get), ValueEncoder(objects.__setitem__)


def test_the_number_of_the_extension_is_the_one_that_the_encoder_uses() -> None:
    assert values._VALUE_EXT == UserExt.VALUE


@given(st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary() | st.lists(st.integers() | st.text()))
def test_text_is_the_repr_and_the_type_is_named(value: object) -> None:
    texts, encoder = reader()
    ref = encoder.encode(value)
    assert texts.text(ref) == repr(value) or (isinstance(value, float) and math.isnan(value))
    assert texts.type_name(ref) == f"builtins.{type(value).__name__}"


@given(st.binary(max_size=60))
def test_damaged_bytes_never_raise(data: bytes) -> None:
    texts, _ = reader()
    for start in (b"", b"\x01\x01\x01\x00", b"\x01\x01\x01\x04", b"\x01\x01\x01\x02"):
        for ref in (start + data, link_ref(object_id(data))):
            if not ref or (ref[0] == 0 and len(ref) != 21) or (ref[0] != 0 and len(ref) < 4):
                continue
            texts.text(ref)
            texts.type_name(ref)
            texts.inside(ref)
            texts.file_path(ref)
            texts.failure(ref)
            texts.string(ref)


def test_files_inside_are_found_with_the_id_that_they_have_alone() -> None:
    texts, encoder = reader()
    alone, other = FakeFile("a"), FakeFile("b")
    ref = encoder.encode({"k": [alone, (other, 1)], "plain": ["x" * 100]})
    ids = [object_id(data) for _, data in texts.inside(ref)]
    assert ids == [object_id(encoder.object(alone)), object_id(encoder.object(other))]
    assert texts.holds(ref, ids[1])
    assert not texts.holds(ref, object_id(b"else"))
    assert texts.file_path(encoder.encode(alone)) == "a"
    assert texts.file_path(ref) is None


@pytest.mark.parametrize("lines", [[], ["  File x", "ValueError: no"]])
def test_an_error_is_read_back(lines: list[str]) -> None:
    texts, encoder = reader()
    failure = texts.failure(encoder.encode(ErrorValue(ValueError("no"), lines)))
    assert failure is not None
    assert failure.summary == "ValueError: no"
    assert list(failure.traceback) == lines
    assert texts.failure(encoder.encode(FakeFile("x"))) is None
    assert texts.failure(encoder.encode(3)) is None
