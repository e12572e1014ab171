"""`redun run`: run a task of a script, or tell what tasks it has and what they take."""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

import click

from redun.cli import completion
from redun.cli.errors import is_users, warn
from redun.cli.session import Session, colour_option, current_session
from redun.cli.tags import context_pairs, nested, tag_pairs, task_options

if TYPE_CHECKING:
    from redun.cli.arguments import TaskArguments
    from redun.cli.result_part import Selection
    from redun.cli.screen import Screen
    from redun.config import Config
    from redun.evaluation.scheduler import Scheduler
    from redun.store.repository import Store

    Arguments = tuple[tuple[Any, ...], dict[str, Any]]


def _selection(context: click.Context, parameter: click.Parameter, text: str | None) -> Selection | None:
    if text is None:
        return None
    from redun.cli.result_part import Selection

    try:
        return Selection(text)
    except ValueError as error:
        raise click.BadParameter(str(error), ctx=context, param=parameter) from None


@click.command(
    name="run",
    cls=completion.TaskCommand,
    short_help="Run a task of a script or module.",
    # Everything from SCRIPT on is not ours: no option of a task can clash with one of run.
    context_settings={"allow_interspersed_args": False},
    options_metavar="[OPTIONS]",
)
@click.option("--no-cache", is_flag=True, help="Run every job again; results are still kept.")
@click.option("--no-prov", is_flag=True, help="Keep results, but record no execution.")
@click.option("--pdb", "debug", is_flag=True, help="Start the debugger where a task failed.")
@click.option("--dryrun", is_flag=True, help="Only say what would run, and why; status 1 if anything would.")
@click.option(
    "-o", "--option", "options", multiple=True, callback=task_options, metavar="K=V", help="Override an option of every task."
)
@click.option("-t", "--tag", "tags", multiple=True, callback=tag_pairs, metavar="K=V", help="Tag the execution.")
@click.option("-u", "--user", metavar="NAME", help="Tag user; by default who runs it.")
@click.option(
    "--exclude-user", multiple=True, expose_value=False, metavar="KIND", help="Accepted; users of clouds are not recorded."
)
@click.option("-p", "--project", metavar="NAME", help="Tag project; by default the task's namespace.")
@click.option("--doc", metavar="TEXT", help="Tag doc: what this execution is for.")
@click.option(
    "--context",
    "context_pairs",
    multiple=True,
    callback=context_pairs,
    metavar="K=V",
    help="Set a value of the context; K may be a.b.c.",
)
@click.option(
    "--context-file", metavar="FILE", shell_complete=completion.files, help="JSON file laid over the context of redun.ini."
)
@click.option("-k", "--keep-going", is_flag=True, help="When a job fails, do first what does not depend on it.")
@click.option("--max-failures", type=click.IntRange(min=1), metavar="N", help="Keep going until N jobs have failed.")
@click.option("--execution-id", metavar="UUID", help="Id of the execution; it must be new.")
@click.option(
    "-i",
    "--input",
    "input_file",
    metavar="FILE",
    shell_complete=completion.files,
    help="Arguments: .json by name, else a pickle of ([...], {...}); --arg beats them.",
)
@click.option(
    "--output",
    "output_file",
    metavar="FILE",
    shell_complete=completion.files,
    help="Write the result there as well: .json as JSON, else a pickle.",
)
@click.option("--select", callback=_selection, metavar="EXPR", help="Show only this part of the result, such as [0].path.")
@click.option(
    "--rerun",
    shell_complete=completion.ids,
    metavar="JOB|EXEC",
    help="Run that job's task with its arguments again; --arg beats them. - is the last run.",
)
@click.option(
    "--remote",
    "remotes",
    multiple=True,
    metavar="REPO",
    shell_complete=completion.repos,
    help="Take results that are not here from this repo; may be given again. [backend] remotes names them for all runs.",
)
@click.option(
    "--push", is_flag=True, help="Push the execution when it has ended well; [backend] push_on_success says where to."
)
@click.option("--setup", multiple=True, metavar="K=V", help="The same as redun --setup.")
@click.option("--plain", is_flag=True, help="On a terminal, too: only lines, no display of what runs, no colours.")
@colour_option
@click.argument("script", metavar="SCRIPT_OR_MODULE", required=False, shell_complete=completion.files)
@click.argument("task_name", metavar="TASK", required=False, shell_complete=completion.tasks)
@click.argument("words", nargs=-1, type=click.UNPROCESSED, metavar="[--arg VALUE ...]", shell_complete=completion.arguments)
def command(script: str | None, task_name: str | None, words: tuple[str, ...], plain: bool, **options: Any) -> int:
    """Run TASK of a script (flow.py) or module (flows.main), with arguments named after the task's parameters.

    The result goes to standard output, everything else to standard error.

    \b
    Examples:
      redun run hello_world.py main --greet Hi
      redun run hello_world.py help           tasks of the script
      redun run hello_world.py main help      arguments of a task
      redun run hello_world.py main info      its source and hash
      redun run --dryrun hello_world.py main  what would run, and why
      redun run --rerun 3f1a8bc5 hello_world.py --greet Hello
      redun run --remote team --push hello_world.py main
    """
    from redun.cli.terminal import screen

    session = current_session()
    _end_like_ctrl_c()
    # From here on, since modules of the user's may keep the streams that they find when they are imported.
    with screen(plain or not session.logs, session.wants_colour(sys.stderr)) as session.screen:
        return _run_words(session, script, task_name, words, options)


