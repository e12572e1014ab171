"""gc on a full disk: deleting wants pages, too. It goes on in small steps while there are a few, and says so when there are none."""

from __future__ import annotations

import os
import resource
import signal
from pathlib import Path

import pytest

from bench.drivers.collection import fill
from redun.store.errors import StoreUnavailable
from redun.store.gc import Plan
from redun.store.objects import links
from redun.store.repository import Store


def collect_with(child, folder: Path, drop: list[str], room: int):
    """Collect where no file may grow by more than `room` bytes; returns the number of objects that are left, or the error."""
    size = os.stat(folder / "data.mdb").st_size + room
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))
    try:
        with Store.open(folder) as store:
            return Plan(store, drop).carry_out().after.total[0]
    except StoreUnavailable as error:
        return str(error)


def check(folder: Path) -> int:
    with Store.open(folder) as store:
        there = set(store.source.ids())
        for oid in there:
            assert set(links(store.source.get(oid))) <= there
        return len(there)


@pytest.mark.parametrize("room", [0, 64 << 10, 256 << 10])
def test_no_room_to_delete_in(fork, tmp_path: Path, room: int) -> None:
    names = fill(tmp_path, 6000)
    with Store.open(tmp_path) as store:
        store.compact()  # so that no page in it is free
    before = check(tmp_path)
    found = fork(collect_with, tmp_path, names[:19], room).result()
    left = check(tmp_path)
    if isinstance(found, str):
        assert "make room" in found
        assert room == 0
    else:
        assert left == found < before
    # With room again, or what was freed, the next one does the rest.
    with Store.open(tmp_path) as store:
        Plan(store, names[:19]).carry_out()
    assert check(tmp_path) == 6000 // 20 + 3
