"""What of a job's output is kept: its beginning and end, and what stands between."""

from __future__ import annotations

import io
import logging
import sys
import threading
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from redun.output import Kept, capturing, run_for
from redun.store.journal import CUT, STDERR, STDOUT

Writes = list[tuple[int, str]]
writes = st.lists(st.tuples(st.sampled_from([STDOUT, STDERR]), st.text(max_size=30)), max_size=40)


def flat(written: Writes) -> list[tuple[int, str]]:
    return [(stream, letter) for stream, text in written for letter in text]


@given(writes, st.integers(0, 60))
def test_what_is_kept_is_a_beginning_and_an_end(written: Writes, most: int) -> None:
    kept = Kept(most)
    for stream, text in written:
        kept.add(stream, text)
    before: list[tuple[int, str]] = []
    after: list[tuple[int, str]] = []
    cut = 0
    pieces = kept.pieces()
    for stream, what in pieces:
        if isinstance(what, int):
            assert stream == CUT
            cut = what
        else:
            (after if cut else before).extend([(stream, letter) for letter in what])
    everything = flat(written)
    assert everything[: len(before)] == before
    assert everything[len(everything) - len(after) :] == after
    assert len(before) + cut + len(after) == len(everything)
    assert len(before) + len(after) == min(most, len(everything))
    streams = [stream for stream, _ in pieces]
    assert cut or all(one != other for one, other in pairwise(streams))


def test_what_is_not_at_hand_is_counted() -> None:
    kept = Kept(10)
    kept.add(STDOUT, "0123456789")
    kept.add(CUT, 1000)
    kept.add(STDOUT, "abcdefgh")
    assert kept.pieces() == [(STDOUT, "01234"), (CUT, 1008), (STDOUT, "defgh")]


class Sink:
    def __init__(self) -> None:
        self.got: list[tuple[Any, int, str | int]] = []

    def add(self, job: Any, stream: int, text: str | int) -> None:
        self.got.append((job, stream, text))


def streams(monkeypatch: pytest.MonkeyPatch) -> tuple[io.StringIO, io.StringIO]:
    # Not a fixture: pytest puts its own between set-up and call.
    out, err = io.StringIO(), io.StringIO()
    monkeypatch.setattr(sys, "stdout", out)
    monkeypatch.setattr(sys, "stderr", err)
    return out, err


def in_thread(function: Any) -> None:
    thread = threading.Thread(target=function)
    thread.start()
    thread.join()


def test_text_goes_to_the_stream_and_to_the_job_of_the_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    out, err = streams(monkeypatch)
    sink = Sink()
    handler = logging.StreamHandler(err)
    logger = logging.getLogger("tests.output")
    logger.addHandler(handler)
    logger.propagate = False

    def work() -> None:
        current = run_for(sink)
        current.job = "job"
        print("one")
        logger.warning("two")
        current.job = None
        print("none")

    try:
        with capturing(True):
            assert sys.stdout is not out
            with capturing(True):
                in_thread(work)
            print("outside")
            assert handler.stream is not err
        assert handler.stream is err
    finally:
        logger.removeHandler(handler)
    assert (sys.stdout, sys.stderr) == (out, err)
    assert out.getvalue() == "one\nnone\noutside\n"
    assert err.getvalue() == "two\n"
    assert "".join([str(text) for job, stream, text in sink.got if stream == STDOUT]) == "one\n"
    assert "".join([str(text) for job, stream, text in sink.got if stream == STDERR]) == "two\n"
    assert {job for job, _, _ in sink.got} == {"job"}


def test_the_replaced_stream_is_like_the_real_one(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    with open(tmp_path / "out", "w", encoding="latin-1") as real:
        monkeypatch.setattr(sys, "stdout", real)
        sink = Sink()

        def work() -> None:
            run_for(sink).job = "job"
            sys.stdout.buffer.write(b"bytes\n")
            sys.stdout.writelines(["a\n", "b\n"])

        with capturing(True):
            assert sys.stdout.encoding == "latin-1"
            assert sys.stdout.fileno() == real.fileno()
            assert not sys.stdout.isatty()
            assert sys.stdout.writable()
            assert sys.stdout.name == real.name
            in_thread(work)
            sys.stdout.flush()
        assert not real.closed
    assert (tmp_path / "out").read_text() in ("bytes\na\nb\n",)
    assert "".join([str(text) for _, _, text in sink.got]) == "bytes\na\nb\n"


def test_a_stream_that_somebody_put_on_top_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    _, err = streams(monkeypatch)
    other = io.StringIO()
    with capturing(True):
        sys.stdout = other
    assert sys.stdout is other
    assert sys.stderr is err
