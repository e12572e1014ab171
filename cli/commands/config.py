"""`redun config`: what configuration is in force, and where it comes from."""

from __future__ import annotations

import os
from pathlib import Path

import click

from redun.cli import completion
from redun.cli.errors import CommandError
from redun.cli.session import Session, current_session


@click.command(name="config", short_help="Show the configuration in force and where it comes from.")
@click.argument("what", required=False, metavar="[SECTION | SECTION.OPTION]", shell_complete=completion.sections)
@click.option("--format", "form", type=click.Choice(["text", "json"]), default="text", help="json: one object per option.")
def command(what: str | None, form: str) -> None:
    """Show the options in force, each with the file and line that sets it, or `default`.

    With a section: only its options. With SECTION.OPTION: only its value. Values of options that look secret are hidden.

    \b
    Examples:
      redun config
      redun config limits
      redun config executors.default.max_workers
    """
    from redun.config import INI
    from redun.config_origins import settings
    from redun.store.remote.url import shown_option

    session = current_session()
    folder = session.find_folder()
    config = session.load_config(folder)
    found = [
        one if one.section == "limits" else one._replace(value=shown_option(one.option, one.value)) for one in settings(config)
    ]
    if what is not None:
        exact = [one for one in found if f"{one.section}.{one.option}" == what]
        if exact and form == "text":
            click.echo(exact[0].value)
            return
        found = exact or [one for one in found if one.section == what or one.section.startswith(f"{what}.")]
        if not found:
            sections = ", ".join(sorted({one.section for one in settings(config)}))
            raise CommandError(f"no section or option {what!r} is in force: sections are {sections}")
    if form == "json":
        import json

        for one in found:
            click.echo(json.dumps(one._asdict()))
        return
    if what is None:
        click.echo(f"config dir: {folder} ({_reason(session, folder)})")
        click.echo(f"file: {folder / INI}{'' if (folder / INI).exists() else ' (does not exist, everything is default)'}")
    section = None
    width = max([len(f"{one.option} = {_shown(one.value)}") for one in found if len(_shown(one.value)) < 50], default=0)
    for one in found:
        if one.section != section:
            section = one.section
            click.echo(f"\n[{section}]" if what is None or section != found[0].section else f"[{section}]")
        click.echo(f"{f'{one.option} = {_shown(one.value)}':<{width}}   # {one.origin}")


def _shown(value: str) -> str:
    return " ".join(value.split())


def _reason(session: Session, folder: Path) -> str:
    from redun.config import VARIABLE

    if session.config_dir is not None:
        return "given by --config"
    if os.environ.get(VARIABLE):
        return f"given by {VARIABLE}"
    if not folder.exists():
        return "does not exist yet, 'redun run' makes it"
    return "the nearest one" if folder.parent == Path.cwd() else "the nearest one above the working folder"
