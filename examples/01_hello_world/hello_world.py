"""The smallest workflow that shows something: one task that needs the result of another."""

from redun import task

redun_namespace = "redun.examples.hello_world"


@task()
def get_planet() -> str:
    """Choose whom to greet."""
    return "World"


@task()
def greeter(greet: str, thing: str) -> str:
    """Put a greeting together."""
    return f"{greet}, {thing}!"


@task()
def main(greet: str = "Hello") -> str:
    """Greet a planet.

    Args:
        greet: the word to greet with.
    """
    return greeter(greet, get_planet())
