"""`redun launch`: run a command inside an executor."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, Any

import click

from redun.cli import completion
from redun.cli.errors import CommandError
from redun.cli.session import Session, current_session
from redun.cli.tags import task_options

if TYPE_CHECKING:
    from redun.config import Config
    from redun.executors.base import Executor


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
@click.option(
    "-o", "--option", "options", multiple=True, callback=task_options, metavar="K=V", help="Task option, such as memory=4."
)
@click.option(
    "--code-package", is_flag=True, help="Take the code of the working folder along; code_includes of the section says what."
)
@click.option("--wait", is_flag=True, help="Record the run here and show the command's standard output.")
@click.argument("words", nargs=-1, type=click.UNPROCESSED, required=True, metavar="COMMAND ...")
def command(executor: str, options: dict[str, Any], code_package: bool, wait: bool, words: tuple[str, ...]) -> int:
    """Run COMMAND, usually `redun run ...`, as a script on an executor.

    The executors that there are run on this machine, so that this returns when the command has ended. Nothing of it is taken from the cache.

    With --code-package the command runs in an empty folder with a copy of the code here (all `*.py` below it, unless the executor's
    section has code_includes and code_excludes), so that what is edited meanwhile does not count; it uses the same configuration and store.

    \b
    Examples:
      redun launch --executor default redun run flow.py main
      redun launch --wait --executor default -o memory=4 redun run flow.py main
      redun launch --executor default --code-package redun run flow.py main
    """
    from redun.config import make_folder
    from redun.executors.launch import put_redun_on_path

    session = current_session()
    folder = session.find_folder()
    session.announce(folder)
    if session.config_dir is None:
        make_folder(folder)
    config = session.load_config(folder)
    line = shlex.join(words)
    put_redun_on_path()
    if not wait:
        scheduler = session.make_scheduler(config, None)
        return _run(session, config, scheduler, executor, options, line, code_package)
    with session.open_store(folder, config, create=True, write=True) as store:
        scheduler = session.make_scheduler(config, store)
        status = _run(session, config, scheduler, executor, options, line, code_package)
    if status == 0 and session.result is not None:
        click.echo(repr(session.result))
    return status


def _run(
    session: Session, config: Config, scheduler: Any, executor: str, options: dict[str, Any], line: str, code_package: bool
) -> int:
    from redun.scripting import script_task

    if executor not in scheduler.executors:
        raise CommandError(
            f"unknown executor {executor!r}: expected one of {', '.join(map(repr, sorted(scheduler.executors)))}, "
            f"or a section [executors.{executor}]"
        )
    session.log(f"Run within Executor {executor}: {line}")
    if code_package:
        line = _with_code(config, scheduler.executors[executor], line)
    expression = script_task.options(**{**options, "executor": executor})(line)
    try:
        session.result = scheduler.run(expression, exec_argv=["redun", *session.argv], cache=False)
    except Exception as error:
        if scheduler.failure is not error:
            raise
        return session.failed(error)
    return 0


def _with_code(config: Config, executor: Executor, line: str) -> str:
    """Return the script that unpacks the code of the working folder where it runs, and runs a command there."""
    from redun.executors.alias import AliasExecutor
    from redun.executors.code_packaging import package_code, parse_code_package_config
    from redun.executors.launch import scratch_folder
    from redun.executors.local import LocalExecutor
    from redun.script_text import render_script

    name = executor.name
    doer = executor.find_target() if isinstance(executor, AliasExecutor) else executor
    try:
        patterns = parse_code_package_config((config.get("executors") or {}).get(name) or {})
    except ValueError as error:
        raise CommandError(f"section [executors.{name}] of {config.source}: {error}") from None
    if isinstance(patterns, bool):
        raise CommandError(f"executor {name!r} takes no code packages: its section says code_package = false")
    try:
        package = package_code(scratch_folder(config, doer), patterns)
    except NotImplementedError as error:
        raise CommandError(f"option --code-package: {error}; 'scratch' in section [executors.{name}] names one") from error
    except OSError as error:
        place = getattr(error, "path", error.filename)
        raise CommandError(f"option --code-package: {place!r}: {error.strerror or error}") from error
    text = f"redun fs cp {shlex.quote(package.path)} - | tar xzf -\n{line}"
    if not isinstance(doer, LocalExecutor):
        return text
    # Here the working folder has the code already: it would be unpacked over itself, and the command would find it as it is then.
    return render_script(f"export REDUN_CONFIG={shlex.quote(config.configdir)}\n{text}", [], [], tempdir=True)
