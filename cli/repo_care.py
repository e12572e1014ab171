"""`redun gc --remote` and `redun fsck --remote`: what they say."""

from __future__ import annotations

import json
from contextlib import closing
from typing import TYPE_CHECKING, Any

import click

from redun.cli.errors import warn
from redun.cli.progress import progress
from redun.cli.render.words import size_text
from redun.cli.session import Session

if TYPE_CHECKING:
    from redun.remote_care import RemoteCollected, RemoteReport
    from redun.retention import Policy
    from redun.store.remote.gc import Count

_MOST_LINES = 20
STATUS = {"sound": 0, "damaged": 1, "lost": 1, "repaired": 3}


def run_gc(
    session: Session, name: str, policy: Policy, grace_s: float | None, jobs: int | None, dry_run: bool, form: str
) -> None:
    """Collect garbage in a repo, and tell of it."""
    from redun.remote_care import GRACE_S, collect_remote
    from redun.remotes import find_repo

    folder = session.find_folder()
    config = session.load_config(folder)
    repo = find_repo(config, name)
    if grace_s is not None and grace_s < GRACE_S and not dry_run:
        warn(
            f"files that nothing in {repo.name!r} names are deleted after {grace_s:g} s instead of a day: pushes and pulls that go on "
            "may have to start again"
        )
    with closing(session.open_store(folder, config, local=True)) as store, progress() as told:
        done = collect_remote(
            store,
            repo,
            policy,
            grace_s=GRACE_S if grace_s is None else grace_s,
            dry_run=dry_run,
            jobs=jobs,
            doing=told,
            said=lambda text: warn(text),
        )
    click.echo(json.dumps(_gc_json(done, dry_run)) if form == "json" else "\n".join(_gc_lines(done, dry_run)))


def _gc_lines(done: RemoteCollected, dry_run: bool) -> list[str]:
    would = "would drop" if dry_run else "dropped"
    dropped, found = done.decision.dropped, done.done
    lines = [f"{would} execution {execution.id[:8]}  {' '.join(execution.argv)[:80]}".rstrip() for execution in dropped[:10]]
    if len(dropped) > 10:
        lines.append(f"... and {len(dropped) - 10} more")
    if done.decision.kept or dropped:
        lines.append(f"{would} {len(dropped)} of {len(dropped) + len(done.decision.kept)} executions")
    lines.append(f"{would} {_counted(found.dropped, 'pack')} of {_counted(found.before, 'pack')}")
    if found.rewritten[0]:
        lines.append(
            f"{'would write' if dry_run else 'wrote'} {_counted(found.rewritten, 'object')} of them anew, as they are wanted"
        )
    lines.append(f"{'would delete' if dry_run else 'deleted'} {_counted(found.deleted, 'file')} that nothing names any more")
    if found.waiting[0]:
        lines.append(
            f"{_counted(found.waiting, 'file')} {'are' if found.waiting[0] != 1 else 'is'} left for a gc after the grace"
        )
    return lines


def _counted(count: Count, word: str) -> str:
    return f"{count[0]:,} {word}{'' if count[0] == 1 else 's'} ({size_text(count[1])})"


def _gc_json(done: RemoteCollected, dry_run: bool) -> dict[str, Any]:
    found = done.done

    def pair(count: Count, word: str) -> dict[str, int]:
        return {word: count[0], "bytes": count[1]}

    return {
        "dry_run": dry_run,
        "dropped": [execution.id for execution in done.decision.dropped],
        "kept": [{"execution": execution.id, "reason": reason} for execution, reason in done.decision.kept],
        "refs": found.refs,
        "before": pair(found.before, "packs"),
        "after": pair(found.after, "packs"),
        "dropped_packs": pair(found.dropped, "packs"),
        "rewritten": pair(found.rewritten, "objects"),
        "deleted": pair(found.deleted, "files"),
        "waiting": pair(found.waiting, "files"),
        "live": pair(found.live, "objects"),
    }


def run_fsck(
    session: Session, name: str, sources: tuple[str, ...], jobs: int | None, full: bool, repair: bool, form: str
) -> int:
    """Check a repo, and tell of it; return the exit status."""
    from redun.remote_care import check_remote
    from redun.remotes import find_repo

    folder = session.find_folder()
    config = session.load_config(folder)
    repo = find_repo(config, name)
    others = [find_repo(config, one) for one in sources]
    with closing(session.open_store(folder, config, local=True)) as store, progress() as told:
        report = check_remote(
            store,
            config,
            repo,
            full=full,
            repair=repair,
            sources=others,
            jobs=jobs,
            doing=told,
            said=lambda text: warn(text),
        )
    click.echo(json.dumps(_fsck_json(report)) if form == "json" else "\n".join(_fsck_lines(report, repo.name)))
    return STATUS[report.verdict]


