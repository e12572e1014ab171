"""Objects that this store lacks, looked for in the repos of the configuration: large values that were left there when the rest was pulled,
and what a repair of the store needs.

Which repo has an object is known from the indexes that are kept here (`redun.store.remote.mirror`), so only that one is asked. A repo that
cannot be reached is said once, and not asked again.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

from redun.errors import RedunError
from redun.fetching import Said
from redun.remotes import Repo, open_other_store, open_remote, repos
from redun.store.errors import ObjectNotFound
from redun.store.remote.pull import fetch
from redun.store.sources.base import Source

if TYPE_CHECKING:
    from redun.config import Config
    from redun.store.remote.remote import Remote
    from redun.store.repository import Store


class Elsewhere:
    """The repos of a configuration, opened when they are needed. One thread; close it.

    Args:
        store: where to bring objects; closed with this.
        said: is told of repos that cannot be reached.
        chosen: only these repos.
    """

    def __init__(self, store: Store, config: Config, said: Said, chosen: list[Repo] | None = None) -> None:
        self._store = store
        self._said = said
        self._repos = list(repos(config).values()) if chosen is None else chosen
        self._remotes: dict[str, Remote | None] = {}

    def _remote(self, repo: Repo) -> Remote | None:
        """Return a repo's remote, brought up to date; None if it cannot be reached."""
        if repo.name not in self._remotes:
            self._remotes[repo.name] = None
            try:
                remote = open_remote(self._store, repo)
            except RedunError as error:
                self._said(f"repo {repo.name!r} cannot be used: {error}")
                return None
            try:
                if remote.refresh():
                    self._remotes[repo.name] = remote
                    return remote
            except RedunError as error:
                self._said(f"repo {repo.name!r} cannot be used: {error}")
            remote.close()
        return self._remotes[repo.name]

    def bring(self, oid: bytes) -> bool:
        """Store an object from the first repo that has it; True if one had."""
        for repo in self._repos:
            try:
                if repo.config_dir:
                    if self._from_store(repo, oid):
                        return True
                    continue
                remote = self._remote(repo)
                place = None if remote is None else remote.places([oid]).get(oid)
                if remote is not None and place is not None and place.pack:
                    fetch(self._store.source, remote, [oid])
                    return True
            except RedunError as error:
                self._said(f"value {oid.hex()[:8]} cannot be fetched from repo {repo.name!r}: {error}")
        return False

    def _from_store(self, repo: Repo, oid: bytes) -> bool:
        from redun.store.bulk import copy

        with closing(open_other_store(repo, write=False)) as other:
            if not other.source.contains(oid):
                return False
            copy(other.source, self._store.source, [], dict, roots=[oid])
            return True

    def find(self, ids: Collection[bytes]) -> Iterator[tuple[bytes, bytes]]:
        """Yield id and bytes of those objects that some repo has: for a repair."""
        from redun.store.remote.source import RemoteSource
        from redun.store.sources.memory import MemorySource

        left = set(ids)
        for repo in self._repos:
            if not left:
                return
            try:
                if repo.config_dir:
                    with closing(open_other_store(repo, write=False)) as other:
                        yield from _found(other.source, left)
                elif (remote := self._remote(repo)) is not None:
                    # Beside an empty store: what is damaged here is of no use.
                    with closing(RemoteSource(remote, MemorySource())) as source:
                        yield from _found(source, left)
            except RedunError as error:
                self._said(f"repo {repo.name!r} cannot be used: {error}")

    def close(self) -> None:
        """Release connections."""
        for remote in self._remotes.values():
            if remote is not None:
                remote.close()
        self._remotes.clear()
        self._store.close()


def _found(source: Source, left: set[bytes]) -> Iterator[tuple[bytes, bytes]]:
    for oid in sorted(left):
        try:
            data = source.get(oid)
        except ObjectNotFound:
            continue
        left.discard(oid)
        yield oid, data


def find_for_repair(folder: Path, config: Config, said: Said) -> Elsewhere | None:
    """Return the repos for the repair of a store, None if there are none.

    Args:
        folder: of the store, which need not be sound.
    """
    from redun.store.repository import Store
    from redun.store.sources.memory import MemorySource

    if not repos(config):
        return None
    return Elsewhere(Store(MemorySource(), folder), config, said)