def _run_words(
    session: Session, script: str | None, task_name: str | None, words: tuple[str, ...], options: dict[str, Any]
) -> int:
    from redun.cli.arguments import TaskArguments
    from redun.cli.scripts import find_task, load

    rerun = options.pop("rerun")
    if rerun is not None and options["input_file"] is not None:
        raise click.UsageError("--rerun and --input both give all arguments: keep one", click.get_current_context())
    if rerun is not None:
        rerun, script, task_name, words = _rerun_words(rerun, script, task_name, words)
    if script is None or (task_name is None and rerun is None):
        raise click.UsageError(
            f"missing argument {'SCRIPT_OR_MODULE' if script is None else 'TASK'}", click.get_current_context()
        )
    session.setup = (*session.setup, *options.pop("setup"))
    folder = session.find_folder()
    session.announce(folder)
    if task_name is not None and task_name.startswith("-") and task_name not in ("--help", "-h"):
        raise click.UsageError(
            f"expected a task after {script!r}, found {task_name!r}: options of 'redun run' come before the script"
        )
    _import_engine()
    module = load(script)
    if task_name in ("help", "--help", "-h"):
        _no_more(words, "help")
        return _show_tasks(script)
    recorded = None
    if rerun is not None:
        task_name, recorded = _recorded(session, folder, rerun, task_name)
    assert task_name is not None
    task = find_task(module, task_name, script)
    if words[:1] == ("info",):
        _no_more(words[1:], f"{task_name} info")
        return _show_info(task)
    return _run(session, folder, TaskArguments(task, script, task_name), list(words), recorded, options)


def _import_engine() -> None:
    """Import what runs the workflow before the user's code is imported, so that all of it is out of the way then (`Session.settle`)."""
    import redun.cli.default_tags
    import redun.evaluation.scheduler
    import redun.executors.local
    import redun.store.sources.lmdb
    import redun.task_hash  # noqa: F401


def _no_more(words: Sequence[str], after: str) -> None:
    if words:
        raise click.UsageError(f"got unexpected {words[0]!r} after {after!r}", click.get_current_context())


def _rerun_words(
    rerun: str, script: str | None, task_name: str | None, words: tuple[str, ...]
) -> tuple[str, str | None, str | None, tuple[str, ...]]:
    """Sort the words of a rerun: `--rerun ID SCRIPT [TASK]`, or `--rerun SCRIPT ID` as the existing package has it."""
    from redun.cli.rerun import looks_like_id

    if script is not None and not looks_like_id(rerun) and looks_like_id(script):
        return _rerun_words(script, rerun, task_name, words)
    if task_name is not None and task_name.startswith("-") and task_name not in ("--help", "-h"):
        words = (task_name, *words)
        task_name = None
    return rerun, script, task_name, words


def _recorded(session: Session, folder: Path, rerun: str, task_name: str | None) -> tuple[str, Arguments]:
    """Return the task and the arguments of a recorded job."""
    from redun.cli.errors import CommandError
    from redun.cli.rerun import arguments_of, find_job
    from redun.provenance import matches_name

    with session.open_store(folder) as store:
        job = find_job(store, rerun)
        if task_name is not None and not matches_name(job.task_name, task_name):
            raise CommandError(f"job {job.id} is one of task {job.task_name!r}, not of {task_name!r}: leave the task out")
        return job.task_name, arguments_of(store, job)


