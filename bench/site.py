"""Where one side does one round of a workload: a folder, and programs run and measured in it."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

from bench.measure import BenchError, Sample, run
from bench.sides import Side

HERE = Path(__file__).parent
STATUS_ROW = re.compile(r"\| ALL +(\d+) +(\d+) +(\d+) +(\d+) +(\d+) +(\d+)$", re.MULTILINE)


class Site:
    """A side in a folder of its own.

    Args:
        side: who is measured.
        folder: an empty folder.
    """

    def __init__(self, side: Side, folder: Path) -> None:
        self.side = side
        self.folder = folder
        self.out = folder / "out"
        self.log = folder / "log"

    def place(self, name: str) -> Path:
        """Make an empty folder."""
        place = self.folder / name
        place.mkdir()
        return place

    def redun(self, place: Path, *words: object) -> Sample:
        """Run `redun` with words in a folder; what it prints is in `out` and `log`."""
        return self._run([str(self.side.program), *map(str, words)], place)

    def flow(self, place: Path, name: str, *words: object, task: str = "main") -> Sample:
        """Run a task of `bench/flows/NAME.py` in a folder; a side that is no redun runs its own counterpart of it.

        Args:
            words: further words: options of the task, as `--n`, 5.
        """
        source = HERE / ("flows" if self.side.is_redun else f"tools/{self.side.name}") / f"{name}.py"
        if not (place / source.name).exists():
            shutil.copy(source, place)
        if self.side.is_redun:
            return self.redun(place, "run", source.name, task, *words)
        return self._run([*self.side.python, source.name, task, *map(str, words)], place)

    def driver(self, name: str, *words: object) -> dict[str, float]:
        """Run `bench/drivers/NAME.py`, which measures itself through the Python API and prints figures as JSON."""
        self._run([*self.side.python, str(HERE / "drivers" / f"{name}.py"), *map(str, words)], self.folder)
        found: dict[str, float] = json.loads(self.out.read_text().splitlines()[-1])
        return found

    def _run(self, command: list[str], place: Path) -> Sample:
        return run(command, place, self.side.environ(), self.out, self.log)

    def counts(self, fails: bool = False) -> tuple[int, int]:
        """Return how many jobs of the last run came from the cache and how many ran to their end, by its log.

        Args:
            fails: some jobs may have failed.

        Raises:
            BenchError: the log has no totals, or a job failed.
        """
        rows = STATUS_ROW.findall(self.log.read_text(errors="replace"))
        pending, running, failed, cached, done, total = map(int, rows[-1]) if rows else (0, 0, 0, 0, 0, -1)
        if (pending, running, failed + cached + done) != (0, 0, total) or (failed and not fails):
            raise BenchError(f"the log of {self.side.name} has {rows[-1] if rows else 'no totals'}:\n{self._last_lines()}")
        return cached, done

    def expect(self, cached: int | None, done: int | None, fails: bool = False) -> None:
        """Make sure that the last run did what its name says; None stands for any number.

        Args:
            fails: some jobs may have failed.

        Raises:
            BenchError: the counts differ.
        """
        if not self.side.is_redun:
            said = self.out.read_text().strip().rpartition("\n")[2]
            if said != "keeps nothing" and not (said.startswith("ran ") and (done is None or said == f"ran {done}")):
                raise BenchError(f"expected {done} functions to run, {self.side.name} says {said!r}")
            return
        for found, wanted, what in zip(self.counts(fails), (cached, done), ("from the cache", "done"), strict=True):
            if wanted is not None and found != wanted:
                name = self.side.name
                raise BenchError(f"expected {wanted} jobs {what}, the log of {name} has {found}:\n{self._last_lines()}")

    def _last_lines(self) -> str:
        return self.log.read_text(errors="replace")[-2000:]
