"""Pushers, pullers and a collector at work in one remote, with requests that fail, stall and lose their answers, and processes that are
killed: nothing is lost, nothing doubled, and what is there in the end is whole. Short here, long in `make faults`."""

from __future__ import annotations

import os
import random
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from servers import s3_server

from redun.store.reach import reachable
from redun.store.remote.fsck import inspect
from redun.store.remote.log import Writer
from redun.store.remote.mirror import Mirror
from redun.store.remote.pull import pull
from redun.store.remote.remote import Remote
from redun.store.repository import Store
from redun.store.sources.memory import MemorySource

from .remote_traffic import NONE, Faults, FaultyBackend, collector, may_go, puller, pusher, remote_of

LONG = int(os.environ.get("REDUN_FAULT_ROUNDS", "0"))
PUSHERS, PULLERS = (8, 4) if LONG else (4, 2)
ROUNDS = max(4, LONG // 10)
KILLS = max(4, LONG // 3)


@pytest.fixture(params=["folder", "s3"])
def url(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    if request.param == "folder":
        yield str(tmp_path / "remote")
        return
    with s3_server(tmp_path) as environ:
        for name, value in environ.items():
            monkeypatch.setenv(name, value)
        bucket = f"bucket-{uuid.uuid4().hex[:12]}"
        import boto3

        boto3.client("s3").create_bucket(Bucket=bucket)
        yield f"s3://{bucket}/team"


def test_many_at_once(url: str, tmp_path: Path, fork: Callable[..., Any], capsys: pytest.CaptureFixture[str]) -> None:
    chance = random.Random(os.urandom(8))
    stop = tmp_path / "stop"
    faults = Faults()
    jobs: list[tuple[Callable[..., Any], tuple[Any, ...]]] = [
        *[(pusher, (tmp_path / f"pusher{number}", url, ROUNDS, faults)) for number in range(PUSHERS)],
        *[(puller, (tmp_path / f"puller{number}", url, stop, faults)) for number in range(PULLERS)],
        (collector, (tmp_path / "collector", url, stop, faults)),
    ]
    running = [(fork(work, *arguments), work, arguments) for work, arguments in jobs]
    said: list[Any] = []
    for _ in range(KILLS):
        time.sleep(chance.uniform(0.05, 0.5) * (4 if LONG else 1))
        at = chance.randrange(len(running))
        child, work, arguments = running[at]
        child.kill()
        said += child.read_all()
        child.wait()
        running[at] = (fork(work, *arguments), work, arguments)
    for child, work, _ in running:
        if work is pusher:
            said += child.read_all()
            assert child.wait() == 0
    stop.touch()
    for child, work, _ in running:
        if work is not pusher:
            said += child.read_all()
            assert child.wait() == 0
    assert [one for one in said if one[0] == "damaged"] == []
    pushed = {name for one in said if one[0] == "pushed" for name in one[1]}
    if os.environ.get("TRAFFIC_DEBUG"):
        from collections import Counter

        print(Counter(one[1][:110] for one in said if one[0] == "failed").most_common(12))
    collected = [one for one in said if one[0] == "collected"]
    with closing(Store.open(tmp_path / "last")) as store, remote_of(store, url, NONE) as remote:
        remote.refresh()
        there = remote.refs()
        assert {name for name in pushed if not may_go(name)} <= set(there)
        entries = [remote.entry(seq) for seq in range(1, remote.seq + 1)]
        assert len({entry.nonce for entry in entries}) == len(entries)
        named = [fact.name for entry in entries for fact in entry.packs]
        assert len(set(named)) == len(named)
        sets = [(move.name, move.new) for entry in entries for move in entry.refs if move.new is not None]
        assert len({name for name, _ in sets}) == len(sets)
        pull(store.source, remote, there, everything=True)
        store.source.refresh()
        assert dict(store.source.refs("pins/")) == there
        assert all(map(store.source.contains, reachable(store.source, there.values())))
        backend = FaultyBackend(url, NONE)
        with Remote("team", backend, Mirror(MemorySource()), Writer(store.identity(), "check")) as fresh:
            found = inspect(fresh, MemorySource(), full=True)
        assert found.sound, found
    with capsys.disabled():
        if LONG:
            pulls = sum(one[1] for one in said if one[0] == "pulls")
            print(
                f"\n{url.partition(':')[0]}: {PUSHERS} pushers, {PULLERS} pullers, a collector; {KILLS} kills; {len(pushed)} refs pushed, "
                f"{len(entries)} entries, {len(collected)} collections, {sum(one[2] for one in collected)} packs dropped, "
                f"{sum(one[3] for one in collected)} files deleted, {pulls} pulls by those that lived"
            )
