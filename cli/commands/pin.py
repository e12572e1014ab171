"""`redun pin` and `redun unpin`: what gc keeps whatever its rules say."""

from __future__ import annotations

import json
from contextlib import closing
from typing import TYPE_CHECKING

import click

from redun.cli import completion
from redun.cli.errors import CommandError
from redun.cli.session import current_session

if TYPE_CHECKING:
    from redun.provenance import Provenance
    from redun.store.repository import Store


@click.command(name="pin", short_help="Have gc keep executions, calls, values or tasks.")
@click.argument("ids", nargs=-1, metavar="[ID ...]", shell_complete=completion.executions)
@click.option("--list", "listing", is_flag=True, help="Show what is pinned.")
@click.option(
    "--format", "form", type=click.Choice(["text", "json"]), default="text", help="With --list; json: one object per pin."
)
def command(ids: tuple[str, ...], listing: bool, form: str) -> None:
    """Have gc keep executions, calls, values or tasks, and all that they lead to, until 'redun unpin'.

    ID is the beginning of an id as 'redun log' shows it, `-` for the newest execution, `~N` for an earlier one. Of a job its call is
    kept. Pins are this store's own: they are not pushed.

    \b
    Examples:
      redun pin -
      redun pin 3f1a8bc5 77d0e2f1
      redun pin --list
    """
    if listing and ids:
        raise click.UsageError("--list takes no ids", click.get_current_context())
    if not listing and not ids:
        raise click.UsageError("expected the beginning of an id, '-', or --list", click.get_current_context())
    from redun.provenance import Provenance

    with closing(current_session().open_store(write=not listing)) as store:
        provenance = Provenance(store)
        if listing:
            _list(store, provenance, form)
            return
        found = [_target(store, provenance, name) for name in ids]
        for kind, identity, oid in found:
            click.echo(f"{'pinned' if _pin(store, kind, identity, oid) else 'pinned already'}: {kind} {identity}")


def _target(store: Store, provenance: Provenance, name: str) -> tuple[str, str, bytes]:
    """Return kind, id and object of what a user names."""
    kind, identity = _find(provenance, name)
    if kind == "job":
        call = provenance.job(identity).call
        if call is None:
            raise CommandError(f"job {identity} has no call that could be kept: pin its execution")
        kind, identity = "call", call
    if kind == "execution":
        head = store.source.read_ref(f"executions/{identity}")
        if head is None:
            raise CommandError(f"execution {identity} is not in the store any more")
        return kind, identity, head
    oid = bytes.fromhex(identity)
    if not store.source.contains(oid):
        raise CommandError(
            f"{kind} {identity} is no object of its own: small values, and values inside others, are kept by the call that returned "
            "them: pin that"
        )
    return kind, identity, oid


def _find(provenance: Provenance, name: str) -> tuple[str, str]:
    found = provenance.named(name)
    if found is None:
        raise CommandError(f"nothing has an id that begins with {name!r}: 'redun log' lists executions")
    return found.kind, found.id


def _pin(store: Store, kind: str, identity: str, oid: bytes) -> bool:
    from redun.errors import MissingLinks
    from redun.retention import pin_name
    from redun.store.sources.base import Batch, RefUpdate

    name = pin_name(kind, identity)
    before = store.source.read_ref(name)
    if before is not None:
        return False
    try:
        store.source.commit(Batch(refs=[RefUpdate(name, None, oid, "pin")], links=[oid]))
    except MissingLinks:
        raise CommandError(f"{kind} {identity} has just been deleted by gc") from None
    return True


def _list(store: Store, provenance: Provenance, form: str) -> None:
    from redun.retention import pins

    found = sorted(pins(store))
    if form == "json":
        for kind, identity, _ in found:
            click.echo(json.dumps({"kind": kind, "id": identity}))
        return
    if not found:
        click.echo("Nothing is pinned.")
    for kind, identity, _ in found:
        click.echo(f"{kind:<9} {identity}  {_told(provenance, kind, identity)}".rstrip())


def _told(provenance: Provenance, kind: str, identity: str) -> str:
    from redun.errors import RedunError

    try:
        if kind == "execution":
            return " ".join(provenance.execution(identity).argv)[:80]
        if kind == "call":
            return provenance.call(identity).task_name
        if kind == "task":
            return provenance.task(identity).fullname
        return provenance.text(provenance.value(identity))[:80] if kind == "value" else ""
    except RedunError:
        return ""
