"""Our own code: it calls a task that it does not have."""

from redun import task
from redun.federated_tasks import federated_task

redun_namespace = "redun.examples.picnic"

DAYS = ["Monday", "Tuesday", "Wednesday"]


@task()
def choose(forecasts: dict[str, str]) -> str | None:
    """Return the first day of sunshine."""
    return next((day for day, weather in forecasts.items() if weather == "sun"), None)


@task()
def main(city: str = "Delft") -> str | None:
    """Return the day for the picnic."""
    return choose({day: federated_task("forecast", city, day) for day in DAYS})
