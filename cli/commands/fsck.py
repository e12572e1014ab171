"""`redun fsck`: check that the store is whole, and repair it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from redun.cli.errors import FAILED, CommandError, warn
from redun.cli.session import Session, current_session

if TYPE_CHECKING:
    from redun.fsck import Report
    from redun.losses import Loss
    from redun.store.fsck import Findings
    from redun.store.repository import Store

SOUND, REPAIRED = 0, 3
_MOST_LINES = 20
_STATUS = {"sound": SOUND, "damaged": FAILED, "lost": FAILED, "repaired": REPAIRED}


@click.command(name="fsck", short_help="Check that the store is whole, and repair it.")
@click.option("--full", is_flag=True, help="Hash every object and every large value again, and read every record.")
@click.option("--rebuild", is_flag=True, help="Make the cache and all indexes again from the records of what ran.")
@click.option("--repair", is_flag=True, help="Make it whole: save what can be read, fetch or give up what cannot.")
@click.option(
    "--remote", metavar="REPO", help="Check a repo (a name of 'redun repo list', or a URL) instead of the store here."
)
@click.option(
    "--from",
    "sources",
    multiple=True,
    metavar="REPO",
    help="With --remote --repair: look in this repo as well for what is missing.",
)
@click.option("-j", "--jobs", type=click.IntRange(1, 256), help="With --remote: requests at once; 8 by default.")
@click.option("--format", "form", type=click.Choice(["text", "json"]), default="text", help="json: one object.")
def command(
    full: bool, rebuild: bool, repair: bool, remote: str | None, sources: tuple[str, ...], jobs: int | None, form: str
) -> int:
    """Check that every page, row and file of the store is what was written, and that everything that is referred to is there.

    It may go on while workflows run. What is wrong is told in terms of executions, tasks and values, with what becomes of it: a lost
    result is computed again by the next run that needs it.

    --repair checks in full, takes lost objects from older pages of the file, makes damaged indexes again, and gives up what nobody has.
    Damaged bytes are kept in the folder `quarantine` of the store. Only if the database file itself is damaged must nobody else use the
    store meanwhile.

    With --remote the log of a repo with its signatures, its indexes and its packs are checked, and that what it names is there.
    --repair then puts back what is damaged or missing there, from the store here and from the repos that --from names; others may push
    and pull meanwhile.

    \b
    Exit status:
      0  the store is sound
      1  it is damaged; after --repair: something is lost that no run computes again, such as the record of what ran
      3  it was damaged and is repaired: what is missing is computed again when it is needed

    \b
    Examples:
      redun fsck
      redun fsck --full --format json
      redun fsck --repair
      redun fsck --remote team --full
      redun fsck --remote team --repair --from backup
    """
    from redun.elsewhere import find_for_repair
    from redun.fsck import check
    from redun.fsck import repair as repair_store

    session = current_session()
    if remote is not None:
        if rebuild:
            raise click.UsageError("--rebuild is for the store here, it cannot be used with --remote")
        if sources and not repair:
            raise click.UsageError("--from needs --repair")
        from redun.cli.repo_care import run_fsck

        return run_fsck(session, remote, sources, jobs, full, repair, form)
    if sources or jobs is not None:
        raise click.UsageError(f"{'--from' if sources else '--jobs'} needs --remote")
    folder, config, path = _place(session)

    def opened() -> Store:
        return session.open_store(folder, config, write=True)

    if repair:
        elsewhere = find_for_repair(path, config, warn)
        try:
            report = repair_store(path, opened, None if elsewhere is None else elsewhere.find)
        finally:
            if elsewhere is not None:
                elsewhere.close()
    else:
        report = check(path, full=full)
    said: list[str] = []
    if rebuild:
        if report.verdict == "damaged" and report.found.pages:
            raise CommandError(
                f"store {str(path)!r} has damaged pages, its indexes cannot be made again: 'redun fsck --repair' first"
            )
        from redun.fsck import rebuild as rebuild_store

        with opened() as store:
            said = rebuild_store(store)
        if report.verdict == "damaged":
            report = check(path, full=full)
    click.echo(json.dumps(_as_json(report, said)) if form == "json" else "\n".join(_as_text(report, said)))
    return _STATUS[report.verdict]


def _place(session: Session) -> tuple[Path, Any, Path]:
    from redun.config import store_path

    folder = session.find_folder()
    if not folder.exists():
        raise CommandError(f"nothing has been run here yet, there is no {str(folder)!r}: there is nothing to check")
    config = session.load_config(folder)
    path = store_path(config)
    if not (path / "data.mdb").exists():
        raise CommandError(f"there is no store at {str(path)!r}: nothing has been run here yet, or its data.mdb is gone")
    return folder, config, path


# Text.


def _as_text(report: Report, said: list[str]) -> list[str]:
    found = report.found
    lines = [_checked(found)]
    for problem in found.pages[:_MOST_LINES]:
        lines.append(f"  database file, table {problem.table}: {problem.what}")
    lines += _more(found.pages)
    for name, why in list(found.bad_refs.items())[:_MOST_LINES]:
        lines.append(f"  ref {name!r}: {why}")
    lines += _more(found.bad_refs)
    if found.bad_movements:
        lines.append(f"  reflog: {_count(found.bad_movements, 'entry is', 'entries are')} damaged")
    if found.bad_memo:
        lines.append(
            f"  cache: {_count(found.bad_memo, 'entry is', 'entries are')} damaged or lead{'s' * (len(found.bad_memo) == 1)} nowhere"
        )
    for table, count in found.bad_tables.items():
        lines.append(f"  index {table!r}: {count:,} of its rows {'is' if count == 1 else 'are'} damaged; it can be made again")
    for loss in report.losses[:_MOST_LINES]:
        lines += _loss(loss, report)
    lines += _more(report.losses)
    lines += [f"  {text}" for text in (*report.done, *said)]
    lines += [f"  lost for good: {text}" for text in report.gone_for_good]
    return [*lines, *_notes(found), _verdict(report)]


def _checked(found: Findings) -> str:
    objects = sum(found.objects.values())
    size = sum(found.sizes.values())
    how = "every object hashed" if found.full else "quickly, --full hashes every object as well"
    return (
        f"store {str(found.folder)!r}: {objects:,} objects of {_bytes(size)} ({found.blobs:,} in files), {found.memo:,} cached results, "
        f"{len(found.refs):,} refs; {how}"
    )


def _loss(loss: Loss, report: Report) -> list[str]:
    of = f" of {', '.join(sorted(loss.tasks)[:3])}" if loss.tasks else ""
    named = f" ({loss.name})" if loss.name else ""
    lines = [f"  {loss.part.title} {loss.id[:8]}{of}{named}: {loss.why}"]
    for use in loss.uses:
        lines.append(f"    in execution {use.execution[:8]}: job {use.job[:8]} of {use.task}")
    untold = len(loss.executions) - len({use.execution for use in loss.uses})
    if untold > 0:
        rest = sorted(loss.executions - {use.execution for use in loss.uses})
        lines.append(f"    in execution{'s' * (untold > 1)} {', '.join(one[:8] for one in rest[:5])}{' ...' * (untold > 5)}")
    lines.append("    it was found again" if loss.id in report.back else f"    {loss.part.then}")
    return lines


def _notes(found: Findings) -> list[str]:
    lines = []
    if found.gone:
        from redun.store.gone import AWAY, DROPPED

        dropped = sum(one.why == DROPPED for one in found.gone.values())
        away = sum(one.why == AWAY for one in found.gone.values())
        lost = len(found.gone) - dropped - away
        words = [f"{dropped:,} dropped to make room"] * bool(dropped) + [f"{lost:,} given up by a repair"] * bool(lost)
        if words:
            lines.append(f"  known to be gone, and computed again when needed: {' and '.join(words)}")
        if away:
            lines.append(f"  left in repos, and fetched when needed: {away:,}")
    if found.stray:
        lines.append(
            f"  {_count(found.stray, 'file')} among the large values that nothing names: of runs that go on, or left by killed ones"
        )
    if found.quarantined:
        lines.append(
            f"  {found.quarantined:,} damaged things are kept in {str(found.folder / 'quarantine')!r}, which may be emptied"
        )
    return lines


def _verdict(report: Report) -> str:
    if report.verdict == "sound":
        return "the store is sound"
    if report.verdict == "damaged":
        return "the store is damaged: 'redun fsck --repair' makes it whole, and says what has to be computed again"
    if report.verdict == "repaired":
        return "the store is repaired: nothing is lost that the next run does not compute again"
    if report.after is not None and not report.after.sound:
        return "the store is still damaged: run 'redun fsck --full' to see how"
    return "the store is whole again, but what is told above is lost for good"


def _more(things: Any) -> list[str]:
    return [f"  ... and {len(things) - _MOST_LINES:,} more"] if len(things) > _MOST_LINES else []


def _count(things: Any, one: str, many: str = "") -> str:
    return f"{len(things):,} {one if len(things) == 1 else many or one + 's'}"


def _bytes(size: int) -> str:
    return f"{size / 1e9:.1f} GB" if size >= 1e9 else f"{size / 1e6:.1f} MB" if size >= 1e5 else f"{size / 1e3:.1f} KB"


# JSON.


def _as_json(report: Report, said: list[str]) -> dict[str, Any]:
    found = report.found
    return {
        "verdict": report.verdict,
        "store": str(found.folder),
        "format": found.format,
        "full": found.full,
        "objects": dict(sorted(found.objects.items())),
        "bytes": dict(sorted(found.sizes.items())),
        "blobs": found.blobs,
        "cached_results": found.memo,
        "refs": len(found.refs),
        "damage": {
            "pages": [problem._asdict() for problem in found.pages],
            "refs": {
                name.encode(errors="surrogateescape").decode(errors="replace"): why for name, why in found.bad_refs.items()
            },
            "reflog": len(found.bad_movements),
            "cache": len(found.bad_memo),
            "indexes": dict(found.bad_tables),
        },
        "lost": [_loss_json(loss, report) for loss in report.losses],
        "known_gone": len(found.gone),
        "stray_files": len(found.stray),
        "quarantined": found.quarantined,
        "done": [*report.done, *said],
        "lost_for_good": report.gone_for_good,
    }


def _loss_json(loss: Loss, report: Report) -> dict[str, Any]:
    return {
        "id": loss.id,
        "was": loss.part.title,
        "why": loss.why,
        "tasks": sorted(loss.tasks),
        "jobs": [use._asdict() for use in loss.uses],
        "executions": sorted(loss.executions),
        "then": "it was found again" if loss.id in report.back else loss.part.then,
        "comes_back": loss.part.comes_back or loss.id in report.back,
    }
