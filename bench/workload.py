"""What can be measured: workloads by name, each a function that measures one round and says what its figures mean.

A workload is a function in a module of `bench/workloads/` under `@workload(...)`:

    @workload("hello", "hello world from the cache", size=1, tiny=1, metrics=[Metric("cpu", "whole process, CPU", "ms", 150)])
    def hello(site: Site, size: int) -> dict[str, float]:
        site.redun(...)
        return {"cpu": ...}

The harness calls it once for each side and round, in an empty folder.
"""

from __future__ import annotations

import difflib
import importlib
import pkgutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bench.measure import BenchError

if TYPE_CHECKING:
    from bench.site import Site

# Units of time: figures in them depend on the machine and are compared in units of its reference.
TIMES = ("us", "ms", "s")
RATES = ("objects/s", "jobs/s")


@dataclass(frozen=True)
class Metric:
    """One figure of a workload.

    Attributes:
        key: its name in files.
        title: its name in tables.
        unit: us, ms, s, objects/s, MB, B, or a word for what is counted.
        goal: what it should be at most (a rate: at least); None where nothing was promised.
    """

    key: str
    title: str
    unit: str
    goal: float | None = None

    @property
    def is_time(self) -> bool:
        """Whether it depends on how fast the machine is."""
        return self.unit in TIMES or self.is_rate

    @property
    def is_rate(self) -> bool:
        """Whether more is better."""
        return self.unit in RATES


Measure = Callable[["Site", int], dict[str, float]]


@dataclass(frozen=True)
class Workload:
    """Something that can be measured.

    Attributes:
        name: as the command line takes it.
        title: in a few words.
        size: how large it is by default; what that counts, the title says.
        tiny: a size at which it takes a moment, for tests.
        kind: `quick` (part of every run), `slow` (part of `--all`) or `giant` (by name only).
        metrics: what it measures.
        measure: does one round.
        sides: whom it can measure: ours alone, or the existing package and further tools as well.
        rounds: how often it is measured unless the command line says so.
        beside: how large it is beside other tools, which may be slow.
    """

    name: str
    title: str
    size: int
    tiny: int
    kind: str
    metrics: Sequence[Metric]
    measure: Measure
    sides: Sequence[str]
    rounds: int
    beside: int


KINDS = ("quick", "slow", "giant")
_WORKLOADS: dict[str, Workload] = {}


def workload(
    name: str,
    title: str,
    *,
    size: int,
    tiny: int,
    metrics: Sequence[Metric],
    kind: str = "quick",
    sides: Sequence[str] = (),
    rounds: int = 3,
    beside: int | None = None,
) -> Callable[[Measure], Measure]:
    """Register a function as a workload.

    Args:
        sides: further sides that can do it: `peer`, `joblib`, ...
        beside: a smaller size beside those.
    """

    def register(measure: Measure) -> Measure:
        if name in _WORKLOADS or kind not in KINDS:
            raise ValueError(f"workload {name!r} is there twice, or is of no known kind: {kind!r}")
        _WORKLOADS[name] = Workload(name, title, size, tiny, kind, metrics, measure, sides, rounds, beside or size)
        return measure

    return register


def workloads() -> dict[str, Workload]:
    """Return all workloads by name: those of the modules in `bench/workloads/`, in the order of the modules' names."""
    package = importlib.import_module("bench.workloads")
    for module in sorted(found.name for found in pkgutil.iter_modules(package.__path__)):
        importlib.import_module(f"bench.workloads.{module}")
    return dict(_WORKLOADS)


def select(words: Sequence[str], everything: bool = False, beside: bool = False) -> list[tuple[Workload, int]]:
    """Return workloads with their sizes, as the command line names them: `NAME` or `NAME=SIZE`.

    Args:
        words: none stands for all that are quick, or with `everything` for all that are not giant.
        beside: sizes are those that other tools can do, too.

    Raises:
        BenchError: a name or size means nothing.
    """
    known = workloads()
    if not words:
        kinds = ("quick", "slow") if everything else ("quick",)
        return [(found, found.beside if beside else found.size) for found in known.values() if found.kind in kinds]
    chosen: dict[str, tuple[Workload, int]] = {}
    for word in words:
        name, sign, number = word.partition("=")
        if name not in known:
            near = difflib.get_close_matches(name, known, 1)
            hint = f"; did you mean {near[0]!r}?" if near else "; `python -m bench list` shows them"
            raise BenchError(f"there is no workload {name!r}{hint}")
        if sign and not (number.isascii() and number.isdigit() and int(number) > 0):
            raise BenchError(f"the size of {name} is a whole number from 1 on, not {number!r}")
        usual = known[name].beside if beside else known[name].size
        chosen[name] = (known[name], int(number) if sign else usual)
    return list(chosen.values())
