"""Figures as Markdown tables and as JSON."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Sequence
from datetime import datetime, timezone
from pathlib import Path

from bench.baseline import Baseline
from bench.rounds import Found
from bench.workload import Metric


def number(value: float, unit: str = "") -> str:
    """Write a figure so that it has three digits, and whole ones no fraction."""
    digits = 0 if abs(value) >= 100 or value == int(value) else 1 if abs(value) >= 10 else 2 if abs(value) >= 0.1 else 3
    return f"{value:,.{digits}f} {unit}".strip()


def goal_text(metric: Metric) -> str:
    """Write a goal."""
    return "" if metric.goal is None else f"{'>=' if metric.is_rate else '<='} {number(metric.goal, metric.unit)}"


def of_goal(metric: Metric, value: float) -> str:
    """Return how much of a goal was used up: above 1 it is missed."""
    if not metric.goal:
        return ""
    return number(metric.goal / value if metric.is_rate else value / metric.goal) if value else "0"


def lay_out(head: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    """Write a Markdown table."""
    rows = [list(head), ["---"] + ["---:"] * (len(head) - 1), *lines]
    return "\n".join("| " + " | ".join(row) + " |" for row in rows)


def _sections(found: Sequence[Found]) -> list[list[Found]]:
    """Group what was measured by workload."""
    groups: list[list[Found]] = []
    for entry in found:
        if groups and groups[-1][0].workload is entry.workload:
            groups[-1].append(entry)
        else:
            groups.append([entry])
    return groups


def _title(group: Sequence[Found]) -> str:
    entry = group[0]
    rounds = len(entry.rounds)
    times = "one round" if rounds == 1 else f"medians of {rounds} rounds"
    return f"### {entry.workload.name}\n\n{entry.workload.title}; N = {entry.size:,}; {times}\n\n"


def against_baseline(found: Sequence[Found], baseline: Baseline) -> str:
    """Lay out the figures of one side beside the baseline and the goals, a table for each workload."""
    parts = []
    for group in _sections(found):
        (entry,) = group
        figures, lines = entry.figures(), []
        for metric in entry.workload.metrics:
            if metric.key not in figures:
                continue
            value, before = figures[metric.key], baseline.value(entry, metric)
            ratio = baseline.ratio(entry, metric)
            lines.append(
                [
                    metric.title,
                    number(value, metric.unit),
                    "" if before is None else number(before, metric.unit),
                    "" if ratio is None else number(ratio),
                    goal_text(metric),
                    of_goal(metric, value),
                ]
            )
        head = ["", "now", "baseline", "now / baseline", "goal", "of goal"]
        parts.append(_title(group) + lay_out(head, lines))
    return "\n\n".join(parts)


def side_by_side(found: Sequence[Found], show: Sequence[str] = ()) -> str:
    """Lay out sides beside one another, each with its ratio to the first (a rate: the first to it).

    Args:
        show: keys of the metrics to show; all by default.
    """
    parts = []
    for group in _sections(found):
        first, *others = [entry.figures() for entry in group]
        lines = []
        for metric in group[0].workload.metrics:
            if metric.key not in first or (show and metric.key not in show):
                continue
            line = [metric.title, number(first[metric.key], metric.unit)]
            for figures in others:
                if metric.key not in figures:
                    line += ["", ""]
                    continue
                value, mine = figures[metric.key], first[metric.key]
                over, under = (mine, value) if metric.is_rate else (value, mine)
                line += [number(value, metric.unit), number(over / under) if under > 0 <= over else ""]
            lines.append(line)
        head = ["", group[0].side]
        for entry in group[1:]:
            head += [entry.side, f"{entry.side} / {group[0].side}"]
        parts.append(_title(group) + lay_out(head, lines))
    return "\n\n".join(parts)


def conditions(command: str) -> dict[str, str]:
    """Say when, where and how figures were measured."""
    return {
        "date": datetime.now(timezone.utc).strftime("%Y-%m-%d %H:%M UTC"),
        "machine": f"{platform.system()} {platform.release()} {platform.machine()}, {_processor()}, {os.cpu_count()} cores",
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "command": command,
    }


def _processor() -> str:
    """Return the name of the processor, where the system tells."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or "unknown processor"


def said(where: dict[str, str]) -> str:
    """Write conditions as one line."""
    return f"{where['date']}; {where['machine']}; {where['python']}; `{where['command']}`"


def as_json(found: Sequence[Found], where: dict[str, str], baseline: Baseline | None = None) -> str:
    """Write figures for programs: one object, with a list of figures, each round by itself as well."""
    figures = []
    for entry in found:
        values = entry.figures()
        for metric in entry.workload.metrics:
            if metric.key not in values:
                continue
            figure: dict[str, object] = {
                "workload": entry.workload.name,
                "size": entry.size,
                "side": entry.side,
                "figure": metric.key,
                "title": metric.title,
                "unit": metric.unit,
                "value": values[metric.key],
                "rounds": [each[metric.key] for each in entry.rounds],
                "reference_ms": entry.reference_s() * 1e3,
                "goal": metric.goal,
            }
            if baseline is not None:
                figure["baseline"] = baseline.value(entry, metric)
                figure["ratio"] = baseline.ratio(entry, metric)
            figures.append(figure)
    return json.dumps({**where, "figures": figures}, indent=1)
