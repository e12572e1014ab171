"""A workflow with a mistake in its data, which is found in README.md."""

from redun import task

redun_namespace = "redun.examples.debugging"

HOURS = {"ada": "40", "grace": "38", "edsger": "36,5"}


@task()
def read_hours(name: str) -> float:
    """Return the hours that somebody has worked."""
    text = HOURS[name]
    return float(text)


@task()
def pay(hours: float, rate: float) -> float:
    """Return what they are worth."""
    return hours * rate


@task()
def main(rate: float = 50.0) -> dict[str, float]:
    """Return what everybody is paid."""
    return {name: pay(read_hours(name), rate) for name in HOURS}
