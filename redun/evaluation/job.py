"""A job: one evaluation of one call of a task in one execution."""

from __future__ import annotations

import os
from collections.abc import Sequence
from enum import IntEnum
from typing import TYPE_CHECKING, Any, NamedTuple

from redun.evaluation.node import Node, Scope, State
from redun.nested import ATOMS

if TYPE_CHECKING:
    from redun.evaluation.evaluation import Evaluation
    from redun.evaluation.plan import Plan
    from redun.evaluation.recorder import Recorder
    from redun.evaluation.unrecorded import NoRecorder
    from redun.expression import TaskExpression
    from redun.task import Task


class Column(IntEnum):
    """Columns of the status table, and what a job is counted as."""

    PENDING = 0
    RUNNING = 1
    FAILED = 2
    CACHED = 3
    DONE = 4


_random = b""
_random_at = 0


# The bits that make random bytes a version 4 UUID (RFC 9562).
_VERSION = bytes([0x40 | byte & 0x0F for byte in range(256)])
_VARIANT = bytes([0x80 | byte & 0x3F for byte in range(256)])


def new_job_id() -> bytes:
    """Return the 16 bytes of a random UUID, drawn from the system many at a time. Each process draws its own."""
    global _random, _random_at
    if _random_at >= len(_random):
        drawn = bytearray(os.urandom(16 * 256))
        drawn[6::16] = drawn[6::16].translate(_VERSION)
        drawn[8::16] = drawn[8::16].translate(_VARIANT)
        _random = bytes(drawn)
        _random_at = 0
    _random_at += 16
    return _random[_random_at - 16 : _random_at]


def _forget_random() -> None:
    global _random
    _random = b""


# A forked child must not hand out the ids that its parent will.
os.register_at_fork(after_in_child=_forget_random)


class ExecutionFacts(NamedTuple):
    """What a job knows of its execution.

    Attributes:
        id: UUID; empty below `prov=False` on the root.
    """

    id: str


