"""What scripts ask of a scheduler besides running it: its logger, reports, limits and registries."""

from __future__ import annotations

import logging
import subprocess
import sys
from typing import Any
from unittest.mock import Mock

import pytest

from redun import Scheduler, get_task_registry, task
from redun.value import get_type_registry


@task(namespace="sched")
def one(x: int) -> int:
    return 6 // x


@task(namespace="sched")
def two(x: int) -> list[int]:
    return [one(x), one(x + 1)]


def texts(logger: Mock) -> list[str]:
    return [call.args[1] for call in logger.log.call_args_list]


def test_lines_go_through_the_logger_that_was_given() -> None:
    logger = Mock()
    Scheduler(logger=logger).run(two(1))
    assert {call.args[0] for call in logger.log.call_args_list} == {logging.INFO}
    lines = texts(logger)
    assert lines[0].startswith("Start Execution ")
    assert lines[0].endswith("redun 'sched.two(1)'")
    assert sum(line.startswith("Run ") for line in lines) == 3


def test_lines_go_through_the_loggers_of_the_standard_library(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, logger="redun"):
        Scheduler().run(two(1))
    assert sum(record.getMessage().startswith("Run ") for record in caplog.records) == 3
    caplog.clear()
    with caplog.at_level(logging.ERROR, logger="redun"):
        Scheduler().run(two(1))
    assert caplog.records == []


def test_lines_look_the_same_with_and_without_a_logger(capsys: pytest.CaptureFixture[str]) -> None:
    from redun.logging import logger

    logger.info("before")
    scheduler = Scheduler()
    assert scheduler.logger is logger
    scheduler.run(one(1))
    scheduler.log("a", 1, "\nb", indent=2)
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == "[redun] before"
    assert lines[-2:] == ["[redun]   a 1 ", "[redun]   b"]
    assert all(line.startswith("[redun] ") for line in lines)


SILENT = {
    "level": "logging.getLogger('redun').setLevel(logging.WARNING)",
    "disabled": "logging.disable(logging.CRITICAL)",
    "no handlers": "logging.getLogger('redun').handlers.clear()",
    "a filter": "logging.getLogger('redun').addFilter(lambda record: False)",
    "a handler's level": "logging.getLogger('redun').handlers[0].setLevel(logging.ERROR)",
}


@pytest.mark.parametrize("how", [*SILENT.values(), ""], ids=[*SILENT, "untouched"])
def test_what_a_program_does_to_the_logger_is_heeded(how: str) -> None:
    program = f"""import logging
from redun import Scheduler, task
{how}
@task(namespace="sched")
def one():
    return 1
print(Scheduler().run(one()))
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout == "1\n"
    assert ("Run " in done.stderr) == (how == "")
    assert (done.stderr == "") == (how != "")


def test_handlers_of_a_program_take_the_place_of_redun_s() -> None:
    program = """import logging, sys
from redun import Scheduler, task
logging.getLogger("redun").handlers = [logging.StreamHandler(sys.stdout)]
@task(namespace="sched")
def one():
    return 1
Scheduler().run(one())
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)
    assert done.stderr == ""
    assert done.stdout.count("Run ") == 1
    assert "[redun]" not in done.stdout


def test_false_is_silent(capsys: pytest.CaptureFixture[str]) -> None:
    scheduler = Scheduler(logger=False)
    scheduler.run(one(1))
    scheduler.log("nothing")
    scheduler.log_job_statuses()
    assert capsys.readouterr().err == ""


def test_the_traceback_of_jobs_goes_through_the_logger() -> None:
    logger = Mock()
    with pytest.raises(ZeroDivisionError):
        Scheduler(logger=logger).run(two(-1))
    lines = texts(logger)
    assert lines[-1] == "ZeroDivisionError: integer division or modulo by zero"
    assert "*** Execution failed. Traceback (most recent task last):" in lines


