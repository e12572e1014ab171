"""`redun.run`, the fixture of `redun.pytest`, and aliases of executors."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import redun
import redun.errors
import redun.scheduler
from redun import AliasExecutor, LocalExecutor, Scheduler, get_context, register_executor, task
from redun.errors import ConfigError, ExecutorError
from redun.executors.base import Executor, get_executor_class, get_executor_from_config, load_task_module
from redun.pytest import scheduler  # noqa: F401

redun_namespace = "running_test"


def counted() -> tuple[Callable[..., Any], list[int]]:
    ran: list[int] = []

    @task(version="1", name="counted")
    def one(x: int = 0) -> Any:
        ran.append(x)
        return [x, get_context("k", "none")]

    return one, ran


def test_run_keeps_results_in_the_configuration_that_counts_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    one, ran = counted()
    assert redun.run(one(1)) == [1, "none"]
    assert redun.run(one(1)) == [1, "none"]
    assert ran == [1]
    assert (tmp_path / ".redun" / "redun.ini").is_file()
    assert redun.run(one(1), cache=False) == [1, "none"]
    assert ran == [1, 1]
    assert redun.run(one(2), context={"k": "v"}) == [2, "v"]
    assert redun.run([one(1), 5]) == [[1, "none"], 5]


def test_run_makes_and_uses_the_folder_that_it_is_given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    one, ran = counted()
    assert redun.run(one(1), config_dir="config") == redun.run(one(1), config_dir=str(tmp_path / "config")) == [1, "none"]
    assert ran == [1]
    assert [path.name for path in tmp_path.iterdir()] == ["config"]
    with pytest.raises(TypeError, match="nonsense"):
        redun.run(one(1), config_dir="config", nonsense=1)


def test_the_fixture_is_a_fresh_scheduler_in_memory(
    scheduler: Scheduler,  # noqa: F811
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    one, ran = counted()
    assert scheduler.run(one(1)) == scheduler.run(one(1)) == [1, "none"]
    assert ran == [1]
    assert list(tmp_path.iterdir()) == []


@task(executor="nick")
def on_nick(x: int) -> int:
    return x


@task(executor="nick", script=True)
def script_on_nick() -> str:
    return "echo hi"


@pytest.fixture(autouse=True)
def _registered() -> None:
    for one in (on_nick, script_on_nick):
        redun.get_task_registry().add(one)


def aliases(**targets: str) -> Scheduler:
    sections = {name: {"type": "alias", "target": target} for name, target in targets.items()}
    return Scheduler(config={"executors": sections}, logger=False)


def test_an_alias_runs_jobs_on_its_target() -> None:
    assert aliases(nick="default").run([on_nick(1), script_on_nick()]) == [1, b"hi\n"]
    assert aliases(nick="middle", middle="default").run(on_nick(1)) == 1


def test_an_alias_made_in_python_knows_its_target_by_name_or_itself() -> None:
    for alias in (AliasExecutor("nick", config={"target": "default"}), AliasExecutor("nick", target=LocalExecutor("real"))):
        scheduler = Scheduler(logger=False)  # noqa: F811
        scheduler.add_executor(alias)
        assert scheduler.run(on_nick(1)) == 1
        assert scheduler.run(on_nick(2)) == 2


def test_options_of_the_target_apply_and_the_own_ones_beat_them() -> None:
    @task(executor="nick")
    def options(info: redun.scheduler.JobInfo = redun.scheduler.JobInfo()) -> Any:  # noqa: B008
        return info.options

    config = {
        "executors": {
            "real": {"type": "local", "memory": 1, "image": "real"},
            "nick": {"type": "alias", "target": "real", "image": "nick"},
        }
    }
    found = Scheduler(config=config, logger=False).run(options())
    assert (found["memory"], found["image"]) == (1, "nick")


def test_aliases_that_lead_nowhere_are_told_apart() -> None:
    with pytest.raises(ExecutorError, match=r"'nick' is an alias of 'nope'.*'default'"):
        aliases(nick="nope").run(on_nick(1))
    with pytest.raises(ExecutorError, match="nick -> other -> nick"):
        aliases(nick="other", other="nick").run(on_nick(1))
    with pytest.raises(ConfigError, match="target"):
        aliases(nick="").run(on_nick(1))


@pytest.mark.parametrize("name", ["AWSBatchExecutor", "AWSGlueExecutor", "DockerExecutor", "GCPBatchExecutor", "K8SExecutor"])
def test_an_executor_that_is_not_there_yet_says_so_when_used(name: str) -> None:
    executor_class = getattr(redun, name)
    assert issubclass(executor_class, Executor)
    with pytest.raises(ExecutorError, match=f"'mine' is of class {name}"):
        executor_class("mine")


def test_a_section_with_an_absent_executor_fails_only_when_a_job_asks_for_it() -> None:
    config = {"executors": {"nick": {"type": "docker"}}}
    one, _ = counted()
    assert Scheduler(config=config, logger=False).run(one(1)) == [1, "none"]
    with pytest.raises(ExecutorError, match="DockerExecutor"):
        Scheduler(config=config, logger=False).run(on_nick(1))


def test_executors_by_type() -> None:
    assert get_executor_class("local") is LocalExecutor
    assert get_executor_class("nope", required=False) is None
    with pytest.raises(ExecutorError, match=r"'nope'.*'alias', .*'local'"):
        get_executor_class("nope")

    @register_executor("test_only")
    class Mine(LocalExecutor):
        pass

    assert get_executor_class("test_only") is Mine
    config = {"nick": {"type": "test_only"}}
    assert type(get_executor_from_config(config, "nick")) is Mine
    assert Scheduler(config={"executors": config}, logger=False).run(on_nick(3)) == 3
    with pytest.raises(ExecutorError, match=r"'other'.*'nick'"):
        get_executor_from_config(config, "other")


def test_load_task_module_wants_the_task_to_be_there() -> None:
    load_task_module("redun.functools", "redun.identity")
    with pytest.raises(redun.errors.TaskNotFound, match=r"'redun.functools'.*'redun.nope'"):
        load_task_module("redun.functools", "redun.nope")
