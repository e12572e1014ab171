"""An execution in full: its head, the table of statuses, and the tree of its jobs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from redun.cli.render import words
from redun.cli.render.records import RecordText, indented
from redun.evaluation.status import format_status_table
from redun.provenance import Execution, Provenance, Status
from redun.tags import DOC_KEY

MAX_INDENT = 40
"""Levels that are shown by indentation; below them the depth is told as a number, or deep recursions would print mostly
blanks."""


def execution_lines(provenance: Provenance, text: RecordText, execution: Execution, width: int | None = None) -> Iterator[str]:
    """Yield an execution, its counts and its job tree. Lines come as they are made, so that a pager can begin at once.

    Args:
        width: columns that the table should fit into.
    """
    yield text.execution_line(execution, whole_id=True)
    history = provenance.history(execution)
    end_us = execution.end_us
    if end_us is None:
        end_us = max([job.start_us + max(0, job.duration_us) for job in history.jobs.values()], default=execution.start_us)
    yield f"Duration: {words.duration(end_us - execution.start_us)}"
    for key, doc in provenance.tags.of(execution):
        if key == DOC_KEY:
            yield ""
            yield from indented(str(doc).splitlines())
    yield ""
    by_task: dict[str, Counter[Status | str]] = {}
    totals: Counter[Status] = Counter()
    for record in history.jobs.values():
        status = history.status(record)
        totals[status] += 1
        by_task.setdefault(provenance.task_name(record.task), Counter())[status] += 1
    yield from format_status_table(by_task, execution.start_us / 1e6, width)
    yield ""
    yield _counts_line(totals)
    if history.damaged:
        yield "Part of its journal is damaged, earlier jobs are missing"
    yield "-" * min(80, width or 80)
    for depth, job in provenance.job_tree(execution):
        if depth <= MAX_INDENT:
            yield f"{'  ' * depth}{text.job_line(job)}"
        else:
            yield f"{'  ' * MAX_INDENT}(depth {depth}) {text.job_line(job)}"


def _counts_line(totals: Counter[Status]) -> str:
    parts = [f"{status.name}: {totals[status]}" for status in (Status.DONE, Status.CACHED, Status.FAILED)]
    rare = (Status.CANCELLED, Status.INTERRUPTED)
    parts += [f"{status.name}: {totals[status]}" for status in rare if totals[status]]
    return f"Jobs: {sum(totals.values())} ({', '.join(parts)})"
