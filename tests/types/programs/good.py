"""What a type checker must accept, and the types that it must find. It is checked, never run."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

from typing_extensions import assert_type

from redun import Handle, PartialTask, Scheduler, Task, catch, cond, get_context, merge_handles, run, task, throw
from redun.expression import Expression, QuotedExpression, ValueExpression, awaitable, quote
from redun.forms import catch_all
from redun.functools import (
    apply_func,
    as_task,
    compose,
    const,
    delay,
    flat_map,
    flatten,
    force,
    identity,
    map_,
    no_prov,
    seq,
    starmap,
    with_export_options,
    zip_,
)
from redun.promise import Promise
from redun.scheduler import apply_tags, fork_thread, join_thread, subrun
from redun.task import scheduler_task, wraps_task
from redun.threads import Thread

P = ParamSpec("P")
R = TypeVar("R")


@task
def add(a: int, b: int = 1) -> int:
    return a + b


@task()
def shout(text: str, *, times: int = 1) -> str:
    return text.upper() * times


@task(name="halves", version="2", memory=4, limits=["db"])
def halve(n: int) -> tuple[int, int]:
    return n // 2, n - n // 2


@task(script=True)
def count_lines(path: str) -> str:
    return f"wc -l {path}"


@task()
def describe(error: Exception) -> str:
    return str(error)


@task()
def box(x: R) -> list[R]:
    return [x]


def want_int(x: int) -> None: ...


def want_ints(x: list[int]) -> None: ...


def want_task(x: Task[[str], str]) -> None: ...


# A call may stand where its result is wanted, to any depth.
want_int(add(1, 2))
want_int(add(add(1), b=add(2)))
want_ints([add(i) for i in range(3)])
assert_type(add(1), int)
assert_type(shout(shout("a"), times=add(1)), str)
assert_type(add(1) + add(2), int)
first, second = halve(5)
assert_type(second, int)
assert_type(halve(5)[0], int)
assert_type(count_lines("x"), Any)
assert_type(box("a"), list[str])
assert_type(box(add(1)), list[int])

# Other options, the same task.
assert_type(add.options(memory=8)(1), int)
assert_type(add.export_options(executor="batch")(1, b=2), int)
assert_type(add.update_context({"a": 1})(1), int)
assert_type(add.func(1, 2), int)
assert_type(add.partial(1)(2), int)
assert_type(add.partial(1).partial(b=2)(), int)
want_task(shout.partial())

# Special forms.
want_int(cond(add(1) > 1, add(1), add(2)))
assert_type(cond(True, add(1), shout("a")), int | Any)
assert_type(cond(False, add(1), True, shout("a"), 2.5), int | Any)
cond(True, 1)
assert_type(catch(add(1), ValueError, describe), int | str)
assert_type(catch(add(1), (ValueError, KeyError), describe), int | str)
assert_type(catch(add(1), ValueError, describe, KeyError, add.partial(1)), int | str)
assert_type(catch_all([add(1)], ValueError, describe), list[int] | str)
assert_type(catch_all([add(1)]), list[int])
catch(add(1), ValueError, throw)
catch(add(1), Exception, add)
catch(add(1), ValueError, describe, KeyError, describe, (TypeError, OSError), add)
assert_type(seq([add(1), add(2)]), list[int])
thread = fork_thread(add(1))
assert_type(thread, Thread[int])
assert_type(join_thread(thread), int)
assert_type(subrun(add(1), "process", memory=4), int)
assert_type(apply_tags(add(1), tags=[("key", "value")]), int)
assert_type(get_context("a.b", 1), Any)


class Database(Handle):
    def __init__(self, name: str, path: str) -> None:
        self.instance: list[str] = [path]


@task()
def fill(database: Database, text: str) -> Database:
    database.append(text)
    return database


assert_type(merge_handles([fill(Database("db", "x"), "a"), fill(Database("db", "x"), "b")]), Database)
assert_type(quote(add(1)), QuotedExpression[int])
assert_type(quote(add(1)).eval(), int)

# Functional tools.
assert_type(map_(add.partial(b=2), [1, add(2)]), list[int])
assert_type(map_(shout, [shout("a")]), list[str])
assert_type(starmap(shout, [{"text": "a"}]), list[str])
assert_type(flat_map(box, [1, 2]), list[int])
assert_type(flatten([[add(1)], [add(2)]]), list[int])
assert_type(zip_([add(1)], [shout("a")]), list[tuple[int, str]])
assert_type(identity(add(1)), int)
assert_type(const(add(1), shout("a")), int)
assert_type(force(delay(add(1))), int)
assert_type(as_task(len)([1]), int)
assert_type(apply_func(len, [1]), int)
assert_type(compose(shout, shout)("a"), str)
assert_type(compose(box, add)(1, 2), list[int])
assert_type(no_prov(add(1)), int)
assert_type(with_export_options(quote(add(1)), {"memory": 1}), int)
assert_type(with_export_options(add(1), {"memory": 1}), int)


# Tasks as arguments.
@task()
def apply_twice(function: Callable[[int], int], x: int) -> int:
    return function(function(x))


assert_type(apply_twice(add, 1), int)
assert_type(apply_twice(add.partial(b=2), 1), int)


@task()
def apply_task(function: Task[[str], str], x: str) -> str:
    return function(x)


assert_type(apply_task(shout.partial(times=2), "x"), str)


# Async tasks: what a call gives is what the coroutine returns.
@task(cache=False)
async def gather(n: int) -> int:
    one = await awaitable(add(n))
    two, three = await asyncio.gather(awaitable(add(n)), awaitable(shout("a")))
    return one + two + len(three)


assert_type(gather(1), int)
want_int(gather(add(1)))
want_int(gather.options(memory=1)(1))


# Tasks around tasks.
@wraps_task()
def logged(inner: Task[P, R]) -> Callable[P, R]:
    def outer(*args: P.args, **kwargs: P.kwargs) -> R:
        return inner(*args, **kwargs)

    return outer


@wraps_task
def listed(inner: Task[P, R]) -> Callable[P, list[R]]:
    def outer(*args: P.args, **kwargs: P.kwargs) -> list[R]:
        return [inner(*args, **kwargs)]

    return outer


@wraps_task(wrapper_name="loose")
def loosely(inner: Task[..., Any]) -> Callable[..., Any]:
    def outer(*args: Any, **kwargs: Any) -> Any:
        return inner(*args, **kwargs)

    return outer


@logged
@listed
@task()
def wrapped(x: int) -> int:
    return x


@loosely
@task()
def anyhow(x: int) -> int:
    return x


assert_type(wrapped(add(1)), list[int])
assert_type(anyhow(1), Any)


# Special forms of one's own: callers give what comes after the first three parameters.
@scheduler_task(namespace="types")
def first_of(scheduler: Scheduler, parent_job: Any, sexpr: Any, exprs: list[R]) -> Promise[R]:
    promise: Promise[R] = scheduler.evaluate(exprs[0], parent_job=parent_job)
    return promise


@scheduler_task()
def answer(scheduler: Any, parent_job: Any, sexpr: Any) -> int:
    return 42


assert_type(first_of([shout("a")]), str)
assert_type(answer(), int)

# Running.
assert_type(Scheduler().run(add(1)), int)
assert_type(Scheduler().run([add(1)], dryrun=True, tags=[("a", 1)]), list[int])
assert_type(run(shout("a")), str)
lazy: Expression[int] = ValueExpression(1)
assert_type(Scheduler().run(lazy), int)
assert_type(run(lazy), int)
partial: PartialTask[..., int] = add.partial(1)
