"""Campaigns: runs that are interrupted, or whose workers are killed, at random moments.

    python -m tests.faults.interrupted_runs interrupt --rounds 100 --method fork
    python -m tests.faults.interrupted_runs kill-workers --rounds 100 --method forkserver

Each prints what it found, one line of JSON. `tests/faults/test_executors.py` runs a few rounds of each, `make faults` 100.

**interrupt**: `redun run` gets SIGINT (or SIGTERM, every third time) after a random time. It must leave with status 130 (0 if it was through
by then), leave no process behind, and the next run must go on from there: what was finished is not run again.
**twice**: the same with two signals 10 ms apart: whatever it does about the first, it leaves at once.
**kill-workers**: worker processes of a run are killed with SIGKILL, one to four in each run. With `retries=1` it must end with the right
result, or, if one job was hit twice or no worker ever got ready, with a clear failure.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

FLOW = """
import os, time
from redun import task

redun_namespace = "flow"

def note(kind, x):
    with open(f"{kind}-{os.environ['ROUND']}", "a") as file:
        file.write(f"{x}\\n")

@task()
def step(x: int, level: int) -> int:
    note("ran", f"{level}.{x}")
    time.sleep(0.002)
    return x + 1

@task(retries=1)
def work(x: int) -> int:
    note("tried", x)
    time.sleep(0.02)
    return x * x

@task()
def chain(x: int) -> int:
    return step(step(step(x, 1), 2), 3)

@task()
def main(seed: int, n: int = 60) -> list:
    return [chain(1000 * seed + x) for x in range(n)]

@task(retries=1)
def squares(seed: int, n: int = 40) -> list:
    return [work(1000 * seed + x) for x in range(n)]
"""
WITHIN_S = 60.0


def left_behind(session: int) -> list[int]:
    """Processes of a session that are still there."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            if int(fields[3]) == session and fields[0] != "Z":
                found.append(int(entry.name))
    return found


def workers(session: int) -> list[int]:
    """Worker processes: they lead groups of their own within the session of the run."""
    found = []
    for pid in left_behind(session):
        try:
            if os.getpgid(pid) == pid != session:
                found.append(pid)
        except ProcessLookupError:
            continue
    return found


class Runs:
    """Runs of the workflow in one folder.

    Args:
        method: `thread`, or the start method of worker processes.
    """

    def __init__(self, folder: Path, method: str) -> None:
        self.folder = folder
        (folder / "flow.py").write_text(FLOW)
        (folder / ".redun").mkdir()
        section = "type = local" if method == "thread" else f"type = process\nstart_method = {method}"
        (folder / ".redun" / "redun.ini").write_text(f"[executors.default]\n{section}\nmax_workers = 4\n")

    def start(self, number: int, *words: str) -> subprocess.Popen[str]:
        """Start a run in a session of its own, whose log goes to a file."""
        with open(self.folder / f"log-{number}", "w") as log:
            return subprocess.Popen(
                [sys.executable, "-m", "redun", "run", "flow.py", *words],
                cwd=self.folder,
                env={**os.environ, "ROUND": str(number)},
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                start_new_session=True,
            )

    def log(self, number: int) -> str:
        """Return what a run has told so far."""
        return (self.folder / f"log-{number}").read_text()

    def lines(self, kind: str, number: int) -> list[str]:
        """Return what the tasks of a run have noted."""
        path = self.folder / f"{kind}-{number}"
        return path.read_text().split() if path.exists() else []

    def until_it_runs(self, process: subprocess.Popen[str], number: int) -> None:
        """Wait for the begin of the execution: before that it is Python itself, importing, that a signal meets."""
        while "Start Execution" not in self.log(number):
            if process.poll() is not None:
                raise AssertionError(f"it did not even start: {self.log(number)}")
            time.sleep(0.002)

    def nothing_is_left(self, session: int) -> float:
        """Wait for the end of all its processes; return how long that took."""
        since = time.monotonic()
        while left := left_behind(session):
            # The fork server and the tracker of multiprocessing end by themselves once the scheduler is gone.
            if time.monotonic() - since > WITHIN_S:
                raise AssertionError(f"left behind: {[Path(f'/proc/{pid}/cmdline').read_text() for pid in left]}")
            time.sleep(0.005)
        return time.monotonic() - since


