"""Special forms: expressions that decide themselves what is evaluated when.

Each form is a node with a few steps; like every node it only names inputs and goes on when they have values, so forms nest to any depth.
The tasks that make their expressions (`cond`, `catch`, ...) are defined in `redun.forms`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from redun.evaluation.node import FINAL, Node, Scope, State
from redun.evaluation.undecoded import decoded
from redun.expression import Expression, SchedulerExpression, TaskExpression, ValueExpression
from redun.nested import map_leaves

if TYPE_CHECKING:
    from redun.evaluation.evaluation import Evaluation
    from redun.evaluation.job import Job


def form_for(expr: SchedulerExpression[Any], scope: Scope) -> Node:
    """Return the node that evaluates a special form."""
    form = getattr(expr.task, "form", None)
    if form is None:
        from redun.evaluation.promised import PromisedForm

        form = PromisedForm
    node: Node = form(expr, scope)
    return node


class Form(Node):
    """A special form. `turn` is called each time the inputs demanded last have values."""

    __slots__ = ("stage",)

    expr: SchedulerExpression[Any]

    def __init__(self, expr: Any, scope: Scope) -> None:
        super().__init__(expr, scope)
        self.stage = 0

    def begin(self, run: Evaluation) -> None:
        """Take the first turn."""
        self.move(State.READY)
        self.move(State.REDUCING)
        self.turn(run)

    def step(self, run: Evaluation) -> None:
        """Take the next turn."""
        self.turn(run)

    def turn(self, run: Evaluation) -> None:
        """Demand inputs, or finish."""
        raise NotImplementedError

    def follow(self, run: Evaluation, value: Any) -> None:
        """Finish with a value that may hold expressions, once those have values: the next step does."""
        self.scope.keep.append(value)
        self.value = value
        self.stage = _FOLLOW
        run.demand(self, [value], self.scope)

    def followed(self, run: Evaluation) -> bool:
        """Finish if the value that `follow` named is there; True if so."""
        if self.stage != _FOLLOW:
            return False
        value = self.value
        self.calls = self.scope.calls([value, *self.derives_from()])
        run.succeed(self, self.scope.value(value))
        return True

    def derives_from(self) -> list[Any]:
        """What the outcome derives from besides its value."""
        return []


_FOLLOW = -1


class Cond(Form):
    """`cond(test, then, [test, then, ...], otherwise)`: evaluates one branch only."""

    __slots__ = ()

    def turn(self, run: Evaluation) -> None:
        """Evaluate the next test; take its branch or go on."""
        if self.followed(run):
            return
        args = self.expr.args
        place = self.stage - 1
        if place >= 0:
            try:
                holds = bool(self.scope.value(args[place]))
            except Exception as error:
                run.fail(self, error)
                return
            if holds:
                self.follow(run, args[place + 1])
                return
            place += 2
        else:
            place = 0
        if place + 1 < len(args):
            self.stage = place + 1
            run.demand(self, [args[place]], self.scope)
        else:
            self.follow(run, args[place] if place < len(args) else None)

    def derives_from(self) -> list[Any]:
        """The tests that have been evaluated."""
        return [test for test in self.expr.args[:-1:2] if id(test) in self.scope.settled]


class Seq(Form):
    """`seq(expressions)`: evaluates one after the other."""

    __slots__ = ()

    def turn(self, run: Evaluation) -> None:
        """Evaluate the next one."""
        items = self.expr.args[0]
        if self.stage == 0 and not isinstance(items, list | tuple):
            # The list itself is an expression: its value decides.
            self.stage = _FOLLOW
            self.value = items
            run.demand(self, [items], self.scope)
            return
        if self.stage == _FOLLOW:
            self.followed(run)
            return
        if self.stage < len(items):
            self.stage += 1
            run.demand(self, [items[self.stage - 1]], self.scope)
            return
        self.calls = self.scope.calls(items)
        run.succeed(self, [self.scope.value(item) for item in items])


class Catch(Form):
    """`catch(expr, error class(es), handler, ...)`: the value of `expr`, or what a handler makes of its error.

    Errors are never cached, but what a handler made of one is: under the digest of the whole form, which names the tasks in the
    expression and the handlers. The row leads to a call object of its own, whose children are the calls that had been made; like a
    shallow hit it is taken only while every task below them is unchanged.
    """

    __slots__ = ("failed_calls", "failed_job", "key")

    def __init__(self, expr: Any, scope: Scope) -> None:
        super().__init__(expr, scope)
        self.key: bytes | None = None
        self.failed_job: Job | None = None
        self.failed_calls: tuple[bytes, ...] = ()

    def turn(self, run: Evaluation) -> None:
        """Evaluate the expression, or what the handler returned."""
        if self.stage == _FOLLOW:
            value = self.value
            if self.followed(run) and self.failed_job is not None and self.key is not None:
                run.calls.recoveries.remember(
                    self.key, self.failed_job, self.failed_calls, self.expr.task, value, self.scope.value(self.expr)
                )
            return
        expr = self.expr.args[0]
        if self.stage == 0:
            self.stage = 1
            recovered = run.calls.recoveries.find(self)
            if recovered is not None:
                self.follow(run, recovered[0])
            elif not run.calls.recoveries.ask(self):
                self.go_on(run)
            return
        self.calls = self.scope.calls(expr)
        run.succeed(self, self.scope.value(expr))

    def go_on(self, run: Evaluation) -> None:
        """Nobody knows what was recovered before: evaluate the expression."""
        run.demand(self, [self._as_one(self.expr.args[0])], self.scope)

    def _as_one(self, value: Any) -> Any:
        """Return a nested value as one expression: what is left of it when one part fails must not count as input any more."""
        if isinstance(value, Expression):
            return value
        one: ValueExpression[Any] = ValueExpression(value)
        self.scope.keep.append(one)
        return one

    def failed_by(self, run: Evaluation, source: Node) -> None:
        """The expression failed: find the first handler whose class matches."""
        error = source.error
        if error is None or self.state >= FINAL:
            return
        calls = run.calls_before(self, source)
        if self.stage == _FOLLOW:
            self.calls = (*self.failed_calls, *calls)
            run.fail(self, error)
            return
        self.calls = self.failed_calls = calls
        pairs = self.expr.args[1:]
        for classes, handler in zip(pairs[::2], pairs[1::2], strict=False):
            if isinstance(error, tuple(classes) if isinstance(classes, list | tuple) else classes):
                self.failed_job = run.calls.recoveries.failed_job(error, self.scope)
                run.calls.caught.add(id(error))
                self._recover(run, handler, error)
                return
        run.fail(self, error)

    def _recover(self, run: Evaluation, handler: Callable[[BaseException], Any], error: BaseException) -> None:
        run.forget_demand(self)
        try:
            value = handler(error)
        except Exception as second:
            run.fail(self, second)
            return
        self.follow(run, value)


class CatchAll(Form):
    """`catch_all(nested, classes, handler)`: waits for every term; the handler gets the structure with errors in place."""

    __slots__ = ("errors", "failed_calls")

    def __init__(self, expr: Any, scope: Scope) -> None:
        super().__init__(expr, scope)
        self.errors: dict[int, BaseException] = {}
        self.failed_calls: dict[int, tuple[bytes, ...]] = {}

    def turn(self, run: Evaluation) -> None:
        """All terms have a value or an error."""
        if self.followed(run):
            return
        terms = self.expr.args[0]
        if self.stage == 0:
            self.stage = 1
            run.demand(self, [terms], self.scope)
            return
        if not self.errors:
            self.calls = self.scope.calls(terms)
            run.succeed(self, self.scope.value(terms))
            return
        classes, handler = (*self.expr.args[1:], None, None)[:2]
        matched = tuple(classes) if isinstance(classes, list | tuple) else classes or Exception
        # In program order, whatever came first in time.
        failed = [
            key for key in dict.fromkeys(id(self.scope.canonical(leaf)) for leaf in self.inputs or ()) if key in self.errors
        ]
        self.calls = (*self.scope.all_calls(terms), *(call for key in failed for call in self.failed_calls[key]))
        for key in failed:
            error = self.errors[key]
            if not isinstance(error, matched) or handler is None:
                run.fail(self, error)
                return
        try:
            value = handler(map_leaves(self._outcome, terms))
        except Exception as second:
            run.fail(self, second)
            return
        self.follow(run, value)

    def _outcome(self, leaf: Any) -> Any:
        key = id(self.scope.canonical(leaf)) if id(leaf) not in self.errors else id(leaf)
        if key in self.errors:
            return self.errors[key]
        settled = self.scope.settled.get(key)
        return leaf if settled is None else decoded(settled[0])

    def input_failed(self, run: Evaluation, source: Node) -> None:
        """A term failed: keep its error, wait for the others."""
        assert source.error is not None
        if self.stage == _FOLLOW:
            run.look_for_error(self)
            return
        self.errors[id(source.expr)] = source.error
        self.failed_calls[id(source.expr)] = source.calls or ()
        run.input_done(self)


class OfArguments(Form):
    """A form that evaluates its arguments and goes on with what becomes of them."""

    __slots__ = ()

    def turn(self, run: Evaluation) -> None:
        """Evaluate the arguments, then what they become."""
        if self.followed(run):
            return
        expr = self.expr
        if self.stage == 0:
            self.stage = 1
            run.demand(self, [expr.args, expr.kwargs], self.scope)
            return
        value_of = self.scope.value
        try:
            value = self.become(run, value_of(expr.args), value_of(expr.kwargs))
        except Exception as error:
            run.fail(self, error)
            return
        self.follow(run, value)

    def become(self, run: Evaluation, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Return what evaluated arguments become; it may hold expressions. What it raises fails the form."""
        raise NotImplementedError

    def derives_from(self) -> list[Any]:
        """The arguments."""
        return [self.expr.args, self.expr.kwargs]


