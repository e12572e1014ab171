"""Where the time, the system calls and the commits of one job go: `python -m bench.budget [--jobs N]`.

The fan-out runs twice, cold and replayed, each time sampled (`bench/drivers/sampled.py`), then once more without the sampler for the
total, and under `strace` for its system calls. A sample counts for the innermost frame that belongs to a step of `STEPS`; what a run with
10 jobs takes, the start of Python included, is left off. docs/performance.md shows the outcome beside the floor of each step.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path

from bench.floors import floors
from bench.goals import PAGE, put_between
from bench.measure import BenchError, run
from bench.report import conditions, said
from bench.sides import ROOT, tree_side

# Step -> where its code is: a file, or a file and functions in it. The first that fits counts.
STEPS: list[tuple[str, list[tuple[str, str]]]] = [
    ("expressions encoded", [("redun/graph.py", "encode_list place _add _note _row _fields _shorten finish aliases _form")]),
    ("expressions decoded", [("redun/graph.py", ""), ("redun/decoding.py", "_graph _node")]),
    (
        "commit: rows, checksums, fsync",
        [("store/sources/", "commit work write _write_once _write_blobs"), ("store/blobs.py", "")],
    ),
    ("commit: the segment", [("store/journal.py", ""), ("evaluation/recorder.py", "_add_segment _kept_by _started")]),
    ("commit: the rest", [("evaluation/recorder.py", "commit _write _written _forget tick before_wait after_wait end")]),
    ("call object: encoded, hashed", [("redun/records.py", "encode_call"), ("evaluation/calls.py", "_record_call")]),
    ("log line", [("evaluation/events.py", ""), ("evaluation/text.py", ""), ("redun/output.py", "write flush")]),
    (
        "memo looked up, result read and decoded",
        [("evaluation/cache.py", ""), ("redun/decoding.py", ""), ("evaluation/validity.py", "")],
    ),
    ("arguments: encoded, hashed to the eval hash", [("evaluation/arguments.py", ""), ("evaluation/plan.py", "eval_hash")]),
    ("result: looked at, encoded", [("evaluation/calls.py", "_take_result _postprocess _take_encoded")]),
    (
        "job made: plan, id, window",
        [
            ("evaluation/job.py", "__init__ new_job_id"),
            ("evaluation/calls.py", "new_job job_with"),
            ("evaluation/evaluation.py", "_walk _input _new_node demand"),
            ("evaluation/plans.py", ""),
            ("redun/nested.py", ""),
        ],
    ),
    (
        "handed to a worker and back",
        [
            ("executors/", ""),
            ("evaluation/evaluation.py", "_receive _take"),
            ("evaluation/calls.py", "submit completed give_up admit _launch begin"),
            ("evaluation/limits.py", ""),
        ],
    ),
    ("state: table, queue, duplicates, parent", [("evaluation/", "")]),
]
SMALL = 10
BEGIN = "<!-- made by `python -m bench.budget --write` -->\n"


def step_of(stack: list[list[str]]) -> str | None:
    """Return the step that a stack belongs to, innermost frame first; None: not a part of the evaluation."""
    if not any(name == "run" and file.endswith("evaluation/evaluation.py") for file, name in stack):
        return "commit: the rest" if any(file.endswith("evaluation/recorder.py") for file, _ in stack) else None
    for file, name in stack:
        for step, places in STEPS:
            for place, names in places:
                if place in file and (not names or name in names.split()):
                    return step
    return None


class Budget:
    """Measures in a folder of its own.

    Args:
        jobs: size of the fan-out.
        folder: an empty folder.
    """

    def __init__(self, jobs: int, folder: Path) -> None:
        self.jobs = jobs
        self.folder = folder
        self.side = tree_side("budget", ROOT)
        assert self.side.program is not None
        self.program = str(self.side.program)
        shutil.copy(Path(__file__).parent / "flows" / "fanout.py", folder)

    def command(self, jobs: int) -> list[str]:
        """Return the words after `redun`."""
        return ["run", "fanout.py", "main", "--n", str(jobs)]

    def fresh(self) -> None:
        """Begin with an empty store, everything compiled."""
        shutil.rmtree(self.folder / ".redun", ignore_errors=True)
        (self.folder / ".redun").mkdir()

    def cpu_us(self, jobs: int) -> float:
        """Return the CPU time of a run in microseconds."""
        out, log = self.folder / "out", self.folder / "log"
        return run([self.program, *self.command(jobs)], self.folder, self.side.environ(), out, log).cpu_s * 1e6

    def steps(self) -> Counter[str]:
        """Run sampled; return step -> samples."""
        seen = self.folder / "seen.json"
        driver = Path(__file__).parent / "drivers" / "sampled.py"
        command = [*self.side.python, str(driver), str(seen), *self.command(self.jobs)]
        run(command, self.folder, self.side.environ(), self.folder / "out", self.folder / "log")
        found: Counter[str] = Counter()
        for count, stack in json.loads(seen.read_text()):
            step = step_of(stack)
            if step is not None:
                found[step] += count
        return found

    def alive(self) -> list[tuple[str, float, float]]:
        """Run traced; return file, bytes and blocks per job of what is alive at the end of the evaluation, the most first."""
        seen = self.folder / "seen.json"
        driver = Path(__file__).parent / "drivers" / "traced.py"
        command = [*self.side.python, str(driver), str(seen), *self.command(self.jobs)]
        run(command, self.folder, self.side.environ(), self.folder / "out", self.folder / "log")
        found = [
            (
                os.path.relpath(file, ROOT) if file.startswith(str(ROOT)) else Path(file).name,
                size / self.jobs,
                count / self.jobs,
            )
            for file, size, count in json.loads(seen.read_text())
        ]
        return sorted(found, key=lambda row: -row[1])

    def system_calls(self, jobs: int) -> Counter[str]:
        """Run under strace; return name -> how often, or nothing where there is no strace."""
        if shutil.which("strace") is None:
            return Counter()
        table = self.folder / "strace"
        command = ["strace", "-f", "-qq", "-c", "-U", "calls,name", "-o", str(table), self.program, *self.command(jobs)]
        run(command, self.folder, self.side.environ(), self.folder / "out", self.folder / "log")
        rows = re.findall(r"^\s*(\d+)\s+(\w+)\s*$", table.read_text(), re.MULTILINE)
        return Counter({name: int(count) for count, name in rows if name != "total"})

    def commits(self) -> int:
        """Return how many commits the last execution made."""
        code = (
            "import sys; from pathlib import Path; from redun.store.repository import Store\n"
            "moves = [move.name for move in Store.open(Path('.redun/store')).source.reflog()]\nprint(moves.count(moves[-1]))"
        )
        command = [*self.side.python, "-c", code]
        done = subprocess.run(command, cwd=self.folder, env=self.side.environ(), capture_output=True, text=True, check=False)
        if done.returncode:
            raise BenchError(f"the commits cannot be counted: {done.stderr.strip()}")
        return int(done.stdout)


def measure(jobs: int, rounds: int) -> str:
    """Return the tables.

    Raises:
        BenchError: a run failed.
    """
    totals: dict[str, list[float]] = {"cold": [], "replay": []}
    samples: dict[str, Counter[str]] = {"cold": Counter(), "replay": Counter()}
    with tempfile.TemporaryDirectory(prefix="redun-bench-") as scratch:
        budget = Budget(jobs, Path(scratch))
        for _ in range(rounds):
            budget.fresh()
            budget.cpu_us(SMALL)
            start = budget.cpu_us(SMALL)
            budget.fresh()
            totals["cold"].append(budget.cpu_us(jobs) - start)
            commits = {"cold": budget.commits()}
            totals["replay"].append(budget.cpu_us(jobs) - start)
            commits["replay"] = budget.commits()
            budget.fresh()
            samples["cold"] += budget.steps()
            samples["replay"] += budget.steps()
        calls = {}
        for name in ("cold", "replay"):
            budget.fresh()
            if name == "replay":
                budget.cpu_us(jobs)
                few = budget.system_calls(SMALL)
            else:
                few = budget.system_calls(SMALL)
                budget.fresh()
            calls[name] = budget.system_calls(jobs) - few
        alive = {}
        budget.fresh()
        for name in ("cold", "replay"):
            alive[name] = budget.alive()
    if not all(found.total() for found in samples.values()):
        raise BenchError(f"{jobs} jobs were over before the sampler looked: take more")
    per_job = {name: min(found) / jobs for name, found in totals.items()}
    floor = floors()
    lines = [
        f"| step ({jobs:,} jobs, us of CPU per job) | cold | floor | replayed | floor |",
        "| --- | ---: | ---: | ---: | ---: |",
    ]
    for step, _ in STEPS:
        least = floor.get(step, (0.0, 0.0))
        cells = [
            f"{samples[name][step] / samples[name].total() * per_job[name]:.1f} | {least[place]:.1f}"
            for place, name in enumerate(per_job)
        ]
        lines.append(f"| {step} | {' | '.join(cells)} |")
    sums = [sum(pair[place] for pair in floor.values()) for place in (0, 1)]
    lines.append(
        f"| together, without start-up | {per_job['cold']:.1f} | {sums[0]:.1f} | {per_job['replay']:.1f} | {sums[1]:.1f} |"
    )
    lines += ["", f"Commits: {commits['cold']} cold, {commits['replay']} replayed."]
    for name, found in calls.items():
        told = ", ".join(f"{call} {count}" for call, count in found.most_common(6))
        lines.append(
            f"System calls beyond those of {SMALL} jobs, {name}: {found.total() / jobs:.3f} a job ({told or 'no strace'})."
        )
    for name, rows in alive.items():
        whole = sum(size for _, size, _ in rows), sum(count for _, _, count in rows)
        told = ", ".join(f"{file} {size:.0f}" for file, size, _ in rows[:6])
        lines.append(f"Alive when the evaluation ends, {name}: {whole[0]:.0f} bytes in {whole[1]:.1f} blocks a job ({told}).")
    return "\n\n".join(["\n".join(lines[: lines.index("")]), *lines[lines.index("") + 1 :]])


def main() -> None:
    """Measure what the command line asks for and print it."""
    parser = argparse.ArgumentParser(prog="python -m bench.budget", description="where the time of one job goes, by steps")
    parser.add_argument("--jobs", type=int, default=50_000, metavar="N", help="size of the fan-out (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=3, metavar="K", help="default: %(default)s")
    parser.add_argument("--write", action="store_true", help="put the tables into docs/performance.md")
    asked = parser.parse_args()
    if asked.jobs < 100 or asked.rounds < 1:
        parser.error("it takes 100 jobs and a round at least")
    command = " ".join(["python -m bench.budget", *sys.argv[1:]])
    text = f"{said(conditions(command))}\n\n{measure(asked.jobs, asked.rounds)}"
    if asked.write:
        PAGE.write_text(put_between(PAGE.read_text(), BEGIN, text))
    print(text)


if __name__ == "__main__":
    try:
        main()
    except BenchError as error:
        sys.exit(f"bench: {error}")
