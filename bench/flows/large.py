"""Large values: 100 MB from one task to the next, and one that many tasks take."""

from redun import task

redun_namespace = "bench"


@task()
def make(megabytes: int) -> bytes:
    """Make bytes, at little cost."""
    return b"0123456789abcdef" * (62_500 * megabytes)


@task()
def measure(data: bytes) -> int:
    """Take them."""
    return len(data)


@task()
def main(n: int = 100) -> int:
    """Hand n MB from one task to another."""
    return measure(make(n))


@task()
def numbers(count: int) -> list[int]:
    """Make a list of many numbers."""
    return list(range(count))


@task()
def pick(data: bytes, place: int) -> int:
    """Take a large argument and one that differs."""
    return data[place]


@task()
def pick_number(items: list[int], place: int) -> int:
    """Take a large argument and one that differs."""
    return items[place]


@task()
def many(n: int = 1000) -> list[int]:
    """n tasks that all take the same 10 MB of bytes."""
    data = make(10)
    return [pick(data, place) for place in range(n)]


@task()
def many_lists(n: int = 1000) -> list[int]:
    """n tasks that all take the same list of 100,000 numbers."""
    items = numbers(100_000)
    return [pick_number(items, place) for place in range(n)]
