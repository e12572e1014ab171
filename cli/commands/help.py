"""`redun help`: the same as `--help`, in words."""

from __future__ import annotations

import click


@click.command(name="help", short_help="Show help for redun or one of its commands.")
@click.argument("verb", required=False, metavar="[COMMAND]")
@click.pass_context
def command(context: click.Context, verb: str | None) -> None:
    """Show help for redun, or for one of its commands.

    \b
    Example:
      redun help run
    """
    parent = context.parent or context
    if verb is None:
        click.echo(parent.get_help())
        return
    group = parent.command
    if isinstance(group, click.Group):
        name, found, _ = group.resolve_command(parent, [verb])
        if found is not None:
            with click.Context(found, info_name=name, parent=parent) as inner:
                click.echo(found.get_help(inner))
