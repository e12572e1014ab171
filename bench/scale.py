"""`python -m bench.scale`: one run of N jobs through its whole life, for each N, as a table and a plot of what grows.

Each step is a process of its own, measured whole: cold, replayed, told by `redun log` in five ways, pushed to a folder, pulled from there,
collected. Times are CPU, so that a busy machine changes little. Figures may be kept in a file and put together from several calls, as a
million jobs take minutes:

    python -m bench.scale --sizes 1000 10000 100000 --keep figures.json
    python -m bench.scale --sizes 1000000 --keep figures.json --plot docs/images/scale.svg
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from math import isqrt, log10
from pathlib import Path
from typing import TypedDict

from bench.measure import BenchError, Sample, folder_bytes
from bench.report import conditions, said
from bench.sides import ROOT, tree_side
from bench.site import Site

Step = tuple[str, Callable[[], Sample]]


class Figure(TypedDict):
    """What a step cost: CPU seconds, peak memory in bytes, and the bytes of the store (or repo) after it."""

    cpu_s: float
    peak_bytes: int
    store_bytes: int


Figures = dict[str, dict[str, Figure]]
"""Jobs in decimal digits -> step -> figure."""


def steps(site: Site, flow: str, size: int) -> Iterator[Step]:
    """Yield the steps in a run's life, each to be done before the next is asked for.

    Raises:
        BenchError: a run did something else than its name says.
    """
    here, there = site.place("here"), site.place("there")
    jobs = size + 1 if flow == "fanout" else size * size + size + 1
    yield "cold", lambda: site.flow(here, flow, "--n", size)
    site.expect(0, jobs)
    yield "replay", lambda: site.flow(here, flow, "--n", size)
    site.expect(jobs, 0)
    yield "redun log", lambda: site.redun(here, "log")
    newest = site.out.read_text().split("Exec ")[1].split()[0]
    yield "redun log -", lambda: site.redun(here, "log", "-")
    yield "redun log -, json", lambda: site.redun(here, "log", "-", "--format", "json")
    yield "redun log EXEC, first", lambda: site.redun(here, "log", newest)
    yield "redun log EXEC, again", lambda: site.redun(here, "log", newest, "--count")
    for place in (here, there):
        site.redun(place, "repo", "add", "team", site.folder / "repo", "--trust", "all")
    yield "push", lambda: site.redun(here, "push", "team")
    yield "pull", lambda: site.redun(there, "pull", "team")
    yield "gc, nothing to delete", lambda: site.redun(here, "gc")
    yield "gc --keep-last 0", lambda: site.redun(here, "gc", "--keep-last", 0)


def measure(flow: str, sizes: Sequence[int], found: Figures, only: Sequence[str]) -> None:
    """Measure each size and add what was found.

    Args:
        only: steps that are wanted; after the last of them a size is done.
    """
    for size in sizes:
        with tempfile.TemporaryDirectory(prefix="bench-scale-") as folder:
            site = Site(tree_side("ours", ROOT), Path(folder))
            wanted = set(only)
            row = found.setdefault(f"{flow} {size}", {})
            for name, run in steps(site, flow, size):
                sample = run()
                where = site.folder / ("there/.redun" if name == "pull" else "repo" if name == "push" else "here/.redun")
                row[name] = {
                    "cpu_s": round(sample.cpu_s, 3),
                    "peak_bytes": sample.peak_rss_bytes,
                    "store_bytes": folder_bytes(where),
                }
                print(f"{flow} {size:,}: {name}: {row[name]}", file=sys.stderr, flush=True)
                wanted.discard(name)
                if only and not wanted:
                    break


def jobs_of(key: str) -> int:
    """Return how many jobs a row of figures stands for, the root's left out."""
    flow, size = key.split()
    return int(size) if flow == "fanout" else int(size) * (int(size) + 1)


def table(found: Figures) -> str:
    """Lay the figures out: a row for each step, three columns for each size."""
    keys = sorted(found, key=lambda key: (key.split()[0], jobs_of(key)))
    names = list(dict.fromkeys(name for key in keys for name in found[key]))
    head = ["", *[f"{jobs_of(key):,} jobs{'' if key.startswith('fanout') else ' (tree)'}" for key in keys]]
    lines = [head, ["---"] + ["---:"] * len(keys)]
    for name in names:
        cells = [_cell(found[key].get(name)) for key in keys]
        lines.append([name if not name.startswith("redun") and "--" not in name else f"`{name}`", *cells])
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _cell(figure: Figure | None) -> str:
    if figure is None:
        return ""
    cpu, peak, store = figure["cpu_s"], figure["peak_bytes"] / 1e6, figure["store_bytes"] / 1e6
    return f"{cpu:,.{2 if cpu < 10 else 1}f} s, {peak:,.0f} MB, {store:,.{1 if store < 100 else 0}f} MB"


# The plot: three panels over the number of jobs, both axes logarithmic. So little that a library would be the larger part.

