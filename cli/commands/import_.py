"""`redun import`: take in records that `redun export` has written."""

from __future__ import annotations

import sys
from contextlib import closing

import click

from redun.cli import completion
from redun.cli.errors import CommandError, warn
from redun.cli.session import current_session


@click.command(name="import", short_help="Take in records that redun export has written.")
@click.option(
    "-f",
    "--file",
    "path",
    default="-",
    metavar="FILE",
    shell_complete=completion.files,
    help="Where from; standard input by default.",
)
def command(path: str) -> None:
    """Take in the lines of `redun export`; what is there already stays, so doing it twice changes nothing.

    Cached results come with it, and a result may be code to run: take in only what comes from people whose code you would run.

    \b
    Example:
      redun import -f all.jsonl
    """
    from redun.config import make_folder
    from redun.exchange import import_lines

    session = current_session()
    folder = session.find_folder()
    if session.config_dir is None:
        make_folder(folder)
    with closing(session.open_store(folder, create=True, write=True)) as store:
        if path == "-":
            done = import_lines(store, sys.stdin, warn)
        else:
            from redun.file import File

            try:
                with File(path).open("r") as stream:
                    done = import_lines(store, stream, warn)
            except UnicodeDecodeError as error:
                raise CommandError(f"option --file: {path!r} is no text: {error.reason}") from None
            except OSError as error:
                raise CommandError(f"option --file: {path!r} cannot be read: {error.strerror or error}") from error
    session.log(f"{done.objects:,} objects and {done.refs:,} refs are new, {done.known:,} objects were there already")
