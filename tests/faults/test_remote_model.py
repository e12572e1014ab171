"""The rules of a remote in random interleavings (`remote_model`): a few thousand here, a million in `make faults`.

That the model notices is shown, too: with each rule taken away, some interleaving loses something.
"""

from __future__ import annotations

import os
from collections.abc import Callable

import pytest

from redun.store.remote import gc_plan, rules

from .remote_model import Faults, World

# ROUNDS of `make faults` is 300.
RUNS = int(os.environ.get("REDUN_FAULT_ROUNDS", "1")) * 3334
_MOST = 12_000


def grace(seed: int) -> int | None:
    """Every fourth collector is impatient."""
    return 0 if seed % 4 == 3 else None


def test_nothing_is_lost_and_nothing_is_doubled() -> None:
    reads = written = collected = 0
    for seed in range(RUNS):
        world = World(seed, grace(seed)).run()
        reads += world.reads
        written += len(world.shelf.log)
        collected += sum(len(entry.dropped) for entry in world.shelf.log)
    # The model does something: entries are written, packs dropped, and readers come to an end.
    assert written > 3 * RUNS
    assert collected > RUNS
    assert reads > RUNS / 4


def test_with_many_faults() -> None:
    for seed in range(RUNS // 4):
        World(10_000_000 + seed, grace(seed), Faults(0.25, 0.25, 0.1, 0.1)).run()


def _everything_fits(*known: object) -> str:
    return ""


def _without_looking_at_garbage(shares: dict[str, float], outside: object, homes: object) -> set[str]:
    return {name for name, share in shares.items() if share >= rules.ALIVE_SHARE}


def _as_if_nothing_came(self: gc_plan.Plan, packs: dict[str, int], roots: object) -> None:
    self._packs.update(packs)
    self.keep.update(packs)


@pytest.mark.parametrize(
    ("place", "name", "weaker"),
    [
        (rules, "outdated", _everything_fits),
        (gc_plan, "packs_to_keep", _without_looking_at_garbage),
        (gc_plan.Plan, "take_in", _as_if_nothing_came),
        (gc_plan.Plan, "restated", lambda self: {}),
    ],
)
def test_each_rule_is_needed(monkeypatch: pytest.MonkeyPatch, place: object, name: str, weaker: Callable[..., object]) -> None:
    monkeypatch.setattr(place, name, weaker)
    for seed in range(_MOST):
        try:
            World(seed, grace(seed)).run()
        except AssertionError:
            return
    pytest.fail(f"{_MOST:,} interleavings went well without {name}")
