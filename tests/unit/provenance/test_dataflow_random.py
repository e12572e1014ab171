"""Whatever a journal claims, even the impossible, a dataflow ends and names each value once."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from redun.provenance import Provenance, Status, Step
from tests.unit.provenance.journals import FakeFile, FakeStore, Run

SMALL = st.integers(0, 3)
JOBS = st.lists(
    st.tuples(
        SMALL,  # task
        st.lists(SMALL, max_size=2),  # arguments
        SMALL,  # result
        SMALL,  # parent, counted back
        st.dictionaries(st.sampled_from([0, 1, None, "gone"]), st.lists(st.integers(0, 9), min_size=1, max_size=3), max_size=3),
        st.sampled_from([Status.DONE, Status.CACHED, Status.FAILED]),
    ),
    min_size=1,
    max_size=10,
)
VALUES = [1, FakeFile("a"), [FakeFile("a"), FakeFile("b")], "x" * 50]


@given(JOBS)
def test_every_flow_ends(jobs: list[tuple[int, list[int], int, int, dict[int | str | None, list[int]], Status]]) -> None:
    store = FakeStore()
    run = Run(store, 1)
    tasks = [run.task(f"w.t{number}", f"def t{number}(a, b): ...") for number in range(4)]
    calls: list[bytes] = []
    for task, args, result, _, _, status in jobs:
        below = tuple(calls[-1:])
        values = tuple([VALUES[arg] for arg in args])
        calls.append(run.call(tasks[task], values, result=VALUES[result], children=below, failed=status is Status.FAILED))
    for number, (task, _, _, parent, upstreams, status) in enumerate(jobs, 1):
        derived = {slot: tuple([calls[part % len(calls)] for part in parts]) for slot, parts in upstreams.items()}
        run.job(tasks[task], calls[number - 1], max(0, number - 1 - parent), status, number=number, upstreams=derived)
    run.end()
    provenance = Provenance(store)
    starts = [*provenance.all_jobs(), *provenance.calls(), *provenance.values()]
    for start in starts:
        sections = list(provenance.dataflow(start))
        names = [section.name for section in sections]
        assert len(names) == len(set(names))
        assert len(sections) <= 1 + len(calls) * 3
        for section in sections:
            assert section.hops
            assert section.hops[-1].step in (Step.CALL, Step.DERIVES, Step.ORIGIN)
        list(provenance.upstream(start))
    for value in provenance.values():
        assert len(list(provenance.downstream(value))) <= len(VALUES) + 2
    assert len(list(provenance.job_tree(provenance.execution("-")))) == len(jobs)
