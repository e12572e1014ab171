"""`redun help`: the same as `--help`, in words."""

from __future__ import annotations

import click

from redun.cli import completion


@click.command(name="help", short_help="Show help for redun or one of its commands.")
@click.argument("words", nargs=-1, metavar="[COMMAND ...]", shell_complete=completion.commands)
@click.pass_context
def command(context: click.Context, words: tuple[str, ...]) -> None:
    """Show help for redun, or for one of its commands.

    \b
    Examples:
      redun help run
      redun help tag add
    """
    shown = context.find_root()
    for word in words:
        if not isinstance(shown.command, click.Group):
            raise click.UsageError(f"'{shown.command_path}' has no commands of its own, found {word!r}")
        name, found, _ = shown.command.resolve_command(shown, [word])
        assert found is not None
        shown = click.Context(found, info_name=name, parent=shown)
    click.echo(shown.get_help())
