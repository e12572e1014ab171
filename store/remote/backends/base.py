"""What a place must do to hold a remote: the one text of each duty. `tests/contract/test_remote_backend.py` holds all to it.

Names are like `packs/<digits>`: checked before they reach a backend (`check_name`), so that nothing from outside becomes a path. A
file under a name never changes; whoever writes one gives all of it at once, and readers see the whole file or none.

**`put_new` is what makes a remote safe for many writers**: of any number of writers of one name exactly one is told True. A place
that cannot do that has `shared = False`, and then only the store that made the remote may write to it (`redun.store.remote.remote`).

Every call is one request where the place counts requests, but for listings longer than a page. Calls may come from several threads
at once. Errors: `NotInRemote`, `RemoteDenied`, `RemoteBusy` (trying again may help) and `RemoteError`, whose messages carry no
secrets of the URL.
"""

from __future__ import annotations

import random
import re
import time
from collections.abc import Callable
from typing import BinaryIO, NamedTuple, Protocol, TypeVar

from redun.store.errors import RemoteDamaged, RemoteError

T = TypeVar("T")

_NAME = re.compile(r"(?:config|(?:packs|idx|log|ckpt)/[0-9a-f][0-9a-f-]{0,120})\Z")
FOLDERS = ("packs/", "idx/", "log/", "ckpt/")
CHUNK_BYTES = 1 << 20


class Meter(Protocol):
    """Is told of bytes before they are sent, and after they have come; may take its time, which limits the bandwidth."""

    def __call__(self, count: int) -> None: ...


class FileFact(NamedTuple):
    """A file of a remote: its name, size in bytes, and UTC microseconds of when it was written by the place's clock; None: not told."""

    name: str
    size: int
    written_us: int | None


class Backend(Protocol):
    """A place.

    Attributes:
        url: where it is, without secrets; for messages.
        shared: `put_new` decides between any number of writers.
    """

    url: str
    shared: bool

    def get(self, name: str, limit: int) -> bytes:
        """Return a file's bytes.

        Args:
            limit: more bytes than that are not read.

        Raises:
            NotInRemote: there is none.
            RemoteDamaged: it is longer than the limit.
        """

    def get_range(self, name: str, start: int, size: int) -> bytes:
        """Return exactly `size` bytes of a file from `start` on.

        Raises:
            NotInRemote: there is no such file; RemoteDamaged: it ends before.
        """

    def fetch(self, name: str, target: BinaryIO, size: int, meter: Meter) -> None:
        """Write a file's bytes to `target`, which must be exactly `size`.

        Raises:
            NotInRemote: there is none; RemoteDamaged: it is shorter or longer; no more than `size` bytes are written.
        """

    def put(self, name: str, source: BinaryIO, size: int, meter: Meter) -> None:
        """Write a file of `size` bytes, replacing what is there; for names that nobody else can have."""

    def put_new(self, name: str, data: bytes) -> bool:
        """Write a file unless there is one of that name: True if it was written, False if the name is taken.

        After a lost answer False may mean that the file is ours; the content tells.
        """

    def names(self, folder: str, after: str = "") -> list[str]:
        """List the names that begin with `folder`, one of `FOLDERS`, and come behind the name `after`, in order."""

    def files(self, folder: str) -> list[FileFact]:
        """List the files whose names begin with `folder`, in order, and hear the place's clock."""

    def remove_strays(self, before_us: int) -> int:
        """Remove what is left of files that were being written when their writers died, if they began before that time; return how many."""

    def size(self, name: str) -> int | None:
        """Return a file's size in bytes, None if there is none."""

    def delete(self, name: str) -> None:
        """Remove a file, if there is one."""

    def now_us(self) -> int | None:
        """Return the time of the place's own clock in UTC microseconds as far as it is known from earlier answers, else None.

        Time that passed here since then is counted (`redun.store.remote.clock`).
        """

    def close(self) -> None:
        """Release connections; closing twice is fine."""


def free(count: int) -> None:
    """Count nothing: the meter where none is given."""


def check_name(name: str) -> str:
    """Return a name, checked: nothing from outside becomes a path.

    Raises:
        RemoteDamaged: it is no name of a file of a remote.
    """
    if not _NAME.match(name):
        raise RemoteDamaged(f"{name[:80]!r} is no name of a file of a remote: somebody tampered with it")
    return name


def too_long(url: str, name: str, limit: int) -> RemoteDamaged:
    """Make the error for a file that is longer than it may be."""
    return RemoteDamaged(
        f"{name!r} in remote {url!r} is longer than {limit:,} bytes, which it must not be: nothing of it was used"
    )


def wrong_size(url: str, name: str, found: int, expected: int) -> RemoteDamaged:
    """Make the error for a file that is not as long as was said."""
    return RemoteDamaged(
        f"{name!r} in remote {url!r} has {'more than ' if found > expected else ''}{min(found, expected):,} bytes, "
        f"expected {expected:,}: it was cut short or replaced"
    )


def patiently(work: Callable[[], T], tries: int = 5, pause: Callable[[float], None] = time.sleep) -> T:
    """Do something that may fail for a moment: tried again after growing, random pauses.

    Raises:
        RemoteError: it failed each time, or for a reason that will stay.
    """
    for attempt in range(tries):
        try:
            return work()
        except RemoteError as error:
            if not error.transient or attempt == tries - 1:
                raise
            backoff(attempt, pause)
    raise AssertionError("unreachable")


def backoff(attempt: int, pause: Callable[[float], None] = time.sleep) -> None:
    """Wait a random while, longer with each attempt, at most two seconds: those who collided do not collide again."""
    pause(random.uniform(0, min(2.0, 0.05 * 2**attempt)))
