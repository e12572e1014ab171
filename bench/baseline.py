"""The baseline: figures kept in the repository, against which later ones are set.

Times differ from machine to machine and from minute to minute. So each workload's entry keeps what the reference
(`bench.measure.reference_s`) took beside it, and times are compared in units of it; counts and sizes are compared as they are.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bench.measure import BenchError
from bench.rounds import Found
from bench.workload import Metric

BASELINE = Path(__file__).with_name("BASELINE.json")
_DIGITS = 4


class Baseline:
    """The figures of a file; without the file there are none."""

    def __init__(self, path: Path = BASELINE) -> None:
        """Read the file.

        Raises:
            BenchError: it holds something else.
        """
        self.path = path
        self._workloads: dict[str, dict[str, Any]] = {}
        if path.exists():
            try:
                self._workloads = dict(json.loads(path.read_text())["workloads"])
            except (ValueError, KeyError, TypeError) as error:
                raise BenchError(f"{path} is no baseline ({error!r}): `python -m bench baseline` writes it anew") from error

    def kept(self, name: str) -> dict[str, Any]:
        """Return what is kept of a workload: `size`, `figures`, and the conditions; nothing if it was never measured."""
        return self._workloads.get(name, {})

    def _entry(self, found: Found) -> dict[str, Any] | None:
        """Return what is kept of a workload at the same size."""
        entry = self._workloads.get(found.workload.name)
        return entry if entry is not None and entry["size"] == found.size else None

    def value(self, found: Found, metric: Metric) -> float | None:
        """Return the figure that is kept, as it was measured."""
        entry = self._entry(found)
        figures: dict[str, float] = entry["figures"] if entry is not None else {}
        return figures.get(metric.key)

    def ratio(self, found: Found, metric: Metric) -> float | None:
        """Return what was found in proportion to what is kept: below 1 is better."""
        entry, before = self._entry(found), self.value(found, metric)
        now = found.figures().get(metric.key)
        if entry is None or before is None or now is None or before <= 0 or now <= 0:
            return None
        if not metric.is_time:
            return now / before
        speed: float = found.reference_s() * 1e3 / entry["reference_ms"]
        return before / (now * speed) if metric.is_rate else now / (before * speed)

    def keep(self, found: Sequence[Found], where: dict[str, str]) -> None:
        """Write what was found into the file; workloads that were not measured stay as they are."""
        for entry in found:
            self._workloads[entry.workload.name] = {
                **where,
                "size": entry.size,
                "rounds": len(entry.rounds),
                "reference_ms": _short(entry.reference_s() * 1e3),
                "figures": {key: _short(value) for key, value in entry.figures().items()},
            }
        self.path.write_text(json.dumps({"workloads": dict(sorted(self._workloads.items()))}, indent=1) + "\n")


def _short(value: float) -> float:
    """Leave off digits that are noise."""
    short = float(f"{value:.{_DIGITS}g}")
    return int(short) if short == int(short) else short
