"""subrun and Scheduler.extend_run, on threads; tests of processes are with the executors."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from redun import Scheduler, get_context, task
from redun.config import load_config
from redun.errors import SchedulerError
from redun.forms import fork_thread, join_thread
from redun.provenance import Provenance
from redun.store.repository import Store
from redun.subrun import subrun

redun_namespace = "subruns"

CALLED: list[str] = []
CONFIG = {"executors": {"default": {"type": "local"}, "other": {"type": "local", "max_workers": "2"}}, "limits": {"db": "2"}}


@pytest.fixture(autouse=True)
def _fresh() -> None:
    CALLED.clear()


@task()
def double(x: int) -> int:
    CALLED.append("double")
    return 2 * x


@task()
def outer(x: int) -> Any:
    return double(x) + 1


@task()
def fail(x: int) -> int:
    raise ValueError(f"no {x}")


@task()
def main(x: int) -> Any:
    return subrun(outer(x), executor="other")


@task()
def after(x: int) -> int:
    return x + 1


@pytest.fixture(params=["memory", "disk"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Any:
    with Store.in_memory() if request.param == "memory" else Store.open(tmp_path / "store") as opened:
        yield opened


def run(expr: Any, store: Store | None = None, **options: Any) -> Any:
    return Scheduler(CONFIG, store, logger=False).run(expr, **options)


def tree(store: Store) -> list[tuple[int, str, str]]:
    provenance = Provenance(store)
    execution = next(iter(provenance.executions()))
    return [(depth, job.task_name, job.status.name) for depth, job in provenance.job_tree(execution)]


def test_the_jobs_of_a_subrun_stand_in_the_tree_of_the_caller(store: Store) -> None:
    assert run(main(3), store) == 7
    assert tree(store) == [
        (0, "subruns.main", "DONE"),
        (1, "redun.subrun_root_task", "DONE"),
        (2, "subruns.outer", "DONE"),
        (3, "subruns.double", "DONE"),
    ]
    provenance = Provenance(store)
    (execution,) = provenance.executions()
    jobs = {job.task_name: job for job in provenance.jobs(execution)}
    found = provenance.job(jobs["subruns.double"].id)
    assert [job.task_name for job in provenance.ancestors(found)][:2] == ["subruns.main", "redun.subrun_root_task"]
    starter = provenance.call(jobs["redun.subrun_root_task"].call or "")
    assert list(starter.children) == [jobs["subruns.outer"].call]


def test_a_second_run_takes_the_result_without_starting_a_scheduler(store: Store) -> None:
    run(main(3), store)
    assert run(main(3), store) == 7
    assert CALLED == ["double"]
    assert tree(store) == [(0, "subruns.main", "CACHED"), (1, "redun.subrun_root_task", "CACHED")]


def test_a_changed_task_below_is_noticed(store: Store) -> None:
    def program(source: str) -> Any:
        @task(name="inner", source=source)
        def inner(x: int) -> int:
            CALLED.append(source)
            return x

        @task()
        def between(x: int) -> Any:
            return inner(x)

        @task(name="changing_main")
        def changing_main(x: int) -> Any:
            return subrun(between(x), executor="other")

        return changing_main(1)

    for source in ("one", "one", "two", "two"):
        assert run(program(source), store) == 1
    assert CALLED == ["one", "two"]


def test_a_full_check_starts_the_scheduler_each_time(store: Store) -> None:
    @task()
    def checking(x: int) -> Any:
        return subrun.options(check_valid="full")(outer(x), executor="other")

    assert [run(checking(3), store) for _ in range(2)] == [7, 7]
    assert CALLED == ["double"]
    assert tree(store)[-1] == (3, "subruns.double", "CACHED")


def test_values_go_in_and_out_lazily_and_nested(store: Store) -> None:
    @task()
    def lazy(x: int) -> Any:
        return [after(subrun({"a": [outer(double(x))]}, "other")["a"][0]), subrun(5, executor="other")]

    assert run(lazy(3), store) == [14, 5]


def test_an_execution_of_its_own(store: Store) -> None:
    @task()
    def apart(x: int) -> Any:
        return subrun(outer(x), executor="other", new_execution=True)

    assert run(apart(3), store) == 7
    assert len(list(Provenance(store).executions())) == 2


def test_errors_come_through(store: Store) -> None:
    @task()
    def failing() -> Any:
        return subrun(fail(4), executor="other")

    with pytest.raises(ValueError, match="no 4"):
        run(failing(), store)
    assert [line for line in tree(store) if line[1] == "subruns.fail"] == [(2, "subruns.fail", "FAILED")]


def test_context_options_and_prov_are_taken_over(store: Store) -> None:
    @task()
    def show(x: Any = get_context("a.b")) -> Any:  # noqa: B008
        return x

    @task(limits=["db"])
    def limited() -> int:
        return 1

    @task()
    def context() -> Any:
        return subrun([show(), limited()], executor="other")

    assert run(context(), store, context={"a": {"b": 5}}) == [5, 1]
    assert run(context.export_options(cache=False)(), store, context={"a": {"b": 6}}) == [6, 1]
    before = len(list(Provenance(store).executions()))
    assert run(context.options(prov=False)(), store, context={"a": {"b": 7}}) == [7, 1]
    assert len(list(Provenance(store).executions())) == before


def test_what_is_wrong_with_a_call_is_said() -> None:
    with pytest.raises(TypeError, match="executor"):
        subrun(outer(1))
    with pytest.raises(TypeError, match="name of an executor"):
        run(subrun(outer(1), CONFIG))
    with pytest.raises(SchedulerError, match="not both"):
        run(subrun(outer(1), executor="other", config={"limits": {"a": "1"}}, config_dir="x"))
    with pytest.raises(SchedulerError, match="'missing'"):
        run(subrun(outer(1), executor="missing"))
    with pytest.raises(SchedulerError, match="does not exist"):
        run(subrun(outer(1), executor="other", config_dir="/no/such/folder"))
    with pytest.raises(ModuleNotFoundError, match="no_such_module"):
        run(subrun(outer(1), executor="other", load_modules=["no_such_module"]))


def test_a_configuration_of_its_own(tmp_path: Path) -> None:
    @task(executor="special")
    def on_special() -> str:
        return "special"

    config = {"executors": {"special": {"type": "local"}}}
    assert run(subrun(on_special(), executor="other", config=config)) == "special"
    (tmp_path / "redun.ini").write_text("[executors.special]\ntype = local\n")
    assert run(subrun(on_special(), executor="other", config_dir=os.fspath(tmp_path))) == "special"


def test_what_the_environment_gives_to_the_configuration_is_not_recorded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, store: Store
) -> None:
    monkeypatch.setenv("SUBRUN_WORKERS", "3")
    folder = tmp_path / "config"
    folder.mkdir()
    (folder / "redun.ini").write_text(
        "[executors.other]\ntype = local\nmax_workers = ${SUBRUN_WORKERS}\nsecret = ${SUBRUN_SECRET}\n"
    )
    monkeypatch.setenv("SUBRUN_SECRET", "tell nobody")
    scheduler = Scheduler(load_config(folder), store, logger=False)
    assert scheduler.run(main(3)) == 7
    assert not any(b"tell nobody" in store.source.get(oid) for oid in store.source.ids())


def test_a_subrun_in_a_thread_in_a_subrun(store: Store) -> None:
    @task()
    def inner() -> Any:
        return join_thread(fork_thread(subrun(outer(1), executor="other")))

    assert run(subrun(inner(), executor="other"), store) == 3


def test_a_thread_given_to_a_subrun_is_not_taken_for_one_of_its_own(store: Store) -> None:
    @task()
    def join_own(given: Any) -> Any:
        return [join_thread(fork_thread(after(10))), join_thread(given)]

    @task()
    def giving() -> Any:
        return subrun(join_own(fork_thread(after(1))), executor="other")

    assert run(giving(), store) == [11, 2]


def test_extend_run_adds_jobs_below_one_that_is_known(store: Store) -> None:
    run(outer(1), store)
    provenance = Provenance(store)
    (execution,) = provenance.executions()
    root = next(job for job in provenance.jobs(execution) if job.parent == 0)
    outcome = Scheduler(CONFIG, store, logger=False).extend_run(after(4), root.id)
    assert outcome["result"] == 5
    assert Provenance(store).job(outcome["job_id"]).call == outcome["call_hash"]
    assert (1, "subruns.after", "DONE") in tree(store)
    failed = Scheduler(CONFIG, store, logger=False).extend_run(fail(4), root.id)
    assert isinstance(failed["error"], ValueError)
    assert Scheduler(CONFIG, store, logger=False).extend_run(after(7), root.id, dryrun=True)["dryrun"] is True
    with pytest.raises(ValueError, match="unknown parent_job_id 'f00'"):
        Scheduler(CONFIG, store, logger=False).extend_run(after(4), "f00")
