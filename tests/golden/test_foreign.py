"""Bytes of values of foreign packages may not change within a format version."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from redun.decoding import ValueDecoder
from redun.encoding import ValueEncoder
from redun.store.objects import Flag
from tests.golden.foreign import PACKAGES, objects

GOLDEN: dict[str, str] = json.loads(Path(__file__).with_name("foreign.json").read_text())


@pytest.mark.parametrize("package", PACKAGES)
def test_bytes_are_those_of_old(package: str) -> None:
    pytest.importorskip(package)
    assert objects(package) == {name: data for name, data in GOLDEN.items() if name.startswith(f"{package} ")}


@pytest.mark.parametrize(
    "name", [name for name, data in GOLDEN.items() if not data.startswith("id ") and not bytes.fromhex(data)[3] & Flag.LINKS]
)
def test_golden_values_can_be_read(name: str) -> None:
    pytest.importorskip(name.partition(" ")[0])
    data = bytes.fromhex(GOLDEN[name])
    assert ValueEncoder().object(ValueDecoder({}.__getitem__).decode_object(data)) == data
