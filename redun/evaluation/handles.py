"""What handles ask of the evaluation of calls: a fork for each call, a new state for each result, the end of abandoned branches.

Calls on one state that is no named fork are told apart by their order in the result that they stand in: arguments before the calls that
use them, first to last. It is read off that result, not off the clock, so the same program makes the same call graph whichever
job is quicker.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from redun.evaluation.handle_states import HandleStates
from redun.expression import ApplyExpression, Expression, SchedulerExpression, TaskExpression
from redun.handle import Handle, merged, origin_id, state_id
from redun.nested import find_expressions, iter_leaves
from redun.value import get_type_registry

if TYPE_CHECKING:
    from redun.evaluation.job import Job
    from redun.evaluation.node import Scope

_GAP = 64
"""As many forks may never have been taken, since an argument of their call failed, before one that was."""

Source = tuple[str, Any]
"""Where an argument came from: ("handle", hash of one that stood in the call) or ("expression", id of the one that gave it)."""


class Uses:
    """The calls in one scope that take handles, in order.

    Attributes:
        calls: source -> ids of the calls that take it, one for each time. places: source, id of a call -> its places in that list, from 1.
        taken: state of a fork -> (id of the call's expression, place among its handles).
        settled: sources of which a call has been made: forks that earlier runs had beyond the calls here are abandoned.
    """

    def __init__(self, scope: Scope) -> None:
        self.calls: dict[Source, list[int]] = {}
        self.places: dict[tuple[Source, int], list[int]] = {}
        self.taken: dict[bytes, tuple[int, int]] = {}
        self.settled: set[Source] = set()
        if scope.job is not None:
            self._read(scope, scope.job.reduction)

    def _read(self, scope: Scope, reduction: Any) -> None:
        """List what each call in a result takes, inputs before what is made of them."""
        stack: list[tuple[Expression[Any], bool]] = [(expr, False) for expr in reversed(find_expressions(reduction))]
        seen: set[int] = set()
        while stack:
            expr, inputs_done = stack.pop()
            expr = scope.canonical(expr)
            if inputs_done:
                self._note(scope, expr)
            elif id(expr) not in seen:
                seen.add(id(expr))
                if isinstance(expr, ApplyExpression):
                    if _is_call(expr):
                        stack.append((expr, True))
                    stack.extend([(part, False) for part in reversed(find_expressions([expr.args, expr.kwargs]))])

    def _note(self, scope: Scope, expr: Any) -> None:
        for leaf in iter_leaves([expr.args, expr.kwargs]):
            for source in _sources(scope, leaf):
                self._add(source, id(expr))

    def _add(self, source: Source, call: int) -> int:
        calls = self.calls.setdefault(source, [])
        calls.append(call)
        self.places.setdefault((source, call), []).append(len(calls))
        return len(calls)

    def order(self, source: Source, call: int, time: int) -> int:
        """Return the number of a call, from 1, among those that take a source; `time` counts how often it has taken it already."""
        places = self.places.get((source, call), ())
        # One that is made while the result is evaluated, by a default argument or a special form, comes last.
        return places[time] if time < len(places) else self._add(source, call)


def _is_call(expr: Any) -> bool:
    return isinstance(expr, TaskExpression) and not isinstance(expr, SchedulerExpression)


def _sources(scope: Scope, leaf: Any) -> list[Source]:
    """List where handles in an argument may come from: an expression itself, and calls and handles that it may merely pass on.

    Operators and special forms (`cond`, an item of a list) may pass on a state that other calls take by another way.
    """
    found: dict[Source, None] = {}
    seen: set[int] = set()
    pending = [leaf]
    while pending:
        at = pending.pop()
        if isinstance(at, Handle):
            found["handle", at.get_hash()] = None
        elif isinstance(at, Expression):
            at = scope.canonical(at)
            if id(at) in seen:
                continue
            passes_on = isinstance(at, ApplyExpression) and not _is_call(at)
            if not seen or not passes_on:
                found["expression", id(at)] = None
            seen.add(id(at))
            if passes_on:
                pending.extend(iter_leaves([at.args, at.kwargs]))
    return list(found)


def _source_of(scope: Scope, leaf: Expression[Any], state: str) -> Source:
    """Return where a handle came from that an expression gave: what passed it on does not count."""
    own: Source = ("expression", id(scope.canonical(leaf)))
    for source in _sources(scope, leaf):
        kind, which = source
        if source == own:
            continue
        if kind == "handle":
            if which == state:
                return source
        elif which in scope.settled:
            values = iter_leaves(scope.settled[which][0])
            if any(isinstance(value, Handle) and value.get_hash() == state for value in values):
                return source
    return own


class Handles:
    """Takes handles into calls and out of them. For the scheduler's thread.

    Args:
        states: the graph of states.

    Attributes:
        job: the job whose arguments were prepared last, if there was a handle among them.
        running: job number -> handles that it was given, while it runs.
    """

    def __init__(self, states: HandleStates) -> None:
        self.states = states
        self.job: Job | None = None
        self.running: dict[int, list[Handle]] = {}
        self._ended: list[Handle] = []
        self._given: list[Handle] = []
        self._merges: list[bytes] = []
        self._merged: set[bytes] = set()
        self._here: set[bytes] = set()
        self._counted: list[tuple[Uses, Source, Handle]] = []
        self._sources: dict[str, Source] = {}
        self._times: dict[Source, int] = {}

    # Arguments.

    def prepare(self, job: Job, args: Iterable[Any]) -> None:
        """Get ready for `take`: find out where each handle among the arguments of a job came from.

        Args:
            args: the arguments before they were evaluated.
        """
        self.job = job
        self._given = []
        self._merges = []
        self._counted = []
        self._times = {}
        sources = self._sources = {}
        scope = job.scope
        for leaf in iter_leaves(list(args)):
            if isinstance(leaf, Handle):
                sources.setdefault(leaf.get_hash(), ("handle", leaf.get_hash()))
            elif isinstance(leaf, Expression):
                for value in iter_leaves(scope.value(leaf)):
                    if isinstance(value, Handle):
                        state = value.get_hash()
                        if state not in sources:
                            sources[state] = _source_of(scope, leaf, state)

    def take(self, job: Job, handle: Handle) -> Any:
        """Return what a handle becomes as an argument of a job: a fork that no other call in the same result has."""
        registry = get_type_registry()
        scope = job.scope
        if scope.job is None:
            return self._taken(handle, registry.preprocess(handle, {"job": job, "call_order": 0}))
        uses = scope.handle_uses
        if uses is None:
            uses = scope.handle_uses = Uses(scope)
        source = self._sources.get(handle.get_hash(), ("handle", handle.get_hash()))
        self._counted.append((uses, source, handle))
        time = self._times.get(source, 0)
        self._times[source] = time + 1
        call = id(job.expr)
        order = uses.order(source, call, time)
        before = b""
        while True:
            fork = registry.preprocess(handle, {"job": job, "call_order": order})
            if not isinstance(fork, Handle):
                return fork
            state = state_id(fork)
            owner = uses.taken.setdefault(state, (call, len(self._given)))
            # A subclass may fork as it likes: if another number gives no other state, so be it.
            if owner == (call, len(self._given)) or state == before:
                return self._taken(handle, fork)
            # The same state came by two ways: the next number that is free.
            before = state
            order += 1

    def _taken(self, handle: Handle, fork: Any) -> Any:
        if isinstance(fork, Handle):
            self._reach(fork, [handle])
            self._given.append(fork)
            self._here.add(state_id(fork))
            while handle.__handle__.fork_parent is not None:
                handle = handle.__handle__.fork_parent
            if state_id(handle) in self._merged:
                self._merges.append(state_id(handle))
        return fork

    def start(self, job: Job) -> None:
        """A job is going to run: what was reached from its arguments in earlier runs is abandoned."""
        self.running[job.number] = self._given
        # A call on a merged state also ends what earlier runs did after merging some of the same branches with others.
        rivals = [rival for merge in self._merges for rival in self.states.rivals(merge) if rival not in self._merged]
        surplus = [state for uses, source, handle in self._counted for state in self._surplus(job, uses, source, handle)]
        abandons = [self.states.branch(state) for state in [*map(state_id, self._given), *rivals, *surplus]]
        if any(abandons):
            self.states.commit()

    def _surplus(self, job: Job, uses: Uses, source: Source, handle: Handle) -> list[bytes]:
        """List forks of a state that are told apart by their order and that earlier results had beyond the calls of this one.

        A call that stood there may be the one that is made now, in another place since a call before it is gone.
        """
        if source in uses.settled:
            return []
        uses.settled.add(source)
        known = self.states.children(state_id(handle)).difference(uses.taken)
        if not known:
            return []
        registry = get_type_registry()
        found: list[bytes] = []
        calls = len(uses.calls.get(source, ()))
        for order in range(calls + 1, calls + len(known) + _GAP):
            fork = registry.preprocess(handle, {"job": job, "call_order": order})
            state = state_id(fork) if isinstance(fork, Handle) else b""
            if state in known and state not in self._here:
                found.append(state)
        return found

    # Results.

    def ended(self, job: Job) -> None:
        """A job has run, well or not. What others have reached from its arguments meanwhile is abandoned: this call came last."""
        self._ended = self.running.pop(job.number, [])
        for given in self._ended:
            self.states.branch(state_id(given))

    def give(self, handle: Handle, facts: dict[str, Any]) -> Any:
        """Return what a handle becomes as a part of the result of the job that has just ended.

        Its state was reached from the handle that the task returned, and from what it was given of the same name: it may return a
        handle made anew, or one whose forks another process has lost sight of.
        """
        reached = get_type_registry().postprocess(handle, facts)
        if isinstance(reached, Handle):
            name = handle.__handle__.fullname
            self._reach(reached, [handle, *[given for given in self._ended if given.__handle__.fullname == name]])
        return reached

    def merge(self, handles: Any) -> Handle:
        """Merge handles into one (`merge_handles`)."""
        given = list(handles) if isinstance(handles, list | tuple | set | frozenset) else [handles]
        one = merged(given)
        if one is not given[0]:
            self._reach(one, given)
            self._merged.add(state_id(one))
        return one

    def _reach(self, handle: Handle, parents: list[Handle]) -> None:
        """Note that a state was reached from others, and these from what they were forked from."""
        chain: list[Handle] = []
        todo = list(parents)
        while todo:
            at = todo.pop()
            chain.append(at)
            if at.__handle__.fork_parent is not None:
                todo.append(at.__handle__.fork_parent)
        for at in reversed(chain):
            before = origin_id(at)
            if before is not None and (at.__handle__.fork_parent is not None or self.states.is_known(before)):
                # A fork holds as long as what it was forked from does: no call lies between them.
                self.states.reach(state_id(at), [before])
            elif not self.states.is_known(state_id(at)):
                self.states.reach(state_id(at), [])
            at.__handle__.is_recorded = True
        self.states.reach(state_id(handle), sorted({state_id(parent) for parent in parents}))
        handle.__handle__.is_recorded = True
