"""gc, fsck and repair of repos: policy and words around `redun.store.remote.gc` and `redun.store.remote.fsck`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from redun.remotes import Repo, RepoError, open_remote
from redun.retention import Decision, Policy, decide, pinned_executions, tags_gone
from redun.store.errors import RemoteDamaged, RemoteError, StoreError
from redun.store.objects import Kind
from redun.store.remote.fsck import Findings, inspect
from redun.store.remote.gc import Collected, View, collect
from redun.store.remote.graph import Doing, quiet
from redun.store.remote.mend import Find, Mended, mend
from redun.store.remote.mirror import Mirror
from redun.store.remote.remote import Moved, Remote
from redun.store.remote.rules import GRACE_US
from redun.store.sources.memory import MemorySource
from redun.trust import Trust

if TYPE_CHECKING:
    from redun.config import Config
    from redun.store.remote.backends.base import Meter
    from redun.store.repository import Store

GRACE_S = GRACE_US / 1_000_000
_MENDS = 4
Said = Callable[[str], None]


def _check(repo: Repo, what: str, command: str, write: bool) -> None:
    if repo.config_dir:
        raise RepoError(
            f"repo {repo.name!r} is another store of this machine: use 'redun -c {repo.config_dir} {command}' on it"
        )
    if write and repo.readonly:
        raise RepoError(f"repo {repo.name!r} is configured as read-only: nothing is {what} there")


# gc.


@dataclass
class RemoteCollected:
    """What a gc of a repo did, or would do.

    Attributes:
        decision: what became of each execution, empty if there was no rule.
        done: packs and files.
    """

    decision: Decision
    done: Collected


def collect_remote(
    store: Store,
    repo: Repo,
    policy: Policy,
    *,
    grace_s: float = GRACE_S,
    dry_run: bool = False,
    jobs: int | None = None,
    meter: Meter | None = None,
    doing: Doing = quiet,
    said: Said = lambda text: None,
) -> RemoteCollected:
    """Drop from a repo what a policy does not keep, beside whoever pushes and pulls there.

    Args:
        store: the store here; executions that are pinned in it stay there, too.
        policy: what stays; without rules every execution does. Sizes do not count.
        grace_s: how long files stay that nothing names any more.

    Raises:
        RepoError: it is read-only, empty, or no remote.
        RedunError: it cannot be reached, read or written.
    """
    from redun.store.remote.source import RemoteView

    _check(repo, "deleted", "gc", write=not dry_run)
    with open_remote(store, repo, jobs=jobs, meter=meter) as remote:
        if not remote.refresh():
            raise RepoError(f"{remote.where} is empty: nobody has pushed there yet")
        decision = Decision()
        foreign = not Trust(store, repo).everybody

        def drop() -> Collection[str]:
            nonlocal decision
            if policy.has_rules:
                with closing(RemoteView(remote, store.source, foreign)) as view:
                    decision = decide(view, policy, pinned=pinned_executions(store))
            return decision.refs

        def gone(tags: list[tuple[str, str, bytes]], plan: View) -> Collection[str]:
            with closing(RemoteView(remote, store.source, foreign)) as view:
                return tags_gone(view)(tags, plan)

        done = collect(
            remote,
            store.source,
            drop,
            tags_gone=gone,
            grace_us=int(grace_s * 1_000_000),
            dry_run=dry_run,
            doing=doing,
            said=said,
        )
        return RemoteCollected(decision, done)


# fsck.


@dataclass
class RemoteReport:
    """What an inspection of a repo found, and what a repair made of it.

    Attributes:
        found: what was wrong. mended: what was done. after: what is still wrong after a repair.
        executions: UUIDs of those that lead to something lost.
        kinds: what was lost: words -> how many.
    """

    found: Findings
    executions: list[str] = field(default_factory=list)
    kinds: dict[str, int] = field(default_factory=dict)
    mended: Mended | None = None
    after: Findings | None = None

    @property
    def verdict(self) -> str:
        """`sound`, `damaged` (found, not repaired), `repaired`, or `lost` (repaired as far as that could be done)."""
        if self.found.sound:
            return "sound"
        if self.mended is None:
            return "damaged"
        return "repaired" if self.after is not None and self.after.sound and not self.mended.left else "lost"


def check_remote(
    store: Store,
    config: Config,
    repo: Repo,
    *,
    full: bool = False,
    repair: bool = False,
    sources: Sequence[Repo] = (),
    jobs: int | None = None,
    meter: Meter | None = None,
    doing: Doing = quiet,
    said: Said = lambda text: None,
) -> RemoteReport:
    """Check that a repo is whole, and put back what is damaged or missing there.

    Args:
        store: the store here: what it has is put back.
        full: read and hash every pack; a repair does that anyway.
        sources: other repos to look for what is missing.

    Raises:
        RepoError: it is read-only, or no remote.
        RedunError: it cannot be reached or written.
    """
    _check(repo, "repaired", "fsck", write=repair)
    with open_remote(store, repo, jobs=jobs, meter=meter) as own:
        known = True
        rolled_back = ""
        try:
            if not own.refresh():
                raise RepoError(f"{own.where} is empty: nobody has pushed there yet")
        except RemoteDamaged as error:
            known, rolled_back = False, str(error)
        report: RemoteReport | None = None
        for _ in range(_MENDS):
            with closing(_fresh(own)) as remote:
                found = inspect(remote, store.source, full=full or repair, doing=doing)
                if rolled_back and rolled_back not in found.log:
                    found.log.append(rolled_back)
                report = RemoteReport(found, _executions(found), _kinds(found))
                if not repair or found.sound or remote.config is None:
                    return report
                try:
                    report.mended = mend(
                        remote, own if known else None, found, store.source, _finder(store, config, sources, said), doing
                    )
                except Moved:
                    continue
            with closing(_fresh(own)) as remote:
                report.after = inspect(remote, store.source, full=True, doing=doing)
            return report
        raise RemoteError(f"{own.where} is changed by others all the time: try again later")


def _fresh(own: Remote) -> Remote:
    """Return a remote as somebody sees it who was never there."""
    return _Borrowed(
        own.name, own.backend, Mirror(MemorySource()), own.writer, secret=own.secret, jobs=own.jobs, meter=own.meter
    )


class _Borrowed(Remote):
    """A remote that leaves its backend open."""

    def close(self) -> None:
        if self._pool is not None:
            self._pool.close()
            self._pool = None
        self.mirror.close()


def _finder(store: Store, config: Config, sources: Sequence[Repo], said: Said) -> Find | None:
    if not sources:
        return None
    from redun.elsewhere import Elsewhere

    def find(ids: Collection[bytes]) -> Iterator[tuple[bytes, bytes]]:
        elsewhere = Elsewhere(store.another(), config, said, list(sources))
        try:
            yield from elsewhere.find(ids)
        except StoreError as error:
            said(str(error))
        finally:
            elsewhere.close()

    return find


def _executions(found: Findings) -> list[str]:
    return sorted({name.split("/")[1] for name in found.touched if name.startswith("executions/")})


def _kinds(found: Findings) -> dict[str, int]:
    count: Counter[str] = Counter()
    for place in found.lost.values():
        try:
            count["object" if place is None else Kind(place.kind).name.lower()] += 1
        except ValueError:
            count["object"] += 1
    return dict(sorted(count.items()))


__all__ = ["GRACE_S", "RemoteCollected", "RemoteReport", "check_remote", "collect_remote"]
