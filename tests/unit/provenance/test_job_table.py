"""Jobs as columns: the same records as went in, the newest for each number, in little memory."""

from __future__ import annotations

import tracemalloc

from hypothesis import given
from hypothesis import strategies as st

from redun.provenance.job_table import JobTable
from redun.store.journal import JobRecord, Status

numbers = st.one_of(st.integers(1, 60), st.integers(1 << 40, (1 << 40) + 5))
records = st.builds(
    JobRecord,
    number=numbers,
    job_id=st.binary(min_size=16, max_size=16),
    parent=st.one_of(st.just(0), numbers),
    task=st.sampled_from([bytes([letter]) * 20 for letter in range(3)]),
    start_us=st.integers(0, 5),
    duration_us=st.integers(-1, 1 << 40),
    status=st.sampled_from(Status),
    call=st.one_of(st.none(), st.just(b"c" * 20)),
)


@given(st.lists(records, max_size=60))
def test_it_is_a_dict_of_the_first_record_of_each_number(added: list[JobRecord]) -> None:
    table, model = JobTable(), {}
    for record in added:
        table.add(record)
        model.setdefault(record.number, record)
    assert dict(table) == model
    assert len(table) == len(model)
    assert all(type(table[number].status) is Status for number in model)
    assert all((number in table) == (number in model) for number in range(-1, 62))
    expected: dict[int, list[int]] = {}
    for record in sorted(model.values(), key=lambda record: (record.start_us, record.number)):
        parent = record.parent if record.parent in model and record.parent != record.number else 0
        expected.setdefault(parent, []).append(record.number)
    assert {parent: list(children) for parent, children in table.by_parent().items()} == expected


def test_a_job_takes_a_hundred_bytes() -> None:
    count = 20_000
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        table = JobTable()
        for number in range(count, 0, -1):
            table.add(JobRecord(number, b"%016d" % number, 1, b"t" * 20, 1 << 50, 10, Status.DONE, b"%020d" % number))
        after, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert after - before < 110 * count
