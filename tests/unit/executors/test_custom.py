"""Executors of somebody's own: by class, by type, in Python; written one job at a time, as for the PyPI package."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest

from redun import Scheduler, register_executor, task
from redun.errors import ConfigError, ExecutorError, SchedulerError
from redun.executors.base import Executor, get_executor_class
from redun.provenance import Provenance

redun_namespace = "custom"


class OneByOne(Executor):
    """Runs each job on a thread of its own and hands it back through the scheduler."""

    def __init__(self, name: str, scheduler: Any = None, config: Any = None) -> None:
        super().__init__(name, scheduler=scheduler)
        self.factor = config.getint("factor", 1) if config else 1
        self.calls: list[str] = []

    def start(self) -> None:
        self.calls.append("start")

    def stop(self) -> None:
        self.calls.append("stop")

    def submit(self, job: Any) -> None:
        assert not job.task.script
        self.calls.append("submit")
        threading.Thread(target=self._run, args=(job,)).start()

    def submit_script(self, job: Any) -> None:
        self.calls.append("script")
        self._scheduler.done_job(job, b"a script")

    def _run(self, job: Any) -> None:
        try:
            args, kwargs = job.args
            result = job.task.func(*args, **kwargs)
            self._scheduler.done_job(job, result * self.factor)
            # Said twice: the first time counts.
            self._scheduler.done_job(job, "again")
            self._scheduler.reject_job(job, ValueError("again"))
        except Exception as error:
            self._scheduler.reject_job(job, error)


@task(executor="mine")
def double(x: int, y: int = 0) -> int:
    if x < 0:
        raise ValueError("negative")
    return 2 * x + y


@task(executor="mine", script=True)
def hello() -> str:
    return "echo hello"


@task(executor="mine")
def nested(x: int) -> Any:
    return [double(x), double(x, y=1)]


@task(executor="mine", cache=False)
async def later() -> int:
    return 1


def in_python() -> tuple[Scheduler, OneByOne]:
    scheduler = Scheduler(logger=False)
    executor = OneByOne("mine")
    scheduler.add_executor(executor)
    return scheduler, executor


def test_done_job_and_reject_job_hand_jobs_back() -> None:
    scheduler, executor = in_python()
    assert scheduler.run([double(1), double(2, y=3), hello()]) == [2, 7, b"a script"]
    with pytest.raises(ValueError, match="negative"):
        scheduler.run(double(-1))
    assert executor.calls == ["start", "submit", "submit", "script", "stop", "start", "submit", "stop"]


class Telling(Executor):
    """Looks at what a job says of itself, and tags it."""

    def submit(self, job: Any) -> None:
        self.told = {
            "eval": job.eval_hash,
            "args": job.args_hash,
            "options": job.get_options()["memory"],
            "raw": job.get_raw_options()["memory"],
            "cached": job.was_cached,
            "execution": job.execution.id,
            "parent": job.parent_job.task_name,
        }
        self.keep_output(job, "it is far away\n")
        self.keep_output(job, "and slow\n", "stderr")
        self._scheduler.add_job_tags(job, [("seen", True)])
        self._scheduler.done_job(job, job.args[0][0], job_tags=[("where", "here"), ("try", 1)])


@task(executor="telling", memory=4)
def told(x: int) -> int:
    return x


@task()
def asks() -> Any:
    return told(7)


def test_jobs_tell_executors_of_themselves_and_get_tags() -> None:
    scheduler = Scheduler(logger=False)
    executor = Telling("telling")
    scheduler.add_executor(executor)
    assert scheduler.run(asks()) == 7
    provenance = Provenance(scheduler.store)
    execution = next(provenance.executions())
    [job] = [job for job in provenance.jobs(execution) if job.task_name == "custom.told"]
    assert dict(provenance.tags.of(job)) == {"seen": True, "where": "here", "try": 1}
    output = provenance.output(job)
    assert output is not None
    assert [(piece.stream, piece.text) for piece in output.pieces] == [("stdout", "it is far away\n"), ("stderr", "and slow\n")]
    assert len(executor.told["eval"]) == len(executor.told["args"]) == 40
    assert executor.told["eval"] != executor.told["args"]
    del executor.told["eval"], executor.told["args"]
    assert executor.told == {
        "options": 4,
        "raw": 4,
        "cached": False,
        "execution": execution.id,
        "parent": "custom.asks",
    }


def test_a_result_with_expressions_is_evaluated() -> None:
    scheduler, _ = in_python()
    assert scheduler.run(nested(3)) == [6, 7]


@pytest.mark.parametrize("name", ["module:Class", "module.Class"])
def test_a_section_may_name_a_class(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(tmp_path))
    module = f"own_{name.count(':')}"
    (tmp_path / f"{module}.py").write_text(f"from {__name__} import OneByOne\nclass Tripling(OneByOne):\n    pass\n")
    section = {"class": name.replace("module", module).replace("Class", "Tripling"), "factor": 3}
    scheduler = Scheduler(config={"executors": {"mine": section}}, logger=False)
    assert scheduler.run(double(2)) == 12
    assert type(scheduler.executors["mine"]).__name__ == "Tripling"


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("no_such_module:X", "module 'no_such_module' cannot be found"),
        ("redun.task:Nope", "'Nope' in module 'redun.task' is not there"),
        ("redun.task:Task", "is no subclass of redun.executors.base.Executor"),
        ("plain", "expected package.module:Class"),
    ],
)
def test_a_class_that_cannot_be_used_fails_the_job_that_asks_for_it(name: str, told: str) -> None:
    scheduler = Scheduler(config={"executors": {"mine": {"class": name}}}, logger=False)
    with pytest.raises(ConfigError, match=rf"\[executors.mine\].*{told}"):
        scheduler.run(double(2))


def test_types_are_registered_by_decorator_or_by_name() -> None:
    register_executor("custom_one")(OneByOne)
    assert get_executor_class("custom_one") is OneByOne
    provider = register_executor("custom_two", f"{__name__}.OneByOne")
    assert provider.executor_class is OneByOne
    assert Scheduler(config={"executors": {"mine": {"type": "custom_two", "factor": 5}}}, logger=False).run(double(1)) == 10
    register_executor("custom_three", "no_such_module.X")
    with pytest.raises(ExecutorError, match="no_such_module"):
        get_executor_class("custom_three")


def test_what_an_executor_cannot_do_fails_the_job() -> None:
    scheduler = Scheduler(logger=False)
    scheduler.add_executor(Executor("mine"))
    with pytest.raises(ExecutorError, match=r"'mine' .*cannot run tasks"):
        scheduler.run(double(1))
    with pytest.raises(ExecutorError, match=r"'mine' .*cannot run scripts"):
        scheduler.run(hello())


def test_async_tasks_need_an_executor_for_them() -> None:
    scheduler, _ = in_python()
    with pytest.raises(SchedulerError, match="'mine' does not support async tasks"):
        scheduler.run(later())


def test_an_executor_that_raises_fails_the_job() -> None:
    class Raising(Executor):
        def submit(self, job: Any) -> None:
            raise RuntimeError("no machine")

    scheduler = Scheduler(logger=False)
    scheduler.add_executor(Raising("mine"))
    with pytest.raises(RuntimeError, match="no machine"):
        scheduler.run(double(1))


def test_an_executor_that_has_failed_ends_the_run() -> None:
    class Failing(Executor):
        def submit(self, job: Any) -> None:
            self._scheduler.reject_job(None, RuntimeError("all machines are gone"))

    scheduler = Scheduler(logger=False)
    scheduler.add_executor(Failing("mine"))
    with pytest.raises(RuntimeError, match="all machines are gone"):
        scheduler.run(double(1))


def test_results_that_come_when_the_run_is_over_are_dropped() -> None:
    scheduler, _ = in_python()
    scheduler.done_job(None, 1)  # type: ignore[arg-type]
    scheduler.reject_job(None, "late")
    assert scheduler.run(double(4)) == 8


def test_the_executors_of_a_scheduler_are_a_mapping() -> None:
    scheduler = Scheduler(config={"executors": {"mine": {"type": "local", "max_workers": 3}}}, logger=False)
    assert set(scheduler.executors) >= {"default", "mine"}
    assert scheduler.executors["mine"].max_workers == 3  # type: ignore[attr-defined]
    scheduler.executors.pop("mine")
    assert "mine" not in scheduler.executors
    with pytest.raises(SchedulerError, match="unknown executor 'mine'"):
        scheduler.run(double(1))
    executor = scheduler.executors["mine"] = OneByOne("mine")
    assert executor.scheduler is scheduler
    assert scheduler.run(double(1)) == 2
