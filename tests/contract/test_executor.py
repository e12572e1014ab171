"""One suite for every executor: each must keep to the text of `redun.executors.base`."""

from __future__ import annotations

import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from redun import File, Scheduler, catch, task
from redun.errors import JobTimeout
from redun.executors.base import Executor, run_job
from redun.provenance import Attempt, Provenance, Status
from redun.scripting import ScriptError

redun_namespace = "contract"


class OneByOne(Executor):
    """The plain way: a thread per job, handed back through the scheduler."""

    def submit(self, job: Any) -> None:
        threading.Thread(target=self._run, args=(job,)).start()

    submit_script = submit

    def _run(self, job: Any) -> None:
        try:
            self._scheduler.done_job(job, run_job(job))
        except BaseException as error:
            self._scheduler.reject_job(job, error)


SECTIONS: dict[str, dict[str, Any]] = {
    "thread": {"type": "thread"},
    "fork": {"type": "process", "start_method": "fork"},
    "forkserver": {"type": "process"},
    "spawn": {"type": "process", "start_method": "spawn"},
    "alias": {"type": "alias", "target": "default"},
    "plain": {"class": f"{__name__}:OneByOne"},
}


@pytest.fixture(params=SECTIONS)
def scheduler(request: pytest.FixtureRequest) -> Scheduler:
    sections = {"default": {"type": "local", "max_workers": 4}, "tested": {"max_workers": 4, **SECTIONS[request.param]}}
    return Scheduler(config={"executors": sections, "limits": {"one": 1}}, logger=False)


@task(executor="tested")
def add(x: int, y: int = 1) -> int:
    return x + y


@task(executor="tested")
def fail(text: str) -> None:
    raise LookupError(text)


@task(executor="tested")
def leave() -> None:
    raise SystemExit(3)


@task(executor="tested", script=True)
def echo(text: str) -> str:
    return f"echo {text}"


@task(executor="tested", script=True)
def broken() -> str:
    return "echo wrong >&2; exit 3"


@task(executor="tested")
def countdown(n: int) -> Any:
    return 0 if n == 0 else add(countdown(n - 1))


@task(executor="tested")
def values() -> list[Any]:
    return [None, 1.5, "ü\ud800", b"\0" * 10, (1, {2}), {"a": [1 << 100]}, File("x"), Path("y")]


@task(executor="tested")
def large(size: int) -> bytes:
    return b"x" * size


@task(executor="tested")
def length(data: bytes) -> int:
    return len(data)


@task(executor="tested", limits=["one"])
def alone(folder: str, number: int) -> int:
    path = Path(folder, "running")
    path.touch(exist_ok=False)
    time.sleep(0.001)
    path.unlink()
    return number


@task(executor="tested")
def meet(folder: str, number: int, all_of_them: int) -> int:
    Path(folder, str(number)).touch()
    while len(list(Path(folder).iterdir())) < all_of_them:
        time.sleep(0.002)
    return number


@task(executor="tested")
def unrecordable() -> Any:
    return threading.Lock()


