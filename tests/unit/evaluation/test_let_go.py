"""What is encoded is let go of at once: memory must not wait for the collector of cycles, which runs put off."""

from __future__ import annotations

import gc
import sys
import tracemalloc

import pytest

from redun import task
from redun.encoding import ValueEncoder
from redun.expression import quote

redun_namespace = "test_let_go"


@task()
def one(i, other=None):
    return i


@pytest.fixture
def no_collector():
    gc.disable()
    yield
    gc.enable()


@pytest.mark.parametrize(
    "wrap",
    [
        lambda expr: expr,
        lambda expr: [expr, one(2)],
        lambda expr: [expr, one(2), one(2)],
        lambda expr: {"a": [expr, 1]},
        lambda expr: one(expr, other=[expr + 1]),
        lambda expr: quote(expr),
    ],
)
def test_an_expression_that_was_encoded_is_not_held(no_collector, wrap):
    encoder = ValueEncoder()
    expr = one(1)
    before = sys.getrefcount(expr)
    for _ in range(3):
        encoder.encode(wrap(expr))
    encoder.encode(None)
    assert sys.getrefcount(expr) == before


def traced_bytes(work) -> int:
    gc.collect()
    tracemalloc.start()
    try:
        kept = work()
        return tracemalloc.get_traced_memory()[0] - sys.getsizeof(kept)
    finally:
        tracemalloc.stop()


def test_an_encoder_takes_little_and_gives_a_large_buffer_back():
    encoders = traced_bytes(lambda: [ValueEncoder() for _ in range(100)])
    assert encoders < 100 * 8192
    encoder = ValueEncoder()
    large = ["x" * 1000] * 40_000
    assert traced_bytes(lambda: encoder.object(large)[:0]) < 10 << 20
