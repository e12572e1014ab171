"""While jobs sleep, so does everything else: threads of the scheduler's process are counted how often they woke up."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

pytestmark = pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="needs /proc of Linux")

FLOW = """
import asyncio, os, time
from redun import task

redun_namespace = "flow"

def wake_ups(pid):
    total = 0
    for thread in os.listdir(f"/proc/{pid}/task"):
        with open(f"/proc/{pid}/task/{thread}/status") as status:
            total += sum(int(line.split()[1]) for line in status if "voluntary_ctxt_switches" in line and line[0] == "v")
    return total

# The commits and the first looks at output come in the first part of a second.
SETTLE_S, SLEEP_S = 0.7, 1.0

@task(cache=False)
def sleep(pid: int) -> int:
    time.sleep(SETTLE_S)
    before = wake_ups(pid)
    time.sleep(SLEEP_S)
    return wake_ups(pid) - before

@task(cache=False)
async def sleep_async(pid: int) -> int:
    await asyncio.sleep(SETTLE_S)
    before = wake_ups(pid)
    await asyncio.sleep(SLEEP_S)
    return wake_ups(pid) - before

@task(script=True, cache=False)
def sleep_script(pid: int) -> str:
    count = "cat /proc/%d/task/*/status | awk '/^voluntary/ {n += $2} END {print n}'" % pid
    return f"sleep {SETTLE_S}; before=$({count}); sleep {SLEEP_S}; echo $(($({count}) - before))"

@task(cache=False)
def main(how: str, kind: str) -> int:
    tasks = {"sleep": sleep, "async": sleep_async, "script": sleep_script}
    return tasks[kind].options(mode=how)(os.getpid())
"""


@pytest.mark.parametrize(
    ("how", "kind"),
    [("thread", "sleep"), ("thread", "async"), ("thread", "script"), ("process", "sleep"), ("process", "script")],
)
def test_a_run_whose_task_sleeps_does_not_wake_up(how: str, kind: str, tmp_path: Path, redun_environ: dict[str, str]) -> None:
    (tmp_path / "flow.py").write_text(FLOW)
    command = ["redun", "run", "flow.py", "main", "--how", how, "--kind", kind]
    done = subprocess.run(command, cwd=tmp_path, env=redun_environ, capture_output=True, text=True, timeout=60, check=True)
    # The sleeping task itself wakes up, and says so; a process looks at what its workers wrote less and less often.
    assert int(done.stdout.strip().strip("'b\\n")) <= 6
