"""Figures as a Markdown table, and the page that keeps them."""

from __future__ import annotations

import os
import platform
from collections.abc import Callable, Mapping
from datetime import datetime, timezone
from pathlib import Path
from statistics import median

from bench.fanout import Figures

# What a row is called, how its figure is computed from a side's figures, and its unit.
ROWS: list[tuple[str, Callable[[Figures], float], str]] = [
    ("cold, CPU per job", lambda figures: figures.cpu_s("cold") / figures.jobs * 1e6, "us"),
    ("cold, wall clock per job", lambda figures: figures.wall_s("cold") / figures.jobs * 1e6, "us"),
    ("cold, peak memory", lambda figures: figures.peak_rss_bytes("cold") / 1e6, "MB"),
    ("cold, store per job", lambda figures: median(figures.cold_bytes) / figures.jobs, "B"),
    ("replay, CPU per job", lambda figures: figures.cpu_s("replay") / figures.jobs * 1e6, "us"),
    ("replay, wall clock per job", lambda figures: figures.wall_s("replay") / figures.jobs * 1e6, "us"),
    ("replay, peak memory", lambda figures: figures.peak_rss_bytes("replay") / 1e6, "MB"),
    ("replay, store per job", lambda figures: median(figures.replay_bytes) / figures.jobs, "B"),
    ("`redun --version`, CPU", lambda figures: figures.cpu_s("version") * 1e3, "ms"),
    ("hello world replayed, CPU", lambda figures: figures.cpu_s("hello") * 1e3, "ms"),
    ("`redun log`, CPU", lambda figures: figures.cpu_s("log") * 1e3, "ms"),
    ("`redun log -`, CPU", lambda figures: figures.cpu_s("log -") * 1e3, "ms"),
]


def table(figures: Mapping[str, Figures]) -> str:
    """Lay out figures as a table: one column for each side, and the ratio of the last to the first where there are two."""
    names = list(figures)
    ratio = len(names) == 2
    head = ["", *[f"{name} ({figures[name].jobs:,} jobs)" for name in names], *([f"{names[1]} / {names[0]}"] if ratio else [])]
    lines = [head, ["---"] + ["---:"] * (len(head) - 1)]
    for title, compute, unit in ROWS:
        values = [compute(figures[name]) for name in names]
        cells = [f"{value:,.{1 if value < 100 else 0}f} {unit}" for value in values]
        if ratio:
            cells.append(f"{values[1] / values[0]:,.{2 if values[1] < 10 * values[0] else 0}f}" if values[0] > 0 else "")
        lines.append([title, *cells])
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def conditions(command: str, repeats: int, replays: int) -> str:
    """Say when, where and how figures were measured."""
    system = f"{platform.system()} {platform.release()} {platform.machine()}, {os.cpu_count()} cores"
    python = f"{platform.python_implementation()} {platform.python_version()}"
    when = datetime.now(timezone.utc).strftime("%Y-%m-%d %H:%M UTC")
    return f"{when}; {system}; {python}; `{command}`; medians of {repeats} cold runs with {replays} replays each."


def write_results(path: Path, figures: Mapping[str, Figures], said: str, versions: Mapping[str, str]) -> None:
    """Write the page of results.

    Args:
        said: what `conditions` returned.
        versions: name of a side -> what it is.
    """
    named = "".join(f"- {name}: {version}\n" for name, version in versions.items())
    path.write_text(
        "# Results\n\n"
        "Written by `make bench-peer`; do not edit. A run is measured whole, as a user starts it, with its log going to a\n"
        "file; the sides take turns. Timings on a shared machine are noisy: only the ratios of one table mean anything.\n\n"
        f"{named}\n{said}\n\n{table(figures)}\n"
    )