def test_status_report() -> None:
    scheduler = Scheduler(logger=Mock())
    scheduler.run(two(1))
    report = scheduler.get_job_status_report()
    assert report[1:] == [
        "| TASK      PENDING RUNNING  FAILED  CACHED    DONE   TOTAL",
        "| ",
        "| ALL             0       0       0       0       3       3",
        "| sched.one       0       0       0       0       2       2",
        "| sched.two       0       0       0       0       1       1",
        "",
    ]
    scheduler.logger = Mock()
    scheduler.log_job_statuses()
    assert texts(scheduler.logger)[2:-1] == report[1:]


def test_why_a_dry_run_would_run_something() -> None:
    def reason(expr: Any) -> str:
        scheduler.logger = Mock()
        with pytest.raises(Exception, match="dry run"):
            scheduler.run(expr, dryrun=True)
        (line,) = [line for line in texts(scheduler.logger) if line.startswith("Miss ")]
        return line.partition(":  ")[2].partition(" (")[0]

    def define(version: str) -> Any:
        return task(name="changing", namespace="sched", version=version)(lambda x: x)

    scheduler = Scheduler(logger=Mock())
    changing = define("1")
    assert reason(changing(1)) == "New task 'sched.changing()' is called with new arguments: it has never run here"
    scheduler.run(changing(1))
    assert reason(changing(2)) == "Existing task 'sched.changing()' is called with new arguments"
    changing = define("2")
    assert reason(changing(1)) == "New task 'sched.changing()' with previous arguments: its code has changed"
    assert reason(changing(2)) == "New task 'sched.changing()' is called with new arguments: its code has changed, too"


def test_limits_and_what_is_used_of_them() -> None:
    scheduler = Scheduler(config={"limits": {"db": "2"}}, logger=False)
    seen = []

    @task(namespace="sched", limits={"db": 2, "other": 1})
    def limited(x: int) -> int:
        seen.append(dict(scheduler.limits_used))
        return 1 // x

    assert scheduler.limits == {"db": 2}
    assert scheduler.limits_used == {"db": 0}
    scheduler.run(limited(1))
    with pytest.raises(ZeroDivisionError):
        scheduler.run(limited(0))
    assert seen == [{"db": 2, "other": 1}] * 2
    assert scheduler.limits_used == {"db": 0, "other": 0}


def test_tasks_without_namespace_are_warned_of_unless_that_is_ignored() -> None:
    bare = task(name="bare", namespace="")(lambda: 1)
    assert bare.namespace == ""
    assert bare.fullname == "bare"
    logger = Mock()
    Scheduler(logger=logger).run(bare())
    (warning,) = logger.warning.call_args_list
    assert "no namespace for test_scheduler_surface.py:bare" in warning.args[0]
    logger = Mock()
    scheduler = Scheduler(config={"scheduler": {"ignore_warnings": "namespace other"}}, logger=logger)
    assert scheduler.ignore_warnings == {"namespace", "other"}
    scheduler.run(bare())
    assert logger.warning.call_args_list == []


def test_registries() -> None:
    scheduler = Scheduler(logger=False)
    assert scheduler.task_registry is get_task_registry()
    assert scheduler.type_registry is get_type_registry()


def test_settings_of_the_constructor() -> None:
    logger = Mock()
    scheduler = Scheduler(None, logger=logger, use_task_traceback=False, job_status_interval=0, migrate=True)
    scheduler.load(migrate=True)
    assert scheduler.job_status_interval is None
    with pytest.raises(ZeroDivisionError):
        scheduler.run(two(-1))
    lines = texts(logger)
    told = lines[lines.index("*** Execution failed. Traceback (most recent task last):") + 1 :]
    assert not any(line.startswith("  Job ") for line in told)
    assert told[-1] == "ZeroDivisionError: integer division or modulo by zero"
    assert Scheduler(job_status_interval=3).job_status_interval == 3
    assert Scheduler({"scheduler": {"job_status_interval": "7"}}).job_status_interval == 7
