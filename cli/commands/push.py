"""`redun push`: bring what a repo lacks there."""

from __future__ import annotations

import json
from contextlib import closing

import click

from redun.cli.errors import warn
from redun.cli.session import current_session
from redun.cli.transfer import TransferProgress, format_size, plural, split_repo, transfer_options, transfer_record


@click.command(name="push", short_help="Bring results to a repo, for others to pull.")
@click.argument("words", nargs=-1, metavar="[REPO] [ID ...]")
@transfer_options
def command(words: tuple[str, ...], dry_run: bool, jobs: int | None, bandwidth: float | None, form: str) -> None:
    """Bring executions with their jobs, values, tasks and tags to a repo. What is there already is not sent again.

    REPO is a name of 'redun repo list', a URL, or a folder; it may be left out if there is only one. ID is the beginning of the id of an
    execution, job, call, task or value, `-` or `~N` for executions: that, and all that it leads to, is sent; without any, everything is.

    A push that was interrupted goes on where it stopped when it is done again.

    \b
    Examples:
      redun push                     everything to the one repo there is
      redun push team -              the last execution
      redun push s3://lab/redun 3f1a8bc5 --bandwidth 10MB
      redun push team --dry-run
    """
    from redun.remotes import is_place, repos
    from redun.sharing import push_to
    from redun.store.remote.throttle import Throttle

    session = current_session()
    folder = session.find_folder()
    config = session.load_config(folder)
    name, ids = split_repo(words, sorted(repos(config)), is_place)
    repo = session.find_repo(config, name)
    meter = Throttle(bandwidth or repo.bandwidth)
    progress = TransferProgress("pushing", lambda: meter.total)
    with closing(session.open_store(folder, config, local=True)) as store:
        try:
            done = push_to(
                store, repo, ids, dry_run=dry_run, jobs=jobs, meter=meter, progress=progress, said=lambda text: warn(text)
            )
        finally:
            progress.clear()
    for ref in done.kept:
        warn(f"{ref} is in {repo.name!r} in another state and stays as it is there: pull, then push again")
    if form == "json":
        record = transfer_record(repo, done, dry_run, progress.seconds)
        record |= {
            "sent_bytes": done.sent_bytes,
            "packs": done.packs,
            "resumed_packs": done.resumed,
            "dropped_there": done.dropped,
        }
        click.echo(json.dumps(record))
        return
    if done.dropped:
        click.echo(
            f"{plural(done.dropped, 'execution')} {'was' if done.dropped == 1 else 'were'} dropped from {repo.name} by a gc and not pushed "
            "again: name them to push them"
        )
    if done.created:
        click.echo(f"made a repo at {repo.place}")
    if dry_run:
        click.echo(
            f"would push {plural(done.objects, 'object')} ({format_size(done.raw_bytes)}) and {plural(done.refs, 'ref')}"
        )
    elif not done.refs:
        click.echo(f"{repo.name} has everything")
    else:
        resumed = f", {plural(done.resumed, 'pack')} had been sent before" if done.resumed else ""
        rate = f", {format_size(done.sent_bytes / max(progress.seconds, 1e-3))}/s" if done.sent_bytes > 1_000_000 else ""
        click.echo(
            f"pushed {plural(done.objects, 'object')} and {plural(done.refs, 'ref')} to {repo.name} "
            f"({format_size(done.sent_bytes)} sent{rate}{resumed})"
        )