def interrupt(
    folder: Path, method: str, rounds: int, seed: int = 1, twice: bool = False, moments: tuple[float, float] = (0, 0.3)
) -> dict[str, Any]:
    """Interrupt runs at random moments, and run each to its end; see the module text."""
    runs = Runs(folder, method)
    rolls = random.Random(seed)
    took: list[float] = []
    gone: list[float] = []
    statuses: dict[int, int] = {}
    again = 0
    for number in range(rounds):
        words = ("main", "--seed", str(number))
        process = runs.start(number, *words)
        runs.until_it_runs(process, number)
        time.sleep(rolls.uniform(*moments))
        sent = time.monotonic()
        process.send_signal(signal.SIGTERM if number % 3 == 2 else signal.SIGINT)
        if twice:
            time.sleep(0.01)
            process.send_signal(signal.SIGINT)
        out, _ = process.communicate(timeout=WITHIN_S)
        took.append(time.monotonic() - sent)
        gone.append(runs.nothing_is_left(process.pid))
        statuses[process.returncode] = statuses.get(process.returncode, 0) + 1
        told = runs.log(number)
        assert process.returncode in (0, 130), (process.returncode, out, told)
        assert "Traceback" not in told, told
        first = runs.lines("ran", number)
        finished = len(first)
        rest = runs.start(number, *words)
        out, _ = rest.communicate(timeout=WITHIN_S)
        assert rest.returncode == 0, runs.log(number)
        assert out == f"{[1000 * number + x + 3 for x in range(60)]}\n", out
        # What ran in both is what was running when the signal came, or had been handed back in the very last moment.
        both = len(runs.lines("ran", number)) - 180
        most = 20 if not twice else finished
        assert both <= most, f"{both} of {finished} ran again"
        again = max(again, both)
    return {
        "campaign": "twice" if twice else "interrupt",
        "method": method,
        "rounds": rounds,
        "statuses": {str(status): count for status, count in sorted(statuses.items())},
        "left_after_s": _distribution(took),
        "all_processes_gone_after_s": _distribution(gone),
        "most_jobs_run_again": again,
    }


def kill_workers(folder: Path, method: str, rounds: int, seed: int = 1) -> dict[str, Any]:
    """Kill worker processes of runs at random moments; see the module text."""
    runs = Runs(folder, method)
    rolls = random.Random(seed)
    took: list[float] = []
    right = failed = kills = 0
    for number in range(rounds):
        process = runs.start(number, "squares", "--seed", str(number))
        runs.until_it_runs(process, number)
        since = time.monotonic()
        most = rolls.choice([1, 1, 2, 4])
        while process.poll() is None and most:
            time.sleep(rolls.uniform(0.0, 0.15))
            victims = workers(process.pid)
            if victims:
                try:
                    os.kill(rolls.choice(victims), signal.SIGKILL)
                except ProcessLookupError:
                    continue
                most -= 1
                kills += 1
        out, _ = process.communicate(timeout=WITHIN_S)
        took.append(time.monotonic() - since)
        runs.nothing_is_left(process.pid)
        told = runs.log(number)
        if process.returncode == 0:
            assert out == f"{[(1000 * number + x) ** 2 for x in range(40)]}\n", out
            right += 1
        else:
            # Twice the same job, or a worker that was not ready yet.
            assert process.returncode == 1, told
            assert "WorkerLost" in told, told
            assert "was killed by signal SIGKILL" in told, told
            failed += 1
    return {
        "campaign": "kill-workers",
        "method": method,
        "rounds": rounds,
        "kills": kills,
        "right_result": right,
        "clear_failure": failed,
        "run_s": _distribution(took),
    }


def _distribution(times: list[float]) -> dict[str, float]:
    ordered = sorted(times)
    return {
        "median": round(ordered[len(ordered) // 2], 3),
        "p95": round(ordered[min(len(ordered) - 1, int(len(ordered) * 0.95))], 3),
        "max": round(ordered[-1], 3),
    }


def main() -> None:
    """Run one campaign."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("campaign", choices=["interrupt", "twice", "kill-workers"])
    parser.add_argument("--method", default="forkserver", choices=["thread", "fork", "spawn", "forkserver"])
    parser.add_argument("--rounds", type=int, default=100)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        if given.campaign == "kill-workers":
            found = kill_workers(Path(folder), given.method, given.rounds, given.seed)
        else:
            found = interrupt(Path(folder), given.method, given.rounds, given.seed, given.campaign == "twice")
    print(json.dumps(found))


if __name__ == "__main__":
    main()
