"""The life of a call: from arguments that are known to a result that is recorded.

    start: refs of the arguments, eval hash -> equal call in this execution? -> cached in the store? -> limits -> executor
    completed: what the function returned is its reduction; if it holds expressions they are evaluated first
    finish: the call is recorded, the job and its twins have their value

Every job passes here once, so each step does what it must and no more. More than 500 lines, since the steps share the state of a run and
are only understood one after the other.
"""

from __future__ import annotations

import time
from functools import partial
from typing import TYPE_CHECKING, Any

from redun.context import merge
from redun.errors import EncodeError, RedunError, ValueEncodeError
from redun.evaluation.arguments import Arguments
from redun.evaluation.attempts import Attempt, Attempts
from redun.evaluation.job import Column, Job
from redun.evaluation.node import FINAL, Node, Outcome, Scope, Settled, State
from redun.evaluation.recorder import Recorder
from redun.evaluation.recovery import Recoveries
from redun.evaluation.undecoded import EncodedResult, Undecoded
from redun.nested import ATOMS, holds_expression, leaf_kinds
from redun.records import encode_call
from redun.store.ids import LINK_MARK, link_ref
from redun.store.journal import Upstream
from redun.store.objects import Flag
from redun.task import CacheScope
from redun.value import get_type_registry

if TYPE_CHECKING:
    from redun.evaluation.cache import Cache, Hit
    from redun.evaluation.evaluation import Evaluation
    from redun.evaluation.events import EventLog
    from redun.evaluation.handles import Handles
    from redun.evaluation.limits import Limits
    from redun.evaluation.others import Others
    from redun.evaluation.outputs import Outputs
    from redun.evaluation.plans import Plans
    from redun.evaluation.unrecorded import NoRecorder
    from redun.executors.collection import Executors
    from redun.expression import TaskExpression


_NOTHING: frozenset[bytes] = frozenset()
_PENDING = int(Column.PENDING)


