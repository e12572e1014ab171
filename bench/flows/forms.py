"""Graphs full of `catch`, of `cond`, of handles."""

from redun import Handle, catch, cond, task

redun_namespace = "bench"


class Connection(Handle):
    """What stands for the state of something outside."""

    def __init__(self, name: str) -> None:
        self.instance = name


@task()
def half_fail(i: int) -> int:
    """Fail for every other argument."""
    if i % 2:
        raise ValueError(i)
    return i


@task()
def recover(error: ValueError) -> int:
    """Give a value in place of an error."""
    return -1


@task()
def is_even(i: int) -> bool:
    """Decide."""
    return i % 2 == 0


@task()
def even(i: int) -> int:
    """One way."""
    return i


@task()
def odd(i: int) -> int:
    """The other."""
    return -i


@task()
def step(connection: Connection, i: int) -> Connection:
    """Change what is behind a handle."""
    return connection


@task()
def catches(n: int = 5000) -> list[int]:
    """n times `catch`; half of the calls fail."""
    return [catch(half_fail(i), ValueError, recover) for i in range(n)]


@task()
def conds(n: int = 5000) -> list[int]:
    """n decisions, each a call, and what they choose."""
    return [cond(is_even(i), even(i), odd(i)) for i in range(n)]


@task()
def handles(n: int = 2000) -> list[Connection]:
    """n handles, each changed twice."""
    return [step(step(Connection(f"c{i}"), 1), 2) for i in range(n)]


@task()
def handle_chain(n: int = 2000) -> Connection:
    """One handle changed n times."""
    connection = Connection("c")
    for i in range(n):
        connection = step(connection, i)
    return connection
