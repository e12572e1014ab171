"""Nodes: expressions while they are being evaluated, and the states that they go through.

A node waits for a number of inputs (other nodes), then takes a step, then has an outcome that its waiters hear of. Calls of tasks are
`redun.evaluation.job.Job`, lazy operators `Operation`, special forms live in `redun.evaluation.forms`. The scheduler's loop is the only
one that moves nodes.

    NEW ──> WAITING ──> READY ──> LIMITED ──> RUNNING ──> REDUCING ──> DONE
                          │  └───────────────────┘  ^          │  └──> FAILED
                          │     (no limits)         │          └──> CACHED
                          │         (tried again: RUNNING ──> LIMITED)
                          ├──> REDUCING (replayed) ─┘
                          ├──> TWIN (an equal call is in flight) ──> CACHED | FAILED
                          └──> CACHED | DONE | FAILED
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import IntEnum
from typing import TYPE_CHECKING, Any, NamedTuple

from redun.errors import InternalError
from redun.evaluation.undecoded import Undecoded, decoded
from redun.expression import ApplyExpression, Expression, SimpleExpression, get_lazy_operation
from redun.nested import ATOMS, find_expressions, map_leaves

if TYPE_CHECKING:
    from redun.evaluation.evaluation import Evaluation
    from redun.evaluation.job import Job


class State(IntEnum):
    """Where a node stands."""

    NEW = 0
    WAITING = 1
    READY = 2
    LIMITED = 3
    RUNNING = 4
    REDUCING = 5
    TWIN = 6
    DONE = 7
    CACHED = 8
    FAILED = 9
    CANCELLED = 10


FINAL = State.DONE  # this state and all after it are final

_END = frozenset((State.DONE, State.CACHED, State.FAILED, State.CANCELLED))
TRANSITIONS: dict[State, frozenset[State]] = {
    State.NEW: frozenset((State.WAITING, State.READY)) | _END,
    State.WAITING: frozenset((State.READY, State.FAILED, State.CANCELLED)),
    State.READY: frozenset((State.WAITING, State.LIMITED, State.RUNNING, State.REDUCING, State.TWIN)) | _END,
    State.LIMITED: frozenset((State.RUNNING, State.FAILED, State.CANCELLED)),
    State.RUNNING: frozenset((State.REDUCING, State.LIMITED)) | _END,
    State.REDUCING: frozenset((State.REDUCING,)) | _END,
    State.TWIN: frozenset((State.CACHED, State.FAILED, State.CANCELLED)),
    State.DONE: frozenset(),
    State.CACHED: frozenset(),
    State.FAILED: frozenset(),
    State.CANCELLED: frozenset(),
}
_UNKNOWN: tuple[None, tuple[bytes, ...]] = (None, ())
_LEGAL = frozenset((before, after) for before, afters in TRANSITIONS.items() for after in afters)


Settled = tuple[Any, Any] | tuple[Any, Any, Any, Any]
"""What an expression came to: its value, and from what it derives: the id of its own call, a tuple of ids of calls, or None for what its
inputs derive from. Of calls with a longer story it is an `Outcome`. Millions of these live at once, hence no class of its own."""


class Outcome(NamedTuple):
    """What a call came to that failed, or called others.

    Attributes:
        value: of one that has not failed.
        call: its id, None if it is not recorded.
        error: of one that failed.
        subtree: ids of the tasks called below it.
    """

    value: Any
    call: bytes | None
    error: BaseException | None
    subtree: frozenset[bytes]


class Scope:
    """The expressions that are evaluated on behalf of one job, each exactly once.

    An expression is known by the `id` of its object, so everything here must stay alive as long as the scope: results of tasks and
    arguments are held by their jobs, what comes up on the way is put into `keep`.

    Attributes:
        job: the job, None for the root of a run.
        context: what `get_context` sees in it, and what jobs in it inherit.
        nodes: id of an expression -> its node, while it has no value. Failed ones stay.
        settled: id of an expression -> what it came to (`Settled`).
        identity: digests of its expressions (`redun.evaluation.identity`), once somebody asks.
        handle_uses: which calls take which handles (`redun.evaluation.handles`), once a call takes one.
        aliases: id of an expression -> the equal one that stands for it, where a result holds several equal ones.
        failed: something in it has failed, so it may be through while parts of it are not.
        forked: what it computes is no part of the job's call (`redun.evaluation.threads`).
        lazy: some value in it is known by name only (`redun.evaluation.undecoded`).
        abandoned: what nodes that have failed had not yet named of their inputs.
    """

    __slots__ = (
        "abandoned",
        "aliases",
        "context",
        "failed",
        "forked",
        "handle_uses",
        "identity",
        "job",
        "keep",
        "lazy",
        "nodes",
        "settled",
    )

    def __init__(self, job: Job | None, context: Any = None) -> None:
        self.job = job
        self.context = context
        self.nodes: dict[int, Node] = {}
        self.settled: dict[int, Settled] = {}
        self.aliases: dict[int, Expression[Any]] | None = None
        self.keep: list[Any] = []
        self.identity: Any = None
        self.failed = False
        self.forked = False
        self.lazy = False
        self.abandoned: list[Iterable[Expression[Any]]] = []
        self.handle_uses: Any = None

    def canonical(self, expr: Expression[Any]) -> Expression[Any]:
        """Return the expression that stands for all equal ones."""
        return expr if self.aliases is None else self.aliases.get(id(expr), expr)

    def value(self, nested: Any) -> Any:
        """Return a nested value with every expression replaced by its value."""
        if type(nested) in ATOMS:
            return nested
        settled, aliases = self.settled, self.aliases
        if self.lazy:
            return map_leaves(
                lambda leaf: decoded(settled[id(self.canonical(leaf))][0]) if isinstance(leaf, Expression) else leaf, nested
            )
        if aliases is not None:
            canonical = aliases.get
            return map_leaves(
                lambda leaf: settled[id(canonical(id(leaf), leaf))][0] if isinstance(leaf, Expression) else leaf, nested
            )
        return map_leaves(lambda leaf: settled[id(leaf)][0] if isinstance(leaf, Expression) else leaf, nested)

    def named(self, nested: Any) -> Any:
        """As `value`, but what is known by name only stays so, if the whole is that."""
        if self.lazy and isinstance(nested, Expression):
            found = self.settled[id(self.canonical(nested))][0]
            if type(found) is Undecoded:
                return found
        return self.value(nested)

    def calls(self, nested: Any) -> tuple[bytes, ...]:
        """List the calls that a nested value derives from, through lazy operators, in order of first mention."""
        return self._calls(nested, False)

    def all_calls(self, nested: Any) -> tuple[bytes, ...]:
        """List every call that has been made for the expressions in a nested value, those for arguments of other calls included."""
        return self._calls(nested, True)

    def _calls(self, nested: Any, inside_calls: bool) -> tuple[bytes, ...]:
        found: dict[bytes, None] = {}
        entered: set[int] = set()
        settled, aliases = self.settled, self.aliases
        pending: list[Any] = find_expressions(nested)
        pending.reverse()
        while pending:
            expr = pending.pop()
            if aliases is not None:
                expr = aliases.get(id(expr), expr)
            calls = settled.get(id(expr), _UNKNOWN)[1]
            if type(calls) is bytes:
                found[calls] = None
            elif calls is not None:
                for call in calls:
                    found[call] = None
            if (inside_calls or calls is None) and isinstance(expr, ApplyExpression) and id(expr) not in entered:
                entered.add(id(expr))
                pending.extend(reversed(find_expressions([*expr.args, *expr.kwargs.values()])))
        return tuple(found)


class Node:
    """An expression being evaluated in a scope.

    Attributes:
        expr: the expression.
        scope: where it is known; `scope.job` is the job on whose behalf it is evaluated.
        missing: inputs that have no outcome yet; the node is ready at 0.
        waiters: nodes that this one is an input of.
        value, error: the outcome.
        inputs, inputs_scope: the expressions demanded last, in program order, and where they are known.
        cursor: number of leading inputs known to have a value, once one has failed; -1 before.
        calls: ids of the calls that the outcome derives from; None if that is found by looking at the expression's inputs. For
            an error: the calls that program order puts before it, and those that it came through.
    """

    __slots__ = ("calls", "cursor", "error", "expr", "inputs", "inputs_scope", "missing", "scope", "state", "value", "waiters")

    def __init__(self, expr: Any, scope: Scope) -> None:
        self.expr = expr
        self.scope = scope
        self.state = State.NEW
        self.missing = 0
        self.waiters: list[Node] = []
        self.value: Any = None
        self.error: BaseException | None = None
        self.calls: tuple[bytes, ...] | None = None
        self.inputs: list[Expression[Any]] | None = None
        self.inputs_scope = scope
        self.cursor = -1

    @property
    def parent(self) -> Job | None:
        """The job on whose behalf this is evaluated."""
        return self.scope.job

    def move(self, state: State) -> None:
        """Change the state, by the table only."""
        if (self.state, state) not in _LEGAL:
            raise InternalError(f"{type(self).__name__} cannot go from {self.state.name} to {state.name}")
        self.state = state

    def begin(self, run: Evaluation) -> None:
        """Name the inputs; called once, when the node is made."""
        raise NotImplementedError

    def step(self, run: Evaluation) -> None:
        """Go on, all inputs having a value."""
        raise NotImplementedError

    def input_failed(self, run: Evaluation, source: Node) -> None:
        """An input failed. By default that fails this node, with the error that comes first in program order (`failed_by`)."""
        run.an_input_failed(self)

    def failed_by(self, run: Evaluation, source: Node) -> None:
        """An input failed, and all before it have values."""
        assert source.error is not None
        self.calls = run.calls_before(self, source)
        run.fail(self, source.error)


class Operation(Node):
    """A lazy operator: getitem, add, a call of a plain value, ..."""

    __slots__ = ()

    expr: SimpleExpression[Any]

    def begin(self, run: Evaluation) -> None:
        """Wait for the operands."""
        expr = self.expr
        run.demand(self, [*expr.args, *expr.kwargs.values()] if expr.kwargs else expr.args, self.scope)

    def step(self, run: Evaluation) -> None:
        """Apply the operator. What it returns may again be an expression (a task called lazily, say)."""
        if self.state is State.REDUCING:
            run.succeed(self, self.scope.value(self.value))
            return
        expr, value_of = self.expr, self.scope.value
        function = get_lazy_operation(expr.func_name)
        if function is None:
            run.fail(self, NotImplementedError(f"lazy operation {expr.func_name!r} is not defined"))
            return
        try:
            value = function(
                *[value_of(arg) for arg in expr.args], **{name: value_of(arg) for name, arg in expr.kwargs.items()}
            )
        except Exception as error:
            run.fail(self, error)
            return
        run.become(self, value)


class Root(Node):
    """What a run waits for."""

    __slots__ = ()

    def begin(self, run: Evaluation) -> None:
        """Wait for the expression."""
        run.demand(self, [self.expr], self.scope)

    def step(self, run: Evaluation) -> None:
        """Take over its value."""
        self.value = self.scope.value(self.expr)
        self.move(State.DONE)


class Refused(Node):
    """A call that cannot even become a job."""

    __slots__ = ("reason",)

    def __init__(self, expr: Any, scope: Scope, reason: Exception) -> None:
        super().__init__(expr, scope)
        self.reason = reason

    def begin(self, run: Evaluation) -> None:
        """Fail."""
        run.fail(self, self.reason)


class Known(Node):
    """A `ValueExpression`: its value may itself hold expressions."""

    __slots__ = ()

    def begin(self, run: Evaluation) -> None:
        """Wait for the expressions in the value."""
        run.demand(self, [self.expr.value], self.scope)

    def step(self, run: Evaluation) -> None:
        """Take over the value."""
        run.succeed(self, self.scope.value(self.expr.value))