class Calls:
    """Carries calls through their life.

    Args:
        plans: gives the plan of a call.
        cache: looks results up.
        recorder: writes what happened.
        executors: run functions.
        limits: what may run at once.
        log: tells the user.
        use_cache: whether results of earlier executions may be used.

    Attributes:
        caught: ids of the errors that a form has recovered from.
        outputs: keeps what jobs write, None if nothing is to be kept.
        others: knows results of others, None if nobody is to be asked.
        running: jobs that an executor has. in_flight: these and the ones that wait to be handed over or for limits.
    """

    def __init__(
        self,
        plans: Plans,
        cache: Cache,
        recorder: Recorder | NoRecorder,
        executors: Executors,
        limits: Limits,
        log: EventLog,
        use_cache: bool,
    ) -> None:
        self.plans = plans
        self.cache = cache
        self.recorder = recorder
        self.executors = executors
        self.limits = limits
        self.log = log
        self.use_cache = use_cache
        self.running = 0
        self.in_flight = 0
        self.evaluation: Evaluation
        self._unrecorded: NoRecorder | None = None
        self.attempts = Attempts(self)
        self.handles: Handles | None = None
        self.outputs: Outputs | None = None
        self.others: Others | None = None
        self._arguments = Arguments(self.take_handles, lambda job: executors.require(job.plan.executor).takes_names(job))
        self.recoveries = Recoveries(self)
        self._equal: dict[bytes, Job | Settled] = {}
        self._twins: list[Job] = []
        self._to_submit: list[Job] = []
        self._numbers = recorder.first_number
        self.root_job: Job | None = None
        self._origins: dict[int, Node] = {}
        self._errors: list[BaseException] = []
        self.caught: set[int] = set()

    # Making jobs.

    def new_job(self, expr: TaskExpression[Any], scope: Scope) -> Node:
        """Make the node of a task's call."""
        parent = scope.job
        if expr.task_options is None and (parent is None or parent.exported is None):
            plan = self.plans.plain(expr.task)
        elif holds_expression(expr.task_options):
            from redun.evaluation.forms import LazyOptions

            return LazyOptions(expr, scope)
        else:
            plan = self.plans.merged(expr, parent)
        return self.job_with(expr, scope, plan)

    def job_with(self, expr: Any, scope: Scope, plan: Any) -> Job:
        """Make a job whose plan is known."""
        parent = scope.job
        recorder = self.recorder if parent is None else parent.recorder
        # What is not recorded above cannot be below: there would be no call that it belongs to.
        if not plan.records:
            recorder = self._no_recorder()
        self._numbers = number = self._numbers + 1
        job = Job(expr, scope, plan, number, recorder)
        if parent is None and self.root_job is None:
            self.root_job = job
        if expr.export_options or plan.exports_files:
            self.plans.export(job, expr)
        if plan.context_update:
            job.context = merge(job.context or {}, plan.context_update)
        plan.counts[_PENDING] += 1
        recorder.created(job)
        return job

    def _no_recorder(self) -> NoRecorder:
        if self._unrecorded is None:
            from redun.evaluation.unrecorded import NoRecorder

            self._unrecorded = NoRecorder()
        return self._unrecorded

    def take_handles(self) -> Handles:
        """Return what takes handles through calls, made when the first one comes: most runs have none."""
        if self.handles is None:
            from redun.evaluation.handles import Handles

            states = self.evaluation.scheduler.handle_states
            states.begin(self.recorder)
            self.handles = Handles(states)
        return self.handles

    # From arguments to a result.

    def start(self, job: Job) -> None:
        """All arguments are known: find the call's result, or have it run."""
        job.start_us = time.time_ns() // 1000
        try:
            self._arguments.take(job)
            if job.plan.limits:
                self.limits.check(job)
        except Exception as error:
            self.evaluation.fail(job, error)
            return
        plan = job.plan
        if plan.shares:
            known = self._equal.get(job.key)
            if known is not None:
                self._join(job, known)
                return
            self._equal[job.key] = job
        if plan.scope is CacheScope.BACKEND and self.use_cache and job.recorder.records:
            if self._replay(job):
                return
            # States of handles hold only in the store that made them.
            if self.others is not None and not self._takes_handles(job) and self.others.ask(job):
                return
        self.begin(job)

    def _takes_handles(self, job: Job) -> bool:
        """Tell whether the arguments that were taken last are this job's, and hold handles."""
        return self.handles is not None and self.handles.job is job

    def begin(self, job: Job) -> None:
        """No result is known: have the job run."""
        plan = job.plan
        if self.evaluation.dryrun:
            self.cache.explain_miss(job)
            job.count(Column.RUNNING)
            self.log.job("Dryrun", job)
            job.move(State.RUNNING)
            return
        if plan.refusal is not None:
            self.evaluation.fail(job, plan.refusal)
            return
        if self.handles is not None and self.handles.job is job:
            self.handles.start(job)
        self.in_flight += 1
        if not plan.limits or self.limits.take(job):
            self._launch(job)
        else:
            job.move(State.LIMITED)

    def _join(self, job: Job, known: Job | Settled) -> None:
        """An equal call has been made in this execution: share what it gives."""
        if not isinstance(known, Job):
            self._share(job, known)
            return
        job.move(State.TWIN)
        if known.twins is None:
            known.twins = []
        known.twins.append(job)
        self._twins.append(job)

    def _share(self, job: Job, known: Settled) -> None:
        job.replayed = True
        if isinstance(known, Outcome) and known.error is not None:
            job.call = known.call
            self.evaluation.fail(job, known.error)
            return
        self.log.cached(job)
        self._settle(job, State.CACHED, known)

    def _replay(self, job: Job) -> bool:
        """Take the result of an earlier execution, if there is a valid one."""
        hit = self.cache.lookup(job)
        if hit is None:
            return False
        job.replayed = True
        job.known_call, job.known_data = hit.call, hit.call_data
        self.log.cached(job)
        if hit.ultimate is not None:
            assert hit.call is not None
            assert hit.call_data is not None
            job.recorder.was_read(hit.call, hit.call_data)
            self.take_whole(job, hit)
            return True
        if hit.ref[0] == LINK_MARK:
            # Where it is an argument next it need not be hashed: that it is what its id says was seen when it was read.
            job.recorder.encoder.remember(hit.value, hit.ref, hit.flags, len(hit.data))
            if hit.flags & Flag.EXPRESSION:
                job.recorder.needs_object(hit.ref[1:], hit.data)
        if hit.call is not None and hit.call_data is not None and hit.flags & Flag.EXPRESSION:
            job.recorder.needs_object(hit.call, hit.call_data)
        self.reduce(job, hit.value, hit.ref, hit.flags)
        return True

    def take_whole(self, job: Job, hit: Hit) -> None:
        """Take a call as it is, with all below it."""
        call = hit.ultimate
        assert call is not None
        job.reduction_ref, job.result_ref = call.reduction, call.result
        self._end(job, State.CACHED, hit.value, hit.call, frozenset(call.tasks))

    def _launch(self, job: Job) -> None:
        job.move(State.RUNNING)
        job.at_executor = True
        job.holds_limits = bool(job.plan.limits)
        job.count(Column.RUNNING)
        self.log.run(job)
        self._to_submit.append(job if job.plan.life is None else self.attempts.begin(job))

    def submit(self) -> None:
        """Hand the jobs that have come up to their executors, in one go; put what was not found in the store to others."""
        if self.others is not None:
            self.others.submit()
        jobs = self._to_submit
        if jobs:
            self._to_submit = []
            self.running += len(jobs)
            # A job may take the process down with it: its line must be out by then.
            self.log.flush()
            self.executors.submit(jobs)

    def grow_after_s(self) -> float | None:
        """Seconds after which executors want to be asked to grow, or None."""
        return self.executors.grow_after_s() if self.running else None

    def grow(self) -> None:
        """Nothing came back for a while: let executors start more workers."""
        self.executors.grow()

    def drop_waiting(self) -> None:
        """Take back the jobs that no executor has begun: the run has failed."""
        self.attempts.close()
        self._to_submit.clear()
        if self.others is not None:
            self.others.drop()
        self.limits.drop_waiting()
        self.running -= len(self.executors.drop_waiting())

    def record_outputs(self) -> None:
        """The run ends: what jobs have written that were stopped, or left behind, goes into the journal."""
        if self.outputs is not None:
            self.outputs.record_all()

    # From a function's result to the call's.

    def completed(self, job: Job, ok: bool, result: Any) -> None:
        """An executor hands a job back.

        Args:
            result: what the function returned, or its exception.
        """
        if self.outputs is not None and self.outputs.kept:
            self.outputs.record(job)
        if type(job) is Attempt:
            self.attempts.completed(job, ok, result)
            return
        if not job.at_executor:
            # An executor of somebody's own that hands a job back twice: the first time counts.
            return
        self.give_up(job)
        if self.handles is not None:
            self.handles.ended(job)
        if job.state >= FINAL:
            return
        if not ok:
            self.evaluation.fail(job, result)
            return
        if type(result) is EncodedResult:
            self._take_encoded(job, result)
        else:
            self._take_result(job, result)

    def give_up(self, job: Job) -> None:
        """A job is not at its executor any more: others may have what it took."""
        job.at_executor = False
        self.running -= 1
        self.in_flight -= 1
        if job.holds_limits:
            job.holds_limits = False
            self.admit(job)

    def admit(self, job: Job) -> None:
        """Let jobs run that have waited for the limits that a job held."""
        for admitted in self.limits.release(job):
            self._launch(admitted)

    def again(self, job: Job) -> None:
        """Have a job run once more, in state LIMITED."""
        self.in_flight += 1
        if not job.plan.limits or self.limits.take(job):
            self._launch(job)

    def _take_encoded(self, job: Job, result: EncodedResult) -> None:
        """A worker process has encoded the result: take that over, unless the value has to be looked into."""
        if result.text:
            # The worker has looked into it, and put it into the store.
            read = partial(result.decode, self.cache.source)
            named = Undecoded(result.ref, result.flags, result.text, read, job.recorder.encoder)
            for oid in result.stored:
                job.recorder.needs_value(link_ref(oid), named)
            self.reduce(job, named, result.ref, result.flags)
            return
        try:
            apart = result.objects or result.ref[0] == LINK_MARK
            value = result.decode(self.cache.source) if apart else self.cache.decoder.decode(result.ref)
        except RedunError as error:
            self.evaluation.fail(job, error)
            return
        registry = get_type_registry()
        if result.flags & Flag.EXPRESSION or (
            type(value) not in ATOMS and any(map(registry.has_postprocess, leaf_kinds(value)))
        ):
            self._take_result(job, value)
            return
        for oid, data in result.objects.items():
            job.recorder.put(oid, data)
        for oid in result.stored:
            job.recorder.needs_value(link_ref(oid), value)
        self.reduce(job, value, result.ref, result.flags)

    def _take_result(self, job: Job, result: Any) -> None:
        try:
            result = self._postprocess(job, result)
            ref = job.recorder.encoder.encode(result)
        except EncodeError as error:
            self.evaluation.fail(
                job, ValueEncodeError(f"the result of {job.plan.fullname} (job {job.short_id}) cannot be recorded: {error}")
            )
            return
        except Exception as error:
            self.evaluation.fail(job, error)
            return
        flags = job.recorder.encoder.flags
        if ref[0] == LINK_MARK:
            job.recorder.needs_value(ref, result)
        if flags & Flag.EXPRESSION:
            # Known from now on, whatever becomes of the subtree: a killed run goes on below it, not above.
            job.recorder.reduction(job, ref)
            aliases = job.recorder.encoder.aliases
            if aliases is not None:
                # The encoder has just found out which expressions are equal: they are one from here on.
                job.inner = job.inner or Scope(job, job.context)
                job.inner.aliases = aliases
        self.reduce(job, result, ref, flags)

    def _postprocess(self, job: Job, result: Any) -> Any:
        if type(result) in ATOMS:
            return result
        registry = get_type_registry()
        if not any(map(registry.has_postprocess, leaf_kinds(result))):
            return result
        from redun.handle import Handle
        from redun.nested import map_leaves

        counter = iter(range(1 << 62))

        def finish(leaf: Any) -> Any:
            if not registry.has_postprocess(type(leaf)):
                return leaf
            facts = {"job": job, "pre_call_hash": job.eval_key.hex(), "call_order": next(counter)}
            return self.take_handles().give(leaf, facts) if isinstance(leaf, Handle) else registry.postprocess(leaf, facts)

        return map_leaves(finish, result)

    def reduce(self, job: Job, value: Any, ref: bytes, flags: int) -> None:
        """A call's reduction is known: evaluate the expressions in it, or finish."""
        job.reduction_ref = ref
        if not flags & Flag.EXPRESSION:
            job.result_ref = ref
            self._finish(job, value)
            return
        job.reduction = value
        if job.inner is None:
            job.inner = Scope(job, job.context)
        job.count(Column.RUNNING)
        job.move(State.REDUCING)
        self.evaluation.demand(job, [value], job.inner)

    def reduced(self, job: Job) -> None:
        """All expressions in a job's reduction have values: its result is known."""
        scope = job.inner
        assert scope is not None
        if scope.failed:
            job.settling = True
            if self.evaluation.demand_rest(job, scope):
                return
        try:
            value = scope.named(job.reduction)
        except RedunError as error:
            self.evaluation.fail(job, error)
            return
        calls = scope.calls(job.reduction)
        if calls:
            job.upstreams = [*(job.upstreams or ()), Upstream(None, calls)]
        try:
            job.result_ref = ref = value.ref if type(value) is Undecoded else job.recorder.encoder.encode(value)
        except EncodeError as error:
            self.evaluation.fail(job, ValueEncodeError(f"the result of {job.plan.fullname} cannot be recorded: {error}"))
            return
        if ref[0] == LINK_MARK:
            job.recorder.needs_value(ref, value)
        self._finish(job, value)

    def _finish(self, job: Job, value: Any) -> None:
        subtree = frozenset(job.subtree) if job.subtree else _NOTHING
        call = self._record_call(job, job.result_ref, subtree, False)
        self._end(job, State.CACHED if job.replayed else State.DONE, value, call, subtree)

    def _record_call(self, job: Job, result_ref: bytes, subtree: frozenset[bytes], failed: bool) -> bytes | None:
        """Have the call's object written, unless it is the one that the cache named."""
        recorder = job.recorder
        if not recorder.records:
            return None
        if job.known_call is not None and job.inner is None and not failed:
            assert job.known_data is not None
            recorder.was_read(job.known_call, job.known_data)
            return job.known_call
        reduction = job.reduction_ref
        call, data = encode_call(
            job.plan.task_id,
            job.arg_refs,
            job.kwarg_refs.items(),
            None if reduction == result_ref else reduction,
            result_ref,
            job.child_calls or (),
            subtree,
            failed,
        )
        if call == job.known_call:
            recorder.needs_object(call, data)
        else:
            recorder.put(call, data)
            if not failed:
                recorder.memo(job, call, reduction or result_ref)
        return call

    def _end(self, job: Job, state: State, value: Any, call: bytes | None, subtree: frozenset[bytes]) -> None:
        """Give a job its value, keep it for equal calls, and give it to those that have been waiting."""
        outcome = Outcome(value, call, None, subtree) if subtree else (value, call)
        self._settle(job, state, outcome)
        if job.plan.shares:
            self._remember(job, outcome)
        job.release()

    def _remember(self, job: Job, outcome: Settled) -> None:
        self._equal[job.key] = outcome
        for twin in job.twins or ():
            if twin.state is State.TWIN:
                self._share(twin, outcome)

    def _settle(self, job: Job, state: State, outcome: Settled) -> None:
        """Give a job its value, and its parent what it needs to know of it."""
        job.end_us = time.time_ns() // 1000
        job.call = outcome[1]
        job.move(state)
        job.count(Column.CACHED if state is State.CACHED else Column.DONE)
        self._tell_parent(job, job.call, outcome.subtree if isinstance(outcome, Outcome) else _NOTHING)
        job.recorder.finished(job)
        if type(outcome[0]) is Undecoded:
            job.scope.lazy = True
        self.evaluation.settle(job, outcome)

    def _tell_parent(self, job: Job, call: bytes | None, subtree: frozenset[bytes]) -> None:
        parent = job.scope.job
        if parent is None or job.scope.forked:
            return
        if call is not None:
            if parent.child_calls is None:
                parent.child_calls = []
            parent.child_calls.append(call)
        if parent.subtree is None:
            parent.subtree = set()
        parent.subtree.add(job.plan.task_id)
        if subtree:
            parent.subtree |= subtree

    # Failure.

    def fail(self, job: Job, error: BaseException) -> None:
        """Record that a job failed; `Evaluation.fail` tells those who wait for it.

        A job whose argument failed never began: it is neither recorded nor counted as failed.
        """
        if not job.start_us:
            job.move(State.FAILED)
            job.recorder.dropped(job)
            return
        job.count(Column.FAILED)
        self.note_origin(job, error)
        job.end_us = time.time_ns() // 1000
        knows_arguments = bool(job.eval_key)
        if knows_arguments and job.call is None:
            from redun.evaluation.failure import ErrorValue

            told = ErrorValue(error)
            job.result_ref = job.recorder.encoder.encode(told)
            if job.result_ref[0] == LINK_MARK:
                job.recorder.needs_value(job.result_ref, told)
            if job.calls is not None:
                # Through a child: what was made beside or after it is chance, and no part of the call.
                job.child_calls = list(job.calls)
                job.subtree = job.recorder.tasks_of(job.calls) or set()
            job.call = self._record_call(job, job.result_ref, frozenset(job.subtree or ()), True)
        job.calls = (*job.scope.all_calls([*job.expr.args, *job.expr.kwargs.values()]), *((job.call,) if job.call else ()))
        job.move(State.FAILED)
        job.error = error
        self.log.rejected(job)
        self._tell_parent(job, job.call, frozenset(job.subtree or ()))
        job.recorder.finished(job)
        if knows_arguments and self._equal.get(job.key) is job:
            self._remember(job, Outcome(None, job.call, error, _NOTHING))

    def note_origin(self, node: Node, error: BaseException) -> None:
        """Remember where an error came up first."""
        if id(error) not in self._origins:
            self._origins[id(error)] = node
            self._errors.append(error)
            if isinstance(node, Job):
                self.evaluation.count_failure(error)

    def uncaught(self, error: BaseException) -> list[tuple[Job, BaseException]]:
        """List the jobs that failed beside the error that a run ended with, and why."""
        found = []
        for other in self._errors:
            job = self._origins[id(other)]
            if (
                other is not error
                and id(other) not in self.caught
                and isinstance(job, Job)
                and (job.parent is None or job.parent.state is State.FAILED)
            ):
                found.append((job, other))
        return found

    def origin(self, error: BaseException) -> Node | None:
        """Return the node where an error came up first."""
        return self._origins.get(id(error))

    def any_twin(self) -> Job | None:
        """Return a job that waits for an equal call in flight, if there is any."""
        self._twins = [job for job in self._twins if job.state is State.TWIN]
        return self._twins[0] if self._twins else None
