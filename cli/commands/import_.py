"""`redun import`: take in records that `redun export` has written."""

from __future__ import annotations

import io
import sys
from contextlib import closing
from typing import TYPE_CHECKING, Any, BinaryIO, cast

import click

from redun.cli import completion
from redun.cli.errors import CommandError, warn
from redun.cli.session import current_session
from redun.errors import StoreError

if TYPE_CHECKING:
    from redun.store.repository import Store


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
@click.argument("name", required=False, metavar="[FILE]", shell_complete=completion.files)
def command(path: str, name: str | None) -> None:
    """Take in what `redun export` has written, lines or a bundle; what is there already stays, so doing it twice changes nothing.

    Cached results come with it, and a result may be code to run: take in only what comes from people whose code you would run.

    \b
    Examples:
      redun import run.bundle
      redun import -f all.jsonl
    """
    from redun.config import make_folder

    if name is not None and path != "-":
        raise click.UsageError("FILE and option --file exclude each other")
    place = name if name is not None else path
    session = current_session()
    folder = session.find_folder()
    if session.config_dir is None:
        make_folder(folder)
    with closing(session.open_store(folder, create=True, write=True)) as store:
        if place == "-":
            said = _take_in(store, io.BufferedReader(cast(Any, sys.stdin.buffer)), "standard input")
        else:
            from redun.file import File

            try:
                with File(place).open("rb") as stream:
                    said = _take_in(store, _peekable(stream), repr(place))
            except StoreError:
                raise
            except UnicodeDecodeError as error:
                raise CommandError(f"file {place!r} is no text: {error.reason}") from None
            except OSError as error:
                raise CommandError(f"file {place!r} cannot be read: {error.strerror or error}") from error
    session.log(said)


def _peekable(stream: Any) -> io.BufferedReader:
    return stream if isinstance(stream, io.BufferedReader) else io.BufferedReader(stream)


def _take_in(store: Store, stream: io.BufferedReader, where: str) -> str:
    """Take in lines or a bundle, whichever it is; return what is to be said."""
    from redun.bundles import import_bundle
    from redun.exchange import import_lines
    from redun.store.remote.bundle import MAGIC

    if stream.peek(len(MAGIC))[: len(MAGIC)] != MAGIC:
        done = import_lines(store, io.TextIOWrapper(stream, encoding="utf-8"), warn)
        return f"{done.objects:,} objects and {done.refs:,} refs are new, {done.known:,} objects were there already"
    from redun.cli.transfer import TransferProgress

    progress = TransferProgress("importing", lambda: progress.bytes)
    try:
        bundle, refs = import_bundle(store, cast(BinaryIO, stream), where, warn, progress)
    finally:
        progress.clear()
    known = bundle.objects - bundle.new
    return f"{bundle.new:,} objects and {refs:,} refs are new, {known:,} objects were there already"
