"""`redun launch`: run a command inside an executor."""

from __future__ import annotations

import shlex
from typing import Any

import click

from redun.cli import completion
from redun.cli.errors import FAILED, CommandError
from redun.cli.session import Session, current_session
from redun.cli.tags import pairs


@click.command(
    name="launch",
    short_help="Run a command inside an executor.",
    context_settings={"allow_interspersed_args": False},
    options_metavar="[OPTIONS]",
)
@click.option(
    "--executor",
    metavar="NAME",
    required=True,
    shell_complete=completion.executors,
    help="Executor to run it in: a section [executors.NAME].",
)
@click.option("-o", "--option", "options", multiple=True, callback=pairs, metavar="K=V", help="Task option, such as memory=4.")
@click.option("--wait", is_flag=True, help="Record the run here and show the command's standard output.")
@click.argument("words", nargs=-1, type=click.UNPROCESSED, required=True, metavar="COMMAND ...")
def command(executor: str, options: list[tuple[str, Any]], wait: bool, words: tuple[str, ...]) -> int:
    """Run COMMAND, usually `redun run ...`, as a script on an executor.

    The executors that there are run on this machine, so that this returns when the command has ended. Nothing of it is taken from the cache.

    \b
    Examples:
      redun launch --executor default redun run flow.py main
      redun launch --wait --executor default -o memory=4 redun run flow.py main
    """
    from redun.config import make_folder
    from redun.launch import put_redun_on_path

    session = current_session()
    folder = session.find_folder()
    session.announce(folder)
    if session.config_dir is None:
        make_folder(folder)
    config = session.load_config(folder)
    line = shlex.join(words)
    put_redun_on_path()
    session.log(f"Run within Executor {executor}: {line}")
    if not wait:
        scheduler = session.make_scheduler(config, None)
        return _run(session, scheduler, executor, options, line)
    with session.open_store(folder, config, create=True, write=True) as store:
        status = _run(session, session.make_scheduler(config, store), executor, options, line)
    if status == 0 and session.result is not None:
        click.echo(repr(session.result))
    return status


def _run(session: Session, scheduler: Any, executor: str, options: list[tuple[str, Any]], line: str) -> int:
    from redun.scripting import script_task

    if executor not in scheduler.executors:
        raise CommandError(
            f"unknown executor {executor!r}: expected one of {', '.join(map(repr, sorted(scheduler.executors)))}, "
            f"or a section [executors.{executor}]"
        )
    expression = script_task.options(**{**dict(options), "executor": executor})(line)
    try:
        session.result = scheduler.run(expression, exec_argv=["redun", *session.argv], cache=False)
    except Exception as error:
        if scheduler.failure is not error:
            raise
        session.failure = error
        return FAILED
    return 0
