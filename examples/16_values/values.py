"""Values of one's own: an enum, a dataclass, a class that redun knows, and a class that knows nothing of redun."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from enum import Enum
from pathlib import Path
from typing import Any

from redun import task
from redun.value import ProxyValue, Value

redun_namespace = "redun.examples.values"


class Roast(Enum):
    """How a coffee is roasted. An enum needs nothing: on the command line its members have their names."""

    LIGHT = 205
    MEDIUM = 215
    DARK = 225


@dataclass(frozen=True)
class Bean:
    """A dataclass needs nothing either."""

    name: str
    harvested: date


class Grams(Value):
    """A weight. It says how it is read from the command line."""

    type_name = "examples.Grams"

    def __init__(self, count: float) -> None:
        self.count = count

    @classmethod
    def parse_arg(cls, raw_type: Any, arg: str) -> Grams:
        """Return the weight of a text such as `250g` or `1.5kg`."""
        for unit, factor in (("kg", 1000), ("g", 1)):
            if arg.endswith(unit):
                return cls(float(arg[: -len(unit)]) * factor)
        raise ValueError(f"expected a weight such as 250g or 1.5kg, found {arg!r}")

    def __repr__(self) -> str:
        return f"{self.count:g}g"


class Profile:
    """The temperatures of a roast, as some library has it: it knows nothing of redun."""

    def __init__(self, degrees: list[int]) -> None:
        self.degrees = degrees

    def __repr__(self) -> str:
        return f"Profile({self.degrees})"


class ProfileType(ProxyValue):
    """Speaks for `Profile`: a profile counts as long as the roaster has not been cleaned since."""

    type = Profile
    type_name = "examples.Profile"

    def is_valid(self) -> bool:
        """Tell whether a profile from the cache may be used."""
        return not Path("cleaned").exists()


@task()
def measure(roast: Roast) -> Profile:
    """Measure how the roaster gets to its temperature."""
    return Profile([20, roast.value // 2, roast.value])


@task()
def roasted(bean: Bean, weight: Grams, profile: Profile) -> Grams:
    """Return what is left: the hotter, the less."""
    return Grams(round(weight.count * (1 - max(profile.degrees) / 1500)))


@task()
def main(roast: Roast = Roast.MEDIUM, weight: Grams = Grams(1000)) -> Grams:
    """Roast a coffee.

    Args:
        roast: how.
        weight: of the raw beans.
    """
    return roasted(Bean("Sidamo", date(2026, 3, 1)), weight, measure(roast))