@task()
def recovered(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"


def test_every_job_comes_back_with_its_own_result(scheduler: Scheduler) -> None:
    assert scheduler.run([add(i) for i in range(300)]) == [i + 1 for i in range(300)]


def test_results_hold_expressions(scheduler: Scheduler) -> None:
    assert scheduler.run(countdown(5)) == 5


def test_values_of_all_kinds_travel(scheduler: Scheduler) -> None:
    found = scheduler.run(values())
    assert found[:6] == [None, 1.5, "ü\ud800", b"\0" * 10, (1, {2}), {"a": [1 << 100]}]
    assert found[6].path == "x"
    assert found[7] == Path("y")


def test_large_values_travel(scheduler: Scheduler) -> None:
    assert scheduler.run(length(large(3_000_000))) == 3_000_000


def test_errors_keep_class_and_text(scheduler: Scheduler) -> None:
    with pytest.raises(LookupError, match="so it is"):
        scheduler.run(fail("so it is"))
    assert scheduler.run(catch(fail("gone"), LookupError, recovered)) == "LookupError: gone"
    assert scheduler.run(add(1)) == 2


def test_sys_exit_fails_the_job_and_nothing_else(scheduler: Scheduler) -> None:
    with pytest.raises(SystemExit):
        scheduler.run(leave())
    assert scheduler.run(add(1)) == 2


def test_scripts_run(scheduler: Scheduler) -> None:
    assert scheduler.run([echo("a"), echo("b")]) == [b"a\n", b"b\n"]
    with pytest.raises(ScriptError, match="wrong"):
        scheduler.run(broken())


def test_jobs_run_beside_one_another(scheduler: Scheduler, tmp_path: Path) -> None:
    assert scheduler.run([meet(str(tmp_path), i, 3) for i in range(3)]) == [0, 1, 2]


def test_limits_hold(scheduler: Scheduler, tmp_path: Path) -> None:
    assert scheduler.run([alone(str(tmp_path), i) for i in range(20)]) == list(range(20))


def test_results_that_cannot_be_recorded_fail_their_job(scheduler: Scheduler) -> None:
    with pytest.raises(Exception, match=r"contract.unrecordable.*lock"):
        scheduler.run(unrecordable())
    assert scheduler.run(add(1)) == 2


def test_it_may_be_started_again(scheduler: Scheduler) -> None:
    assert [scheduler.run(add(i)) for i in range(5)] == [1, 2, 3, 4, 5]


def test_a_failed_run_takes_back_what_waits(scheduler: Scheduler) -> None:
    with pytest.raises(LookupError):
        scheduler.run([fail("first"), *[add(i) for i in range(2000)]])
    assert scheduler.run(add(1)) == 2


# The life of a job, on whichever executor.


@task(executor="tested", retries=1)
def flaky(folder: str) -> str:
    tried = Path(folder, "tried")
    if not tried.exists():
        tried.touch()
        raise LookupError("not yet")
    return "now"


@task(executor="tested", retries=2)
def hopeless() -> None:
    raise LookupError("never")


@task(executor="tested", timeout=0.2)
def endless(folder: str) -> None:
    while not Path(folder, "stop").exists():
        time.sleep(0.01)


def attempts_of(scheduler: Scheduler, name: str) -> list[Attempt]:
    provenance = Provenance(scheduler.store)
    [job] = [job for job in provenance.jobs(provenance.execution("-")) if job.task_name == f"contract.{name}"]
    return provenance.attempts(job)


def test_jobs_are_tried_again(scheduler: Scheduler, tmp_path: Path) -> None:
    assert scheduler.run(flaky(str(tmp_path))) == "now"
    assert [(one.number, one.status, one.error) for one in attempts_of(scheduler, "flaky")] == [
        (1, Status.FAILED, "LookupError: not yet"),
        (2, Status.DONE, None),
    ]
    with pytest.raises(LookupError, match="never"):
        scheduler.run(hopeless())
    assert [one.status for one in attempts_of(scheduler, "hopeless")] == [Status.FAILED] * 3


def test_time_outs_fail_their_job_and_nothing_else(scheduler: Scheduler, tmp_path: Path) -> None:
    try:
        got = scheduler.run([catch(endless(str(tmp_path)), JobTimeout, recovered), add(20), add(21)])
    finally:
        # Threads cannot be stopped.
        Path(tmp_path, "stop").touch()
    assert got[0].startswith("JobTimeout: contract.endless")
    assert got[1:] == [21, 22]


def test_with_keep_going_the_rest_is_done(scheduler: Scheduler) -> None:
    with pytest.raises(LookupError, match="first"):
        scheduler.run([fail("first"), add(30), fail("second"), add(31)], keep_going=True)
    provenance = Provenance(scheduler.store)
    states = [job.status for job in provenance.jobs(provenance.execution("-")) if job.task_name != "redun.root_task"]
    assert sorted(states) == [Status.DONE, Status.DONE, Status.FAILED, Status.FAILED]


def test_enough_failures_end_the_run(scheduler: Scheduler) -> None:
    with pytest.raises(LookupError):
        scheduler.run([fail(f"number {i}") for i in range(300)], max_failures=2)


@task(executor="tested")
def prints(x: int) -> int:
    print("printed", x)
    print("told", x, file=sys.stderr)
    return x


def test_output_passes_through_and_is_kept(scheduler: Scheduler, request: Any, capsys: pytest.CaptureFixture[str]) -> None:
    assert scheduler.run([prints(1), prints(2)]) == [1, 2]
    captured = capsys.readouterr()
    assert sorted(captured.out.splitlines()) == ["printed 1", "printed 2"]
    assert sorted(captured.err.splitlines()) == ["told 1", "told 2"]
    provenance = Provenance(scheduler.store)
    jobs = [job for job in provenance.jobs(provenance.execution("-")) if job.task_name == "contract.prints"]
    kept = [provenance.output(job) for job in sorted(jobs, key=lambda job: job.number)]
    if request.node.callspec.params["scheduler"] == "plain":
        # It calls functions on threads of its own, and does not say for which job.
        assert kept == [None, None]
    else:
        assert [output and (output.text("stdout"), output.text("stderr")) for output in kept] == [
            ("printed 1\n", "told 1\n"),
            ("printed 2\n", "told 2\n"),
        ]
