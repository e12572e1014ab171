"""One run of the reducer: the only loop there is.

Expressions become nodes, nodes wait for one another by counters, and what can go on stands in a queue. Nothing recurses, so a chain of
100,000 lazy calls and a recursion 10,000 jobs deep are ordinary. All of this happens on one thread; executors hand results back through
one queue.

A value with a million expressions is not turned into nodes at once: a *walk* names the inputs of a node a few at a time, only while fewer
than `WINDOW` jobs are in flight, the newest walk first. So subtrees finish, and are released, before new ones are begun.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import suppress
from itertools import islice
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any

from redun.encoding import value_id
from redun.errors import CircularCall, DryRunResult, InternalError, RedunError, SchedulerError
from redun.evaluation.defaults import Default, DefaultExpression
from redun.evaluation.job import Job, new_job_id
from redun.evaluation.node import FINAL, Known, Node, Operation, Refused, Root, Scope, Settled, State
from redun.evaluation.waiting import Waiting
from redun.expression import Expression, SchedulerExpression, SimpleExpression, TaskExpression, ValueExpression
from redun.nested import find_expressions

if TYPE_CHECKING:
    from redun.evaluation.calls import Calls
    from redun.evaluation.status import StatusClock
    from redun.evaluation.threads import Forked
    from redun.promise import Promise
    from redun.threads import Thread

WINDOW = 2000
"""Jobs that may be in flight before walks pause."""

_CHUNK = 64
_BURST = 512

Completion = tuple[Job, bool, Any]
"""What an executor hands back: the job, whether it succeeded, and its result or error."""

Walk = tuple[Node, Scope, Iterator[Expression[Any]]]


class Evaluation:
    """The state of one run.

    Args:
        calls: the life of calls: cache, executors, recording.
        scheduler: what user-written special forms get to see.
        dryrun: stop, with a report, where jobs would run.
        context: what `get_context` sees at the root.

    Attributes:
        keep_going: when a job has failed, do everything that does not depend on it before the run fails.
        max_failures: end the run after so many failed jobs, None for any number.
    """

    def __init__(self, calls: Calls, scheduler: Any, dryrun: bool = False, context: dict[str, Any] | None = None) -> None:
        self.calls = calls
        self.scheduler = scheduler
        self.root_scope = Scope(None, context)
        self.dryrun = dryrun
        self.context = context
        self.keep_going = False
        self.max_failures: int | None = None
        self._failed_jobs = 0
        self._too_many: BaseException | None = None
        self.completions: SimpleQueue[Any] = SimpleQueue()
        self._waiting = Waiting()
        self._ready: deque[Node] = deque()
        self._failures: deque[tuple[Node, Node]] = deque()
        self._walks: list[Walk] = []
        self.threads: dict[str, Forked] = {}
        self._threads_by_value: dict[bytes, Forked] = {}
        self._threads_known = 0
        self.threads_running = 0
        self.status_clock: StatusClock | None = None

    # What nodes call.

    def demand(self, node: Node, values: Sequence[Any], scope: Scope) -> bool:
        """Let a node wait for every expression in nested values; False if there was none and it is ready."""
        expressions = find_expressions(values)
        if not expressions:
            self.ready_now(node)
            return False
        if node.state is not State.REDUCING:
            node.move(State.WAITING)
        # One more than there are inputs known: the walk itself, which lets go when it is through.
        node.missing = 1
        node.inputs = expressions
        node.inputs_scope = scope
        node.cursor = -1
        self._walks.append((node, scope, iter(expressions)))
        return True

    def forget_demand(self, node: Node) -> None:
        """Let a node demand anew after a failure: the walk over what it had demanded may not have ended, and would count as input."""
        self._walks[:] = [walk for walk in self._walks if walk[0] is not node]

    def ready_now(self, node: Node) -> None:
        """Put a node into the queue of those that can go on."""
        if node.state is not State.REDUCING:
            node.move(State.READY)
        self._ready.append(node)

    def succeed(self, node: Node, value: Any) -> None:
        """Give a node its value."""
        if node.state < FINAL:
            node.move(State.DONE)
        self.settle(node, (value, node.calls))

    def settle(self, node: Node, outcome: Settled) -> None:
        """Tell what a node came to; it is in a final state. Jobs come here through `Calls`."""
        scope, key = node.scope, id(node.expr)
        scope.settled[key] = outcome
        scope.nodes.pop(key, None)
        waiters = node.waiters
        if waiters:
            node.waiters = []
            for waiter in waiters:
                self.input_done(waiter)

    def fail(self, node: Node, error: BaseException) -> None:
        """Fail a node; its waiters hear of it in their turn."""
        if node.state >= FINAL:
            return
        if isinstance(node, Job):
            self.calls.fail(node, error)
        else:
            if node.calls is None:
                # It failed by itself: all its inputs have values.
                node.calls = node.inputs_scope.all_calls(node.inputs or [])
            node.move(State.FAILED)
        self.failed(node, error)

    def failed(self, node: Node, error: BaseException) -> None:
        """Tell the waiters of a node in state FAILED."""
        node.error = error
        node.scope.failed = True
        self.calls.note_origin(node, error)
        self._failures.extend([(waiter, node) for waiter in node.waiters])
        node.waiters = []

    def become(self, node: Node, value: Any) -> None:
        """Give a node a value that may hold expressions: they are evaluated first, in the node's scope."""
        if find_expressions(value):
            node.scope.keep.append(value)
            node.value = value
            node.move(State.REDUCING)
            self.demand(node, [value], node.scope)
        else:
            self.succeed(node, value)

    def input_done(self, waiter: Node) -> None:
        """One input less to wait for."""
        waiter.missing -= 1
        if waiter.missing == 0:
            if waiter.state >= FINAL:
                return
            if waiter.cursor >= 0:
                # Only with `keep_going` does a node get here that has failed inputs.
                self.look_for_error(waiter)
            else:
                self.ready_now(waiter)
        elif waiter.cursor >= 0 and waiter.state < FINAL and not self.keep_going:
            self.look_for_error(waiter)

    def an_input_failed(self, node: Node) -> None:
        """A node fails as soon as the error that counts is known; with `keep_going`, when all its inputs have an outcome."""
        if self.keep_going:
            node.cursor = max(node.cursor, 0)
            self.input_done(node)
        else:
            self.look_for_error(node)

    def count_failure(self, error: BaseException) -> None:
        """A job has failed by itself: enough of them end the run."""
        self._failed_jobs += 1
        if self.max_failures is not None and self._failed_jobs >= self.max_failures and self._too_many is None:
            self._too_many = error

    def look_for_error(self, node: Node) -> None:
        """Fail a node some of whose inputs have failed, once all inputs before the first of these have values.

        Which input fails first in time is chance; which comes first in the program is not.
        """
        scope, inputs = node.inputs_scope, node.inputs or []
        at = max(node.cursor, 0)
        while at < len(inputs):
            expr = scope.canonical(inputs[at])
            if id(expr) not in scope.settled:
                break
            at += 1
        node.cursor = at
        source = scope.nodes.get(id(expr)) if at < len(inputs) else None
        if source is not None and source.state is State.FAILED:
            node.failed_by(self, source)

    def calls_before(self, node: Node, source: Node) -> tuple[bytes, ...]:
        """List the calls that had to be made before a node failed through one of its inputs, in program order."""
        before = node.inputs_scope.all_calls((node.inputs or [])[: node.cursor])
        return (*before, *(source.calls or ()))

    def demand_rest(self, job: Job, scope: Scope) -> bool:
        """Let a job wait for whatever in its scope has no outcome yet; False if there is nothing.

        A job that has recovered from an error knows its result before the expressions beside the failed one are through. Its call
        names them as children, so it must not end before them.
        """
        rest: list[Any] = [node.expr for node in scope.nodes.values() if node.state < FINAL]
        for expressions in scope.abandoned:
            rest.extend(expressions)
        scope.abandoned = []
        for walk in [walk for walk in self._walks if walk[1] is scope and walk[0].state >= FINAL]:
            self._walks.remove(walk)
            rest.extend(walk[2])
        return self.demand(job, rest, scope) if rest else False

    def promise(self, expr: Any, parent: Job | None) -> Promise[Any]:
        """Evaluate an expression on behalf of a job, for a special form: a promise of its value."""
        if parent is None:
            scope = self.root_scope
        elif parent.state in (State.RUNNING, State.REDUCING):
            if parent.inner is None:
                parent.inner = Scope(parent, parent.context)
            scope = parent.inner
        else:
            raise SchedulerError(
                f"job {parent.short_id} of {parent.task_name} is not being evaluated: nothing can be added to it"
            )
        from redun.evaluation.promised import Awaited

        awaited = Awaited(expr, scope)
        awaited.begin(self)
        return awaited.promise

    def new_thread(self, forked: Forked) -> str:
        """Note a thread; return the id by which `join_thread` finds it."""
        # Unique beyond this run: a thread may be an argument of a sub-run in this process, which has threads of its own.
        thread_id = new_job_id().hex()
        self.threads[thread_id] = forked
        self.threads_running += 1
        return thread_id

    def find_thread(self, thread: Thread[Any]) -> Forked | None:
        """Return what a thread evaluates; for one that was read from the store, an equal one that was begun in this run."""
        found = self.threads.get(thread.thread_id)
        if found is None and self.threads:
            from redun.threads import Thread

            for forked in list(self.threads.values())[self._threads_known :]:
                with suppress(RedunError):
                    # What cannot be encoded was not read from the store.
                    self._threads_by_value.setdefault(value_id(Thread(forked.expr)), forked)
            self._threads_known = len(self.threads)
            found = self._threads_by_value.get(value_id(thread))
        return found

    # Expressions become nodes.

    def _walk(self) -> None:
        """Name a few more inputs of the node whose walk is the newest."""
        walk = self._walks.pop()
        waiter, scope, expressions = walk
        place = len(self._walks)
        if waiter.state >= FINAL:
            scope.abandoned.append(expressions)
            return
        for expr in islice(expressions, _CHUNK):
            self._input(waiter, scope, expr)
            if len(self._walks) != place:
                break
        else:
            # islice cannot tell whether it ended by itself; the next turn will.
            following = next(expressions, None)
            if following is None:
                self.input_done(waiter)
                return
            self._input(waiter, scope, following)
        self._walks.insert(place, walk)

    def _input(self, waiter: Node, scope: Scope, expr: Expression[Any]) -> None:
        if scope.aliases is not None:
            expr = scope.canonical(expr)
        key = id(expr)
        if key in scope.settled:
            return
        node = scope.nodes.get(key)
        if node is None:
            node = self._new_node(expr, scope)
            scope.nodes[key] = node
            node.waiters.append(waiter)
            waiter.missing += 1
            node.begin(self)
        elif node.state is State.FAILED or node.state is State.CANCELLED:
            waiter.missing += 1
            self._failures.append((waiter, node))
        else:
            node.waiters.append(waiter)
            waiter.missing += 1

    def _new_node(self, expr: Expression[Any], scope: Scope) -> Node:
        kind = type(expr)
        if kind is TaskExpression:
            try:
                return self.calls.new_job(expr, scope)  # type: ignore[arg-type]
            except Exception as error:
                # An option that cannot work, an executor that is not there: the call fails like any other.
                return Refused(expr, scope, error)
        if kind is SimpleExpression:
            return Operation(expr, scope)
        if kind is SchedulerExpression:
            return self._new_form(expr, scope)  # type: ignore[arg-type]
        if kind is ValueExpression:
            return Known(expr, scope)
        if kind is DefaultExpression:
            return Default(expr, scope)
        raise InternalError(f"expression of type {kind.__qualname__!r} cannot be evaluated")

    def _new_form(self, expr: SchedulerExpression[Any], scope: Scope) -> Node:
        from redun.evaluation.forms import form_for

        return form_for(expr, scope)

    # The loop.

    def run(self, expr: Any) -> Root:
        """Evaluate an expression to the end.

        Returns:
            The root node, in state DONE or FAILED.
        """
        root = Root(expr, self.root_scope)
        root.begin(self)
        while not self._is_over(root):
            busy = self._burst()
            self.calls.submit()
            received = self._receive()
            self.calls.recorder.tick()
            received = self.calls.attempts.tick() or received
            if self._too_many is not None and root.state < FINAL:
                root.move(State.FAILED)
                root.error = self._too_many
                break
            if not (busy or received or self._is_over(root)) and not self._wait(root):
                break
        return root

    def _is_over(self, root: Node) -> bool:
        """A run that failed is over at once. One that succeeded when all that it began has ended: threads, and what stands beside errors
        that were recovered from. Else what the next run finds would depend on how quick this one was.
        """
        if root.state < FINAL or root.error is not None:
            return root.state >= FINAL
        calls = self.calls
        return not (
            self._ready
            or self._walks
            or self._failures
            or self.threads_running
            or calls.running
            or calls.attempts.will_retry()
            or not self.completions.empty()
        )

    def finish_running(self) -> None:
        """Wait for the jobs that are running and record what they give; start nothing new."""
        calls = self.calls
        self._drop_what_follows()
        calls.drop_waiting()
        calls.log.flush()
        while calls.running:
            try:
                self._take(self.completions.get(timeout=_sooner(calls.grow_after_s(), calls.attempts.next_s())))
            except Empty:
                calls.grow()
            calls.attempts.tick()
            self._drop_what_follows()

    def take_finished(self) -> None:
        """Keep what has been handed back, but not been looked at, when a run is interrupted."""
        self._drop_what_follows()
        self.calls.attempts.close()
        try:
            while True:
                taken = self.completions.get_nowait()
                for completion in taken if type(taken) is list else [taken]:
                    if type(completion) is tuple and completion[1]:
                        self.calls.completed(*completion)
                        self._drop_what_follows()
        except Empty:
            return

    def _drop_what_follows(self) -> None:
        """What follows from a result is not pursued in a failed run: only the result itself is kept."""
        self._walks.clear()
        self._ready.clear()
        self._failures.clear()

    def _burst(self) -> bool:
        """Let nodes go on for a while; True if there may be more to do."""
        ready, walks, failures, calls = self._ready, self._walks, self._failures, self.calls
        for _ in range(_BURST):
            if failures:
                waiter, source = failures.popleft()
                if waiter.state < FINAL:
                    waiter.input_failed(self, source)
            elif ready:
                node = ready.popleft()
                if node.state < FINAL:
                    node.step(self)
            elif walks and calls.in_flight < WINDOW:
                self._walk()
            else:
                return False
        return True

    def _receive(self) -> bool:
        """Take what executors have handed back by now."""
        received = False
        try:
            while True:
                self._take(self.completions.get_nowait())
                received = True
        except Empty:
            return received

    def _take(self, completion: Any) -> None:
        if type(completion) is tuple:
            self.calls.completed(*completion)
        elif type(completion) is list:
            # As many as were there at once.
            for one in completion:
                self._take(one)
        elif completion is not None:
            # A request of an async task.
            completion(self)

    def _wait(self, root: Node) -> bool:
        """Nothing can go on: wait for an executor. False if nothing ever will (a dry run's end)."""
        calls = self.calls
        calls.log.flush()
        if calls.running == 0 and self.completions.empty() and not calls.attempts.is_waiting():
            if self.dryrun:
                if root.state < FINAL:
                    root.move(State.FAILED)
                root.error = DryRunResult("dry run: additional jobs would run")
                return False
            self._break_circle()
            return True
        timeout_s = _sooner(calls.recorder.before_wait(), calls.attempts.next_s())
        if self.status_clock is not None:
            timeout_s = self.status_clock.tick(timeout_s)
        completion = self._waiting.get(self.completions, timeout_s, calls.grow_after_s())
        calls.recorder.after_wait()
        if self._waiting.wants_workers:
            calls.grow()
        self._take(completion)
        return True

    def _break_circle(self) -> None:
        """Everything waits for everything: some call waits, through others, for an equal call."""
        job = self.calls.any_twin()
        if job is None:
            raise InternalError(
                "evaluation cannot go on, though nothing is running: the promise of a special form was never settled, or an input was lost"
            )
        self.fail(
            job,
            CircularCall(
                f"{job.plan.fullname} calls itself with the same arguments, directly or through others: the recursion never ends"
            ),
        )


def _sooner(one_s: float | None, other_s: float | None) -> float | None:
    return one_s if other_s is None else other_s if one_s is None else min(one_s, other_s)
