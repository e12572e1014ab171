"""When a run will end: from how an earlier one went, mended by how this one goes."""

from __future__ import annotations

from collections.abc import Mapping

from redun.evaluation.job import Column
from redun.provenance.pace import Pace

_ENOUGH_JOBS = 10
_ENOUGH_S = 5.0
_TRUSTED_SHARE = 0.1
_MOST_APART = 10.0


def expected_jobs(counts: Mapping[str, tuple[int, ...]], pace: Pace | None) -> int | None:
    """Return how many jobs there will be if it goes as it went, None if nothing is known of earlier runs."""
    if pace is None:
        return None
    return sum([max(sum(counts.get(name, ())), pace.totals.get(name, 0)) for name in {*counts, *pace.totals}])


def seconds_left(counts: Mapping[str, tuple[int, ...]], elapsed_s: float, pace: Pace | None) -> float | None:
    """Return how long the rest of a run may take, None if nobody can tell.

    Without an earlier run the jobs that are known now are taken to come at the rate of those that have ended.
    """
    ended = sum([row[Column.FAILED] + row[Column.CACHED] + row[Column.DONE] for row in counts.values()])
    known = sum(map(sum, counts.values()))
    if pace is None:
        ran = sum([row[Column.FAILED] + row[Column.DONE] for row in counts.values()])
        if ran < _ENOUGH_JOBS or elapsed_s < _ENOUGH_S:
            return None
        return elapsed_s / ran * (known - ended)
    usual_s = sum(pace.wall_s.values()) / len(pace.wall_s)
    passed_s = left_s = 0.0
    for name in {*counts, *pace.totals}:
        row = counts.get(name, (0,) * len(Column))
        each_s = pace.wall_s.get(name, usual_s if name not in pace.totals else 0.0)
        there = max(sum(row), pace.totals.get(name, 0))
        passed_s += each_s * (row[Column.FAILED] + row[Column.DONE])
        left_s += each_s * max(0, there - row[Column.FAILED] - row[Column.CACHED] - row[Column.DONE])
    if passed_s > _TRUSTED_SHARE * (passed_s + left_s):
        left_s *= min(_MOST_APART, max(1 / _MOST_APART, elapsed_s / passed_s))
    else:
        # Nothing has ended for long: what has gone by is part of what was to come.
        left_s = max(0.0, left_s + passed_s - elapsed_s)
    return left_s