def _fsck_lines(report: RemoteReport, name: str) -> list[str]:
    found = report.found
    how = "every pack read and hashed" if found.full else "the call graph read, --full reads every pack as well"
    unsigned = f", {found.unsigned:,} of them not signed" if found.unsigned else ""
    head = (
        f"repo {name!r}: {_counted(found.packs, 'pack')}, {_counted(found.objects, 'object')}, {found.refs:,} refs, "
        f"{found.entries:,} entries of its log{unsigned}; {how}"
    )
    lines = [head]
    problems = [
        *dict.fromkeys(found.log),
        *found.checkpoints.values(),
        *found.indexes.values(),
        *[f"pack {pack}: {why}" for pack, why in found.bad_packs.items()],
    ]
    lines += [f"  {text}" for text in problems[:_MOST_LINES]]
    if len(problems) > _MOST_LINES:
        lines.append(f"  ... and {len(problems) - _MOST_LINES} more")
    if found.lost:
        kinds = ", ".join(f"{count:,} {kind}{'' if count == 1 else 's'}" for kind, count in report.kinds.items())
        lines.append(f"  {kinds} cannot be read, {len(found.needed):,} of them wanted by what the repo names")
    for execution in report.executions[:_MOST_LINES]:
        lines.append(f"    execution {execution[:8]} is touched")
    if len(report.executions) > _MOST_LINES:
        lines.append(f"    ... and {len(report.executions) - _MOST_LINES} more executions")
    mended = report.mended
    if mended is not None:
        lines += [f"  {text}" for text in mended.said]
        for count, where in (
            (mended.salvaged, "from what can be read of damaged packs"),
            (mended.from_here, "from the store here"),
            (mended.from_elsewhere, "from other repos"),
        ):
            if count:
                lines.append(f"  put {count:,} object{'' if count == 1 else 's'} back {where}")
        if mended.left:
            lines.append(
                f"  nobody here has {len(mended.left):,} of them: 'redun fsck --remote {name} --repair' where they are puts them back; "
                "until then values among them are computed again when a run needs them"
            )
    if found.absent:
        lines.append(
            f"  note: {found.absent:,} values were not there either where they were pushed from, or are known to be lost"
        )
    if found.unnamed[0]:
        lines.append(
            f"  note: {_counted(found.unnamed, 'file')} that nothing names; 'redun gc --remote {name}' deletes them after a day"
        )
    return [*lines, _verdict(report, name)]


def _verdict(report: RemoteReport, name: str) -> str:
    if report.verdict == "sound":
        return "sound"
    if report.verdict == "repaired":
        return "repaired: everything is there again"
    if report.verdict == "lost":
        wrong = report.after.log if report.after is not None else []
        return f"repaired as far as it can be: {'its log is damaged for good, push to a new place' if wrong else 'something is lost'}"
    found = report.found
    if found.log and not (found.bad_packs or found.lost or found.indexes or found.checkpoints):
        return "damaged: a log cannot be made again: push to a new place from where the executions are"
    return f"damaged: 'redun fsck --remote {name} --repair' puts back what this store has"


def _fsck_json(report: RemoteReport) -> dict[str, Any]:
    found, mended = report.found, report.mended
    return {
        "verdict": report.verdict,
        "full": found.full,
        "entries": found.entries,
        "unsigned_entries": found.unsigned,
        "packs": found.packs[0],
        "bytes": found.packs[1],
        "objects": found.objects[0],
        "refs": found.refs,
        "unnamed_files": found.unnamed[0],
        "absent": found.absent,
        "log": found.log,
        "checkpoints": {str(seq): why for seq, why in found.checkpoints.items()},
        "indexes": found.indexes,
        "bad_packs": found.bad_packs,
        "lost": report.kinds,
        "needed": len(found.needed),
        "executions": report.executions,
        "repair": None
        if mended is None
        else {
            "salvaged": mended.salvaged,
            "from_here": mended.from_here,
            "from_elsewhere": mended.from_elsewhere,
            "sent_bytes": mended.sent_bytes,
            "left": sorted(oid.hex() for oid in mended.left),
            "said": mended.said,
        },
    }
