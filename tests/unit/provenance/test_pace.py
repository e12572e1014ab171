"""What an earlier run says of the pace of one that goes on."""

from __future__ import annotations

from collections import deque

import pytest

from redun import Scheduler, task
from redun.provenance import Provenance
from redun.provenance.pace import Pace, find_pace

redun_namespace = "pace"


@task()
def leaf(n: int) -> int:
    if n < 0:
        raise ValueError(n)
    return n


@task()
def fan(n: int) -> list[int]:
    return [leaf(i) for i in range(n)]


@task()
def other() -> int:
    return leaf(-1)


def look(scheduler: Scheduler, root_task: str, execution: str = "") -> Pace | None:
    scheduler.store.source.refresh()
    return deque(find_pace(scheduler.store.source, root_task, execution), maxlen=1).pop()


def test_counts_and_shares_of_the_wall_clock() -> None:
    scheduler = Scheduler(logger=False)
    assert look(scheduler, "pace.fan") is None
    scheduler.run(fan(5))
    found = look(scheduler, "pace.fan")
    assert found is not None
    assert found.totals == {"pace.fan": 1, "pace.leaf": 5}
    assert found.wall_s.keys() == {"pace.fan", "pace.leaf"}
    (execution,) = Provenance(scheduler.store).executions()
    assert execution.duration_us is not None
    total_s = found.wall_s["pace.fan"] + 5 * found.wall_s["pace.leaf"]
    assert 0 < total_s <= execution.duration_us / 1e6


def test_the_newest_one_that_ran_and_went_well() -> None:
    scheduler = Scheduler(logger=False)
    scheduler.run(fan(3))
    scheduler.run(fan(7))
    # All of it from the cache: it says nothing of how long anything takes.
    scheduler.run(fan(7))
    with pytest.raises(ValueError, match="-1"):
        scheduler.run(other())
    found = look(scheduler, "pace.fan")
    assert found is not None
    assert found.totals["pace.leaf"] == 7
    assert look(scheduler, "pace.other") is None
    newest = next(one.id for one in Provenance(scheduler.store).executions() if one.status.name == "DONE")
    assert look(scheduler, "pace.fan", execution=newest) is not None
