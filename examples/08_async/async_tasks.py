"""Coroutines as tasks: a loop whose next call depends on the last result, and calls that are waited for together."""

import asyncio

from redun import task
from redun.expression import awaitable

redun_namespace = "redun.examples.async_tasks"


@task()
def improve(guess: float, number: float) -> float:
    """One step of Heron's method."""
    return round((guess + number / guess) / 2, 9)


@task(check_valid="shallow")
async def square_root(number: float) -> float:
    """Improve a guess until it stays the same: an ordinary loop, each round a job."""
    guess, last = number, 0.0
    while guess != last:
        guess, last = await awaitable(improve(guess, number)), guess
    return guess


@task(check_valid="shallow")
async def main(numbers: list[float] = [2.0, 9.0, 2.0]) -> list[float]:
    """Compute several roots at the same time."""
    return await asyncio.gather(*[awaitable(square_root(number)) for number in numbers])
