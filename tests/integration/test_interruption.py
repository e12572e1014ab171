"""Ctrl-C and SIGTERM: status 130, nothing left behind, and the next run goes on from there."""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

FLOW = """
import os, time
from pathlib import Path
from redun import File, task, script

redun_namespace = "flow"

@task()
def quick(x: int) -> int:
    with open("runs", "a") as file:
        file.write("x")
    return x

@task()
def stay(x: int) -> int:
    Path(f"pid{x}").write_text(str(os.getpid()))
    while True:
        time.sleep(0.05)

@task(script=True)
def shell(x: int) -> str:
    return f"sh -c 'echo $$ > pid{x}.new; mv pid{x}.new pid{x}; sleep 1000'"

@task()
def temporary(x: int) -> bytes:
    pid = f"{os.getcwd()}/pid{x}"
    command = f"cat in.txt; sh -c 'echo $$ > {pid}.new; mv {pid}.new {pid}; sleep 1000'"
    return script(command, inputs=[File("flow.py").stage("in.txt")], tempdir=True)

@task()
def many(n: int, mode: str = "thread") -> list:
    return [quick.options(mode=mode)(i) for i in range(n)]

@task()
def after(n: int, what: str, mode: str = "thread") -> list:
    kind = {"stay": stay, "shell": shell, "temporary": temporary}[what].options(mode=mode)
    return [many(n), kind(1), kind(2)]
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "flow.py").write_text(FLOW)
    return tmp_path


@contextmanager
def running(folder: Path, *words: str) -> Iterator[subprocess.Popen[str]]:
    # The fork server has a socket there, whose path may not be long.
    temporary = Path(tempfile.mkdtemp())
    # A session of its own, so that whatever is left behind can be found by it.
    process = subprocess.Popen(
        [sys.executable, "-m", "redun", "run", "flow.py", *words],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        env={**os.environ, "TMPDIR": str(temporary)},
    )
    try:
        yield process
    finally:
        process.kill()
        process.wait()
        left = list(temporary.iterdir())
        shutil.rmtree(temporary)
    assert left == []


def wait_for(process: subprocess.Popen[str], *paths: Path) -> None:
    while not all(path.exists() and path.read_text() for path in paths):
        assert process.poll() is None, process.communicate()
        time.sleep(0.01)


def is_alive(pid: int) -> bool:
    try:
        return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except FileNotFoundError:
        return False


def left_behind(session: int) -> list[str]:
    """Processes of a session, and those that were started for the folder and have sessions of their own."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
                if int(fields[3]) == session and fields[0] != "Z":
                    found.append(f"{entry.name} {(entry / 'cmdline').read_text()}")
            except (OSError, IndexError):
                continue
    return found


def nothing_is_left(session: int) -> None:
    # The fork server and the tracker of multiprocessing end by themselves once the scheduler is gone.
    deadline = time.monotonic() + 10
    while left_behind(session) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert left_behind(session) == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize(
    ("what", "mode"),
    [("stay", "thread"), ("stay", "process"), ("shell", "thread"), ("shell", "process"), ("temporary", "thread")],
)
def test_what_runs_is_stopped(folder: Path, number: int, what: str, mode: str) -> None:
    with running(folder, "after", "--n", "5", "--what", what, "--mode", mode) as process:
        wait_for(process, folder / "pid1", folder / "pid2", folder / "runs")
        while (folder / "runs").read_text() != "x" * 5:
            time.sleep(0.01)
        process.send_signal(number)
        _, errors = process.communicate(timeout=30)
        assert process.returncode == 130, errors
        assert "redun: interrupted" in errors
        nothing_is_left(process.pid)
        if what != "stay" or mode == "process":
            pids = [int((folder / name).read_text()) for name in ("pid1", "pid2")]
            # Killed, but the kernel may not be through with them.
            deadline = time.monotonic() + 10
            while any(map(is_alive, pids)) and time.monotonic() < deadline:
                time.sleep(0.02)
            assert not any(map(is_alive, pids))
    assert (folder / "runs").read_text() == "x" * 5
    log = subprocess.run([sys.executable, "-m", "redun", "log"], cwd=folder, capture_output=True, text=True, check=True).stdout
    assert "[CANCEL]" in log
    again = subprocess.run(
        [sys.executable, "-m", "redun", "run", "flow.py", "many", "--n", "5"],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert again.returncode == 0
    assert (folder / "runs").read_text() == "x" * 5


def test_the_second_one_leaves_at_once(folder: Path) -> None:
    (folder / "flow.py").write_text(
        "from pathlib import Path\nimport time\nfrom redun import task, catch\n"
        "def recover(error):\n    Path('here').write_text('x')\n    time.sleep(1000)\n"
        "@task()\ndef fail():\n    raise ValueError\n"
        "@task()\ndef main():\n    return catch(fail(), ValueError, recover)\n"
    )
    with running(folder, "main") as process:
        # A plain handler runs in the scheduler itself: the loop does not see the request.
        wait_for(process, folder / "here")
        process.send_signal(signal.SIGINT)
        time.sleep(0.05)
        assert process.poll() is None
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=10)
        assert process.returncode == 130


def test_at_random_moments(folder: Path) -> None:
    rolls = random.Random(4)
    for mode in ["thread", "process"] * 3:
        with running(folder, "many", "--n", "20000", "--mode", mode) as process:
            # Before that it is Python itself, which imports, that is interrupted.
            assert process.stderr is not None
            while "Start Execution" not in process.stderr.readline():
                assert process.poll() is None
            time.sleep(rolls.uniform(0, 0.5))
            process.send_signal(signal.SIGINT)
            _, errors = process.communicate(timeout=60)
            assert process.returncode in (0, 130), errors
            assert "Traceback" not in errors
            nothing_is_left(process.pid)
    done = subprocess.run(
        [sys.executable, "-m", "redun", "run", "flow.py", "many", "--n", "300"],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout == f"{list(range(300))}\n", done.stderr
    assert os.path.getsize(folder / "runs") >= 300


def test_a_program_gets_its_handlers_back(folder: Path) -> None:
    program = (
        "import os, signal\nfrom redun import Scheduler, task\n"
        "@task()\ndef interrupt():\n    os.kill(os.getpid(), signal.SIGINT)\n    import time; time.sleep(0.1)\n"
        "before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)\n"
        "try:\n    Scheduler(logger=False).run(interrupt())\nexcept KeyboardInterrupt:\n    print('stopped')\n"
        "assert before == (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM))\n"
        "print(Scheduler(logger=False).run(3))\n"
    )
    (folder / "program.py").write_text(program)
    done = subprocess.run([sys.executable, "program.py"], cwd=folder, capture_output=True, text=True, check=False, timeout=60)
    assert (done.stdout, done.returncode) == ("stopped\n3\n", 0), done.stderr
