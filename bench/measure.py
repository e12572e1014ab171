"""One process measured: CPU, wall clock, memory; and what this machine is worth at the moment."""

from __future__ import annotations

import hashlib
import os
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path


class BenchError(Exception):
    """A measurement that means nothing: the program failed, or did not do what was asked of it."""


@dataclass(frozen=True)
class Sample:
    """What one process cost.

    Attributes:
        cpu_s: user and system time of the process and of those that it waited for.
        wall_s: from its start to its end.
        peak_rss_bytes: the most memory that it held at once. At least what this harness itself holds, some 20 MB: Linux lets a
            new process begin with the peak of the one that made it.
    """

    cpu_s: float
    wall_s: float
    peak_rss_bytes: int


def run(command: Sequence[str], folder: Path, environ: Mapping[str, str], out: Path, log: Path) -> Sample:
    """Run a command to its end and measure it.

    Args:
        folder: its working folder.
        out, log: files for its standard output and standard error.

    Raises:
        BenchError: it ended with another status than 0.
    """
    with out.open("wb") as out_file, log.open("wb") as log_file:
        start_s = time.perf_counter()
        process = subprocess.Popen(
            command, cwd=folder, env=environ, stdin=subprocess.DEVNULL, stdout=out_file, stderr=log_file, close_fds=True
        )
        _, status, usage = os.wait4(process.pid, 0)
        wall_s = time.perf_counter() - start_s
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        last = log.read_text(errors="replace")[-2000:]
        raise BenchError(f"{' '.join(command)} ended with status {process.returncode}:\n{last}")
    return Sample(usage.ru_utime + usage.ru_stime, wall_s, usage.ru_maxrss * 1024)


def folder_bytes(folder: Path) -> int:
    """Return the disk space that a folder's files take (allocated blocks, so a sparse file counts what it holds)."""
    return sum(path.lstat().st_blocks * 512 for path in folder.rglob("*") if not path.is_dir())


def reference_s() -> float:
    """Return the CPU seconds of a fixed piece of work: the unit in which times of different machines and minutes compare.

    Half of it is plain Python, half SHA-256 and small allocations, as in a workflow's engine. About 50 ms on the machine of the
    baseline. It never changes, or all baselines lose their meaning.
    """
    start_s = time.process_time()
    table: dict[bytes, tuple[int, bytes]] = {}
    key = b"reference"
    for number in range(120_000):
        key = hashlib.sha256(key).digest()[:20]
        table[key] = (number, key[:4])
        if len(table) > 1000:
            table.clear()
    return time.process_time() - start_s
