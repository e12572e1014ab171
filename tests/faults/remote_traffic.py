"""Processes that push to, pull from and collect garbage in one remote at once, through a network that fails."""

from __future__ import annotations

import os
import random
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from redun.store.errors import RemoteBusy, RemoteDamaged, RemoteError
from redun.store.ids import object_id
from redun.store.objects import Codec, Kind, header, with_links
from redun.store.remote.backends.opening import open_backend
from redun.store.remote.gc import collect
from redun.store.remote.log import Writer
from redun.store.remote.mirror import Mirror
from redun.store.remote.pull import pull
from redun.store.remote.push import push
from redun.store.remote.remote import Remote
from redun.store.repository import Store
from redun.store.sources.base import Batch, RefUpdate
from redun.store.sources.memory import MemorySource

_NOT_REQUESTS = ("now_us", "close")
_CHANGES = ("put", "put_new", "delete")


@dataclass(frozen=True)
class Faults:
    """How often, of 1, a request fails before anything is done, its answer is lost, or it stalls."""

    fails: float = 0.25
    lost: float = 0.1
    stalls: float = 0.05
    stall_s: float = 0.3


NONE = Faults(0, 0, 0)


class FaultyBackend:
    """A backend whose network fails."""

    def __init__(self, url: str, faults: Faults) -> None:
        self._inner: Any = open_backend(url)
        self._faults = faults
        self._random = random.Random(os.urandom(8))
        self.url = self._inner.url
        self.shared = self._inner.shared

    def __getattr__(self, method: str) -> Callable[..., Any]:
        work: Callable[..., Any] = getattr(self._inner, method)
        if method in _NOT_REQUESTS:
            return work

        def request(*arguments: Any) -> Any:
            chance, faults = self._random.random, self._faults
            if chance() < faults.stalls:
                time.sleep(chance() * faults.stall_s)
            if chance() < faults.fails:
                raise RemoteBusy(f"{method}: the network is down (made up)")
            found = work(*arguments)
            if method in _CHANGES and chance() < faults.lost:
                raise RemoteBusy(f"{method}: no answer (made up)")
            return found

        return request


def remote_of(store: Store, url: str, faults: Faults) -> Remote:
    mirror = Mirror(store.mirror_source("team"), store.mirror_lock("team"))
    return Remote("team", FaultyBackend(url, faults), mirror, Writer(store.identity(), "traffic"), jobs=2)


def may_go(ref: str) -> bool:
    """Tell whether collectors may drop a ref."""
    return ref[5] in "0123"


def make(store: Store, chance: random.Random) -> None:
    """Commit a graph of values that others have parts of, too, under a ref that travels."""
    objects: dict[bytes, bytes] = {}
    leaves = []
    for number in chance.sample(range(40), 12):
        data = header(Kind.VALUE, Codec.RAW) + random.Random(number).randbytes(1500 if number % 4 else 30_000)
        leaves.append(object_id(data))
        objects[leaves[-1]] = data
    middle = []
    for number in chance.sample(range(20), 4):
        # What a group links is the same everywhere.
        links = []
        for one in random.Random(1000 + number).sample(range(40), 5):
            data = header(Kind.VALUE, Codec.RAW) + random.Random(one).randbytes(1500 if one % 4 else 30_000)
            links.append(object_id(data))
            objects[links[-1]] = data
        data = with_links(Kind.VALUE, Codec.RAW, 0, links, b"group")
        middle.append(object_id(data))
        objects[middle[-1]] = data
    data = with_links(Kind.VALUE, Codec.RAW, 0, [*leaves, *middle], chance.randbytes(8))
    top = object_id(data)
    objects[top] = data
    store.source.commit(Batch(objects, refs=[RefUpdate(f"pins/{top.hex()}", None, top)]))
    store.source.refresh()


def pins(store: Store) -> dict[str, bytes]:
    return dict(store.source.refs("pins/"))


def pusher(child: Any, folder: Path, url: str, rounds: int, faults: Faults) -> str:
    """Make something and push it, as often as `rounds` says; report what was acknowledged."""
    chance = random.Random(os.urandom(8))
    with closing(Store.open(folder)) as store:
        while len(pins(store)) < rounds:
            make(store, chance)
            push_until_done(child, store, url, faults)
        push_until_done(child, store, url, faults)
    return "done"


def push_until_done(child: Any, store: Store, url: str, faults: Faults) -> None:
    heads = pins(store)
    while True:
        try:
            with remote_of(store, url, faults) as remote:
                push(store.source, remote, heads, everything=True)
            child.report(("pushed", sorted(heads)))
            return
        except RemoteError:
            continue


def puller(child: Any, folder: Path, url: str, stop: Path, faults: Faults) -> str:
    """Pull everything again and again; what cannot be read although nobody changed the remote is a failure."""
    pulls = 0
    with closing(Store.open(folder)) as store:
        while not stop.exists():
            try:
                with remote_of(store, url, faults) as remote:
                    if not remote.refresh():
                        time.sleep(0.05)
                        continue
                    seq = remote.seq
                    try:
                        pull(store.source, remote, remote.refs(), everything=True)
                        pulls += 1
                    except RemoteDamaged as error:
                        remote.refresh()
                        if remote.seq == seq:
                            child.report(("damaged", str(error)))
            except RemoteError:
                continue
    child.report(("pulls", pulls))
    return "done"


def collector(child: Any, folder: Path, url: str, stop: Path, faults: Faults) -> str:
    """Collect garbage again and again, with no grace or a short one; refs that may go do so in part."""
    chance = random.Random(os.urandom(8))
    with closing(Store.open(folder)) as store:
        while not stop.exists():
            try:
                with remote_of(store, url, faults) as remote:
                    if not remote.refresh():
                        time.sleep(0.05)
                        continue
                    going = [name for name in remote.refs() if may_go(name) and chance.random() < 0.5]
                    done = collect(remote, MemorySource(), lambda going=going: going, grace_us=chance.choice((0, 2_000_000)))
                    child.report(("collected", len(done.refs), done.dropped[0], done.deleted[0]))
            except RemoteError as error:
                child.report(("failed", str(error)))
            except RemoteDamaged as error:
                child.report(("damaged", str(error)))
    return "done"
