"""Events of handles in segments: round trip, flag, and bytes that mean nothing."""

from __future__ import annotations

from typing import Any

import msgpack
import pytest

from redun.store.errors import DecodeError
from redun.store.journal import HandleEvent, Segment, decode_segment, encode_segment
from redun.store.objects import Codec, Flag, Kind, split, with_links

ONE, TWO = bytes(20), bytes([1]) * 20


def test_events_survive_in_order() -> None:
    events = [HandleEvent(ONE, ()), HandleEvent(TWO, (ONE, TWO)), HandleEvent(ONE, None), HandleEvent(ONE, ())]
    data = encode_segment(Segment(ONE, 0, None, handles=events))
    assert decode_segment(data).handles == events
    assert data[3] & Flag.HANDLES


def test_segments_without_events_are_as_ever() -> None:
    data = encode_segment(Segment(ONE, 0, None))
    assert not data[3] & Flag.HANDLES
    assert decode_segment(data).handles == []


@pytest.mark.parametrize(
    "events", [[[b"short", []]], [["text", []]], [[ONE, [b""]]], [[ONE]], [[ONE, 3]], [3], 3, [[ONE, [], 1]], [[ONE, [None]]]]
)
def test_events_that_mean_nothing_are_refused(events: Any) -> None:
    data = encode_segment(Segment(ONE, 0, None, handles=[HandleEvent(ONE, ())]))
    _, _, _, links, body = split(data)
    content = msgpack.unpackb(body, strict_map_key=False)
    content["H"] = events
    with pytest.raises(DecodeError, match="segment cannot be decoded"):
        decode_segment(with_links(Kind.SEGMENT, Codec.MSGPACK, Flag.HANDLES, links, msgpack.packb(content)))
