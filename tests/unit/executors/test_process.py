"""Worker processes: what they import, what they leave in the store, and what becomes of jobs whose worker dies."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from redun import Scheduler, catch, task
from redun.errors import ConfigError, ExecutorError, WorkerLost
from redun.evaluation.calls import Calls
from redun.evaluation.job import Job
from redun.executors.base import Executor
from redun.executors.messages import EncodedResult
from redun.scheduler import catch_all
from redun.store.objects import Flag
from redun.store.repository import Store

redun_namespace = "processes"
METHODS = ["fork", "forkserver", "spawn"]


def processes(method: str = "forkserver", store: Store | None = None, **section: Any) -> Scheduler:
    section = {"type": "process", "start_method": method, **section}
    return Scheduler(config={"executors": {"process": section}}, store=store, logger=False)


@task(executor="process")
def whoami(x: int = 0) -> tuple[int, int]:
    return os.getpid(), threading.active_count()


@task(executor="process")
def kill_self(x: int = 0) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


@task(executor="process")
def exit_at_once() -> None:
    os._exit(7)


@task(executor="process")
def square(x: int) -> int:
    return x * x


@task(executor="process")
def blob(size: int) -> bytes:
    return b"b" * size


@task(executor="process")
def first_byte(data: bytes) -> int:
    return data[0]


@task(executor="process")
def pids(folder: str, number: int) -> int:
    Path(folder, str(number)).touch()
    while len(os.listdir(folder)) < 2:
        time.sleep(0.002)
    return os.getpid()


@task()
def lost(error: Exception) -> str:
    return type(error).__name__


@task(executor="process")
def leaves_a_child(folder: str) -> int:
    child = subprocess.Popen(["sleep", "1000"])
    Path(folder, "child").write_text(str(child.pid))
    os.kill(os.getpid(), signal.SIGKILL)
    return child.pid


def is_alive(pid: int) -> bool:
    try:
        return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except FileNotFoundError:
        return False


@pytest.mark.parametrize("method", METHODS)
def test_tasks_run_elsewhere_and_alone(method: str, tmp_path: Path) -> None:
    pid, threads = processes(method).run(whoami())
    assert pid != os.getpid()
    assert threads == 1
    assert not is_alive(pid)
    one, two = processes(method).run([pids(str(tmp_path), 1), pids(str(tmp_path), 2)])
    assert one != two


@pytest.mark.parametrize("method", METHODS)
def test_a_worker_that_is_killed_fails_its_job_and_the_pool_goes_on(method: str) -> None:
    scheduler = processes(method, max_workers=2)
    found = scheduler.run([catch(kill_self(), WorkerLost, lost), *[square(i) for i in range(50)]])
    assert found == ["WorkerLost", *[i * i for i in range(50)]]
    with pytest.raises(
        WorkerLost, match=r"worker process \d+ of executor 'process' was killed by signal SIGKILL: maybe.*kill_self"
    ):
        scheduler.run(kill_self())
    with pytest.raises(WorkerLost, match=r"ended with status 7 while it ran processes.exit_at_once"):
        scheduler.run(exit_at_once())


def test_many_deaths_in_one_run() -> None:
    scheduler = processes("fork", max_workers=3)
    calls = [[catch(kill_self(i), WorkerLost, lost), square(i)] for i in range(20)]
    assert scheduler.run(calls) == [["WorkerLost", i * i] for i in range(20)]


def test_what_a_killed_task_had_started_is_killed(tmp_path: Path) -> None:
    with pytest.raises(WorkerLost):
        processes().run(leaves_a_child(str(tmp_path)))
    pid = int((tmp_path / "child").read_text())
    deadline = time.monotonic() + 10
    while is_alive(pid) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not is_alive(pid)


@pytest.mark.parametrize("method", METHODS)
def test_large_results_go_straight_into_the_store(method: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    taken: list[EncodedResult] = []
    completed = Calls.completed

    def take(self: Calls, job: Job, ok: bool, result: Any) -> None:
        taken.append(result)
        completed(self, job, ok, result)

    monkeypatch.setattr(Calls, "completed", take)
    with Store.open(tmp_path / "store") as store:
        assert processes(method, store).run(first_byte(blob(200_000))) == ord("b")
        large = [result for result in taken if isinstance(result, EncodedResult) and result.ref[0] == 0]
        assert len(large) == 1
        assert large[0].objects == {}
        assert store.source.contains(large[0].ref[1:])
        assert processes(method, store).run(first_byte(blob(200_000))) == ord("b")


def test_results_are_the_same_objects_as_those_of_threads(tmp_path: Path) -> None:
    with Store.open(tmp_path / "store") as store:
        calls = [blob(50), blob(5_000), square(3)]
        expected = [b"b" * 50, b"b" * 5_000, 9]
        assert processes("fork", store).run(calls) == expected
        scheduler = Scheduler(store=store, logger=False)
        # One that runs nothing.
        scheduler.add_executor(Executor("process"))
        assert scheduler.run(calls) == expected


def test_tasks_that_workers_cannot_import_say_so() -> None:
    @task(executor="process")
    def inner() -> int:
        return 1

    with pytest.raises(ExecutorError, match=r"does not define task 'processes.inner'.*start_method = fork"):
        processes().run(inner())
    assert processes("fork").run(inner()) == 1


MAIN = """
from dataclasses import dataclass
from redun import Scheduler, task

