"""The table of jobs by task and status."""

from __future__ import annotations

import time

from redun.evaluation.status import format_status_table
from redun.provenance import Status

WHEN = time.mktime((2026, 11, 21, 7, 23, 15, 0, 0, -1))


def test_layout() -> None:
    counts = {"ns.get_planet": {Status.CACHED: 1}, "ns.main": {"DONE": 1}, "ns.greeter": {Status.DONE: 1}}
    assert format_status_table(counts, WHEN) == [
        "| JOB STATUS 2026/11/21 07:23:15",
        "| TASK          PENDING RUNNING  FAILED  CACHED    DONE   TOTAL",
        "| ",
        "| ALL                 0       0       0       1       2       3",
        "| ns.get_planet       0       0       0       1       0       1",
        "| ns.greeter          0       0       0       0       1       1",
        "| ns.main             0       0       0       0       1       1",
    ]


def test_no_jobs_at_all() -> None:
    assert format_status_table({}, WHEN)[1:] == [
        "| TASK    PENDING RUNNING  FAILED  CACHED    DONE   TOTAL",
        "| ",
        "| ALL           0       0       0       0       0       0",
    ]


def test_rare_states_get_a_column_only_when_they_occur() -> None:
    lines = format_status_table({"t": {Status.INTERRUPTED: 2, Status.DONE: 1234567}}, WHEN)
    assert lines[1].split() == ["|", "TASK", "PENDING", "RUNNING", "FAILED", "CACHED", "DONE", "INTERRUPTED", "TOTAL"]
    assert lines[-1].split() == ["|", "t", "0", "0", "0", "0", "1234567", "2", "1234569"]
    assert len({len(line) for line in lines[3:]} | {len(lines[1])}) == 1
