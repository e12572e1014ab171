"""What `redun log --output` shows: what jobs have printed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from redun.cli.render import words
from redun.provenance import Call, Execution, Job, NotRecorded, Output, Provenance, Written

if TYPE_CHECKING:
    from redun.cli.render.selection import Filters, LogView


class OutputView:
    """The lines of one `redun log --output`.

    Args:
        view: finds what the user means, and words jobs.
        limit: most outputs to show; None for no limit.
    """

    def __init__(self, view: LogView, as_json: bool, limit: int | None = None) -> None:
        self._view = view
        self._provenance: Provenance = view.provenance
        self._as_json = as_json
        self._limit = limit

    def lines(self, what: str | None, kinds: Sequence[str], filters: Filters) -> Iterator[str]:
        """Return the lines to show. What cannot be found is noticed before the first line.

        Args:
            what: id prefix of a job, call node or execution, `-`, `~N`, or None for all jobs that the filters let through.
            kinds: of things that `what` may be.

        Raises:
            NotRecorded: there is no such thing, or it prints nothing; AmbiguousId: there are several.
        """
        if what is None:
            if not filters.any() and "job" not in kinds:
                raise NotRecorded("--output needs a job or an execution, by the beginning of its id; '-' is the last execution")
            return self._several(self._view.jobs(filters))
        record = self._view.find(what, kinds)
        if isinstance(record, Execution):
            return self._several(sorted(self._provenance.jobs(record), key=lambda job: (job.start_us, job.number)))
        if isinstance(record, Call):
            found = self._provenance.job_of_call(record.id)
            if found is None:
                raise NotRecorded(f"no job of call node {words.short(record.id)} is in the store")
            record = found
        if not isinstance(record, Job):
            raise NotRecorded(f"{what!r} is no job, call node or execution: only these print anything")
        return self._one(record)

    def _one(self, job: Job) -> Iterator[str]:
        output = self._provenance.output(job)
        if self._as_json:
            yield self._json_line(job, output)
        elif output is None:
            yield f"No output of Job {words.short(job.id)} {job.task_name} was kept."
        else:
            if output.job.execution != job.execution:
                yield self._origin(output)
            yield from self._text(output)

    def _several(self, jobs: Iterable[Job]) -> Iterator[str]:
        shown = 0
        for job in jobs:
            if shown == self._limit:
                return
            output = self._provenance.output(job)
            if output is None or (output.job.id != job.id and output.job.execution == job.execution):
                # What it shares with another job is shown there.
                continue
            shown += 1
            if self._as_json:
                yield self._json_line(job, output)
                continue
            if shown > 1:
                yield ""
            yield f"==> {self._view.job_line(job)}"
            if output.job.id != job.id:
                yield self._origin(output)
            yield from self._text(output)
        if not shown and not self._as_json:
            yield "No output was kept."

    def _origin(self, output: Output) -> str:
        ran = output.job
        return f"(cached: printed by Job {words.short(ran.id)} of Execution {words.short(ran.execution)})"

    def _text(self, output: Output) -> Iterator[str]:
        several = len(output.attempts) > 1
        for number, pieces in output.attempts.items():
            if several:
                yield f"-- attempt {number}"
            yield from output_lines(pieces)

    def _json_line(self, job: Job, output: Output | None) -> str:
        from redun.cli.render.as_json import VERSION, dump

        attempts = {} if output is None else output.attempts
        record = {
            "_type": "Output",
            "_version": VERSION,
            "job_id": job.id,
            "execution_id": job.execution,
            "task_name": job.task_name,
            "status": job.status.name,
            "printed_by": None if output is None else output.job.id,
            "stdout": "" if output is None else output.text("stdout"),
            "stderr": "" if output is None else output.text("stderr"),
            "cut": 0 if output is None else sum(piece.cut for piece in output.pieces),
            "attempts": [
                {"attempt": number, "pieces": [_piece(piece) for piece in pieces]} for number, pieces in attempts.items()
            ],
        }
        return dump(record)


def _piece(piece: Written) -> dict[str, Any]:
    return {"cut": piece.cut} if piece.stream == "cut" else {"stream": piece.stream, "text": piece.text}


def output_lines(pieces: Iterable[Written]) -> Iterator[str]:
    """Yield what was written, line by line, without the ends of lines."""
    rest = ""
    for piece in pieces:
        if piece.stream == "cut":
            if rest:
                yield rest
                rest = ""
            yield (
                f"[... {piece.cut:,} characters were not kept ...]"
                if piece.cut
                else "[... it is not in the store any more ...]"
            )
            continue
        *lines, rest = (rest + piece.text).split("\n")
        yield from lines
    if rest:
        yield rest
