"""Many pushers and pullers at one remote that fails: errors, lost answers, deaths half-way. Nothing may be lost, doubled or dangle.

`ROUNDS=1000 pytest tests/faults/test_remote_faults.py` is the long form.
"""

from __future__ import annotations

import os
import random
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any, BinaryIO

import pytest

from redun.store.errors import NotInRemote, RemoteBusy, RemoteDamaged, RemoteError
from redun.store.ids import object_id
from redun.store.objects import Codec, Kind, header, with_links
from redun.store.reach import in_order
from redun.store.remote import remote as remote_module
from redun.store.remote.backends import base
from redun.store.remote.log import START, Writer, decode_entry
from redun.store.remote.mirror import Mirror
from redun.store.remote.names import log_name
from redun.store.remote.pull import pull
from redun.store.remote.push import push
from redun.store.remote.remote import Remote
from redun.store.remote.rules import GRACE_US
from redun.store.sources.base import Batch, RefUpdate
from redun.store.sources.memory import MemorySource

ROUNDS = int(os.environ.get("ROUNDS", "12"))


class Killed(BaseException):
    """The process is gone: nobody may handle this."""


class Place:
    """The files of a remote."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.lock = threading.Lock()
        self.time_us = 1


class Faulty:
    """A backend on a `Place` that fails before or after the deed, or never answers again."""

    url = "place"
    shared = True

    def __init__(self, place: Place, chance: random.Random, errors: float, deaths: float) -> None:
        self._place = place
        self._chance = chance
        self._errors = errors
        self._deaths = deaths

    def _may_fail(self) -> None:
        found = self._chance.random()
        if found < self._deaths:
            raise Killed
        if found < self._deaths + self._errors / 2:
            raise RemoteBusy("no answer")

    def get(self, name: str, limit: int) -> bytes:
        self._may_fail()
        data = self._place.files.get(base.check_name(name))
        if data is None:
            raise NotInRemote(name)
        if len(data) > limit:
            raise RemoteDamaged("too long")
        return data

    def get_range(self, name: str, start: int, size: int) -> bytes:
        return self.get(name, 1 << 40)[start : start + size]

    def fetch(self, name: str, target: BinaryIO, size: int, meter: Any) -> None:
        target.write(self.get(name, size))

    def put(self, name: str, source: BinaryIO, size: int, meter: Any) -> None:
        self._may_fail()
        self._place.files[base.check_name(name)] = source.read()
        self._may_fail()

    def put_new(self, name: str, data: bytes) -> bool:
        self._may_fail()
        with self._place.lock:
            new = base.check_name(name) not in self._place.files
            if new:
                self._place.files[name] = data
        self._may_fail()
        return new

    def names(self, folder: str, after: str = "") -> list[str]:
        self._may_fail()
        with self._place.lock:
            return sorted([name for name in self._place.files if name.startswith(folder) and name > after])

    def size(self, name: str) -> int | None:
        self._may_fail()
        data = self._place.files.get(name)
        return None if data is None else len(data)

    def delete(self, name: str) -> None:
        self._place.files.pop(name, None)

    def now_us(self) -> int | None:
        return self._place.time_us

    def close(self) -> None:
        pass


class Kept(MemorySource):
    """A source that is still there when it is opened again."""

    def close(self) -> None:
        pass


class Site:
    """A store that comes back however often its process dies."""

    def __init__(self, place: Place, number: int, seed: int, errors: float = 0.25, deaths: float = 0.01) -> None:
        self.source = Kept()
        self._mirror = Kept()
        self._place = place
        self._chance = random.Random(f"{seed} {number}")
        self._faults = errors, deaths
        self._number = number

    def open(self, errors: bool = True) -> Remote:
        backend = Faulty(self._place, self._chance, *(self._faults if errors else (0.0, 0.0)))
        return Remote("team", backend, Mirror(self._mirror), Writer(bytes([self._number]) * 16, "tester"), jobs=2)

    def work(self) -> None:
        """Make some objects, some of them on what came from others."""
        chance = self._chance
        objects = {}
        for _ in range(chance.randrange(1, 30)):
            data = header(Kind.VALUE, Codec.RAW) + chance.randbytes(chance.choice((40, 400, 4000)))
            objects[object_id(data)] = data
        known = [oid for _, oid in self.source.refs()]
        below = [*objects, *chance.sample(known, min(len(known), 3))]
        data = with_links(Kind.VALUE, Codec.RAW, 0, below, chance.randbytes(8))
        top = object_id(data)
        objects[top] = data
        self.source.commit(Batch(objects, refs=[RefUpdate(f"pins/{top.hex()}", None, top)], links=set(below)))

    def until_done(self, pulls: bool) -> None:
        """Push or pull, again after each error or death."""
        for _ in range(400):
            try:
                remote = self.open()
                try:
                    if not pulls:
                        push(self.source, remote, dict(self.source.refs()))
                    elif remote.refresh():
                        pull(self.source, remote, remote.refs(), everything=self._chance.random() < 0.5)
                    return
                finally:
                    remote.close()
            except (RemoteError, Killed):
                continue
        raise AssertionError("it never comes to its end")


@pytest.fixture(autouse=True)
def _fast(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (base, remote_module):
        monkeypatch.setattr(module, "backoff", lambda attempt, pause=None: None)
    for name, size in (
        ("push.PACK_BYTES", 5000),
        ("packer.PACK_BYTES", 5000),
        ("push.SMALL_BYTES", 1000),
        ("push.COMMIT_BYTES", 20_000),
        ("packer.INLINE_INDEX_BYTES", 500),
    ):
        monkeypatch.setattr(f"redun.store.remote.{name}", size)
    monkeypatch.setattr("redun.store.remote.checkpoint.CHECKPOINT_EVERY", 7)


@pytest.mark.parametrize("seed", range(ROUNDS))
def test_nothing_is_lost_doubled_or_dangles(seed: int) -> None:
    place = Place()
    pushers = [Site(place, number, seed) for number in range(8)]
    pullers = [Site(place, number, seed) for number in range(8, 12)]

    def run(site: Site) -> None:
        for _ in range(3):
            if site in pushers:
                site.work()
                site.until_done(pulls=False)
            site.until_done(pulls=True)

    with ThreadPoolExecutor(12) as pool:
        for done in [pool.submit(run, site) for site in (*pushers, *pullers)]:
            done.result()
    wanted = {name: oid for site in pushers for name, oid in site.source.refs()}

    check_log(place, wanted)
    # Somebody who has never been there gets everything, whole.
    fresh = Site(place, 99, seed)
    with fresh.open(errors=False) as remote:
        assert remote.refresh()
        assert remote.refs() == wanted
        pull(fresh.source, remote, remote.refs(), everything=True)
    for oid in in_order(fresh.source, wanted.values()):
        assert object_id(fresh.source.get(oid)) == oid
    # And so does everybody else, who then has nothing more to send.
    for site in (*pushers, *pullers):
        with site.open(errors=False) as remote:
            remote.refresh()
            pull(site.source, remote, remote.refs())
            assert dict(site.source.refs()) == wanted
            assert push(site.source, remote, wanted).objects == 0


def check_log(place: Place, wanted: dict[str, bytes]) -> None:
    """Each entry follows the one before, names packs that are there, and sets each ref once."""
    digest = START
    seen: set[str] = set()
    nonces: set[bytes] = set()
    packs: set[str] = set()
    for number in range(1, sum(name.startswith("log/") for name in place.files) + 1):
        entry = decode_entry(place.files[log_name(number)], "test")
        assert entry.before == digest
        digest = entry.digest
        assert entry.nonce not in nonces, "one push stands in the log twice"
        nonces.add(entry.nonce)
        names = [pack.name for pack in entry.packs]
        assert packs.isdisjoint(names)
        packs.update(names)
        assert all(len(place.files[f"packs/{pack.name}"]) == pack.size for pack in entry.packs)
        for move in entry.refs:
            assert move.name not in seen
            seen.add(move.name)
    assert seen == wanted.keys()


def test_what_was_sent_too_long_ago_is_sent_again() -> None:
    """A remote gc deletes after a day what no entry names: a push that slept that long must not name it."""
    place = Place()
    site = Site(place, 1, 1, errors=0.0, deaths=0.0)
    for _ in range(20):
        site.work()
    backend_put = Faulty.put
    sent: list[str] = []

    def sleepy(self: Faulty, name: str, source: BinaryIO, size: int, meter: Any) -> None:
        backend_put(self, name, source, size, meter)
        sent.append(name)
        if len(sent) == 3:
            place.time_us += GRACE_US
            # The gc was here.
            for old in sent:
                place.files.pop(old)

    Faulty.put = sleepy  # type: ignore[method-assign]
    try:
        with site.open() as remote:
            push(site.source, remote, dict(site.source.refs()))
    finally:
        Faulty.put = backend_put  # type: ignore[method-assign]
    fresh = Site(place, 2, 2, errors=0.0, deaths=0.0)
    with fresh.open() as remote:
        remote.refresh()
        pull(fresh.source, remote, remote.refs())
    assert dict(fresh.source.refs()) == dict(site.source.refs())
