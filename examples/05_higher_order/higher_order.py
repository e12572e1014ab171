"""Tasks as values: given to tasks, returned from them, half filled in, and wrapped in other tasks."""

from collections.abc import Callable
from typing import ParamSpec, TypeVar

from redun import Task, task
from redun.task import wraps_task

redun_namespace = "redun.examples.higher_order"

P = ParamSpec("P")
R = TypeVar("R")


@task()
def shout(text: str) -> str:
    return text.upper()


@task()
def echo(text: str, times: int = 2) -> str:
    return " ".join([text] * times)


@task()
def pipeline(steps: list[Task[[str], str]], text: str) -> str:
    """Send a text through several tasks, one after the other."""
    for step in steps:
        text = step(text)
    return text


@task()
def choose(mood: str) -> Task[[str], str]:
    """Return a task: which one is decided while the workflow runs."""
    return shout if mood == "loud" else echo.partial(times=3)


@task()
def say(step: Task[[str], str], text: str) -> str:
    """Call whatever task the argument turns out to be."""
    return step(text)


@wraps_task()
def framed(inner: Task[P, R]) -> Callable[P, list[R]]:
    """Put a task in front of another: it runs the inner one twice and returns both results."""

    def run_twice(*args: P.args, **kwargs: P.kwargs) -> list[R]:
        return [inner(*args, **kwargs), inner(*args, **kwargs)]

    return run_twice


@framed
@task()
def whisper(text: str) -> str:
    return text.lower()


@task()
def main(text: str = "Hello") -> dict:
    return {
        "pipeline": pipeline([echo.partial(times=3), shout], text),
        "loud": say(choose("loud"), text),
        "calm": say(choose("calm"), text),
        "framed": whisper(text),
    }
