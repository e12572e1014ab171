"""Each kind of record as text: in one line for lists, and in full."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice

from redun.cli.render import words
from redun.cli.render.flow import MAX_SECTIONS, flow_lines
from redun.cli.render.job_output import output_lines
from redun.provenance import Argument, Call, Candidate, Execution, FileUse, Job, NotRecorded, Provenance, Status, Task, Value
from redun.traceback_lines import HEADING

OUTPUT_LINES = 20
_FAILED = (Status.FAILED, Status.CANCELLED, Status.INTERRUPTED)

LISTED = 10
"""How many related records a full view names before it only counts."""


def indented(lines: Iterable[str], by: int = 2) -> Iterator[str]:
    """Yield lines moved to the right; blank ones stay blank."""
    margin = " " * by
    for line in lines:
        yield margin + line if line else line


class RecordText:
    """Lines of records of one store.

    Args:
        detail: show everything, however long.
    """

    def __init__(self, provenance: Provenance, detail: bool = False) -> None:
        self._provenance = provenance
        self._max_sections = 1 << 62 if detail else MAX_SECTIONS

    # -- one line each

    def job_line(self, job: Job, whole_id: bool = False) -> str:
        """`Job 88d2ff3c [ DONE ] 2026-11-21 07:52:50:  ns.main(greet='Hi')`."""
        arguments = self._provenance.arguments(job)
        inside = "..." if arguments is None else self._arguments(arguments)
        name = job.id if whole_id else job.id[:8]
        call = f"{job.task_name}({inside}){self.tags(job)}"
        return f"Job {name} {words.label(job.status)} {words.local_time(job.start_us)}:  {call}"

    def execution_line(self, execution: Execution, whole_id: bool = False) -> str:
        """`Exec 88d2ff3c [ DONE ] 2026-11-21 07:52:50:  run flow.py main (user=me)`."""
        return words.execution_line(execution, self._provenance.tags.of(execution), whole_id)

    def tags(self, record: Execution | Job | Call | Task | Value | FileUse) -> str:
        """` (key=value, ...)`, empty if a record has no tags."""
        return words.tags(self._provenance.tags.of(record))

    def call_line(self, call: Call) -> str:
        """`CallNode 6188527b ns.greeter`."""
        return f"CallNode {words.short(call.id)} {call.task_name}{self.tags(call)}"

    def task_line(self, task: Task) -> str:
        """`Task bc98d85b ns.greeter`."""
        return f"Task {words.short(task.hash)} {task.fullname}{self.tags(task)}"

    def value_line(self, value: Value) -> str:
        """`Value 58dc3a20 builtins.str 'World'`."""
        text = words.clip(self._provenance.text(value))
        return f"Value {words.short(value.id)} {self._provenance.type_name(value)} {text}{self.tags(value)}"

    def file_line(self, use: FileUse) -> str:
        """`File 2b6a7ce0 2026-11-21 11:41:42 rw lib.o`."""
        return f"File {words.short(use.value.id)} {words.local_time(use.time_us)} {use.mode} {use.path}{self.tags(use)}"

    def candidate_line(self, candidate: Candidate) -> str:
        """A line that tells what an ambiguous id may mean: kind, whole id, and what helps to recognise it."""
        kind, found = candidate.kind, candidate.id
        try:
            if kind == "execution":
                return self.execution_line(self._provenance.execution(found), whole_id=True)
            if kind == "job":
                return self.job_line(self._provenance.job(found), whole_id=True)
            if kind == "call":
                return f"CallNode {found} {self._provenance.call(found).task_name}"
            if kind == "task":
                return f"Task {found} {self._provenance.task(found).fullname}"
            value = self._provenance.value(found)
            return f"Value {found} {self._provenance.type_name(value)} {words.clip(self._provenance.text(value), 80)}"
        except NotRecorded:
            return f"{kind.capitalize()} {found}"

    def _arguments(self, arguments: tuple[Argument, ...]) -> str:
        texts = [words.clip(self._provenance.text(argument.value)) for argument in arguments]
        return words.clip(words.argument_list(arguments, texts), words.CALL_MAX)

    # -- in full

    def job(self, job: Job) -> Iterator[str]:
        """Yield a job's way back to its execution, its call, task, dataflow and error."""
        yield self.job_line(job, whole_id=True)
        yield self._traceback(job)
        if job.duration_us is not None and job.status is not Status.CACHED:
            yield f"Duration: {words.duration(job.duration_us)}"
        for attempt in self._provenance.attempts(job):
            told = f": {words.clip(attempt.error, words.CALL_MAX)}" if attempt.error is not None else ""
            yield f"Attempt {attempt.number}: {attempt.status.name} in {words.duration(attempt.duration_us)}{told}"
        yield ""
        call = self._provenance.get_call(job.call) if job.call is not None else None
        if call is None:
            reason = (
                "Job has not finished or has been killed." if job.call is None else f"{job.call} is not in the store any more."
            )
            yield f"  CallNode UNKNOWN: {reason}"
        else:
            yield from indented(self._call_head(call))
        yield ""
        yield from indented(self._task_of(job.task_hash))
        if call is not None:
            yield from indented(self._flow("result", call.result, job))
            yield from indented(self._error(call))
        yield from indented(self._output(job))

    def _traceback(self, job: Job) -> str:
        path = self._provenance.ancestors(job)
        parts = [f"Exec {words.short(job.execution)}"]
        hidden = len(path) - 2
        if hidden > 0:
            parts.append(f"({hidden:,} Job{'s' if hidden > 1 else ''})")
        parts += [f"Job {words.short(above.id)} {words.bare_name(above.task_name)}" for above in path[-2:]]
        return f"Traceback: {' > '.join(parts)}"

    def _output(self, job: Job) -> Iterator[str]:
        """Yield the end of what a failed job has printed, and that there is output of others."""
        output = self._provenance.output(job)
        if output is None:
            return
        see = f"redun log --output {words.short(job.id)}"
        yield ""
        if job.status not in _FAILED:
            yield f"Output: {see}"
            return
        lines = list(output_lines(output.pieces))
        more = len(lines) - OUTPUT_LINES
        yield f"Output (last {OUTPUT_LINES} of {len(lines):,} lines, {see} shows more):" if more > 0 else "Output:"
        yield from indented([words.clip(line, words.CALL_MAX) for line in lines[-OUTPUT_LINES:]])

    def _call_head(self, call: Call) -> Iterator[str]:
        yield f"CallNode {call.id} {call.task_name}{self.tags(call)}"
        yield f"  Args:   {self._arguments(call.arguments)}".rstrip()
        failure = self._provenance.failure(call)
        if failure is not None:
            yield f"  Raised: {words.clip(failure.summary, words.CALL_MAX)}"
        else:
            heading = "Raised" if call.failed else "Result"
            yield f"  {heading}: {words.clip(self._provenance.text(call.result), words.CALL_MAX)}"

    def _task_of(self, task_hash: str) -> Iterator[str]:
        try:
            task = self._provenance.get_task(task_hash)
        except NotRecorded:
            yield f"Task {task_hash} is not in the store any more"
            yield ""
            return
        yield f"Task {task.hash} {task.fullname}{self.tags(task)}"
        yield ""
        yield from self._source(task)
        yield ""

    def _source(self, task: Task) -> Iterator[str]:
        if task.version is not None:
            yield f"  # version {task.version!r}"
        if task.source is None:
            yield "  # its source was not recorded"
        else:
            yield from indented(task.source.rstrip("\n").split("\n"))
        yield ""

    def _flow(self, name: str, value: Value, of: Job | Call | Value) -> Iterator[str]:
        yield "Upstream dataflow:"
        yield ""
        yield f"  {name} = {words.clip(self._provenance.text(value), words.CALL_MAX)}"
        yield ""
        known = False
        for line in flow_lines(self._provenance, self._provenance.dataflow(of), self._max_sections):
            known = True
            yield f"  {line}" if line else line
        if not known:
            yield f"  {name} <-- origin"
            yield ""

    def _error(self, call: Call) -> Iterator[str]:
        failure = self._provenance.failure(call)
        if failure is None:
            return
        yield "Traceback:"
        # Records of earlier versions have a heading of their own.
        yield from failure.traceback[1:] if failure.traceback[:1] == (HEADING,) else failure.traceback
        name = failure.type_name.rpartition(".")[2]
        if not any(name in line for line in failure.traceback):
            yield failure.summary

    def call(self, call: Call) -> Iterator[str]:
        """Yield a call's arguments and result, the calls around it, its jobs, task, dataflow and error."""
        yield from self._call_head(call)
        parents = self._provenance.parents_of_call(call.id)
        yield from self._calls("Parent CallNodes", parents)
        yield from self._calls("Child CallNodes", list(call.children))
        yield from self._jobs(self._provenance.jobs_of_call(call.id))
        yield ""
        yield from self._task_of(call.task_hash)
        yield from self._flow("result", call.result, call)
        yield from self._error(call)

    def _calls(self, heading: str, calls: list[str]) -> Iterator[str]:
        if not calls:
            return
        yield f"  {heading}:"
        for call_id in calls[:LISTED]:
            call = self._provenance.get_call(call_id)
            yield (
                f"    {self.call_line(call)}" if call is not None else f"    CallNode {words.short(call_id)} (not in the store)"
            )
        if len(calls) > LISTED:
            yield f"    ... and {len(calls) - LISTED:,} more"

    def _jobs(self, jobs: Iterator[Job]) -> Iterator[str]:
        shown = list(islice(jobs, LISTED + 1))
        if not shown:
            return
        yield "  Jobs:"
        yield from [f"    {self.job_line(job)}" for job in shown[:LISTED]]
        if len(shown) > LISTED:
            yield "    ... and more"

    def task(self, task: Task) -> Iterator[str]:
        """Yield a task's source as it was, and the jobs that it had."""
        yield f"Task {task.hash} {task.fullname}{self.tags(task)}"
        yield from self._jobs(self._provenance.jobs_of_task(task.hash))
        yield ""
        yield from self._source(task)

    def value(self, value: Value) -> Iterator[str]:
        """Yield a value's type and repr, the calls that made and used it, the files in it, and its dataflow."""
        yield f"Value {value.id} {self._provenance.type_name(value)}{self.tags(value)}"
        yield words.clip(self._provenance.text(value), 20_000 if self._max_sections > MAX_SECTIONS else 2 * words.CALL_MAX)
        yield ""
        inside = self._provenance.subvalues(value)
        if inside:
            yield "  Holds:"
            for _, part in inside[:LISTED]:
                yield f"    {self.value_line(part)}"
            if len(inside) > LISTED:
                yield f"    ... and {len(inside) - LISTED:,} more"
        yield from self._calls("Produced by", self._provenance.producing(value))
        yield from self._calls("Consumed by", self._provenance.consuming(value))
        yield ""
        yield from self._flow("value", value, value)

    def file(self, use: FileUse) -> Iterator[str]:
        """Yield the job that produced a file (or used it last, if none did), with its dataflow."""
        kind = self._provenance.type_name(use.value).rpartition(".")[2]
        yield f"{'File' if kind.endswith('File') else kind} {words.short(use.value.id)} {use.path}{self.tags(use)}"
        call_id = self._provenance.producer(use.value)
        heading = "Produced by"
        if call_id is None:
            call_id = self._provenance.consumer(use.value)
            heading = "Consumed by"
        job = self._provenance.job_of_call(call_id) if call_id is not None else None
        if job is None:
            yield "no job that used it is in the store any more"
            return
        yield f"{heading} Job {words.short(job.id)}"
        yield ""
        yield from indented(self.job(job))
