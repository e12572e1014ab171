"""How many jobs are sent at a time, and when more workers pay."""

from __future__ import annotations

from itertools import repeat

import pytest

from redun.executors import pace
from redun.executors.pace import Pace


@pytest.fixture
def known(monkeypatch: pytest.MonkeyPatch) -> Pace:
    monkeypatch.setattr(pace.os, "cpu_count", lambda: 2)
    known = Pace()
    known.started(0.1)
    known.started(0.02)
    known.ran("quick", 2**-13, 2**-13)
    known.ran("waits", 0.01, 0.0005)
    known.ran("computes", 0.01, 0.0099)
    return known


def test_quick_jobs_go_together_and_others_alone(known: Pace) -> None:
    assert known.batch_size(repeat("quick"), 1000) == 16
    assert known.batch_size(repeat("quick"), 7) == 7
    assert known.batch_size(repeat("waits"), 1000) == 1
    assert known.batch_size(repeat("never seen"), 1000) == 1


def test_one_slow_run_counts_for_long(known: Pace) -> None:
    known.ran("quick", 0.001, 0.001)
    known.ran("quick", 0.0001, 0.0001)
    assert known.batch_size(repeat("quick"), 1000) == 2


def test_more_workers_pay_while_much_waits_that_does_not_compute(known: Pace) -> None:
    assert known.pays("waits", waiting=2000, workers=2)
    assert known.pays("waits", waiting=2000, workers=16)
    assert not known.pays("waits", waiting=2000, workers=64)
    assert not known.pays("waits", waiting=3, workers=2)


def test_more_workers_do_not_pay_for_what_computes_or_is_unknown(known: Pace) -> None:
    assert not known.pays("computes", waiting=2000, workers=2)
    assert not known.pays("never seen", waiting=2000, workers=2)


def test_silence_as_long_as_a_start_is_enough_for_any(known: Pace) -> None:
    assert known.patience_s() == 0.02
    assert 0 < Pace().patience_s() < 0.02
