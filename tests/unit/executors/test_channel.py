"""Messages between dispatcher and worker: whole, in order, many for one read, whatever their size."""

from __future__ import annotations

import multiprocessing
import threading
from collections.abc import Iterator

import pytest

from redun.executors.channel import Channel


@pytest.fixture
def ends() -> Iterator[tuple[Channel, Channel]]:
    here, there = multiprocessing.Pipe()
    yield Channel(here), Channel(there)
    here.close()
    there.close()


def test_many_messages_come_with_one_read(ends: tuple[Channel, Channel]) -> None:
    here, there = ends
    sent = [(number, b"x" * number, {"a": None}) for number in range(50)]
    for message in sent:
        here.send(message)
    assert there.receive() == sent


def test_messages_larger_than_the_pipe_come_whole(ends: tuple[Channel, Channel]) -> None:
    here, there = ends
    large = [bytes([number]) * (3_000_000 + number) for number in range(3)]
    sender = threading.Thread(target=lambda: [here.send(message) for message in large])
    sender.start()
    got: list[bytes] = []
    while len(got) < 3:
        got.extend(there.receive())
    sender.join()
    assert got == large


def test_the_end_of_the_other_side(ends: tuple[Channel, Channel]) -> None:
    here, there = ends
    there.send("last")
    there.close()
    assert here.rest() == ["last"]
    with pytest.raises(EOFError):
        here.receive()
    with pytest.raises(BrokenPipeError):
        here.send("nobody hears this")