def _end_like_ctrl_c() -> None:
    """Let SIGTERM do what Ctrl-C does, also before and after the run itself."""
    if threading.current_thread() is threading.main_thread() and signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
        signal.signal(signal.SIGTERM, signal.default_int_handler)


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
        if len(task.fullname) > width and summary:
            click.echo(f"   {task.fullname}")
            click.echo(f"   {'':<{width}}   {summary}")
        else:
            click.echo(f"   {task.fullname:<{width}}   {summary}".rstrip())
    return 0


def _show_info(task: Any) -> int:
    from redun.task_hash import plain_source

    click.echo(f"Task {task.hash} {task.fullname}\n")
    for line in plain_source(task).splitlines():
        click.echo(f"  {line}".rstrip())
    click.echo()
    return 0


def _run(
    session: Session,
    folder: Path,
    arguments: TaskArguments,
    words: list[str],
    recorded: Arguments | None,
    options: dict[str, Any],
) -> int:
    from redun.cli.arguments import HelpAsked

    task = arguments.task
    try:
        if words[:1] == ["help"]:
            _no_more(words[1:], f"{arguments.name} help")
            raise HelpAsked
        if options["input_file"] is not None:
            from redun.cli.values import read_arguments

            recorded = read_arguments(options["input_file"])
        args, kwargs = arguments.parse(words, recorded)
    except HelpAsked:
        click.echo(arguments.help(), nl=False)
        return 0
    from redun.config import make_folder
    from redun.fetching import fetch_when_needed

    if options["output_file"] is not None:
        from redun.cli.values import check_output

        check_output(options["output_file"])
    if session.config_dir is None:
        make_folder(folder)
    config = session.load_config(folder)
    context = _context(options["context_file"], options["context_pairs"])
    with (
        session.open_store(folder, config, create=True, write=not options["dryrun"]) as store,
        fetch_when_needed(store, config, warn),
    ):
        scheduler = session.make_scheduler(config, store)
        scheduler.remotes = tuple(dict.fromkeys((*options["remotes"], *scheduler.remotes)))
        scheduler.pushes = scheduler.pushes or options["push"]
        expression = task(*args, **kwargs)
        if session.screen is not None and "job_status_interval" not in (config.get("scheduler") or ()):
            # The display tells more; only who asks for the table gets both.
            scheduler.job_status_interval = None
        try:
            with _shown(session.screen, scheduler):
                result = scheduler.run(
                    expression,
                    exec_argv=["redun", *session.argv],
                    dryrun=options["dryrun"],
                    cache=not options["no_cache"],
                    tags=_tags(task, options),
                    context=context,
                    execution_id=options["execution_id"],
                    option_overrides=options["options"],
                    provenance=not options["no_prov"],
                    keep_going=options["keep_going"],
                    max_failures=options["max_failures"],
                )
        except BaseException as error:
            if scheduler.failure is not error:
                raise
            # sys.exit() in a task is a failure, too.
            status = session.failed(error)
            _tell_size(config, store)
            if options["debug"]:
                _debug(error)
            return status
        _tell_size(config, store)
    if options["select"] is not None:
        result = options["select"].of(result)
    session.result = result
    if options["output_file"] is not None:
        from redun.cli.values import write_result

        write_result(options["output_file"], result)
    return _print_result(result)


def _shown(screen: Screen | None, scheduler: Scheduler) -> AbstractContextManager[None]:
    if screen is None:
        return nullcontext()
    from redun.cli.live import live

    return live(screen, scheduler)


def _tell_size(config: Config, store: Store) -> None:
    if config.get("gc") is not None:
        from redun.cli.store_size import hint

        hint(config, store)


def _debug(error: BaseException) -> None:
    """Start the debugger in the frame of the user's code that raised an error."""
    import pdb

    from redun.errors import DryRunResult

    if error.__traceback__ is None or isinstance(error, DryRunResult):
        return
    own: TracebackType | None = error.__traceback__
    while own is not None and not is_users(own.tb_frame.f_code.co_filename):
        own = own.tb_next
    sys.stderr.write(f"redun: {type(error).__name__}: {error}; the debugger starts where it was raised\n")
    pdb.post_mortem(own or error.__traceback__)


def _tags(task: Any, options: dict[str, Any]) -> list[tuple[str, Any]]:
    from redun.cli.default_tags import execution_tags

    # The checkout that counts is the one that the workflow's code is in, wherever it is run from.
    code = getattr(task.func, "__code__", None)
    folder = Path(code.co_filename).parent if code is not None else Path()
    return execution_tags(options["tags"], options["user"], options["project"], options["doc"], task.namespace, folder)


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
