"""Calls, read in full and in part."""

from __future__ import annotations

import pytest

from redun.records import CallRecord, call_head, encode_call
from redun.store.errors import DecodeError
from redun.store.journal import Segment, decode_results, decode_segment, encode_segment
from redun.store.objects import Codec, Kind, with_links

INLINE, OTHER = b"\x01\x01\x01\x00\x05", b"\x01\x01\x01\x00\x06"
TASK, A, B, C = (letter * 20 for letter in (b"t", b"a", b"b", b"c"))


@pytest.mark.parametrize("reduction", [None, INLINE, b"\x00" + A])
@pytest.mark.parametrize("result", [OTHER, b"\x00" + B])
@pytest.mark.parametrize("failed", [False, True])
def test_some_of_a_call_is_what_all_of_it_says(reduction: bytes | None, result: bytes, failed: bool) -> None:
    data = encode_call(TASK, [INLINE, b"\x00" + C], [("k", b"\x00" + A)], reduction, result, [B], [C], failed)[1]
    call, head = CallRecord.decode(data), call_head(data)
    assert (head.task, head.reduction, head.failed) == (call.task, call.reduction, call.failed)
    assert head.reduction == (reduction or result)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x03\x01\x01\x01",
        b"\x03\x01\x01\x01\xff\xff\xff\xff",
        b"\x03\x01\x01\x00\x97",
        with_links(Kind.TASK, Codec.MSGPACK, 0, [A], b"\x97\x00\x90\x90\xc0\x00\x90\x90"),
        with_links(Kind.CALL, Codec.MSGPACK, 0, [A], b"\x97\x01\x90\x90\xc0\x00\x90\x90"),
        with_links(Kind.CALL, Codec.MSGPACK, 0, [A], b"\x97\x00\x90\x90\xc0\xff\x90\x90"),
        with_links(Kind.CALL, Codec.MSGPACK, 0, [A], b"\x97\x00\x90\x90\xc0\x00\x90\x90\x00"),
        with_links(Kind.CALL, Codec.MSGPACK, 0, [A], b"\x96\x00\x90\x90\xc0\x00\x90"),
    ],
)
def test_what_is_no_call_is_refused(data: bytes) -> None:
    for read in (call_head, CallRecord.decode):
        with pytest.raises(DecodeError):
            read(data)


def test_results_of_a_segment_are_what_all_of_it_says() -> None:
    data = encode_segment(Segment(A, 3, B, memo=[(b"k" * 20, C)], reductions=[(b"l" * 20, INLINE), (b"m" * 20, b"\x00" + C)]))
    whole = decode_segment(data)
    assert decode_results(data) == (whole.parent, whole.memo, whole.reductions)
    assert decode_results(encode_segment(Segment(A, 0, None))) == (None, [], [])
    with pytest.raises(DecodeError):
        decode_results(encode_call(TASK, [], [], None, INLINE)[1])
