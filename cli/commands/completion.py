"""`redun completion`: what a shell needs to complete command lines of redun."""

from __future__ import annotations

import click

SHELLS = ("bash", "zsh", "fish")
VARIABLE = "_REDUN_COMPLETE"


@click.command(name="completion", short_help="Print what a shell needs to complete command lines.")
@click.argument("shell", type=click.Choice(SHELLS))
@click.pass_context
def command(context: click.Context, shell: str) -> None:
    """Print a script for SHELL that completes commands, options, tasks, their arguments, and ids of what ran.

    \b
    Examples:
      eval "$(redun completion bash)"                              in ~/.bashrc
      eval "$(redun completion zsh)"                               in ~/.zshrc
      redun completion fish > ~/.config/fish/completions/redun.fish
    """
    from click.shell_completion import get_completion_class

    found = get_completion_class(shell)
    assert found is not None
    complete = found(context.find_root().command, {}, "redun", VARIABLE)
    # Not `source()`: for bash it would start one, only to complain of an old one.
    source = complete.source_template % complete.source_vars()
    if shell == "fish":
        # Help may have commas, and what ran last stands first.
        source = source.replace('string split ","', 'string split --max 1 ","').replace("--no-files", "--no-files --keep-order")
    click.echo(source)
