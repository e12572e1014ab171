"""What a type checker must refuse: an error in each line that ends with the mark, and in no other. It is checked, never run."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

from redun import Scheduler, Task, catch, cond, merge_handles, run, task
from redun.functools import compose, delay, force, map_, no_prov, seq, zip_
from redun.promise import Promise
from redun.scheduler import fork_thread, join_thread, subrun
from redun.task import scheduler_task, wraps_task

P = ParamSpec("P")
R = TypeVar("R")


@task
def add(a: int, b: int = 1) -> int:
    return a + b


@task()
def shout(text: str, *, times: int = 1) -> str:
    return text.upper() * times


@task(cache=False)
async def later(n: int) -> int:
    return n


@task()
def on_key_error(error: KeyError) -> int:
    return 0


def want_str(x: str) -> None: ...


def want_task(x: Task[[int], int]) -> None: ...


# Arguments.
add("1")  # error
add(1, shout("a"))  # error
add()  # error
add(1, 2, 3)  # error
add(1, c=2)  # error
shout("a", 2)  # error
shout("a", times="b")  # error
add.options(memory=1)("a")  # error
add.export_options(memory=1)(1, 2, 3)  # error
add.func("a")  # error
later("a")  # error

# Results.
want_str(add(1))  # error
want_str(add.partial(1)(2))  # error
want_str(later(1))  # error
want_str(cond(True, add(1), add(2)))  # error
cond()  # error
cond(True)  # error
seq()  # error
seq(add(1))  # error
want_str(catch(shout("a"), KeyError, on_key_error))  # error
want_str(no_prov(add(1)))  # error
want_str(force(delay(add(1))))  # error
want_str(run(add(1)))  # error
want_str(Scheduler().run(add(1)))  # error
numbers: list[str] = seq([add(1)])  # error
want_str(merge_handles([add(1)]))  # error
want_str(zip_([1], ["a"])[0][0])  # error
mapped: list[str] = map_(add, [1])  # error


@task()
def wrong() -> int:
    return shout("a")  # error


# Functions of tasks.
want_task(shout)  # error
map_(shout, [1])  # error
want_str(join_thread(fork_thread(add(1))))  # error
want_str(subrun(add(1), "process"))  # error
subrun(add(1))  # error
want_str(compose(add, add)(1))  # error
Scheduler().run(add(1), dry_run=True)  # error


@wraps_task()
def logged(inner: Task[P, R]) -> Callable[P, R]:
    def outer(*args: P.args, **kwargs: P.kwargs) -> R:
        return inner(*args, **kwargs)

    return outer


@logged
@task()
def wrapped(x: int) -> int:
    return x


wrapped("a")  # error
want_str(wrapped(1))  # error


@scheduler_task()
def form(scheduler: Any, parent_job: Any, sexpr: Any, x: int) -> Promise[int]:
    promise: Promise[int] = scheduler.evaluate(x, parent_job=parent_job)
    return promise


form("a")  # error
form()  # error
want_str(form(1))  # error
