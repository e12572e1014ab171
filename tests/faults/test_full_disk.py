"""A disk that is full: the run stops with a word that says how much is missing where, and goes on from there once there is room."""

from __future__ import annotations

import contextlib
import re
import resource
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from redun.fsck import check

SCRIPT = """
import time
from redun import task

redun_namespace = "filling"

@task()
def fill(i: int, size: int) -> bytes:
    time.sleep(0.03)
    return i.to_bytes(4, "big") * (size // 4)

@task()
def size(data: bytes) -> int:
    return len(data)

@task()
def main(size_bytes: int):
    return [size(fill(i, size_bytes)) for i in range(3_200_000 // size_bytes)]
"""


@contextlib.contextmanager
def small_disk(folder: Path) -> Iterator[bool]:
    """Mount 2 MB; yields False where that is not allowed."""
    folder.mkdir()
    mounted = (
        subprocess.run(
            ["mount", "-t", "tmpfs", "-o", "size=2m", "none", str(folder)], capture_output=True, check=False
        ).returncode
        == 0
    )
    try:
        yield mounted
    finally:
        if mounted:
            subprocess.run(["umount", "-l", str(folder)], check=True)


@pytest.mark.parametrize("size_bytes", [40_000, 100_000], ids=["in the database", "in files"])
def test_a_run_on_a_full_disk(tmp_path: Path, redun_environ: dict[str, str], size_bytes: int) -> None:
    disk = tmp_path / "disk"

    def limit() -> None:
        # Where nothing can be mounted, files may not grow.
        resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000 if size_bytes < 65_536 else 90_000, resource.RLIM_INFINITY))

    with small_disk(disk) as mounted:
        (disk / "flow.py").write_text(SCRIPT)
        words = ["redun", "run", "flow.py", "main", "--size-bytes", str(size_bytes)]

        def run(limited: bool) -> subprocess.CompletedProcess[str]:
            return subprocess.run(
                words,
                cwd=disk,
                env=redun_environ,
                capture_output=True,
                text=True,
                check=False,
                preexec_fn=limit if limited else None,
            )

        done = run(not mounted)
        assert done.returncode == 1
        assert done.stdout == ""
        (told,) = [line for line in done.stderr.splitlines() if line.startswith("redun: error:")]
        assert str(disk / ".redun" / "store") in told
        assert re.search(r"\([\d.]+ [KMG]B free, about [\d.]+ [KMG]B wanted\): make room and run again", told)
        assert "Traceback" not in done.stderr
        begun = done.stderr.count("Run    Job")
        assert check(disk / ".redun" / "store", full=True).verdict == "sound"
        # It says the same again, and what can be read is read.
        assert run(not mounted).returncode == 1
        shown = subprocess.run(["redun", "log"], cwd=disk, env=redun_environ, capture_output=True, text=True, check=False)
        assert shown.returncode == 0
        assert "run flow.py main" in shown.stdout
        if mounted:
            subprocess.run(["mount", "-o", "remount,size=20m", str(disk)], check=True)
        done = run(False)
        assert done.returncode == 0, done.stderr
        assert done.stdout.strip() == repr([size_bytes] * (3_200_000 // size_bytes))
        count = 2 * (3_200_000 // size_bytes) + 1
        assert done.stderr.count("Run    Job") < count
        assert begun > 0
        report = check(disk / ".redun" / "store", full=True)
        assert report.verdict == "sound"