class Job(Node):
    """One evaluation of a task's call.

    Attributes:
        number: place in the order of creation in the execution, from 1.
        job_id: 16 random bytes.
        plan: how calls of this task are run.
        positional, keywords: concrete arguments, defaults filled in.
        arg_refs, kwarg_refs: refs of the arguments as recorded.
        eval_key: 20-byte cache key (the eval hash). key: the same, joined by the context's hash.
        inner: the scope of the expressions in its reduction.
        child_calls: ids of the calls of child jobs. subtree: ids of the tasks called below.
        reduction, reduction_ref: what the function returned, and its ref.
        call: id of the call, once recorded.
        known_call: the call that the cache names for this eval hash.
        recorder: who writes it down; `NoRecorder` below `prov=False`.
        twins: jobs that make an equal call and wait for this one.
        settling: the result is known; it waits for what was begun beside an error that it recovered from.
        at_executor: an executor has it and has not handed it back.
    """

    __slots__ = (
        "arg_refs",
        "at_executor",
        "call",
        "child_calls",
        "column",
        "context",
        "end_us",
        "eval_key",
        "exported",
        "holds_limits",
        "inner",
        "job_id",
        "key",
        "keywords",
        "known_call",
        "known_data",
        "kwarg_refs",
        "lazy_args",
        "number",
        "plan",
        "positional",
        "recorder",
        "reduction",
        "reduction_ref",
        "replayed",
        "result_ref",
        "settling",
        "start_us",
        "subtree",
        "twins",
        "upstreams",
    )

    expr: TaskExpression[Any]

    STATUSES = ("PENDING", "RUNNING", "FAILED", "CACHED", "DONE", "TOTAL")

    def __init__(self, expr: Any, scope: Scope, plan: Plan, number: int, recorder: Recorder | NoRecorder) -> None:
        super().__init__(expr, scope)
        parent = scope.job
        self.number = number
        self.job_id = new_job_id()
        self.plan = plan
        self.positional: tuple[Any, ...] = expr.args
        self.keywords: dict[str, Any] = expr.kwargs
        self.lazy_args = False
        self.arg_refs: list[bytes] = []
        self.kwarg_refs: dict[str, bytes] = {}
        self.eval_key = b""
        self.key = b""
        self.inner: Scope | None = None
        self.child_calls: list[bytes] | None = None
        self.subtree: set[bytes] | None = None
        self.reduction: Any = None
        self.reduction_ref: bytes | None = None
        self.result_ref = b""
        self.call: bytes | None = None
        self.known_call: bytes | None = None
        self.twins: list[Job] | None = None
        self.context: Any = scope.context
        self.exported: dict[str, Any] | None = parent.exported if parent is not None else None
        self.start_us = 0
        self.end_us = 0
        self.replayed = False
        self.holds_limits = False
        self.at_executor = False
        self.column = Column.PENDING
        self.recorder = recorder
        self.upstreams: list[Any] | None = None
        self.known_data: bytes | None = None
        self.settling = False

    @property
    def id(self) -> str:
        """The job's id as a UUID string."""
        digits = self.job_id.hex()
        return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"

    @property
    def short_id(self) -> str:
        """The first 8 digits of the id."""
        return self.job_id[:4].hex()

    @property
    def task(self) -> Task[Any, Any]:
        """The task that is called."""
        return self.plan.task

    @property
    def real(self) -> Job:
        """The job itself, also if this is an attempt at it."""
        return self

    @property
    def attempt_number(self) -> int:
        """Which try at the job this is, from 1."""
        return 1

    @property
    def tells_begin(self) -> bool:
        """Its executor is to say when it begins (`Attempt.begun`)."""
        return False

    @property
    def args(self) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """The arguments to call the task's function with: positional ones and keywords. For executors."""
        return self.positional, self.keywords

    @property
    def eval_hash(self) -> str | None:
        """The cache key of its call in hex digits, None before its arguments are known."""
        return self.eval_key.hex() or None

    @property
    def args_hash(self) -> str | None:
        """The hash of its arguments alone, None before they are known."""
        return self.plan.eval_hash(self.arg_refs, self.kwarg_refs, b"").hex() if self.eval_key else None

    @property
    def was_cached(self) -> bool:
        """True if it took a known result."""
        return self.replayed

    @property
    def task_name(self) -> str:
        """Fullname of the task."""
        return self.plan.fullname

    @property
    def parent_job(self) -> Job | None:
        """The job in whose result this call stands."""
        return self.parent

    @property
    def status(self) -> str:
        """PENDING, RUNNING, FAILED, CACHED or DONE."""
        return self.column.name

    @property
    def execution(self) -> ExecutionFacts:
        """The execution that it is a part of."""
        recorded: Job | None = self
        while recorded is not None and not recorded.recorder.records:
            recorded = recorded.parent
        ref = "" if recorded is None else str(getattr(recorded.recorder, "ref", ""))
        return ExecutionFacts(ref.split("/")[1] if ref else "")

    def recording_provenance(self) -> bool:
        """True unless `prov=False` at or above it keeps it out of the call graph."""
        return self.recorder.records

    def get_export_options(self) -> dict[str, Any]:
        """Return the options that jobs below inherit."""
        return dict(self.exported or {})

    def get_options(self) -> dict[str, Any]:
        """Return the merged options of this job."""
        return dict(self.plan.options)

    def get_raw_options(self) -> dict[str, Any]:
        """Return the merged options; kept for executors that ask for them before expressions in them were evaluated."""
        return self.get_options()

    def get_option(self, key: str, default: Any = None, as_type: type | None = None) -> Any:
        """Return one merged option, converted to a type if one is given."""
        value = self.plan.options.get(key, default)
        return value if as_type is None or value is None else as_type(value)

    def get_limits(self) -> dict[str, int]:
        """Return what of each limited resource it takes while it runs."""
        return dict(self.plan.limits)

    def get_context(self) -> dict[str, Any]:
        """Return the context that `get_context` sees in it."""
        return dict(self.context or {})

    def __repr__(self) -> str:
        return f"Job(id={self.id}, task_name={self.task_name})"

    def count(self, column: Column) -> None:
        """Move the job to another column of its task's row in the status table."""
        counts = self.plan.counts
        counts[self.column] -= 1
        counts[column] += 1
        self.column = column

    def begin(self, run: Evaluation) -> None:
        """Fill in defaults and wait for arguments that are expressions."""
        plan = self.plan
        if plan.has_defaults:
            given = self.keywords
            self.keywords = plan.shape.fill(self.positional, given)
            if plan.context_update:
                from redun.evaluation.defaults import in_context

                self.keywords = in_context(self, given, self.keywords)
        if not self.keywords and ATOMS.issuperset(map(type, self.positional)):
            run.ready_now(self)
            return
        self.lazy_args = run.demand(self, [*self.positional, *self.keywords.values()], self.scope)

    def step(self, run: Evaluation) -> None:
        """Arguments are known: look the call up or run it. Or its reduction is evaluated: finish."""
        if self.state is State.REDUCING:
            run.calls.reduced(self)
        else:
            run.calls.start(self)

    def input_failed(self, run: Evaluation, source: Node) -> None:
        """An input failed: so does the job, unless its result is known already and it only waits for others to end."""
        if self.settling:
            run.input_done(self)
        else:
            run.an_input_failed(self)

    def adopt(self, calls: Sequence[bytes]) -> None:
        """Make calls children of this job's call that were made elsewhere: its result depends on them."""
        self.child_calls = [*(self.child_calls or ()), *calls]
        self.subtree = (self.subtree or set()) | (self.recorder.tasks_of(calls) or set())

    def release(self) -> None:
        """Let go of what only evaluation needed; memory should grow with live jobs, not with all jobs."""
        self.inner = None
        self.inputs = None
        self.inputs_scope = self.scope
        self.reduction = None
        self.waiters = []
        self.twins = None
        self.child_calls = None
