"""`redun gc`: delete what is not wanted any more."""

from __future__ import annotations

import json
from contextlib import closing
from typing import TYPE_CHECKING, Any

import click

from redun.cli.errors import CommandError, warn
from redun.cli.progress import progress
from redun.cli.render.words import size_text
from redun.cli.session import current_session

if TYPE_CHECKING:
    from redun.collect import Collected
    from redun.store.gc import Census

_KINDS = ("value", "call", "task", "segment", "execution", "tag", "handle", "unreadable")
_NAMES = {
    "value": "values",
    "call": "calls",
    "task": "tasks",
    "segment": "segments",
    "execution": "execution records",
    "tag": "tags",
}


def duration(context: click.Context, parameter: click.Parameter, value: str | None) -> float | None:
    """Read an option such as `30d`."""
    from redun.retention import parse_duration

    return None if value is None else _read(parse_duration, value)


def size(context: click.Context, parameter: click.Parameter, value: str | None) -> int | None:
    """Read an option such as `50GB`."""
    from redun.retention import parse_size

    return None if value is None else _read(parse_size, value)


def tags(context: click.Context, parameter: click.Parameter, value: tuple[str, ...]) -> tuple[tuple[str, Any], ...]:
    """Read options such as `env=prod`."""
    from redun.tags import parse_tag_key_value

    return tuple([_read(lambda word: parse_tag_key_value(word, value_required=False), word) for word in value])


def _read(parse: Any, text: str) -> Any:
    try:
        return parse(text)
    except ValueError as error:
        raise click.BadParameter(str(error)) from None


@click.command(name="gc", short_help="Delete executions by age or number, and what only they need.")
@click.option("--keep-last", type=click.IntRange(min=0), metavar="N", help="Keep the N newest executions.")
@click.option(
    "--keep-within", "keep_within_s", callback=duration, metavar="TIME", help="Keep what ended in the last 30d, 12h, ..."
)
@click.option("--keep-tag", "keep_tags", multiple=True, callback=tags, metavar="KEY[=VALUE]", help="Keep what has this tag.")
@click.option(
    "--max-size",
    callback=size,
    metavar="SIZE",
    help="Drop least recently used values until objects take no more than 50GB, ...",
)
@click.option("--task", "tasks", multiple=True, metavar="NAME", help="Drop results of this task only; without --max-size, all.")
@click.option("--compact", is_flag=True, help="Give free space in data.mdb back to the system; nobody else may use the store.")
@click.option("-n", "--dry-run", is_flag=True, help="Tell what would go, and delete nothing.")
@click.option(
    "--remote", metavar="REPO", help="Do it in a repo (a name of 'redun repo list', or a URL) instead of the store here."
)
@click.option(
    "--grace",
    "grace_s",
    callback=duration,
    metavar="TIME",
    help="With --remote: how long files stay that nothing names; a day by default.",
)
@click.option("-j", "--jobs", type=click.IntRange(1, 256), help="With --remote: requests at once; 8 by default.")
@click.option("--format", "form", type=click.Choice(["text", "json"]), default="text", help="json: one object.")
def command(
    keep_last: int | None,
    keep_within_s: float | None,
    keep_tags: tuple[tuple[str, Any], ...],
    max_size: int | None,
    tasks: tuple[str, ...],
    compact: bool,
    dry_run: bool,
    remote: str | None,
    grace_s: float | None,
    jobs: int | None,
    form: str,
) -> None:
    """Delete what nothing refers to, and executions that no rule keeps.

    An execution stays if any rule keeps it: --keep-last, --keep-within, --keep-tag, or the same in section [gc] of redun.ini. Without
    any rule every execution stays. Those that run, and what 'redun pin' names, stay in any case. Workflows may go on running.

    Values that --max-size or --task drop are computed again when a workflow asks for them; their calls stay, and so does what
    'redun log' tells of them.

    With --remote the same rules, as options only, hold for the executions in a repo, whoever pushed them; what is pinned here stays
    there. Others may push and pull meanwhile. Files go a day after nothing names them any more, with the next gc.

    \b
    Examples:
      redun gc --keep-last 20 --dry-run
      redun gc --keep-within 30d --keep-tag env=prod
      redun gc --max-size 50GB
      redun gc --task align --compact
      redun gc --remote team --keep-within 90d --dry-run
    """
    from redun.collect import collect
    from redun.retention import read_policy

    session = current_session()
    if remote is not None:
        for given, option in ((max_size, "--max-size"), (tasks, "--task"), (compact, "--compact")):
            if given:
                raise click.UsageError(f"{option} is for the store here, it cannot be used with --remote")
        from redun.cli.repo_care import run_gc

        # Not what [gc] says: that is about the store here.
        policy = read_policy(None, keep_last=keep_last, keep_within_s=keep_within_s, keep_tags=keep_tags)
        run_gc(session, remote, policy, grace_s, jobs, dry_run, form)
        return
    if grace_s is not None or jobs is not None:
        raise click.UsageError(f"{'--grace' if grace_s is not None else '--jobs'} needs --remote")
    folder = session.find_folder()
    if not folder.exists():
        # The message of a store that is not there.
        session.open_store(folder)
    config = session.load_config(folder)
    policy = read_policy(
        config.get("gc"),
        keep_last=keep_last,
        keep_within_s=keep_within_s,
        keep_tags=keep_tags,
        max_size=max_size,
        compact=compact or None,
    )
    with closing(session.open_store(folder, config)) as store:
        _check_tasks(store, tasks)
        with progress() as told:
            done = collect(store, policy, tasks=tasks, dry_run=dry_run, progress=told)
        given_back = None
        if policy.compact and not dry_run:
            given_back = store.compact()
    if done.report.waited_for is not None:
        warn(
            f"process {done.report.waited_for} has read the store all the time: what it took from the cache it may have to compute"
        )
    if form == "json":
        click.echo(json.dumps(_as_json(done, dry_run, given_back)))
        return
    for line in _lines(done, dry_run, policy.max_size, given_back):
        click.echo(line)


