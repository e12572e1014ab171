"""A remote, opened: what is in it by now, how an entry is added to its log, how a file of it is got.

**Readers** list the log after the last entry that they have seen, read what is new and take it into their mirror. Each entry names
the digest of the one before; the last one seen is remembered, so a log that was set back or rewritten is noticed.

**Writers** send packs and indexes under names that nobody else can have, then add one entry, put-if-absent, under the next number. If
the number is taken they read who was quicker: themselves (an answer that got lost), or somebody else, whose entry is taken in before
the next number is tried. If that entry removed something that the writer relied on, the writer plans again.

A checkpoint sums up the log every 100 entries, with merged indexes, so a new reader reads one of them and at most 99 entries or so.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Collection, Iterable
from types import TracebackType

from redun.store.errors import RemoteDenied, RemoteError, StoreError
from redun.store.remote.backends.base import backoff, patiently
from redun.store.remote.config import CONFIG_LIMIT, RemoteConfig
from redun.store.remote.follow import Follower
from redun.store.remote.index import Place
from redun.store.remote.log import START, Checkpoint, Entry
from redun.store.remote.mirror import Known
from redun.store.remote.names import log_name
from redun.store.remote.rules import outdated

_COMMIT_TRIES = 100


class Moved(StoreError):
    """What a push relied on was removed, or a ref that it moves was moved, by somebody who was quicker: plan again."""


class Remote(Follower):
    """A remote of one store: `Connection` says of what. One thread at a time; it uses others for itself."""

    # Objects.

    def places(self, ids: Iterable[bytes]) -> dict[bytes, Place]:
        """Return where objects are; those that are not in the remote are left out."""
        wanted = list(ids)
        found = self.mirror.places(wanted)
        if len(found) < len(wanted) and self.mirror.shards:
            missing = [oid for oid in wanted if oid not in found]
            if self.load_shards(missing):
                found.update(self.mirror.places(missing))
        return found

    def has(self, oid: bytes) -> Place | None:
        """Return where an object is; see `places`."""
        return self.mirror.place(oid)

    def refs(self, prefix: str = "") -> dict[str, bytes]:
        """Return the refs of the remote."""
        return dict(self.mirror.source.refs(prefix))

    # Writing.

    def check_writable(self) -> None:
        """Refuse to write where somebody else is the only writer.

        Raises:
            RemoteDenied: says who may.
        """
        config = self.config
        if config is None:
            return
        if config.writer and config.writer != self.writer.store:
            raise RemoteDenied(
                f"{self.where} cannot tell two writers apart, so only the store that made it may push there: "
                f"{config.by or config.writer.hex()}, not this one ({self.writer.store.hex()}): pull from it, or push to another place"
            )
        if not config.writer and not self.backend.shared:
            raise RemoteDenied(
                f"{self.where} is shared by several writers, and through this URL they cannot be told apart: use another URL for it"
            )

    def create(self, said: Callable[[str], None]) -> None:
        """Make the remote, unless somebody else just did.

        Args:
            said: is told if the place turns out to be for one writer only.

        Raises:
            RemoteError: it cannot be written.
        """
        made = RemoteConfig(
            uuid.uuid4().bytes,
            b"" if self.backend.shared else self.writer.store,
            self.writer.by,
            time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        )
        if patiently(lambda: self.backend.put_new("config", made.encode())) and self.backend.shared:
            # A place that claims to refuse names that are taken has to show it.
            again = RemoteConfig(made.id, self.writer.store, made.by, made.created)
            if patiently(lambda: self.backend.put_new("config", again.encode())):
                self.backend.shared = False
                made = again
            else:
                self.config = made
                self._begin(made)
                return
        found = RemoteConfig.decode(patiently(lambda: self.backend.get("config", CONFIG_LIMIT)), self.where)
        self.config = found
        self._begin(found)
        if found.writer and found.writer == self.writer.store:
            said(
                f"{self.where} cannot tell two writers apart: only this store may push to it; others can pull "
                "(a folder, S3 and most object stores serve many writers)"
            )
        self._read_log()

    def _begin(self, config: RemoteConfig) -> None:
        self.mirror.meet(config.id)
        self._known = Known(config.id, 0, START)

    def commit(
        self,
        entry: Entry,
        indexes: list[bytes],
        relied: Collection[str] = (),
        check: Callable[[], None] = lambda: None,
        seen: Callable[[Entry], None] = lambda theirs: None,
    ) -> Entry:
        """Add an entry to the log, under the first free number.

        Args:
            entry: what it says; number, digest of the one before and writer are filled in.
            indexes: bytes of its indexes, which are in the remote (or in the entry) already.
            relied: names of packs that must still be there.
            check: raises if the entry came too late to be written.
            seen: is told of each entry of others that was quicker, and may change what is to be written.

        Raises:
            Moved: somebody was quicker, and what was planned does not fit any more.
            RemoteError: it cannot be written.
        """
        known = self._known
        for attempt in range(_COMMIT_TRIES):
            check()
            assert known is not None
            mirror = self.mirror
            why = outdated(
                entry,
                relied,
                mirror.is_alive,
                lambda name: mirror.dropped_at(name) is not None,  # noqa: B023
                mirror.source.read_ref,
            )
            if why:
                raise Moved(f"{self.where}: {why}")
            entry.remote, entry.seq, entry.before = known.remote, known.seq + 1, known.digest
            data = entry.encode(self.writer)
            name = log_name(entry.seq)
            if patiently(lambda name=name, data=data: self.backend.put_new(name, data)):  # type: ignore[misc]
                self._take_in([entry], {entry.digest: indexes})
                return entry
            theirs = self.entry(entry.seq)
            if theirs.nonce == entry.nonce:
                # Ours: the answer got lost, and it was asked for again.
                self._take_in([entry], {entry.digest: indexes})
                return entry
            self._take_in([theirs])
            known = self.known
            # Another process of this machine may have taken in more than that entry.
            for seq in range(entry.seq, known.seq + 1):
                one = theirs if seq == entry.seq else self.entry(seq)
                seen(one)
            backoff(min(attempt, 3))
        raise RemoteError(f"{self.where} is written by many others at once, {_COMMIT_TRIES} entries were quicker: push again")

    def __enter__(self) -> Remote:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()


__all__ = ["Checkpoint", "Moved", "Remote", "RemoteConfig"]
