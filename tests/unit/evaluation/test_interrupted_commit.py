"""Ctrl-C in the middle of a commit: before or after its segment is written, the end of the run is recorded."""

from __future__ import annotations

from threading import Event
from typing import Any

import pytest

from redun import Scheduler, task
from redun.provenance import Provenance, Status
from redun.store.repository import Store

redun_namespace = "interrupted"

COMMITTED = Event()


@task()
def waiting(x: int) -> int:
    COMMITTED.wait()
    return x


@task()
def main(x: int) -> int:
    return waiting(x)


@pytest.mark.parametrize("written", [False, True])
def test_an_interrupted_commit_does_not_lose_the_end(monkeypatch: pytest.MonkeyPatch, written: bool) -> None:
    COMMITTED.clear()
    store = Store.in_memory()
    commit = store.source.commit
    count = 0

    def interrupted(batch: Any) -> None:
        nonlocal count
        count += 1
        if count != 2:
            commit(batch)
            return
        # The one that comes while the job waits.
        if written:
            commit(batch)
        COMMITTED.set()
        raise KeyboardInterrupt

    monkeypatch.setattr(store.source, "commit", interrupted)
    with pytest.raises(KeyboardInterrupt):
        Scheduler(store=store, logger=False).run(main(1))
    provenance = Provenance(store)
    [execution] = provenance.executions()
    assert execution.status is Status.CANCELLED
    assert [job.task_name for _, job in provenance.job_tree(execution)] == ["interrupted.main", "interrupted.waiting"]
    assert Scheduler(store=store, logger=False).run(main(2)) == 2
