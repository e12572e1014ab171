"""A run killed with `kill -9` at a random moment: what was recorded is replayed, and the store is sound."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import time
from pathlib import Path

SCRIPT = """
import time
from redun import task

redun_namespace = "killed"

@task()
def step(i):
    time.sleep(0.01)
    return i

@task()
def group(i):
    return [step(10 * i + j) for j in range(10)]

@task()
def main():
    return [group(i) for i in range(40)]
"""


def _redun(environ: dict[str, str], folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["redun", *words], cwd=folder, env=environ, capture_output=True, text=True, check=True)


def _jobs(environ: dict[str, str], folder: Path, status: str) -> set[str]:
    """The calls of recorded jobs in a state."""
    listed = _redun(environ, folder, "log", "--job", "--status", status, "--format", "json").stdout
    return {job["call_hash"] for job in map(json.loads, listed.splitlines()) if job["call_hash"]}


def test_runs_go_on_from_where_they_were_killed(redun_environ: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "flow.py").write_text(SCRIPT)
    kills = int(os.environ.get("REDUN_FAULT_ROUNDS", "30")) // 6
    done: set[str] = set()
    for _ in range(kills):
        with subprocess.Popen(
            ["redun", "run", "flow.py", "main"],
            cwd=tmp_path,
            env=redun_environ,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        ) as process:
            time.sleep(random.uniform(0.1, 0.5))
            process.send_signal(signal.SIGKILL)
        if not (tmp_path / ".redun" / "store" / "data.mdb").exists():
            continue
        now_done = _jobs(redun_environ, tmp_path, "DONE")
        assert done <= now_done
        done = now_done
        assert "[ RUN  ]" not in _redun(redun_environ, tmp_path, "log").stdout
    last = _redun(redun_environ, tmp_path, "run", "flow.py", "main")
    assert last.stdout.strip() == repr([[10 * i + j for j in range(10)] for i in range(40)])
    # Nothing that was recorded as done ran again.
    ran = last.stderr.count("Run    Job")
    assert ran <= 441 - len(done)
    assert "Run    Job" not in _redun(redun_environ, tmp_path, "run", "flow.py", "main").stderr
