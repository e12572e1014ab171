"""How long an earlier run of the same task took, and with what: what an estimate of the rest of a run is made of.

A job's own duration says little: it holds the time in which it waited for a worker, and that of all jobs below it. So the wall clock is
shared out instead: each stretch between two ends of jobs counts for the task of the job that ended then. The sum over all tasks is the
duration of that run, whatever ran beside what.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice

from redun.provenance.history import Head, read_heads, read_record
from redun.records import TaskRecord
from redun.store.errors import RedunError
from redun.store.journal import JobRecord, Status, decode_extra, decode_segment
from redun.store.sources.base import Source

_MOST_LOOKED_AT = 30
_MOST_JOBS = 300_000
_SLICE = 200


@dataclass(slots=True)
class Pace:
    """How an earlier run went.

    Attributes:
        totals: full name of a task -> jobs, cached ones too.
        wall_s: full name of a task -> seconds of the run that went by until one of its jobs ended, on average over those that ran.
    """

    totals: dict[str, int] = field(default_factory=dict)
    wall_s: dict[str, float] = field(default_factory=dict)


def find_pace(source: Source, root_task: str, execution: str) -> Iterator[Pace | None]:
    """Look for the newest run of a task that succeeded and did not take everything from the cache.

    Yields None after each short piece of work, so that the caller can do something else in between; the last one yielded is the
    answer, None if there is none.

    Args:
        root_task: full name.
        execution: UUID of the run that goes on, which does not count.
    """
    started: list[tuple[int, Head]] = []
    heads = iter([head for head in read_heads(source) if head.uuid != execution])
    while some := list(islice(heads, _SLICE)):
        yield None
        for head in some:
            try:
                started.append((read_record(source, head).start_us, head))
            except RedunError:
                continue
    started.sort(key=lambda one: one[0], reverse=True)
    names = _Names(source)
    for start_us, head in started[:_MOST_LOOKED_AT]:
        yield None
        if _succeeded_with(source, head, root_task, names):
            jobs: dict[int, JobRecord] = {}
            for _ in _read_jobs(source, head, jobs):
                yield None
            pace = _pace_of(start_us, list(jobs.values()), names)
            if pace.wall_s:
                yield pace
                return
    yield None


class _Names:
    """Full names of tasks by id."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._known: dict[bytes, str] = {}

    def __call__(self, task: bytes) -> str:
        name = self._known.get(task)
        if name is None:
            try:
                name = TaskRecord.decode(self._source.get(task)).fullname
            except RedunError:
                name = ""
            self._known[task] = name
        return name


def _succeeded_with(source: Source, head: Head, root_task: str, names: _Names) -> bool:
    """Tell whether an execution ended well and its root is a job of that task: its last segment says so."""
    try:
        data = source.get(head.segment)
        ends = [fact for key, fact in decode_extra(data) if key == "end" and isinstance(fact, dict)]
        if not ends or ends[-1].get("status") != Status.DONE:
            return False
        return any(job.parent == 0 and names(job.task) == root_task for job in decode_segment(data).jobs)
    except RedunError:
        return False


def _read_jobs(source: Source, head: Head, jobs: dict[int, JobRecord]) -> Iterator[None]:
    """Collect the jobs of an execution that ended, its newest segments first, one segment at a time."""
    at: bytes | None = head.segment
    try:
        while at is not None and len(jobs) < _MOST_JOBS:
            segment = decode_segment(source.get(at))
            for job in segment.jobs:
                jobs.setdefault(job.number, job)
            at = segment.parent
            yield None
    except RedunError:
        # What lies before a damaged segment is unknown; an estimate can do without.
        return


def _pace_of(start_us: int, jobs: list[JobRecord], names: _Names) -> Pace:
    pace = Pace()
    ran: dict[str, int] = {}
    wall_us: dict[str, int] = {}
    ends = []
    for job in jobs:
        name = names(job.task)
        pace.totals[name] = pace.totals.get(name, 0) + 1
        if job.status is Status.DONE and job.duration_us >= 0:
            ran[name] = ran.get(name, 0) + 1
            ends.append((job.start_us + job.duration_us, name))
    before_us = start_us
    for end_us, name in sorted(ends):
        wall_us[name] = wall_us.get(name, 0) + max(0, end_us - before_us)
        before_us = max(before_us, end_us)
    pace.wall_s = {name: wall_us[name] / count / 1e6 for name, count in ran.items()}
    return pace