def _check_tasks(store: Any, tasks: tuple[str, ...]) -> None:
    if not tasks:
        return
    from redun.provenance import Provenance, matches_name

    provenance = Provenance(store)
    for name in tasks:
        if not any(matches_name(task.fullname, name) for task in provenance.tasks(name)):
            raise CommandError(f"no task {name!r} has ever run here: 'redun log --task' lists them")


def _lines(done: Collected, dry_run: bool, max_size: int | None, given_back: tuple[int, int] | None) -> list[str]:
    report = done.report
    before, after = report.before, report.after
    would = "would drop" if dry_run else "dropped"
    total = len(done.decision.dropped) + len(done.decision.kept)
    lines = []
    for execution in done.decision.dropped[:10]:
        lines.append(f"{would} execution {execution.id[:8]}  {' '.join(execution.argv)[:80]}".rstrip())
    if len(done.decision.dropped) > 10:
        lines.append(f"... and {len(done.decision.dropped) - 10} more")
    lines.append(f"{would} {len(done.decision.dropped)} of {total} executions")
    if done.values:
        lines.append(
            f"{would} {len(done.values)} values that can be computed again, {size_text(sum(size for _, size in done.values))}"
        )
    rows = [("", "before", "after")]
    for kind in _KINDS:
        if kind in before.kinds:
            rows.append((_NAMES.get(kind, kind), _count(before, kind), _count(after, kind)))
    rows.append(("memo rows", f"{before.memo:,}", f"{after.memo:,}"))
    rows.append(("all objects", _total(before), _total(after)))
    widths = [max(len(row[column]) for row in rows) for column in range(3)]
    lines += [f"  {row[0]:<{widths[0]}}  {row[1]:>{widths[1]}}  {row[2]:>{widths[2]}}" for row in rows]
    freed = before.total[1] - after.total[1]
    files = before.files[1] - after.files[1]
    lines.append(f"{'would free' if dry_run else 'freed'} {size_text(freed)}, {size_text(files)} of it in files")
    if given_back is not None:
        lines.append(f"data.mdb: {size_text(given_back[0])} before, {size_text(given_back[1])} after")
    elif freed > files and not dry_run:
        lines.append("the space in data.mdb is used for what comes next: 'redun store compact' gives it back to the system")
    if done.over:
        lines.append(
            f"{size_text(done.over)} more than {size_text(max_size or 0)} are left: arguments and records cannot be computed again"
        )
    return lines


def _count(census: Census, kind: str) -> str:
    count, size = census.kinds.get(kind, (0, 0))
    return f"{count:,} ({size_text(size)})"


def _total(census: Census) -> str:
    count, size = census.total
    return f"{count:,} ({size_text(size)})"


def _as_json(done: Collected, dry_run: bool, given_back: tuple[int, int] | None) -> dict[str, Any]:
    return {
        "dry_run": dry_run,
        "dropped": [execution.id for execution in done.decision.dropped],
        "kept": [{"execution": execution.id, "reason": reason} for execution, reason in done.decision.kept],
        "values": [{"value": oid, "bytes": size} for oid, size in done.values],
        "before": census_json(done.report.before),
        "after": census_json(done.report.after),
        "bytes_over_max_size": done.over,
        "file": None if given_back is None else {"before": given_back[0], "after": given_back[1]},
    }


def census_json(census: Census) -> dict[str, Any]:
    """Return a census as JSON data."""
    count, size = census.total
    return {
        "objects": count,
        "bytes": size,
        "kinds": {kind: {"objects": number, "bytes": total} for kind, (number, total) in census.kinds.items()},
        "files": {"objects": census.files[0], "bytes": census.files[1]},
        "executions": census.executions,
        "refs": census.refs,
        "memo": census.memo,
        "dropped_values": census.dropped,
    }
