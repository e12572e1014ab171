"""`redun run`: run a task of a script, or tell what tasks it has and what they take."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from redun.cli.errors import FAILED
from redun.cli.session import Session, current_session
from redun.cli.tags import execution_tags, nested, pairs

if TYPE_CHECKING:
    from redun.cli.arguments import TaskArguments


@click.command(
    name="run",
    short_help="Run a task of a script or module.",
    # Everything from SCRIPT on is not ours: no option of a task can clash with one of run.
    context_settings={"allow_interspersed_args": False},
    options_metavar="[OPTIONS]",
)
@click.option("--no-cache", is_flag=True, help="Run every job again; results are still kept.")
@click.option("--no-prov", is_flag=True, help="Keep results, but record no execution.")
@click.option("--dryrun", is_flag=True, help="Only say what would run, and why; status 1 if anything would.")
@click.option(
    "-o", "--option", "options", multiple=True, callback=pairs, metavar="K=V", help="Override an option of every task."
)
@click.option("-t", "--tag", "tags", multiple=True, callback=pairs, metavar="K=V", help="Tag the execution.")
@click.option("-u", "--user", metavar="NAME", help="Tag user; by default who runs it.")
@click.option("-p", "--project", metavar="NAME", help="Tag project; by default the task's namespace.")
@click.option("--doc", metavar="TEXT", help="Tag doc: what this execution is for.")
@click.option(
    "--context",
    "context_pairs",
    multiple=True,
    callback=pairs,
    metavar="K=V",
    help="Set a value of the context; K may be a.b.c.",
)
@click.option("--context-file", metavar="FILE", help="JSON file laid over the context of redun.ini.")
@click.option("--execution-id", metavar="UUID", help="Id of the execution; it must be new.")
@click.argument("script", metavar="SCRIPT_OR_MODULE")
@click.argument("task_name", metavar="TASK")
@click.argument("words", nargs=-1, type=click.UNPROCESSED, metavar="[--arg VALUE ...]")
def command(script: str, task_name: str, words: tuple[str, ...], **options: Any) -> int:
    """Run TASK of a script (flow.py) or module (flows.main), with arguments named after the task's parameters.

    The result goes to standard output, everything else to standard error.

    \b
    Examples:
      redun run hello_world.py main --greet Hi
      redun run hello_world.py help           tasks of the script
      redun run hello_world.py main help      arguments of a task
      redun run hello_world.py main info      its source and hash
      redun run --dryrun hello_world.py main  what would run, and why
    """
    from redun.cli.arguments import TaskArguments
    from redun.cli.scripts import find_task, load

    session = current_session()
    folder = session.find_folder()
    session.announce(folder)
    if task_name.startswith("-") and task_name not in ("--help", "-h"):
        raise click.UsageError(
            f"expected a task after {script!r}, found {task_name!r}: options of 'redun run' come before the script"
        )
    module = load(script)
    if task_name in ("help", "--help", "-h"):
        return _show_tasks(script)
    task = find_task(module, task_name, script)
    if words[:1] == ("info",):
        return _show_info(task)
    return _run(session, folder, TaskArguments(task, script, task_name), list(words), options)


def _show_tasks(script: str) -> int:
    from redun.cli.scripts import user_tasks

    tasks = user_tasks()
    if not tasks:
        click.echo(f"No tasks in {script}.")
        return 0
    click.echo("Tasks available:")
    width = min(max([len(task.fullname) for task in tasks]), 50)
    for task in tasks:
        summary = (task.func.__doc__ or "").strip().split("\n")[0]
        click.echo(f"   {task.fullname:<{width}}   {summary}".rstrip())
    return 0


def _show_info(task: Any) -> int:
    click.echo(f"Task {task.hash} {task.fullname}\n")
    for line in task.source.splitlines():
        click.echo(f"  {line}".rstrip())
    click.echo()
    return 0


def _run(session: Session, folder: Path, arguments: TaskArguments, words: list[str], options: dict[str, Any]) -> int:
    from redun.cli.arguments import HelpAsked

    task = arguments.task
    try:
        if words[:1] == ["help"]:
            raise HelpAsked
        args, kwargs = arguments.parse(words)
    except HelpAsked:
        click.echo(arguments.help(), nl=False)
        return 0
    from redun.config import make_folder

    if session.config_dir is None:
        make_folder(folder)
    config = session.load_config(folder)
    context = _context(options["context_file"], options["context_pairs"])
    with session.open_store(folder, config, create=True, write=not options["dryrun"]) as store:
        from redun.scheduler import Scheduler

        scheduler = Scheduler(config, store, logger=None if session.logs else False)
        expression = task(*args, **kwargs)
        try:
            result = scheduler.run(
                expression,
                exec_argv=["redun", *session.argv],
                dryrun=options["dryrun"],
                cache=not options["no_cache"],
                tags=execution_tags(options["tags"], options["user"], options["project"], options["doc"], task.namespace),
                context=context,
                execution_id=options["execution_id"],
                option_overrides=dict(options["options"]),
                provenance=not options["no_prov"],
            )
        except BaseException as error:
            # The scheduler has told of a workflow's failure already, with the traceback of jobs; sys.exit() in a task is one, too.
            if scheduler.failure is error:
                return FAILED
            raise
    return _print_result(result)


def _context(file: str | None, given: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return what the command line lays over the configured context."""
    from redun.config import read_context_file
    from redun.context import merge

    base = read_context_file(Path(file), "option --context-file") if file is not None else {}
    return merge(base, nested(given))


def _print_result(result: Any) -> int:
    if result is None:
        return 0
    # Long integers are shown whole; Python's own limit is meant for text from strangers.
    if hasattr(sys, "set_int_max_str_digits"):
        sys.set_int_max_str_digits(0)
    try:
        text = repr(result)
    except Exception as error:
        # Too deep, or a class of the user: the run itself went well, and the result is in the store.
        text = f"<{type(result).__qualname__}: repr failed: {error}>"
    sys.stdout.write(text + "\n")
    return 0
