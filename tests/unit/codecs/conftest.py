"""What every codec has to do, as one check."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from redun.encoding import ValueEncoder, restore, value_bytes, value_id
from redun.store.objects import Flag


def through_bytes(value: Any) -> Any:
    """Return a value encoded and decoded: of the same type, with the same id, stable."""
    encoder = ValueEncoder()
    encoder.object(value)
    assert not encoder.flags & Flag.UNSTABLE, f"unstable: {value!r}"
    back = restore(value_bytes(value))
    assert type(back) is type(value)
    assert value_id(back) == value_id(value)
    return back


@pytest.fixture
def kept() -> Callable[[Any], Any]:
    return through_bytes