redun_namespace = "main"

@dataclass
class Point:
    x: int

@task(executor="process")
def move(point: Point) -> Point:
    return Point(point.x + 1)

GUARD
    scheduler = Scheduler(config={"executors": {"process": {"type": "process", "start_method": "METHOD"}}}, logger=False)
    print(scheduler.run(move(move(Point(1)))))
"""


@pytest.mark.parametrize("method", METHODS)
def test_tasks_and_classes_of_the_main_script(method: str, tmp_path: Path) -> None:
    script = tmp_path / "program.py"
    script.write_text(MAIN.replace("METHOD", method).replace("GUARD", "if __name__ == '__main__':"))
    done = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, timeout=60, check=False)
    assert (done.stdout, done.returncode) == ("Point(x=3)\n", 0), done.stderr


def test_a_main_script_without_a_guard_is_told(tmp_path: Path) -> None:
    script = tmp_path / "program.py"
    script.write_text(MAIN.replace("METHOD", "spawn").replace("GUARD", "if True:"))
    done = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1
    assert "put what starts it below `if __name__ == '__main__':`" in done.stderr
    assert "before it was ready" in done.stderr


def test_workers_end_with_the_scheduler_that_is_killed(tmp_path: Path) -> None:
    script = tmp_path / "program.py"
    script.write_text(
        "import os, time\nfrom pathlib import Path\nfrom redun import Scheduler, task\nredun_namespace = 'main'\n"
        "@task(executor='process')\ndef stay():\n    Path('pid').write_text(str(os.getpid()))\n    time.sleep(1000)\n"
        "if __name__ == '__main__':\n    Scheduler(logger=False).run(stay())\n"
    )
    program = subprocess.Popen([sys.executable, str(script)], cwd=tmp_path)
    pid_file = tmp_path / "pid"
    while not (pid_file.exists() and pid_file.read_text()):
        assert program.poll() is None
        time.sleep(0.01)
    program.kill()
    program.wait()
    worker = int(pid_file.read_text())
    deadline = time.monotonic() + 10
    while is_alive(worker) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not is_alive(worker)


@pytest.mark.parametrize(("option", "value"), [("mode", "fibre"), ("start_method", "clone"), ("max_workers", "none")])
def test_bad_options_are_refused(option: str, value: str) -> None:
    with pytest.raises(ConfigError, match=f"{option}.*'{value}'"):
        processes(
            **{option: value} if option != "start_method" else {}, method=value if option == "start_method" else "fork"
        ).run(square(1))


def test_the_mode_of_a_task_beats_that_of_its_executor() -> None:
    scheduler = Scheduler(logger=False)
    assert scheduler.run(whoami.options(executor="default", mode="process")())[0] != os.getpid()
    assert scheduler.run(whoami.options(executor="process", mode="thread")(1))[0] == os.getpid()
    with pytest.raises(ExecutorError, match="mode='fibre'"):
        scheduler.run(whoami.options(mode="fibre")(2))


@task(executor="process")
def passes_on(size: int) -> Any:
    return blob(size)


@task()
def length_here(data: bytes) -> int:
    return len(data)


@task(executor="process")
def in_a_list(data: list[bytes]) -> int:
    return sum(map(len, data))


decode = EncodedResult.decode


def refuse_to_decode(self: EncodedResult, get: Any) -> Any:
    if self.stored and not self.flags & Flag.EXPRESSION:
        raise AssertionError("a large result was read in the scheduler's process")
    return decode(self, get)


@pytest.mark.parametrize("method", METHODS)
def test_large_results_between_processes_are_not_read_here(
    method: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    size = 200_000
    scheduler = processes(method, Store.open(tmp_path / "store", create=True))
    with monkeypatch.context() as patch:
        patch.setattr(EncodedResult, "decode", refuse_to_decode)
        assert scheduler.run([first_byte(blob(size)), first_byte(passes_on(size))]) == [ord("b")] * 2
        # The name is all that the cache needs, too.
        assert scheduler.run(first_byte(passes_on(size + 1))) == ord("b")
    # Whoever needs the value has it.
    assert scheduler.run([length_here(blob(size + 2)), in_a_list([blob(size + 3)])]) == [size + 2, size + 3]
    assert scheduler.run(passes_on(size + 4)) == b"b" * (size + 4)
    assert scheduler.run(blob(size + 5)[0]) == ord("b")
    # Equal calls of threads find them: the same keys, the same results.
    scheduler.add_executor(Executor("process"))
    assert scheduler.run(first_byte(passes_on(size + 1))) == ord("b")
    assert scheduler.run(passes_on(size + 4)) == b"b" * (size + 4)


def test_large_results_are_caught_and_recovered(tmp_path: Path) -> None:
    scheduler = processes(store=Store.open(tmp_path / "store", create=True))
    assert scheduler.run(length_here(catch(blob(300_000), ValueError, lost))) == 300_000
    assert scheduler.run(length_here(catch(kill_self(5), WorkerLost, big_instead))) == 300_001
    assert scheduler.run(length_here(catch_all([blob(300_002)], ValueError, lost)[0])) == 300_002


@task(executor="process")
def big_instead(error: Exception) -> bytes:
    return b"c" * 300_001


class WithLock(ValueError):
    def __init__(self, text: str) -> None:
        super().__init__(text, threading.Lock())
        self.lock = threading.Lock()
        self.number = 3


class TwoArguments(LookupError):
    def __init__(self, code: int, text: str) -> None:
        super().__init__(f"{code}: {text}")
        self.code = code


@task(executor="process")
def raises(kind: str) -> None:
    class Hidden(LookupError):
        pass

    class Plain(Exception):
        pass

    raise {
        "lock": lambda: WithLock("text"),
        "two": lambda: TwoArguments(7, "text"),
        "hidden": lambda: Hidden("text"),
        "plain": lambda: Plain("text"),
    }[kind]()


def test_errors_come_back_as_whole_as_they_can_be() -> None:
    with pytest.raises(WithLock) as with_lock:
        processes().run(raises("lock"))
    assert with_lock.value.args[0] == "text"
    assert "lock" in with_lock.value.args[1]
    assert vars(with_lock.value)["number"] == 3
    assert not hasattr(with_lock.value, "lock")
    with pytest.raises(TwoArguments, match=r"^7: text$") as two:
        processes().run(raises("two"))
    assert two.value.code == 7
    # Classes that exist only inside a function: the nearest base that is found elsewhere.
    with pytest.raises(LookupError, match=r"^Hidden: text$"):
        processes().run(raises("hidden"))
    with pytest.raises(Exception, match=r"^Plain: text$"):
        processes().run(raises("plain"))


@task(executor="process")
def too_much() -> int:
    import resource

    resource.setrlimit(resource.RLIMIT_AS, (1 << 29, 1 << 29))
    return len(bytes(1 << 31))


def test_a_task_that_gets_no_more_memory_fails_alone() -> None:
    got = processes(max_workers=1).run([catch(too_much(), MemoryError, lost), square(9)])
    assert got == ["MemoryError", 81]
