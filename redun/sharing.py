"""Push and pull between a store and a repo: which refs, with which rows of the memo, and whom to believe.

**Trust.** A row of the memo is a claim that no hash can verify, and what it names may be an expression, that is, code to run. So rows
that come from a remote are taken in only if the configuration trusts whoever signed the log entry that brought them (`redun.trust`).
Executions that came without trust are noted in the table `untrusted` (ref -> name of the repo), the objects that came with them in
`foreign` (id -> name of the repo), and the reflog says `pull REPO unsigned`. Once they are trusted, the next pull takes their rows in.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

from redun.garbage import raised_thresholds
from redun.remotes import Repo, RepoError, open_other_store, open_remote
from redun.store.errors import RemoteDamaged
from redun.store.reach import reachable
from redun.store.remote.pull import Pulled, PulledRef
from redun.store.remote.push import Progress, Pushed, silent
from redun.store.rows import BLOB_ABOVE
from redun.store.sources.base import Source
from redun.travel import (
    EXECUTIONS,
    UNTRUSTED,
    Selection,
    check_vouched,
    doubtful_refs,
    memo_elsewhere,
    movements,
    select,
    shared_refs,
    tags_about,
)
from redun.trust import Trust

if TYPE_CHECKING:
    from redun.store.remote.backends.base import Meter
    from redun.store.remote.remote import Remote
    from redun.store.repository import Store

_PUSHED_KINDS = ("execution", "job", "call", "task", "value")
# Jobs would have to be looked for in every journal of the remote.
_PULLED_KINDS = ("execution", "call", "task", "value")
_PULLS = 5
Said = Callable[[str], None]


# Push.


def push_to(
    store: Store,
    repo: Repo,
    ids: Sequence[str] = (),
    *,
    dry_run: bool = False,
    jobs: int | None = None,
    meter: Meter | None = None,
    progress: Progress = silent,
    said: Said = lambda text: None,
) -> Pushed:
    """Bring what a repo lacks there.

    Args:
        ids: what to bring with all that it leads to; everything if there are none.

    Raises:
        RepoError: it is configured as read-only.
        RedunError: the repo cannot be reached or written, or an id is not known.
    """
    if repo.readonly:
        raise RepoError(f"repo {repo.name!r} is configured as read-only: nothing is pushed there")
    source = store.source
    selection = select(store, ids, _PUSHED_KINDS) if ids else Selection(shared_refs(source))
    heads = dict(selection.heads)
    if not ids:
        # Whoever trusts us would believe what we push.
        for name in doubtful_refs(source):
            heads.pop(name, None)
    else:
        check_vouched(source, heads)
        tags = dict(source.refs("tags/"))
        heads.update(tags_about(source, selection.heads, selection.executions, tags))

    def memo() -> Iterable[tuple[bytes, bytes]]:
        if not ids:
            return ()
        return memo_elsewhere(source, selection.executions, reachable(source, selection.heads.values()))

    if repo.config_dir:
        with closing(open_other_store(repo, write=not dry_run)) as other:
            _check_other(store, other, repo)
            return _copy_out(source, other.source, heads, memo, dry_run, progress)
    from redun.store.remote.push import push

    def waiting() -> None:
        said(f"another push from this store to {repo.name!r} goes on: waiting for it")

    with (
        open_remote(store, repo, jobs=jobs, meter=meter) as remote,
        remote.mirror.pushing.held(waiting),
        raised_thresholds(),
    ):
        return push(source, remote, heads, memo=memo, everything=not ids, dry_run=dry_run, progress=progress, said=said)


def _check_other(store: Store, other: Store, repo: Repo) -> None:
    if store.identity() == other.identity():
        raise RepoError(f"repo {repo.name!r} is this very store, or a copy of it: there is nothing to bring")


def _copy_out(
    source: Source,
    target: Source,
    heads: Mapping[str, bytes],
    pairs: Callable[[], Iterable[tuple[bytes, bytes]]],
    dry_run: bool,
    progress: Progress,
) -> Pushed:
    moved = _copy(source, target, heads, pairs, dry_run, progress)
    return Pushed(
        refs=moved.refs, objects=moved.objects, raw_bytes=moved.raw_bytes, sent_bytes=moved.raw_bytes, kept=moved.kept
    )


def _copy(
    source: Source,
    target: Source,
    heads: Mapping[str, bytes],
    pairs: Callable[[], Iterable[tuple[bytes, bytes]]],
    dry_run: bool,
    progress: Progress,
) -> Pulled:
    """Bring refs from one store of this user into another."""
    from redun.store.bulk import copy
    from redun.store.errors import MissingLinks
    from redun.store.reach import in_order

    done = Pulled()

    def get(oid: bytes) -> bytes:
        return target.get(oid) if target.contains(oid) else source.get(oid)

    updates, done.kept = movements(target, heads, get, "push")
    done.refs = len(updates)

    def told(objects: int, size: int) -> None:
        done.objects += objects
        done.raw_bytes += size
        progress(objects, size)

    if dry_run:
        roots = [update.new for update in updates if update.new is not None]
        for oid in in_order(source, roots, stop=target.contains):
            told(1, source.away(oid) or len(source.view(oid)))
    elif updates:
        moves = [(update.name, update.old, update.new) for update in updates if update.new is not None]
        for attempt in range(5):
            try:
                # Here and below imported when there is something new: it brings the language along.
                from redun.journal_memo import new_memo

                copy(source, target, updates, lambda: new_memo(target, moves, pairs()), told)
                break
            except MissingLinks:
                # A gc beside us swept what was just stored.
                if attempt == 4:
                    raise
                target.refresh()
    done.received_bytes = done.raw_bytes
    return done


# Pull.


def pull_from(
    store: Store,
    repo: Repo,
    ids: Sequence[str] = (),
    *,
    dry_run: bool = False,
    metadata_only: bool = False,
    jobs: int | None = None,
    meter: Meter | None = None,
    progress: Progress = silent,
) -> Pulled:
    """Bring what this store lacks of a repo here.

    Args:
        ids: what to bring with all that it leads to; everything if there are none.
        metadata_only: large values stay there, and are fetched when they are needed.

    Raises:
        RedunError: the repo cannot be reached or read, or an id is not known there.
    """
    if repo.config_dir:
        return _pull_from_store(store, repo, ids, dry_run, progress)
    with open_remote(store, repo, jobs=jobs, meter=meter) as remote, raised_thresholds():
        if not remote.refresh():
            raise RepoError(f"{remote.where} is empty: nobody has pushed there yet")
        for attempt in range(_PULLS):
            try:
                return _Puller(store, repo, remote, dry_run, progress, BLOB_ABOVE if metadata_only else None).run(ids)
            except RemoteDamaged:
                # A gc there may have deleted packs since we looked.
                if attempt == _PULLS - 1 or not remote.moved_on():
                    raise
        raise AssertionError("unreachable")


def _pull_from_store(store: Store, repo: Repo, ids: Sequence[str], dry_run: bool, progress: Progress) -> Pulled:
    with closing(open_other_store(repo, write=False)) as other:
        _check_other(store, other, repo)
        there = other.source
        selection = select(other, ids, _PUSHED_KINDS) if ids else Selection(shared_refs(there))
        heads = dict(selection.heads)
        if ids:
            heads.update(tags_about(there, heads, selection.executions, dict(there.refs("tags/"))))

        def pairs() -> Iterable[tuple[bytes, bytes]]:
            return memo_elsewhere(there, selection.executions, reachable(there, selection.heads.values())) if ids else ()

        return _copy(there, store.source, heads, pairs, dry_run, progress)


class _Puller:
    """One pull from a remote."""

    def __init__(
        self, store: Store, repo: Repo, remote: Remote, dry_run: bool, progress: Progress, leave_above: int | None
    ) -> None:
        self._leave_above = leave_above
        self._source = store.source
        self._store = store
        self._repo = repo
        self._remote = remote
        self._dry_run = dry_run
        self._progress = progress
        self._folder: Path | None = None if store.folder is None or store.readonly else store.folder / "remotes"
        self._pairs = False
        self._trust = Trust(store, repo)
        self._believes = self._trust.believes
        self._vouched = False

    def run(self, ids: Sequence[str]) -> Pulled:
        remote = self._remote
        if not ids:
            done = self._pull(shared_refs(remote.mirror.source, pins=True), everything=True)
            if self._leave_above is None and not self._dry_run:
                self._add(done, self._fetch_left())
        else:
            from redun.store.remote.source import RemoteView

            self._pairs = True
            selection = select(RemoteView(remote, self._source), ids, _PULLED_KINDS)
            done = self._pull(selection.heads, everything=False)
            if not self._dry_run:
                # What they lead to is here now, so what tags are about them can be told.
                tags = tags_about(self._source, selection.heads, selection.executions, remote.refs("tags/"))
                self._add(done, self._pull(tags, everything=False))
        if not self._dry_run:
            self._believe()
        return done

    def _pull(self, heads: Mapping[str, bytes], everything: bool) -> Pulled:
        """Pull what somebody who is believed signed first: only what comes with the rest is foreign."""
        vouched: dict[str, bytes] = {}
        doubtful: dict[str, bytes] = {}
        for name, head in heads.items():
            signer = self._remote.signer_of(name, self._believes)
            (vouched if self._believes(signer) else doubtful)[name] = head
        done = Pulled()
        for part in (vouched, doubtful):
            if part or (part is vouched and not doubtful):
                self._vouched = part is vouched
                self._add(done, self._pull_part(part, everything))
        done.untrusted = self._untrusted
        return done

    def _pull_part(self, heads: Mapping[str, bytes], everything: bool) -> Pulled:
        from redun.store.remote.pull import pull

        return pull(
            self._source,
            self._remote,
            heads,
            memo=self._memo,
            foreign=None if self._vouched else self._foreign,
            believed=self._believes,
            everything=everything,
            leave_above=self._leave_above,
            dry_run=self._dry_run,
            progress=self._progress,
            folder=self._folder,
        )

    def _fetch_left(self) -> Pulled:
        """Fetch values that an earlier pull left there."""
        from redun.store.remote.pull import fetch

        left = [oid for oid in self._source.all_away() if (place := self._remote.has(oid)) is not None and place.pack]
        return fetch(self._source, self._remote, left, self._progress, self._folder)

    @staticmethod
    def _add(done: Pulled, more: Pulled) -> None:
        done.refs += more.refs
        done.objects += more.objects
        done.raw_bytes += more.raw_bytes
        done.received_bytes += more.received_bytes
        done.left += more.left
        done.left_bytes += more.left_bytes
        done.kept += more.kept
        done.untrusted = max(done.untrusted, more.untrusted)

    _untrusted = 0

    def _foreign(self, ids: Iterable[bytes]) -> None:
        name = self._repo.name.encode()
        from redun.provenance.strangers import FOREIGN

        self._source.table(FOREIGN).put_many([(oid, name) for oid in ids])

    def _memo(self, refs: Sequence[PulledRef]) -> Mapping[bytes, bytes]:
        trusted = refs if self._vouched else ()
        doubtful = [] if self._vouched else [ref for ref in refs if ref.name.startswith(EXECUTIONS)]
        self._untrusted += len({ref.name.split("/")[1] for ref in doubtful})
        if doubtful:
            name = self._repo.name.encode()
            self._source.table(UNTRUSTED).put_many([(ref.name.encode(), name) for ref in doubtful])
        pairs: Iterable[tuple[bytes, bytes]] = ()
        if self._pairs and trusted:
            # Results that these executions used stand in the journals of others, but also in the indexes of the remote.
            below = reachable(self._source, [ref.new for ref in trusted])
            pairs = [
                (key, claim.call)
                for key, claim in self._remote.mirror.all_claims()
                if claim.call in below and all(map(self._believes, (claim.signer, *claim.vouchers)))
            ]
        from redun.journal_memo import new_memo

        return new_memo(self._source, [ref[:3] for ref in trusted], pairs)

    def _believe(self) -> None:
        """Take in rows of executions that came from here before their signers were trusted."""
        from redun.store.sources.base import Batch

        table = self._source.table(UNTRUSTED)
        name = self._repo.name.encode()
        names = [key.decode() for key, row in table.scan() if row == name]
        refs = []
        for ref in names:
            head, signer = self._source.read_ref(ref), self._remote.signer_of(ref, self._believes)
            if head is None or not self._believes(signer):
                continue
            refs.append(PulledRef(ref, None, head, signer))
        if not refs:
            return
        from redun.journal_memo import new_memo
        from redun.provenance.strangers import FOREIGN

        rows = new_memo(self._source, [ref[:3] for ref in refs], ())
        if rows:
            self._source.commit(Batch(memo=rows))
        table.put_many([(ref.name.encode(), b"") for ref in refs])
        foreign = self._source.table(FOREIGN)
        known = [oid for oid in reachable(self._source, [ref.new for ref in refs]) if foreign.get(oid)]
        foreign.put_many([(oid, b"") for oid in known])


__all__ = ["pull_from", "push_to"]
