"""The other team's code: nobody else needs to have it, or its packages."""

from redun import task

redun_namespace = "redun.examples.weather"


@task()
def forecast(city: str, day: str) -> str:
    """Return the weather of a city on a day of this week."""
    return "sun" if (len(city) + len(day)) % 2 == 0 else "rain"
