"""`redun export`: records as lines of JSON."""

from __future__ import annotations

import sys
from contextlib import closing
from typing import TYPE_CHECKING

import click

from redun.cli import completion
from redun.cli.errors import CommandError
from redun.cli.session import current_session

if TYPE_CHECKING:
    from redun.store.repository import Store


@click.command(name="export", short_help="Write records as lines of JSON.")
@click.argument("ids", nargs=-1, metavar="[ID ...]", shell_complete=completion.executions)
@click.option(
    "-f",
    "--file",
    "path",
    default="-",
    metavar="FILE",
    shell_complete=completion.files,
    help="Where to; standard output by default.",
)
def command(ids: tuple[str, ...], path: str) -> None:
    """Write executions with their jobs, values, tasks and tags as lines of JSON, for `redun import`.

    ID is the beginning of the id of an execution, or of a job for its execution, `-` or `~N`; without any, everything is written.

    \b
    Examples:
      redun export -f all.jsonl
      redun export - | ssh other redun import
    """
    from redun.exchange import export_lines

    with closing(current_session().open_store()) as store:
        executions = {_execution(store, name) for name in ids} if ids else None
        if path == "-":
            for line in export_lines(store, executions):
                sys.stdout.write(line + "\n")
            return
        from redun.file import File

        try:
            with File(path).open("w") as stream:
                for line in export_lines(store, executions):
                    stream.write(line + "\n")
        except OSError as error:
            raise CommandError(f"option --file: {path!r} cannot be written: {error.strerror or error}") from error


def _execution(store: Store, name: str) -> str:
    from redun.provenance import AmbiguousId, Provenance

    provenance = Provenance(store)
    if name == "-" or name.startswith("~"):
        return provenance.execution(name).id
    found = provenance.find(name, ("execution", "job"))
    if not found:
        raise CommandError(f"no execution or job has an id that begins with {name!r}: 'redun log' lists them")
    if len(found) > 1:
        raise AmbiguousId(name, found, more=len(found) >= 20)
    return found[0].id if found[0].kind == "execution" else provenance.job(found[0].id).execution
