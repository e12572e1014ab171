"""What counts for the cache and what does not, and how to say so."""

from redun import task

redun_namespace = "redun.examples.memoization"

RATES = {"book": 0.07, "pen": 0.19}


@task()
def price(item: str) -> float:
    """Known by its source and its arguments, as tasks are if nothing else is said."""
    return {"book": 20.0, "pen": 2.0}[item]


@task(version="1")
def describe(item: str) -> str:
    """Known by its version: an edit changes nothing until the version does."""
    return f"one {item}"


@task(hash_includes=[RATES])
def tax(item: str, net: float) -> float:
    """Known by its source and a table outside of it."""
    return round(net * RATES[item], 2)


@task(config_args=["verbose"])
def add_up(parts: list[float], verbose: bool = False) -> float:
    """Known without `verbose`: another value finds the same result."""
    if verbose:
        print(f"adding {parts}")
    return round(sum(parts), 2)


@task()
def bill_item(item: str, verbose: bool) -> float:
    net = price(item)
    return add_up([net, tax(item, net)], verbose)


@task(check_valid="shallow")
def bill(items: list[str], verbose: bool = False) -> float:
    """Taken as a whole while no task below it has changed: one look-up instead of one for each job."""
    return add_up([bill_item(item, verbose) for item in items], verbose)


@task(cache=False)
def clock() -> str:
    """Never taken from the store; within one run, equal calls still share one."""
    import time

    return time.strftime("%H:%M:%S")


@task(cache_scope="NONE")
def dice() -> str:
    """Not even shared within a run: each call rolls."""
    import random

    return random.choice("123456")


@task()
def stamp(copy: int) -> list[str]:
    return [clock(), dice()]


@task()
def stamps() -> list[list[str]]:
    """Stamp two copies: both with the same time, each with a number of its own."""
    return [stamp(1), stamp(2)]


@task()
def main(items: list[str] = ["book", "pen", "pen"], verbose: bool = False) -> dict:
    return {"what": [describe(item) for item in items], "bill": bill(items, verbose)}
