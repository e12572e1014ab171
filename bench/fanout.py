"""The measurement itself: a cold fan-out, its replays, and the short commands, for one side after the other."""

from __future__ import annotations

import re
import shutil
import sys
import tempfile
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

from bench.measure import BenchError, Sample, folder_bytes, run
from bench.sides import Side

WORKFLOW = Path(__file__).with_name("workflow.py")
HELLO_JOBS = 3
STATUS_ROW = re.compile(r"\| ALL +(\d+) +(\d+) +(\d+) +(\d+) +(\d+) +(\d+)$", re.MULTILINE)


@dataclass
class Figures:
    """What was measured of one side.

    Attributes:
        jobs: jobs of one run, the root's included.
        samples: name of a measurement -> one sample for each repeat.
        cold_bytes, replay_bytes: the store after the cold run, and what one replay added, one figure for each repeat.
    """

    jobs: int
    samples: defaultdict[str, list[Sample]] = field(default_factory=lambda: defaultdict(list))
    cold_bytes: list[int] = field(default_factory=list)
    replay_bytes: list[int] = field(default_factory=list)

    def cpu_s(self, name: str) -> float:
        """Return the median CPU seconds of a measurement."""
        return median(sample.cpu_s for sample in self.samples[name])

    def wall_s(self, name: str) -> float:
        """Return the median wall-clock seconds of a measurement."""
        return median(sample.wall_s for sample in self.samples[name])

    def peak_rss_bytes(self, name: str) -> float:
        """Return the median peak memory of a measurement."""
        return median(sample.peak_rss_bytes for sample in self.samples[name])


def check_counts(log: Path, cached: int, done: int) -> None:
    """Make sure that a run did what its name says, by the last line of totals in its log.

    Raises:
        BenchError: the counts differ, or there are none.
    """
    rows = STATUS_ROW.findall(log.read_text(errors="replace"))
    found = tuple(int(count) for count in rows[-1]) if rows else ()
    if found != (0, 0, 0, cached, done, cached + done):
        raise BenchError(f"expected {cached} jobs cached and {done} done, the log has {found or 'no totals'}: see {log}")


class Bench:
    """Measures one side in a folder of its own; `repeat` may be called again and again, in turn with other sides.

    Args:
        side: who is measured.
        size: how many tasks the fan-out has.
        replays: how often each cold run is replayed.
        folder: an empty folder.
    """

    def __init__(self, side: Side, size: int, replays: int, folder: Path) -> None:
        self.side = side
        self.size = size
        self.replays = replays
        self.folder = folder
        self.figures = Figures(size + 1)
        self._start_hello()

    def _run(self, folder: Path, *args: str) -> Sample:
        out, log = self.folder / "out", self.folder / "log"
        return run([str(self.side.program), *args], folder, self.side.environ(), out, log)

    def _start_hello(self) -> None:
        """Prepare the replay of hello world; also compiles all bytecode, so that no measurement pays for it."""
        self.hello = self.folder / "hello"
        self.hello.mkdir()
        shutil.copy(Path(__file__).parents[1] / "examples" / "01_hello_world" / "hello_world.py", self.hello)
        self._run(self.hello, "run", "hello_world.py", "main")
        check_counts(self.folder / "log", 0, HELLO_JOBS)
        self._run(self.hello, "log")

    def repeat(self) -> None:
        """Measure everything once more.

        Raises:
            BenchError: a run failed, or did something else than it should.
        """
        samples, jobs = self.figures.samples, self.figures.jobs
        samples["version"].append(self._run(self.hello, "--version"))
        samples["hello"].append(self._run(self.hello, "run", "hello_world.py", "main"))
        check_counts(self.folder / "log", HELLO_JOBS, 0)
        folder = self.folder / "fanout"
        folder.mkdir()
        shutil.copy(WORKFLOW, folder)
        command = ("run", "workflow.py", "main", "--n", str(self.size))
        samples["cold"].append(self._run(folder, *command))
        check_counts(self.folder / "log", 0, jobs)
        before = folder_bytes(folder / ".redun")
        self.figures.cold_bytes.append(before)
        for _ in range(self.replays):
            samples["replay"].append(self._run(folder, *command))
            check_counts(self.folder / "log", jobs, 0)
        self.figures.replay_bytes.append((folder_bytes(folder / ".redun") - before) // max(self.replays, 1))
        samples["log"].append(self._run(folder, "log"))
        samples["log -"].append(self._run(folder, "log", "-"))
        shutil.rmtree(folder)


def measure(sides: Sequence[tuple[Side, int]], repeats: int, replays: int) -> dict[str, Figures]:
    """Measure sides in turn, so that a noisy minute hits all of them.

    Args:
        sides: each with the size of its fan-out.
        repeats: how many cold runs.
        replays: how many cached runs after each.

    Returns:
        name of a side -> its figures.
    """
    with tempfile.TemporaryDirectory(prefix="redun-bench-") as scratch:
        benches = []
        for side, size in sides:
            folder = Path(scratch, side.name)
            folder.mkdir()
            benches.append(Bench(side, size, replays, folder))
        for number in range(repeats):
            # Every other round in the opposite order: nobody is always the one after the other.
            for bench in benches if number % 2 == 0 else reversed(benches):
                print(f"round {number + 1} of {repeats}: {bench.side.name}, {bench.size} tasks", file=sys.stderr)
                bench.repeat()
        return {bench.side.name: bench.figures for bench in benches}
