"""Executions and jobs read straight from refs and segments."""

from __future__ import annotations

import pytest

from redun.provenance import NotRecorded, Provenance, Status
from redun.store.sources.base import RefUpdate
from tests.unit.provenance.journals import FakeStore, Run, build_compile


class NoIndex(FakeStore):
    def index_source(self):
        raise AssertionError("executions and their jobs need no index")


def test_executions_newest_first_without_an_index() -> None:
    store = NoIndex()
    runs = [build_compile(store, number)[0] for number in (3, 1, 2)]
    found = list(Provenance(store).executions())
    assert [execution.id for execution in found] == [runs[0].id, runs[2].id, runs[1].id]
    assert all(execution.status is Status.DONE for execution in found)
    assert found[0].duration_us == 2_350_000


def test_tree_of_the_newest_without_an_index() -> None:
    store = NoIndex()
    build_compile(store)
    provenance = Provenance(store)
    tree = list(provenance.job_tree(provenance.execution("-")))
    assert [(depth, job.number) for depth, job in tree] == [(0, 1), *zip((1, 2, 2, 2) * 2, range(2, 10), strict=True)]
    assert [job.task_name for _, job in tree[:3]] == ["c.make", "c.make_prog", "c.compile"]


def test_children_are_ordered_by_start_then_number() -> None:
    store = FakeStore()
    run = Run(store, 1)
    task = run.task("w.t", "def t(): pass")
    root = run.job(task, None, status=Status.RUNNING)
    for start in (9, 5, 9, 7):
        run.job(task, None, root, status=Status.RUNNING, start=start)
    run.commit()
    provenance = Provenance(store)
    assert [job.number for _, job in provenance.job_tree(provenance.execution("-"))] == [1, 3, 5, 2, 4]


def test_a_later_record_of_a_job_wins() -> None:
    store = FakeStore()
    run = Run(store, 1)
    task = run.task("w.t", "def t(): pass")
    run.job(task, None, status=Status.RUNNING)
    run.commit()
    run.job(task, run.call(task), number=1)
    run.end()
    provenance = Provenance(store)
    (job,) = provenance.jobs(provenance.execution("-"))
    assert job.status is Status.DONE
    assert job.call is not None
    assert job.duration_us == 500


@pytest.mark.parametrize(("alive", "expected"), [(True, Status.RUNNING), (False, Status.INTERRUPTED)])
def test_an_execution_without_end_runs_or_was_interrupted(alive: bool, expected: Status) -> None:
    store = FakeStore()
    run = Run(store, 1)
    task = run.task("w.t", "def t(): pass")
    root = run.job(task, None, status=Status.RUNNING)
    run.job(task, run.call(task), root)
    run.commit()
    if alive:
        store.alive.add(run.id)
    provenance = Provenance(store)
    execution = provenance.execution("-")
    assert execution.status is expected
    assert execution.duration_us is None
    statuses = {job.number: job.status for job in provenance.jobs(execution)}
    assert statuses == {1: expected, 2: Status.DONE}


def test_a_job_that_still_runs_in_an_ended_execution_was_interrupted() -> None:
    store = FakeStore()
    run = Run(store, 1)
    run.job(run.task("w.t", "def t(): pass"), None, status=Status.RUNNING)
    run.end(Status.FAILED)
    provenance = Provenance(store)
    execution = provenance.execution("-")
    assert execution.status is Status.FAILED
    assert [job.status for job in provenance.jobs(execution)] == [Status.INTERRUPTED]


def test_status_filter_and_prefix() -> None:
    store = FakeStore()
    for number, status in ((1, Status.DONE), (2, Status.FAILED), (0x10, Status.FAILED)):
        run = Run(store, number)
        run.end(status)
    provenance = Provenance(store)
    assert [e.id[:8] for e in provenance.executions({Status.FAILED})] == ["00000010", "00000002"]
    assert [e.id[:8] for e in provenance.executions(prefix="0000000")] == ["00000002", "00000001"]
    assert [e.id[:8] for e in provenance.executions(prefix="00000001-0000")] == ["00000001"]
    assert list(provenance.executions(prefix="xyz")) == []


def test_names_of_recent_executions() -> None:
    store = FakeStore()
    runs = [build_compile(store, number)[0] for number in (1, 2)]
    provenance = Provenance(store)
    assert provenance.execution("~0").id == runs[1].id
    assert provenance.execution("~1").id == runs[0].id
    for name in ("~2", "~x", "~-1", "~"):
        with pytest.raises(NotRecorded):
            provenance.execution(name)


def test_the_newest_of_an_empty_store_is_a_clear_error() -> None:
    with pytest.raises(NotRecorded, match="the store holds 0"):
        Provenance(FakeStore()).execution("-")


def test_a_missing_segment_hides_only_what_is_older() -> None:
    store = FakeStore()
    run = Run(store, 1)
    task = run.task("w.t", "def t(): pass")
    root = run.begin()
    run.job(task, None, root, status=Status.RUNNING)
    run.commit()
    lost = run.head
    run.job(task, run.call(task, (1,)), 2)
    run.end()
    assert lost is not None
    forget(store, lost)
    provenance = Provenance(store)
    execution = provenance.execution("-")
    history = provenance.history(execution)
    assert history.damaged == [lost]
    # Its parent is unknown: it must be shown all the same.
    assert [depth for depth, _ in provenance.job_tree(execution)] == [0]


def test_an_execution_whose_head_is_gone_is_left_out() -> None:
    store = FakeStore()
    run, _ = build_compile(store, 1)
    build_compile(store, 2)
    assert run.head is not None
    forget(store, run.head)
    assert [e.id[:8] for e in Provenance(store).executions()] == ["00000002"]


def test_a_deleted_ref_is_no_execution_any_more() -> None:
    from redun.store.sources.base import Batch

    store = FakeStore()
    run, calls = build_compile(store)
    assert Provenance(store).job_of_call(calls["link"].hex()) is not None
    store.source.commit(Batch(refs=[RefUpdate(f"executions/{run.id}", run.head, None)]))
    provenance = Provenance(store)
    assert list(provenance.executions()) == []
    assert provenance.job_of_call(calls["link"].hex()) is None
    with pytest.raises(NotRecorded):
        provenance.job(run.job_uuid(1))


def forget(store: FakeStore, oid: bytes) -> None:
    """Make an object unreadable, as a collection or damage would."""
    get = store.source.get

    def partial(wanted: bytes) -> bytes:
        from redun.store.errors import ObjectNotFound

        if wanted == oid:
            raise ObjectNotFound(wanted)
        return get(wanted)

    store.source.get = partial  # type: ignore[method-assign]
