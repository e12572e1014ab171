"""`redun pull`: bring what others have pushed to a repo here."""

from __future__ import annotations

import json
from contextlib import closing

import click

from redun.cli.errors import warn
from redun.cli.session import current_session
from redun.cli.transfer import TransferProgress, format_size, plural, split_repo, transfer_options, transfer_record


@click.command(name="pull", short_help="Bring results from a repo here.")
@click.argument("words", nargs=-1, metavar="[REPO] [ID ...]")
@click.option("--metadata-only", is_flag=True, help="Leave values beyond 64 KiB there; runs fetch them when they need them.")
@transfer_options
def command(
    words: tuple[str, ...], metadata_only: bool, dry_run: bool, jobs: int | None, bandwidth: float | None, form: str
) -> None:
    """Bring executions with their jobs, values, tasks and tags from a repo here. What is here already is not fetched again.

    REPO is a name of 'redun repo list', a URL, or a folder; it may be left out if there is only one. ID is the beginning of the id of an
    execution, call, task or value there, `-` or `~N` for executions; without any, everything is fetched.

    Everything that comes is checked. Whether its results are used by later runs is a matter of trust, as they may be code: only what was
    signed by whom this project trusts, see 'redun keys'.

    \b
    Examples:
      redun pull                     everything from the one repo there is
      redun pull team -              the execution that was started last
      redun pull --metadata-only     without large values, which runs fetch when they need them
      redun pull /mnt/lab/redun 3f1a8bc5
    """
    from redun.config import make_folder
    from redun.remotes import is_place, repos
    from redun.sharing import pull_from
    from redun.store.remote.throttle import Throttle

    session = current_session()
    folder = session.find_folder()
    if session.config_dir is None and not dry_run:
        make_folder(folder)
    config = session.load_config(folder)
    name, ids = split_repo(words, sorted(repos(config)), is_place)
    repo = session.find_repo(config, name)
    meter = Throttle(bandwidth or repo.bandwidth)
    progress = TransferProgress("pulling", lambda: meter.total)
    with closing(session.open_store(folder, config, create=True, write=not dry_run, local=True)) as store:
        try:
            done = pull_from(
                store, repo, ids, dry_run=dry_run, metadata_only=metadata_only, jobs=jobs, meter=meter, progress=progress
            )
        finally:
            progress.clear()
    for ref in done.kept:
        warn(f"{ref} is here in another state than in {repo.name!r} and stays as it is")
    if form == "json":
        record = transfer_record(repo, done, dry_run, progress.seconds)
        record |= {
            "received_bytes": done.received_bytes,
            "left": done.left,
            "left_bytes": done.left_bytes,
            "untrusted_executions": done.untrusted,
        }
        click.echo(json.dumps(record))
        return
    if dry_run:
        click.echo(
            f"would pull {plural(done.objects, 'object')} ({format_size(done.raw_bytes)}) and {plural(done.refs, 'ref')}"
        )
    elif not done.refs and not done.objects:
        click.echo(f"everything of {repo.name} is here")
    else:
        rate = (
            f", {format_size(done.received_bytes / max(progress.seconds, 1e-3))}/s" if done.received_bytes > 1_000_000 else ""
        )
        click.echo(
            f"pulled {plural(done.objects, 'object')} and {plural(done.refs, 'ref')} from {repo.name} "
            f"({format_size(done.received_bytes)} received{rate})"
        )
    if done.left:
        click.echo(f"left {plural(done.left, 'large value')} there ({format_size(done.left_bytes)}): fetched when needed")
    if done.untrusted and not dry_run:
        warn(
            f"results of {plural(done.untrusted, 'execution')} can be looked at, but no run uses them, as nobody signed them who is trusted in "
            f"{repo.name!r}: 'redun keys list' shows who did, 'redun keys trust' trusts them"
        )
