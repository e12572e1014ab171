"""What opening a store costs does not depend on what is in it."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

from redun import Scheduler, task
from redun.store.repository import Store


@task(namespace="opening")
def same(x: int) -> int:
    return x


def run(folder: Path, number: int) -> None:
    with Store.open(folder) as store:
        for x in range(number):
            Scheduler(store=store, logger=False).run(same(x))


def calls(work: Callable[[Path], None], folder: Path) -> int:
    """Return how many functions of Python and of C are called."""
    count = 0

    def note(frame: FrameType, event: str, argument: Any) -> None:
        nonlocal count
        count += event in ("call", "c_call")

    sys.setprofile(note)
    try:
        work(folder)
    finally:
        sys.setprofile(None)
    return count


def test_opening_and_a_replay_cost_the_same_with_many_executions(tmp_path: Path) -> None:
    few, many = tmp_path / "few", tmp_path / "many"
    run(few, 3)
    run(many, 300)
    for work in (lambda folder: Store.open(folder).close(), lambda folder: run(folder, 1)):
        work(few)
        found = [calls(work, folder) for folder in (few, many)]
        # A tree that is one page deeper, at most.
        assert abs(found[0] - found[1]) < 0.05 * found[0], found
