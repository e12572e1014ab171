"""Upstream and downstream of everything, in stores that the engine wrote."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from redun import File, Scheduler, cond, task
from redun.errors import RedunError, StoreUnavailable
from redun.provenance import Call, Execution, Job, NotRecorded, Provenance, Thing, Value

redun_namespace = "reach"


@task()
def seven() -> int:
    return 7


@task()
def inc(x: int) -> int:
    return x + 1


@task()
def deeper(x: int) -> int:
    return inc(inc(x))


@task()
def pair(a: int, b: int) -> list[int]:
    return [a, b]


@task()
def unrelated(x: int) -> str:
    return f"{x}!"


@task()
def main() -> Any:
    # The 7 of `unrelated` is another one, which only looks like that of `seven`.
    return [pair(deeper(seven()), 1), unrelated(7)]


@task()
def write(path: str) -> File:
    file = File(path)
    file.write("text")
    return file


@task()
def shorten(file: File) -> str:
    return file.read()[:2]


@task()
def greet(text: str) -> str:
    return text * 2


@task()
def produce(path: str) -> File:
    return write(path)


@task()
def consume(file: File) -> str:
    return cond(file.exists(), greet(shorten(file)), "none")


@task()
def broken(x: int) -> int:
    raise ValueError(x)


def names(calls: Any) -> list[str]:
    return [call.task_name.removeprefix("reach.") for call in calls]


def job_of(provenance: Provenance, name: str) -> Job:
    (job,) = [job for job in provenance.all_jobs() if job.task_name == f"reach.{name}"]
    return job


@pytest.fixture
def ran() -> Provenance:
    scheduler = Scheduler(logger=False)
    assert scheduler.run(main()) == [[9, 1], "7!"]
    return Provenance(scheduler.store)


def test_downstream_of_a_job_is_what_used_its_result(ran: Provenance) -> None:
    job = job_of(ran, "seven")
    # deeper got it, passed it on to inc; pair got what came of that; main returned it.
    found = names(ran.downstream_calls(job))
    assert found[0] == "deeper"
    assert sorted(found) == ["deeper", "inc", "inc", "main", "pair"]
    assert [ran.load(value) for value in ran.downstream(job)].count(9) == 1
    assert "7!" not in [ran.load(value) for value in ran.downstream(job)]


def test_upstream_of_a_job_call_and_execution(ran: Provenance) -> None:
    job = job_of(ran, "pair")
    assert job.call is not None
    call = ran.call(job.call)
    assert [ran.load(value) for value in ran.upstream(job)][:2] == [9, 1]
    assert sorted(names(ran.upstream_calls(job))) == ["inc", "inc", "seven"]
    assert names(ran.upstream_calls(call)) == names(ran.upstream_calls(job))
    execution = ran.execution("-")
    assert set(names(ran.upstream_calls(execution))) == {"pair", "inc", "seven", "unrelated"}
    assert {9, 1, "7!", 7} <= {value for value in map(ran.load, ran.upstream(execution)) if not isinstance(value, list)}


def test_of_a_task(ran: Provenance) -> None:
    one = next(ran.tasks("inc"))
    assert names(ran.calls_of_task(one.hash)) == ["inc", "inc"]
    assert sorted(names(ran.downstream_calls(one))) == ["deeper", "main", "pair"]
    assert names(ran.upstream_calls(one)) == ["seven"]


def test_of_a_value_by_what_it_is(ran: Provenance) -> None:
    (value,) = [value for value in ran.values() if ran.text(value) == "7"]
    # Equal values cannot be told apart: whoever was given a 7.
    assert sorted(names(ran.downstream_calls(value))) == ["deeper", "inc", "inc", "main", "pair", "unrelated"]
    assert names(ran.upstream_calls(value)) == ["seven"]


def test_files_join_executions(tmp_path: Path) -> None:
    scheduler = Scheduler(logger=False)
    path = str(tmp_path / "made.txt")
    assert scheduler.run(consume(scheduler.run(produce(path)))) == "tete"
    provenance = Provenance(scheduler.store)
    (use,) = provenance.file(path)
    assert (use.reads, use.writes) == (True, True)
    assert set(names(provenance.upstream_calls(use))) == {"write"}
    assert path in [provenance.load(value) for value in provenance.upstream(use)]
    assert sorted(names(provenance.downstream_calls(use))) == ["consume", "greet", "shorten"]
    assert set(names(provenance.downstream_calls(use.value))) == set(names(provenance.downstream_calls(use)))
    # A job's stays in its execution; that of a call, or of the execution, goes on in the next.
    write_job = job_of(provenance, "write")
    assert names(provenance.downstream_calls(write_job)) == ["produce"]
    assert write_job.call is not None
    everything = {"produce", "consume", "greet", "shorten"}
    assert set(names(provenance.downstream_calls(provenance.call(write_job.call)))) == everything
    assert set(names(provenance.downstream_calls(provenance.execution("~1")))) == everything - {"produce"}
    assert "tete" in [provenance.load(value) for value in provenance.downstream(provenance.execution("~1"))]


def test_what_failed(tmp_path: Path) -> None:
    scheduler = Scheduler(logger=False)
    with pytest.raises(ValueError, match="8"):
        scheduler.run(broken(inc(seven())))
    provenance = Provenance(scheduler.store)
    job = job_of(provenance, "inc")
    assert "broken" in names(provenance.downstream_calls(job))
    assert list(provenance.downstream(job)) == []
    error = provenance.result(job_of(provenance, "broken"))
    assert error is not None
    assert "ValueError" in provenance.text(error)
    things: list[Thing] = [provenance.execution("-"), *provenance.all_jobs(), *provenance.calls(), *provenance.tasks()]
    for thing in [*things, *provenance.values()]:
        for ask in (provenance.upstream, provenance.upstream_calls, provenance.downstream, provenance.downstream_calls):
            assert isinstance(list(ask(thing)), list)


def test_results_and_values(ran: Provenance) -> None:
    execution = ran.execution("-")
    (root,) = ran.roots(execution)
    assert root.call is not None
    things: list[Execution | Job | Call] = [execution, root, ran.call(root.call)]
    for thing in things:
        value = ran.result(thing)
        assert isinstance(value, Value)
        assert ran.load(value) == [[9, 1], "7!"]
    with pytest.raises(RedunError, match="0" * 40):
        ran.load(Value(b"\x00" + bytes(20)))


def test_open_by_folder(tmp_path: Path) -> None:
    from redun import run

    with pytest.raises((StoreUnavailable, NotRecorded), match="there is no store at"):
        Provenance.open(tmp_path / "nothing")
    assert run(deeper(1), config_dir=str(tmp_path / ".redun")) == 3
    with Provenance.open(tmp_path / ".redun") as provenance:
        assert [job.task_name for _, job in provenance.job_tree(provenance.execution("-"))] == [
            "reach.deeper",
            "reach.inc",
            "reach.inc",
        ]


def test_open_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from redun import run

    monkeypatch.chdir(tmp_path)
    run(inc(1))
    (tmp_path / "below").mkdir()
    monkeypatch.chdir(tmp_path / "below")
    with Provenance.open() as provenance:
        assert next(provenance.executions()).status.name == "DONE"


@task()
def many(n: int) -> list[int]:
    return [inc(i) for i in range(n)]


def test_no_part_is_left_out() -> None:
    scheduler = Scheduler(logger=False)
    scheduler.run(many(50))
    provenance = Provenance(scheduler.store)
    execution = provenance.execution("-")
    assert len(list(provenance.upstream_calls(execution))) == 50
    assert next(provenance.dataflow(provenance.roots(execution)[0])).omitted == 30
    assert sum(section.omitted for section in provenance.dataflow(provenance.roots(execution)[0], 100)) == 0
