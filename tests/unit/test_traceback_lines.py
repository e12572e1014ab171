"""Tracebacks end in the user's line, and tell what Python tells."""

from __future__ import annotations

import sys
from collections.abc import Callable

import pytest

from redun import File, Scheduler, task
from redun.provenance import Provenance
from redun.traceback_lines import HEADING, traceback_lines

redun_namespace = "tracebacks"


def error_of(function: Callable[[], object]) -> BaseException:
    try:
        function()
    except BaseException as error:
        return error
    raise AssertionError("it should have failed")


def missing() -> None:
    try:
        {}["a"]
    except KeyError as error:
        raise ValueError("bad") from error


def frames(lines: list[str]) -> list[str]:
    return [line.rpartition(" in ")[2] for line in lines if line.lstrip(" |").startswith("File ")]


def test_a_cause_is_told_first() -> None:
    lines = traceback_lines(error_of(missing))
    assert frames(lines) == ["missing", "error_of", "missing"]
    assert lines[2] == "KeyError: 'a'"
    assert lines[3:7] == ["", "The above exception was the direct cause of the following exception:", "", HEADING]
    assert lines[-2:] == ['    raise ValueError("bad") from error', "ValueError: bad"]
    assert not any(set(line) <= set(" ^~") and "^" in line for line in lines)


def test_a_context_that_was_suppressed_is_not_told() -> None:
    def suppressed() -> None:
        try:
            missing()
        except ValueError:
            raise KeyError("b") from None

    assert frames(traceback_lines(error_of(suppressed))) == ["error_of", "suppressed"]


def test_what_redun_told_anew_is_told_once() -> None:
    error = error_of(lambda: File("/nope/x").read())
    assert isinstance(error.__cause__, FileNotFoundError)
    lines = traceback_lines(error)
    assert frames(lines) == ["error_of", "<lambda>"]
    assert lines[-1].startswith("redun.files.errors.RedunFileNotFoundError")
    assert "open" in frames(traceback_lines(error, all_frames=True))


def test_deep_recursion_stays_short() -> None:
    def deeper(n: int) -> int:
        return deeper(n + 1)

    lines = traceback_lines(error_of(lambda: deeper(0)))
    assert len(lines) < 30
    assert any("more times]" in line for line in lines)


@pytest.mark.skipif(sys.version_info < (3, 11), reason="Python 3.11 brought both")
def test_notes_and_groups() -> None:
    def fails() -> None:
        first, second = error_of(missing), ValueError("two")
        second.add_note("look here")  # type: ignore[attr-defined]
        raise ExceptionGroup("both", [first, second])  # type: ignore[name-defined] # noqa: F821

    lines = traceback_lines(error_of(fails))
    text = "\n".join(lines)
    assert "| ExceptionGroup: both (2 sub-exceptions)" in text
    assert "| KeyError: 'a'" in text
    assert "| look here" in text
    assert "fails" in frames(lines)


@task()
def fails_in_a_file() -> str:
    content = File("/nope/x").read()
    assert isinstance(content, str)
    return content


@task()
def fails_twice() -> None:
    missing()


def test_a_job_that_failed_keeps_it() -> None:
    scheduler = Scheduler(logger=False)
    for call, names in ((fails_in_a_file(), ["fails_in_a_file"]), (fails_twice(), ["missing", "fails_twice", "missing"])):
        with pytest.raises((OSError, ValueError)):
            scheduler.run(call)
        provenance = Provenance(scheduler.store)
        (job,) = provenance.jobs(provenance.execution("-"))
        assert job.call is not None
        failure = provenance.failure(provenance.call(job.call))
        assert failure is not None
        assert frames(list(failure.traceback)) == names
