"""A workflow that is worth testing: what several offers cost on average."""

from __future__ import annotations

from redun import task
from redun.scheduler import catch

redun_namespace = "redun.examples.prices"


@task()
def parse(text: str) -> float:
    """Read a price such as "12.50 EUR"."""
    amount, currency = text.split()
    if currency != "EUR":
        raise ValueError(f"{text!r} is not in EUR")
    return float(amount)


@task()
def unknown(error: ValueError) -> None:
    """Stand for an offer that cannot be read."""


@task()
def mean(prices: list[float | None]) -> float:
    """Average the prices that are known."""
    known = [price for price in prices if price is not None]
    return sum(known) / len(known)


@task()
def main(offers: list[str]) -> float:
    """Average what can be read of some offers."""
    return mean([catch(parse(offer), ValueError, unknown) for offer in offers])
