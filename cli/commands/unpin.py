"""`redun unpin`: take pins back."""

from __future__ import annotations

from contextlib import closing

import click

from redun.cli.errors import CommandError
from redun.cli.session import current_session


@click.command(name="unpin", short_help="Take back pins: gc goes by its rules again.")
@click.argument("ids", nargs=-1, metavar="ID ...")
@click.option("--all", "everything", is_flag=True, help="Take back all pins.")
def command(ids: tuple[str, ...], everything: bool) -> None:
    """Take pins back. ID is the beginning of an id that 'redun pin --list' shows, or `-` or `~N` for an execution. Of a job
    its call is meant.

    \b
    Examples:
      redun unpin 3f1a8bc5
      redun unpin --all
    """
    if bool(ids) == everything:
        raise click.UsageError("expected ids, or --all", click.get_current_context())
    from redun.provenance import Provenance
    from redun.retention import pin_name, pins
    from redun.store.sources.base import Batch, RefUpdate

    with closing(current_session().open_store(write=True)) as store:
        provenance = Provenance(store)
        there = sorted(pins(store))
        going = list(there) if everything else []
        for name in ids:
            begin = provenance.execution(name).id if name == "-" or name.startswith("~") else name.lower()
            found = [pin for pin in there if pin[1].startswith(begin) or pin[1].replace("-", "").startswith(begin)]
            if not found:
                calls = {provenance.job(job.id).call for job in provenance.find(name, ("job",))}
                found = [pin for pin in there if pin[1] in calls]
            if not found:
                raise CommandError(f"nothing that is pinned has an id that begins with {name!r}: 'redun pin --list' shows pins")
            if len(found) > 1:
                several = ", ".join([f"{kind} {identity}" for kind, identity, _ in found])
                raise CommandError(f"{name!r} is the beginning of several pins: {several}: give more digits")
            going += found
        for kind, identity, oid in dict.fromkeys(going):
            store.source.commit(Batch(refs=[RefUpdate(pin_name(kind, identity), oid, None, "unpin")]))
            click.echo(f"unpinned: {kind} {identity}")