class Rewrite(OfArguments):
    """A form whose function says what becomes of the arguments: `force`, ..."""

    __slots__ = ()

    def become(self, run: Evaluation, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Call the function."""
        return self.expr.task.func(*args, **kwargs)


class ApplyTags(OfArguments):
    """`apply_tags(value, tags, job_tags, execution_tags)`: the value, once it and the job around it have been tagged."""

    __slots__ = ()

    def become(self, run: Evaluation, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Note the tags."""
        from redun.tag_records import JOB
        from redun.tags import check_tags

        value, *given = self.expr.task.func(*args, **kwargs)
        tags, job_tags, execution_tags = [check_tags(pairs) for pairs in given]
        job = self.scope.job
        recorder = run.calls.recorder if job is None else job.recorder
        recorder.tag_value(value, tags)
        if job is not None:
            recorder.tag(JOB, job.job_id, job_tags)
        recorder.tag_execution(execution_tags)
        return value


class Map(Form):
    """`map_(task, values)`: one call for each item of a list. Where the list is at hand, its items need not be known for that."""

    __slots__ = ()

    def turn(self, run: Evaluation) -> None:
        """Evaluate the task, then the list unless it is one of calls to come; go on with the calls."""
        from redun.task import Task

        if self.followed(run):
            return
        a_task, values = self._operands()
        self.stage += 1
        if self.stage == 1:
            run.demand(self, [a_task], self.scope)
            return
        function = self.scope.value(a_task)
        at_hand = isinstance(values, list | tuple) and isinstance(function, Task)
        if self.stage == 2 and not at_hand:
            run.demand(self, [values], self.scope)
            return
        try:
            calls = [function(value) for value in (values if at_hand else self.scope.value(values))]
        except Exception as error:
            run.fail(self, error)
            return
        self.follow(run, calls)

    def _operands(self) -> tuple[Any, Any]:
        args, kwargs = self.expr.args, self.expr.kwargs
        return (args[0] if args else kwargs["a_task"]), (args[1] if len(args) > 1 else kwargs["values"])

    def derives_from(self) -> list[Any]:
        """The task; and the list, if it had to be evaluated."""
        return [part for part in self._operands() if not isinstance(part, list | tuple)]


class GetContext(OfArguments):
    """`get_context(path, default)`: a value of the context of the job in whose result it stands."""

    __slots__ = ()

    def become(self, run: Evaluation, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Look the value up; it may be an expression."""
        from redun.context import lookup

        path = args[0] if args else kwargs["var_path"]
        default = args[1] if len(args) > 1 else kwargs.get("default")
        return lookup(self.scope.context or {}, path, default)

    def derives_from(self) -> list[Any]:
        """Nothing: where a value of the context came from is not known here."""
        return []


class MergeHandles(OfArguments):
    """`merge_handles(handles)`: one handle in a state that was reached from all of theirs."""

    __slots__ = ()

    def become(self, run: Evaluation, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Merge them."""
        return run.calls.take_handles().merge([*args, *kwargs.values()][0])


class LazyOptions(Node):
    """A task's call whose options hold expressions: these come first, then the job is made."""

    __slots__ = ()

    expr: TaskExpression[Any]

    def begin(self, run: Evaluation) -> None:
        """Wait for the options."""
        run.demand(self, [self.expr.task_options], self.scope)

    def step(self, run: Evaluation) -> None:
        """Make the call with concrete options; take over its value."""
        if self.state is State.REDUCING:
            self.calls = self.scope.calls(self.value)
            run.succeed(self, self.scope.value(self.value))
            return
        expr = self.expr
        options = self.scope.value(expr.task_options)
        concrete: TaskExpression[Any] = TaskExpression(
            expr.task, expr.args, expr.kwargs, options, expr.export_options, expr.length
        )
        run.become(self, concrete)
