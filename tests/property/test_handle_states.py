"""The graph of states against its definition, for two runs that interleave on one store, and for readers that come later."""

from __future__ import annotations

import itertools
import time
import uuid
from typing import Any

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from redun.evaluation.handle_states import HandleStates
from redun.evaluation.recorder import Recorder
from redun.records import ExecutionRecord
from redun.store.journal import HandleEvent
from redun.store.repository import Store

STATES = [bytes([number]) * 20 for number in range(7)]


def is_valid(events: list[HandleEvent], state: bytes) -> bool:
    """The definition: reached after the last branching before it, and so are all that it was reached from."""
    parents: dict[bytes, set[bytes]] = {}
    reached: dict[bytes, int] = {}
    branched: dict[bytes, int] = {}
    for place, event in enumerate(events):
        if event.parents is None:
            branched[event.state] = place
        else:
            parents.setdefault(event.state, set()).update(event.parents)
            reached[event.state] = place
    before: set[bytes] = set()
    pending = [state]
    while pending:
        for parent in parents.get(pending.pop(), ()):
            if parent not in before:
                before.add(parent)
                pending.append(parent)
    if state not in reached or any(branched.get(one, -1) > reached[state] for one in before):
        return False
    return all(is_valid(events, parent) for parent in parents[state])


class Run:
    """One run: its states, and its events that are not committed."""

    def __init__(self, store: Store) -> None:
        self.recorder = Recorder(store.source, ExecutionRecord(uuid.uuid4().bytes, ["test"], time.time_ns() // 1000))
        self.events: list[HandleEvent] = []
        keep = self.recorder.handle

        def handle(event: HandleEvent) -> None:
            self.events.append(event)
            keep(event)

        self.recorder.handle = handle  # type: ignore[method-assign]
        self.recorder.commit()
        self.states = HandleStates(store)
        self.states.begin(self.recorder)

    def do(self, what: str, place: int, seeds: list[int]) -> None:
        state = STATES[place]
        if what == "reach":
            self.states.reach(state, sorted({STATES[seed % place] for seed in seeds} if place else ()))
        elif what == "branch":
            self.states.branch(state)

    def commit(self) -> list[HandleEvent]:
        self.recorder.commit()
        events, self.events = self.events, []
        return events


steps = st.lists(
    st.tuples(
        st.integers(0, 1),
        st.sampled_from(["reach", "reach", "reach", "branch", "commit", "ask", "restart", "forget"]),
        st.integers(0, len(STATES) - 1),
        st.lists(st.integers(0, 20), min_size=1, max_size=2),
    ),
    max_size=40,
)


@settings(deadline=None, max_examples=150, suppress_health_check=[HealthCheck.too_slow])
@example([(0, "reach", 0, [0]), (0, "restart", 0, [0]), (0, "forget", 0, [0]), (0, "ask", 0, [0])])
@example([(0, "reach", 0, [0]), (0, "restart", 0, [0]), (0, "reach", 1, [0]), (0, "forget", 0, [0]), (0, "ask", 0, [0])])
@given(steps)
def test_every_view_is_the_definition(program: list[Any]) -> None:
    with Store.in_memory() as store:
        committed: list[HandleEvent] = []
        runs = [Run(store), Run(store)]
        for who, what, place, seeds in program:
            run = runs[who]
            if what == "commit":
                committed += run.commit()
            elif what == "restart":
                committed += run.commit()
                run.states.end()
                runs[who] = Run(store)
            elif what == "forget":
                store.index_source().table("handles").clear()
            elif what == "ask":
                seen = [*committed, *run.events]
                assert [run.states.is_valid(state) for state in STATES] == [is_valid(seen, state) for state in STATES]
            else:
                run.do(what, place, seeds)
        for run in runs:
            committed += run.commit()
            run.states.end()
        expected = [is_valid(committed, state) for state in STATES]
        assert [runs[0].states.is_valid(state) for state in STATES] == expected
        assert [HandleStates(store).is_valid(state) for state in STATES] == expected
        store.index_source().table("handles").clear()
        assert [HandleStates(store).is_valid(state) for state in STATES] == expected


def test_a_long_chain_needs_no_stack() -> None:
    with Store.in_memory() as store:
        run = Run(store)
        chain = [number.to_bytes(20, "big") for number in range(20_000)]
        run.states.reach(chain[0], [])
        for before, state in itertools.pairwise(chain):
            run.states.reach(state, [before])
        assert run.states.is_valid(chain[-1])
        run.commit()
        run.states.end()
        later = Run(store)
        assert later.states.is_valid(chain[-1])
        assert later.states.branch(chain[0])
        assert not later.states.is_valid(chain[-1])
