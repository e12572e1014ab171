"""The options before the verb, and the verbs.

A verb's module is imported when the verb is used, so that none pays for the others.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import click

from redun.cli.errors import CommandError
from redun.cli.session import LOG_LEVELS, Session, colour_option
from redun.version import __version__


class Verb(NamedTuple):
    """A command: the module with a click command named `command`, and the line about it in `redun --help`."""

    module: str
    summary: str


# In the order of `redun --help`, which is written from here so that it need not import them.
VERBS = {
    "init": Verb("redun.cli.commands.init", "Make a configuration folder and its store."),
    "run": Verb("redun.cli.commands.run", "Run a task of a script or module."),
    "log": Verb("redun.cli.commands.log", "Show what ran, and where values and files came from."),
    "oneshot": Verb("redun.cli.commands.oneshot", "Call one task once, without a scheduler."),
    "launch": Verb("redun.cli.commands.launch", "Run a command inside an executor."),
    "checkout": Verb("redun.cli.commands.checkout", "Write files of what ran into a folder."),
    "repl": Verb("redun.cli.commands.repl", "Python with what ran at hand."),
    "repo": Verb("redun.cli.commands.repo", "Add, list and remove repos to share results with."),
    "push": Verb("redun.cli.commands.push", "Bring results to a repo, for others to pull."),
    "pull": Verb("redun.cli.commands.pull", "Bring results from a repo here."),
    "keys": Verb("redun.cli.commands.keys", "Whose results are believed: keys, trusted and revoked."),
    "export": Verb("redun.cli.commands.export", "Write records as lines of JSON, or as a bundle."),
    "import": Verb("redun.cli.commands.import_", "Take in records that redun export has written."),
    "config": Verb("redun.cli.commands.config", "Show the configuration in force and where it comes from."),
    "tag": Verb("redun.cli.commands.tag", "List, add, change and remove tags of what ran."),
    "fsck": Verb("redun.cli.commands.fsck", "Check that the store is whole, and repair it."),
    "gc": Verb("redun.cli.commands.gc", "Delete executions by age or number, and what only they need."),
    "pin": Verb("redun.cli.commands.pin", "Have gc keep executions, calls, values or tasks."),
    "unpin": Verb("redun.cli.commands.unpin", "Take back pins: gc goes by its rules again."),
    "store": Verb("redun.cli.commands.store", "Show what the store holds; make its file smaller."),
    "fs": Verb("redun.cli.commands.fs", "Copy files between any two file systems."),
    "completion": Verb("redun.cli.commands.completion", "Print what a shell needs to complete command lines."),
    "help": Verb("redun.cli.commands.help", "Show help for redun or one of its commands."),
}


class Verbs(click.Group):
    """A group whose commands are imported on first use."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the verbs in order."""
        return list(VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import the command of a verb."""
        if cmd_name not in VERBS:
            return None
        from importlib import import_module

        command: click.Command = import_module(VERBS[cmd_name].module).command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write what verbs there are."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, verb.summary) for name, verb in VERBS.items()])

    def resolve_command(self, ctx: click.Context, args: list[str]) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command that a command line begins with."""
        if args and args[0] not in VERBS and not args[0].startswith("-"):
            import difflib

            near = difflib.get_close_matches(args[0], VERBS, n=2)
            hint = f": did you mean {' or '.join(map(repr, near))}?" if near else f": expected one of {', '.join(VERBS)}"
            # No context, for the hint is all that there is to say.
            raise click.UsageError(f"no such command: {args[0]!r}{hint}")
        return super().resolve_command(ctx, args)


def _print_version(context: click.Context, parameter: click.Parameter, value: bool) -> None:
    if value and not context.resilient_parsing:
        click.echo(__version__)
        context.exit()


def _folders(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[Any]:
    from redun.cli.completion import folders

    return list(folders(context, parameter, incomplete))


@click.group(cls=Verbs, name="redun", invoke_without_command=True, context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "-c", "--config", "config_dir", metavar="DIR", shell_complete=_folders, help="Configuration folder, usually named .redun."
)
@click.option(
    "-V", "--version", is_flag=True, is_eager=True, expose_value=False, callback=_print_version, help="Show the version."
)
@click.option(
    "--check-version", "requirement", metavar="SPEC", help="Refuse to run unless the version fits, such as '>=0.1,<1'."
)
@click.option("-r", "--repo", metavar="REPO", help="Look at this repo instead of the store here: a name, URL or folder.")
@click.option("--log-level", type=click.Choice(LOG_LEVELS, case_sensitive=False), default="INFO", help="How much to tell.")
@click.option(
    "-s",
    "--setup",
    "setup",
    multiple=True,
    metavar="K=V",
    help="Argument of the configuration's setup function (setup_scheduler).",
)
@colour_option
@click.option("--setup-help", is_flag=True, help="Show what arguments that function takes.")
@click.pass_context
def group(
    context: click.Context,
    config_dir: str | None,
    requirement: str | None,
    repo: str | None,
    log_level: str,
    setup: tuple[str, ...],
    setup_help: bool,
) -> None:
    """Run workflows of lazy Python tasks, and look at what ran.

    \b
    Examples:
      redun run hello_world.py main --greet Hi
      redun log -
      redun -r team log
    """
    session = context.ensure_object(Session)
    session.config_dir = config_dir
    session.repo = repo if repo != "default" else None
    session.log_level = log_level.upper()
    session.setup = setup
    if requirement is not None:
        from redun.cli.versions import fits

        if not fits(__version__, requirement):
            raise CommandError(f"redun version {__version__} does not meet the requirement {requirement!r}")
    if setup_help:
        from redun.cli.setup_help import show_setup_help

        show_setup_help(session)
        context.exit()
    if context.invoked_subcommand is None:
        click.echo(context.get_help())
