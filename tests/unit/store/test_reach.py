"""Walks over the graph of objects."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from redun.store.ids import object_id
from redun.store.objects import Codec, Kind, links, with_links
from redun.store.reach import in_order, links_in, reachable
from redun.store.sources.base import Batch
from redun.store.sources.lmdb import LmdbSource
from redun.store.sources.memory import MemorySource


def made(targets, body=b"body"):
    data = with_links(Kind.VALUE, Codec.RAW, 0, targets, body)
    return object_id(data), data


@st.composite
def graphs(draw):
    """Objects, each with links to some before it, and what each leads to."""
    objects, below = {}, {}
    for number in range(draw(st.integers(1, 12))):
        targets = draw(st.lists(st.sampled_from(sorted(objects)), unique=True, max_size=4)) if objects else []
        oid, data = made(targets, b"%d" % number)
        objects[oid] = data
        below[oid] = {oid}.union(*[below[target] for target in targets])
    return objects, below


@given(graphs(), st.data())
def test_what_is_reachable_is_what_leads_there(graph, data):
    objects, below = graph
    source = MemorySource()
    source.commit(Batch(objects=objects))
    roots = data.draw(st.lists(st.sampled_from(sorted(objects)), max_size=3))
    expected = set().union(*[below[root] for root in roots])
    assert reachable(source, roots) == expected
    order = list(in_order(source, roots))
    assert sorted(order) == sorted(expected)
    for place, oid in enumerate(order):
        assert set(links(objects[oid])) <= set(order[:place])
    # In two parts, what the first has met is not walked again.
    seen: set[bytes] = set()
    parts = [list(in_order(source, [root], seen)) for root in roots]
    assert sorted([oid for part in parts for oid in part]) == sorted(expected)
    kept = data.draw(st.sampled_from(sorted(objects)))
    without = reachable(source, roots, stop=lambda oid: oid in below[kept])
    assert without == {oid for oid in expected if oid not in below[kept]}
    assert set(in_order(source, roots, stop=lambda oid: oid in below[kept])) == without


def test_a_long_chain_needs_no_stack():
    objects = {}
    head = None
    for number in range(50_000):
        head, data = made([] if head is None else [head], b"%d" % number)
        objects[head] = data
    source = MemorySource()
    source.commit(Batch(objects=objects))
    assert reachable(source, [head]) == set(objects)
    assert [objects[oid] for oid in in_order(source, [head])] == list(objects.values())


def test_what_is_not_there_is_named_and_leads_nowhere():
    gone, _ = made([])
    oid, data = made([gone])
    source = MemorySource()
    source.commit(Batch(objects={oid: data}))
    assert reachable(source, [oid]) == {oid, gone}
    assert list(in_order(source, [oid])) == [gone, oid]


def test_links_of_rows_and_of_files(tmp_path):
    leaf, leaf_data = made([])
    small, small_data = made([leaf])
    large, large_data = made([leaf, small], bytes(100_000))
    wide, wide_data = made([object_id(b"%d" % number) for number in range(5000)])
    with_source = LmdbSource(tmp_path)
    with_source.commit(Batch(objects={leaf: leaf_data, small: small_data, large: large_data, wide: wide_data}))
    try:
        for oid, data in ((leaf, leaf_data), (small, small_data), (large, large_data), (wide, wide_data)):
            assert with_source.links(oid) == links(data)
        assert with_source.links(object_id(b"nowhere")) is None
    finally:
        with_source.close()


@pytest.mark.parametrize("cut", [0, 3, 4, 7, 8, 27, 28, 47])
def test_of_a_table_that_is_cut_short_what_is_whole_counts(cut):
    targets = [object_id(b"a"), object_id(b"b")]
    data = with_links(Kind.VALUE, Codec.RAW, 0, targets, b"")
    assert links_in(data[:cut]) == targets[: max(0, cut - 8) // 20]
    assert links_in(memoryview(data)) == targets
