"""The files that workers write to: what belongs to which job, in which order, and what is left out."""

from __future__ import annotations

import os

import pytest

from redun.executors.streams import WorkerOutput
from redun.store.journal import CUT, STDERR, STDOUT


class Files(WorkerOutput):
    def write(self, place: int, data: bytes) -> None:
        os.write(self._files[place].fileno(), data)


@pytest.fixture
def files() -> Files:
    return Files()


def test_jobs_one_after_the_other(files: Files, capsys: pytest.CaptureFixture[str]) -> None:
    files.write(0, b"one\n")
    files.write(1, b"oops\n")
    # The second job has written already when the first is looked at.
    files.write(0, b"two\n")
    first = files.take(100, (4, 5), [])
    second = files.take(100, (8, 5), [])
    assert first is not None
    assert second is not None
    assert first.pieces() == [(STDOUT, "one\n"), (STDERR, "oops\n")]
    assert second.pieces() == [(STDOUT, "two\n")]
    assert files.take(100) is None
    assert capsys.readouterr() == ("one\ntwo\n", "oops\n")


def test_marks_tell_the_order(files: Files) -> None:
    files.write(0, b"ac")
    files.write(1, b"bd")
    # Two threads of a task have noted theirs the wrong way round: nothing may be told twice.
    kept = files.take(100, (2, 2), [(1, 0), (1, 1), (1, 0), (2, 1)])
    assert kept is not None
    assert kept.pieces() == [(STDOUT, "a"), (STDERR, "b"), (STDOUT, "c"), (STDERR, "d")]


def test_text_is_passed_on_once_and_whole(files: Files, capsys: pytest.CaptureFixture[str]) -> None:
    data = "größe\n".encode()
    files.write(0, data[:3])
    files.pass_on()
    files.write(0, data[3:] + b"\xff")
    files.pass_on()
    files.pass_on()
    assert capsys.readouterr().out == "größe\n\ufffd"
    kept = files.take(100)
    assert kept is not None
    assert kept.pieces() == [(STDOUT, "größe\n\ufffd")]


def test_the_middle_of_much_is_not_read(files: Files) -> None:
    files.write(0, b"0" * 1000 + b"1" * 5000 + b"2" * 1000)
    kept = files.take(100)
    assert kept is not None
    assert kept.pieces() == [(STDOUT, "0" * 50), (CUT, 6900), (STDOUT, "2" * 50)]


def test_disk_space_is_given_back(files: Files) -> None:
    files.write(0, b"x" * (2 << 20))
    assert files.take(10) is not None
    files.empty()
    assert os.fstat(files._files[0].fileno()).st_size == 0
    files.write(0, b"next\n")
    kept = files.take(10)
    assert kept is not None
    assert kept.pieces() == [(STDOUT, "next\n")]
