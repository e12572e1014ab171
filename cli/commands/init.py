"""`redun init`: make a configuration folder and its store."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import click

from redun.cli import completion
from redun.cli.errors import CommandError
from redun.cli.session import current_session


@click.command(name="init", short_help="Make a configuration folder and its store.")
@click.argument("folder", required=False, default=".", metavar="[DIR]", shell_complete=completion.folders)
def command(folder: str) -> None:
    """Make DIR/.redun with a redun.ini and an empty store; what is there already stays as it is.

    `redun run` makes one by itself where it finds none; with `init` a project has its own from the start.

    \b
    Examples:
      redun init
      redun init ~/projects/genomes
    """
    from redun.config import FOLDER, make_folder
    from redun.trust import store_keys

    session = current_session()
    if not folder:
        raise CommandError("the folder to initialize is '', expected a path")
    place = Path(session.config_dir) if session.config_dir is not None else Path(folder, FOLDER)
    place = place.absolute()
    new = make_folder(place)
    with closing(session.open_store(place, create=True, write=True, local=True)) as store:
        # Remotes and other stores know it by this.
        store.identity()
        keys = store_keys(store)
        if keys is not None and not store.readonly:
            keys.make()
    click.echo(f"{'initialized' if new else 'already there:'} {place}")
