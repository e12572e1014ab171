"""The table of goals in docs/performance.md, made of the baseline: what was to be reached and what was."""

from __future__ import annotations

from pathlib import Path

from bench.baseline import Baseline
from bench.measure import BenchError
from bench.report import goal_text, lay_out, number, of_goal
from bench.workload import workloads

PAGE = Path(__file__).resolve().parent.parent / "docs" / "performance.md"
BEGIN = "<!-- made of bench/BASELINE.json by `python -m bench baseline` -->\n"
END = "<!-- end -->"

# In the order of the page: workloads whose figures with a goal are shown, and further figures of them.
SHOWN: dict[str, tuple[str, ...]] = {
    "fanout": ("cold.marginal", "cold.wall", "replay.marginal"),
    "fanout-20k": ("cold.marginal", "cold.wall", "replay.marginal"),
    "fanout-1m": ("cold.wall", "replay.wall"),
    "fib": ("cold.jobs", "replay.jobs"),
    "chain": ("cold", "replay", "peak", "log", "push", "gc"),
    "chain-operators": ("cold", "replay"),
    "chain-lists": ("cold", "replay"),
    "chain-catch": ("cold", "replay"),
    "growth": ("cold.small", "cold.large", "replay.small", "replay.large"),
    "earlier": (),
    "bytes": (),
    "processes": (),
    "threads": ("excess",),
    "arrivals": ("rate", "cpu"),
    "start": (),
    "log": (),
    "push": (),
    "s3": ("pull.requests",),
    "dir": (),
    "executions": ("cold.cpu", "replay.cpu"),
    "executions-disk": ("cold.cpu", "replay.cpu"),
    "wide": ("cold.marginal", "replay.marginal"),
    "wide-arguments": ("cold.marginal", "replay.marginal"),
    "nesting": ("cold.marginal", "replay.marginal"),
    "catch": ("cold.marginal", "replay.marginal"),
    "cond": ("cold.marginal", "replay.marginal"),
    "handles": ("cold.marginal", "replay.marginal"),
    "handle-chain": ("cold.marginal", "replay.marginal"),
    "files": ("cold.marginal", "replay.marginal"),
    "file-list": ("cold.marginal", "replay.marginal"),
    "shared-bytes": ("cold.marginal", "replay.marginal"),
    "shared-list": ("cold.marginal", "replay.marginal"),
    "gc": ("cpu", "peak", "longest"),
    "objects": ("open", "get", "memo", "find", "log", "log.peak", "index", "index.peak", "execution", "job"),
}


def table(baseline: Baseline) -> str:
    """Lay out the goals; a workload that the baseline lacks is left out."""
    known = workloads()
    lines: list[list[str]] = []
    for name in [*SHOWN, *(name for name in known if name not in SHOWN)]:
        kept = baseline.kept(name)
        title = f"`{name}`, N = {kept['size']:,}" if kept else ""
        for metric in known[name].metrics if kept else ():
            value = kept["figures"].get(metric.key)
            if value is None or (metric.goal is None and metric.key not in SHOWN.get(name, ())):
                continue
            lines.append([title, metric.title, goal_text(metric), number(value, metric.unit), of_goal(metric, value)])
            title = ""
    return lay_out(["workload", "figure", "goal", "reached", "of goal"], lines)


def put_between(text: str, begin: str, content: str) -> str:
    """Return a page with what stands between `begin` and the next `END` made anew.

    Raises:
        BenchError: the page has no place for it.
    """
    before, found, rest = text.partition(begin)
    _, end, after = rest.partition(END)
    if not found or not end:
        raise BenchError(f"{PAGE} has no place for the table: it stands between {begin.strip()} and {END}")
    return f"{before}{begin}{content}\n{end}{after}"


def write(baseline: Baseline, path: Path = PAGE) -> None:
    """Make the table in the page anew."""
    path.write_text(put_between(path.read_text(), BEGIN, table(baseline)))
