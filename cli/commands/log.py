"""`redun log`: what ran, what came of it, and where a value or file came from."""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import closing
from typing import Any

import click

from redun.cli import completion
from redun.cli.session import colour_option, current_session
from redun.cli.tags import wanted_tags
from redun.provenance import Status, is_id_prefix


def _split(context: click.Context, parameter: click.Parameter, values: tuple[str, ...]) -> tuple[str, ...]:
    return tuple([part.strip() for value in values for part in value.split(",") if part.strip()])


def _split_ids(context: click.Context, parameter: click.Parameter, values: tuple[str, ...]) -> tuple[str, ...]:
    ids = _split(context, parameter, values)
    for text in ids:
        if not is_id_prefix(text) and not (parameter.name == "exec_id" and (text == "-" or text.startswith("~"))):
            raise click.BadParameter(f"{text!r} is no id: expected digits 0-9 a-f", ctx=context, param=parameter)
    return ids


def _split_statuses(context: click.Context, parameter: click.Parameter, values: tuple[str, ...]) -> frozenset[Status]:
    found = set()
    for name in _split(context, parameter, values):
        status = Status.__members__.get("RUNNING" if name.upper() == "RUN" else name.upper())
        if status is None:
            expected = ", ".join(Status.__members__)
            raise click.BadParameter(f"{name!r} is no status: expected one of {expected}", ctx=context, param=parameter)
        found.add(status)
    return frozenset(found)


def _listed(name: str, help_text: str, *others: str, callback: Callable[..., Any] = _split) -> Callable[[Any], Any]:
    shell_complete = _COMPLETED.get(callback)
    if name == "file-path":
        shell_complete = completion.files
    elif name == "exec-id":
        shell_complete = completion.executions
    return click.option(
        f"--{name}",
        *others,
        multiple=True,
        callback=callback,
        metavar="X[,Y...]",
        help=help_text,
        shell_complete=shell_complete,
    )


_COMPLETED = {_split_ids: completion.ids, _split_statuses: completion.statuses}


@click.command(name="log", short_help="Show what ran, and where values and files came from.")
@click.argument("what", required=False, metavar="[ID | PATH | - | ~N]", shell_complete=completion.ids)
@click.option("--exec", "show_exec", is_flag=True, help="List executions.")
@click.option("--job", "show_job", is_flag=True, help="List jobs.")
@click.option("--call-node", "show_call_node", is_flag=True, help="List call nodes.")
@click.option("--task", "show_task", is_flag=True, help="List tasks.")
@click.option("--value", "show_value", is_flag=True, help="List values.")
@click.option("--file", "show_file", is_flag=True, help="List files: r read, w written by a call.")
@click.option("--all", "all_kinds", is_flag=True, help="List every kind.")
@_listed("exec-id", "Only of executions whose id begins so; - and ~N as above.", callback=_split_ids)
@_listed("exec-status", "Only of executions in this state.", callback=_split_statuses)
@_listed("status", "Only jobs (executions, where these are listed) in this state.", "--job-status", callback=_split_statuses)
@_listed("job-id", "Only jobs whose id begins so.", callback=_split_ids)
@_listed("task-name", "Only of tasks of this name, full or bare.")
@_listed("task-hash", "Only of tasks whose hash begins so.", callback=_split_ids)
@_listed("result", "Only jobs whose result has a hash that begins so.", callback=_split_ids)
@_listed("arg", "Only jobs of which an argument has a hash that begins so.", callback=_split_ids)
@_listed("value-type", "Only values of this type, such as builtins.int or redun.File.")
@_listed("file-path", "Only files of this path, or pattern (*.txt).")
@click.option("-t", "--tag", "tag", multiple=True, callback=wanted_tags, metavar="K[=V]", help="Only what has this tag.")
@click.option("--exec-tag", multiple=True, callback=wanted_tags, metavar="K[=V]", help="Only of executions that have this tag.")
@click.option("--count", is_flag=True, help="Only count.")
@click.option("--limit", type=click.IntRange(min=0), metavar="N", help="Show at most N of each kind.")
@click.option("--format", "form", type=click.Choice(["text", "json"]), default="text", help="json: one object per line.")
@click.option("--detail", is_flag=True, help="Show each record in full.")
@click.option("--output", "output", is_flag=True, help="Show what a job has printed, or all jobs of an execution.")
@click.option("--no-pager", is_flag=True, help="Never use a pager.")
@colour_option
def command(
    what: str | None,
    all_kinds: bool,
    count: bool,
    limit: int | None,
    form: str,
    detail: bool,
    output: bool,
    no_pager: bool,
    **options: Any,
) -> None:
    """Show what ran, what came of it, and where a value or file came from.

    Without argument: recent executions. With `-`: the last execution and its jobs; `~1` the one before it. With the
    beginning of any id: that execution, job, call node, task, value or file. With a path: the job that produced the file,
    and all that led to it.

    \b
    Examples:
      redun log                       recent executions
      redun log -                     jobs of the last one
      redun log 3f1a8bc5              whatever has this id
      redun log results/table.csv     where this file came from
      redun log --job --status FAILED
      redun log --file --file-path '*.csv'
      redun log --value --tag checked=true
      redun log --output 3f1a8bc5     what this job has printed
      redun log --output -            what jobs of the last run have printed
    """
    from redun.cli.render.output import show, terminal_width
    from redun.cli.render.selection import KINDS, Filters, Form, LogView
    from redun.provenance import Provenance

    kinds = KINDS if all_kinds else tuple([kind for kind in KINDS if options[f"show_{kind}"]])
    filters = Filters(**{name: found for name, found in options.items() if not name.startswith("show_")})
    view_form = Form(form == "json", detail, count, limit, terminal_width())
    colours = form == "text" and current_session().wants_colour(sys.stdout)
    with closing(current_session().open_store()) as store:
        provenance = Provenance(store)
        ids = [provenance.execution(name).id if name == "-" or name.startswith("~") else name for name in filters.exec_id]
        filters = filters._replace(exec_id=tuple(ids))
        view = LogView(provenance, view_form)
        if output:
            from redun.cli.render.job_output import OutputView

            if count or all_kinds or set(kinds) - {"job", "exec"}:
                raise click.UsageError(
                    "--output shows what jobs have printed: it goes with a job, an execution or filters of jobs"
                )
            show(OutputView(view, form == "json", limit).lines(what, kinds, filters), pager=not no_pager)
        else:
            show(view.lines(what, kinds, filters), pager=not no_pager, colours=colours)