_WIDE, _HIGH, _MARGIN = 300, 230, 46
_COLOURS = ("#1f6fb2", "#c8552d", "#2f8a4c", "#7a4fa3")
_PANELS: tuple[tuple[str, str, tuple[str, ...], Callable[[Figure], float]], ...] = (
    ("CPU", "s", ("cold", "replay", "redun log -", "push"), lambda figure: figure["cpu_s"]),
    ("Peak memory", "MB", ("cold", "replay", "redun log -", "push"), lambda figure: figure["peak_bytes"] / 1e6),
    ("Store", "MB", ("cold", "replay"), lambda figure: figure["store_bytes"] / 1e6),
)


def plot(found: Figures) -> str:
    """Draw the fan-outs as SVG."""
    points = sorted([(jobs_of(key), row) for key, row in found.items() if key.startswith("fanout ")], key=lambda pair: pair[0])
    width, height = (_WIDE + _MARGIN) * len(_PANELS) + 20, _HIGH + 2 * _MARGIN
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" font-family="sans-serif" font-size="11">',
        f'<rect width="{width}" height="{height}" fill="white"/>',
    ]
    for place, (title, unit, names, value) in enumerate(_PANELS):
        lines = {name: [(jobs, value(row[name])) for jobs, row in points if name in row] for name in names}
        parts += _panel(place * (_WIDE + _MARGIN) + _MARGIN, f"{title}, {unit}", lines)
    return "\n".join([*parts, "</svg>", ""])


def _panel(left: int, title: str, lines: dict[str, list[tuple[int, float]]]) -> Iterator[str]:
    xs = [jobs for line in lines.values() for jobs, _ in line]
    ys = [y for line in lines.values() for _, y in line if y > 0]
    x_low, x_high = (int(log10(min(xs))), -int(-log10(max(xs)) // 1)) if xs else (0, 1)
    y_low, y_high = (int(log10(min(ys)) // 1), -int(-log10(max(ys)) // 1)) if ys else (0, 1)
    x_high, y_high = max(x_high, x_low + 1), max(y_high, y_low + 1)

    def at(jobs: float, y: float) -> tuple[float, float]:
        across = (log10(jobs) - x_low) / (x_high - x_low)
        up = (log10(y) - y_low) / (y_high - y_low)
        return round(left + across * (_WIDE - 20), 1), round(_MARGIN + _HIGH * (1 - up), 1)

    yield f'<text x="{left}" y="{_MARGIN - 24}" font-weight="bold">{title}</text>'
    for power in range(y_low, y_high + 1):
        x, y = at(10**x_low, 10.0**power)
        yield f'<path d="M{x} {y}h{_WIDE - 20}" stroke="#ddd"/>'
        yield f'<text x="{x - 4}" y="{y + 4}" text-anchor="end">{10.0**power:g}</text>'
    for power in range(x_low, x_high + 1):
        x, y = at(10**power, 10.0**y_low)
        yield f'<path d="M{x} {y}v{-_HIGH}" stroke="#eee"/>'
        yield f'<text x="{x}" y="{y + 16}" text-anchor="middle">{10**power:,}</text>'
    for place, (name, line) in enumerate(lines.items()):
        colour = _COLOURS[place]
        where = [at(jobs, y) for jobs, y in line if y > 0]
        yield f'<path d="M{" L".join(f"{x} {y}" for x, y in where)}" fill="none" stroke="{colour}" stroke-width="1.6"/>'
        yield from (f'<circle cx="{x}" cy="{y}" r="2.4" fill="{colour}"/>' for x, y in where)
        yield f'<text x="{left + 8 + 70 * place}" y="{_MARGIN - 8}" fill="{colour}">{name}</text>'


def main(args: Sequence[str]) -> None:
    """Measure what the command line asks for, print the table, write the plot."""
    parser = argparse.ArgumentParser(prog="python -m bench.scale", description="the life of one run of N jobs, against N")
    parser.add_argument("--sizes", type=int, nargs="*", default=[1000, 10_000], metavar="N", help="jobs of fan-outs")
    parser.add_argument("--trees", type=int, nargs="*", default=[], metavar="N", help="jobs of trees; N parts of N jobs, about")
    parser.add_argument("--steps", nargs="*", default=[], metavar="STEP", help="end each size after these")
    parser.add_argument("--keep", type=Path, metavar="FILE", help="JSON with figures: read, added to, written")
    parser.add_argument("--plot", type=Path, metavar="FILE", help="SVG to write")
    asked = parser.parse_args(args)
    found: Figures = json.loads(asked.keep.read_text()) if asked.keep and asked.keep.exists() else {}
    for flow, sizes in (("fanout", asked.sizes), ("tree", [isqrt(jobs) for jobs in asked.trees])):
        measure(flow, sizes, found, asked.steps)
        if asked.keep:
            asked.keep.write_text(json.dumps(found, indent=1) + "\n")
    if asked.plot:
        asked.plot.write_text(plot(found))
    print(
        f"{said(conditions('python -m bench.scale ' + ' '.join(args)))}\n\nCPU, peak memory, store afterwards\n\n{table(found)}"
    )


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except BenchError as error:
        sys.exit(f"bench: {error}")
