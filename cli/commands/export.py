"""`redun export`: records as lines of JSON, or as a bundle."""

from __future__ import annotations

import sys
from contextlib import closing
from typing import TYPE_CHECKING, BinaryIO, cast

import click

from redun.cli import completion
from redun.cli.errors import CommandError
from redun.cli.session import current_session
from redun.errors import StoreError

if TYPE_CHECKING:
    from redun.store.repository import Store


@click.command(name="export", short_help="Write records as lines of JSON, or as a bundle.")
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
@click.option(
    "-o",
    "--output",
    "bundle",
    metavar="FILE",
    shell_complete=completion.files,
    help="Write a bundle: one checked, compressed file.",
)
def command(ids: tuple[str, ...], path: str, bundle: str | None) -> None:
    """Write executions with their jobs, values, tasks and tags, for `redun import`: as lines of JSON, or as a bundle.

    ID is the beginning of the id of an execution, or of a job for its execution, `-` or `~N`; without any, everything is written. A
    bundle also takes ids of calls, tasks and values. It is smaller and faster, lines can be read by other programs.

    \b
    Examples:
      redun export -o run.bundle -
      redun export -f all.jsonl
      redun export - | ssh other redun import
    """
    from redun.exchange import export_lines

    with closing(current_session().open_store()) as store:
        if bundle is not None:
            if path != "-":
                raise click.UsageError("options --file and --output exclude each other")
            _write_bundle(store, ids, bundle)
            return
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


def _write_bundle(store: Store, ids: tuple[str, ...], path: str) -> None:
    from redun.bundles import export_bundle
    from redun.cli.transfer import TransferProgress, format_size, plural
    from redun.file import File

    session = current_session()
    progress = TransferProgress("exporting", lambda: progress.bytes)
    try:
        if path == "-":
            export_bundle(store, ids, sys.stdout.buffer)
            return
        with File(path).open("wb") as stream:
            made = export_bundle(store, ids, cast(BinaryIO, stream), progress)
    except StoreError:
        raise
    except OSError as error:
        raise CommandError(f"option --output: {path!r} cannot be written: {error.strerror or error}") from error
    finally:
        progress.clear()
    session.log(
        f"{plural(made.objects, 'object')} and {plural(len(made.refs), 'ref')} ({format_size(made.size)}) are in {path}"
    )


def _execution(store: Store, name: str) -> str:
    from redun.provenance import Provenance

    provenance = Provenance(store)
    found = provenance.named(name, ("execution", "job"))
    if found is None:
        raise CommandError(f"no execution or job has an id that begins with {name!r}: 'redun log' lists them")
    return found.id if found.kind == "execution" else provenance.job(found.id).execution
