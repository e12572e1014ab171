"""Any sequence of runs, changes of code and failures leaves the outside as a run from scratch would, and runs no more than needed."""

from __future__ import annotations

import contextlib
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from redun import Handle, Scheduler, get_task_registry, merge_handles, task
from redun.store.repository import Store

redun_namespace = "property_handles"

BRANCHES = ("left", "right", "extra")
STEPS = ("setup", *BRANCHES, "end")
Content = dict[str, Any]


class Database(Handle):
    """A dict of tables outside of redun."""

    tables: Content

    def __init__(self, name: str) -> None:
        self.instance = Database.tables


class Broken(Exception):
    """What a step fails with, half-way."""


def workflow(versions: dict[str, int], branches: list[str], named: bool, broken: str | None, done: list[str]) -> Any:
    """A program: setup, then some branches, then end; every step writes its table from what it was given."""

    def step(name: str) -> Any:
        @task(name=name, version=f"{versions[name]}")
        def write(db: Database, *sources: str) -> Database:
            done.append(name)
            tables = Database.tables
            tables[name] = "half written"
            if name == broken:
                raise Broken
            tables[name] = (versions[name], [tables[source] for source in sources])
            return db

        return write

    steps = {name: step(name) for name in STEPS}

    @task(version=f"{branches} {named}")
    def main() -> Any:
        db = steps["setup"](Database("db"))
        parts = [steps[name](db.fork(name) if named else db, "setup") for name in branches]
        return steps["end"](merge_handles(parts), *branches)

    return main()


def from_scratch(versions: dict[str, int], branches: list[str]) -> Content:
    setup: Any = (versions["setup"], [])
    tables = {"setup": setup, **{name: (versions[name], [setup]) for name in branches}}
    return {**tables, "end": (versions["end"], [tables[name] for name in branches])}


class Model:
    """Which steps have to run: what each of them was last made of, and what has been abandoned since."""

    def __init__(self) -> None:
        self.valid: dict[str, Any] = {}
        self.ends: dict[Any, Any] = {}

    def run(self, versions: dict[str, int], branches: list[str], named: bool, broken: str | None) -> tuple[list[str], bool]:
        ran: list[str] = []

        def call(place: str, name: str, made_of: Any, below: list[str]) -> bool:
            if self.valid.get(place) == made_of:
                return True
            ran.append(name)
            beyond = (
                [] if named or place in ("setup", "end") else [f"#{number}" for number in range(len(branches), len(BRANCHES))]
            )
            for other in [place, *below, *beyond]:
                self.valid.pop(other, None)
            if name != broken:
                self.valid[place] = made_of
            return name != broken

        places = {name: name if named else f"#{number}" for number, name in enumerate(branches)}
        every = [*BRANCHES, "#0", "#1", "#2", "end"]
        setup = ("setup", versions["setup"])
        if not call("setup", "setup", setup, every):
            return ran, False
        made = {name: (name, versions[name], setup, places[name]) for name in branches}
        good = [call(places[name], name, made[name], ["end"]) for name in branches]
        if not all(good):
            return ran, False
        return ran, call("end", "end", ("end", versions["end"], [made[name] for name in branches]), [])


version = st.integers(min_value=1, max_value=2)
programs = st.lists(
    st.tuples(
        st.fixed_dictionaries(dict.fromkeys(STEPS, version)),
        st.lists(st.sampled_from(BRANCHES), min_size=2, max_size=3, unique=True),
        st.one_of(st.none(), st.none(), st.sampled_from(STEPS)),
    ),
    min_size=2,
    max_size=7,
)


@pytest.fixture(autouse=True)
def _own_registry() -> Any:
    registry = get_task_registry()
    before = dict(registry._tasks)
    yield
    registry._tasks.clear()
    registry._tasks.update(before)


@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow])
@given(programs, st.booleans(), st.booleans())
def test_the_outside_is_as_after_a_run_from_scratch(programs: list[Any], named: bool, forget: bool) -> None:
    Database.tables = {}
    model = Model()
    with Store.in_memory() as store:
        for versions, branches, broken in programs:
            done: list[str] = []
            failed = False
            try:
                with contextlib.suppress(Broken):
                    failed = True
                    Scheduler(store=store, logger=False).run(workflow(versions, branches, named, broken, done))
                    failed = False
            finally:
                ran, good = model.run(versions, branches, named, broken)
            if good:
                assert not failed
                expected = from_scratch(versions, branches)
                assert {name: Database.tables[name] for name in expected} == expected
                assert sorted(done) == sorted(ran)
            else:
                assert failed
            if forget:
                store.index_source().table("handles").clear()


def test_a_merge_of_fewer_and_again_more_branches() -> None:
    """Found by the test above. A step that moved to an earlier place, and back, ran at the earlier one with other code."""

    def versions(setup: int, extra: int) -> dict[str, int]:
        return {"setup": setup, "left": 1, "right": 1, "extra": extra, "end": 1}

    runs = [
        (versions(1, 1), ["left", "right"], None),
        (versions(2, 1), ["left", "right", "extra"], None),
        (versions(2, 2), ["left", "extra"], None),
        (versions(2, 1), ["left", "right", "extra"], None),
    ]
    test_the_outside_is_as_after_a_run_from_scratch.hypothesis.inner_test(runs, False, False)  # type: ignore[attr-defined]
