"""What the shell may complete: tasks of a script, their arguments, ids of what ran.

Scripts are only parsed, never run: pressing a key must not start anything. Whatever goes wrong gives no completions.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

_RECENT = 20
_Function = ast.FunctionDef | ast.AsyncFunctionDef


def scripts(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Complete a script or module: files, by the shell itself."""
    from click.shell_completion import CompletionItem

    return [CompletionItem(incomplete, type="file")]


def tasks(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Complete the name of a task of the script that was given."""
    from click.shell_completion import CompletionItem

    found = [
        CompletionItem(name, help=(ast.get_docstring(node) or "").split("\n")[0])
        for name, node in _tasks_of(context.params.get("script"))
        if name.startswith(incomplete)
    ]
    return [*found, CompletionItem("help", help="tasks of the script")] if "help".startswith(incomplete) else found


def arguments(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Complete the arguments of the task that was given."""
    from click.shell_completion import CompletionItem

    wanted = (context.params.get("task_name") or "").rpartition(".")[2]
    for name, node in _tasks_of(context.params.get("script")):
        if name.rpartition(".")[2] == wanted:
            names = [arg.arg for arg in (*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs)]
            flags = ["--" + (arg if arg.startswith("_") else arg.replace("_", "-")) for arg in names]
            if not incomplete.startswith("-"):
                flags += ["help", "info"]
            return [CompletionItem(flag) for flag in flags if flag.startswith(incomplete)]
    return []


class TaskCommand(click.Command):
    """A command of which everything after the task belongs to the task."""

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Complete options of the command before the script, and arguments of the task after it."""
        if ctx.params.get("task_name") is not None:
            return arguments(ctx, self.params[-1], incomplete)
        return super().shell_complete(ctx, incomplete)


def _tasks_of(script: str | None) -> Iterator[tuple[str, _Function]]:
    """Yield name and function of the tasks of a script or module, as its text has them."""
    path = _path_of(script) if script else None
    if path is None:
        return
    try:
        tree = ast.parse(path.read_bytes())
    except (OSError, SyntaxError, ValueError):
        return
    for node in tree.body:
        if isinstance(node, _Function):
            for decorator in node.decorator_list:
                call = decorator.func if isinstance(decorator, ast.Call) else decorator
                if (call.attr if isinstance(call, ast.Attribute) else getattr(call, "id", None)) == "task":
                    yield _given_name(decorator) or node.name, node
                    break


def _given_name(decorator: ast.expr) -> str | None:
    for keyword in decorator.keywords if isinstance(decorator, ast.Call) else ():
        if keyword.arg == "name" and isinstance(keyword.value, ast.Constant):
            return str(keyword.value.value)
    return None


def _path_of(script: str) -> Path | None:
    for path in (
        Path(script).expanduser(),
        Path(*script.split(".")).with_suffix(".py"),
        Path(*script.split("."), "__init__.py"),
    ):
        if path.is_file():
            return path
    return None


def executions(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Complete the id of an execution."""
    return _ids(context, incomplete, ("execution",))


def ids(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Complete the id of anything that was recorded, or a file."""
    from click.shell_completion import CompletionItem

    return _ids(context, incomplete, None) or [CompletionItem(incomplete, type="file")]


def executors(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Complete the name of a configured executor."""
    from click.shell_completion import CompletionItem

    from redun.config import load_config
    from redun.errors import RedunError

    with suppress(RedunError):
        known = {"default", *(load_config(_session(context).find_folder()).get("executors") or {})}
        return [CompletionItem(name) for name in sorted(known) if name.startswith(incomplete)]
    return []


def commands(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Complete the name of a command, or of one below those given already."""
    here = context.find_root().command
    for word in context.params.get(parameter.name or "") or ():
        found = here.get_command(context, word) if isinstance(here, click.Group) else None
        if found is None:
            return []
        here = found
    # The root's context says nothing of its sub-commands; a fresh one does, and no options of groups with it.
    return here.shell_complete(click.Context(here), incomplete) if isinstance(here, click.Group) else []


def _session(context: click.Context) -> Any:
    """Return the session of the command line so far; while the shell asks, no command has set it up."""
    from redun.cli.session import Session

    return Session(config_dir=context.find_root().params.get("config_dir"), log_level="ERROR")


def _ids(context: click.Context, incomplete: str, kinds: tuple[str, ...] | None) -> list[CompletionItem]:
    from click.shell_completion import CompletionItem

    from redun.cli.render.records import RecordText
    from redun.cli.render.words import command_line, local_time
    from redun.errors import RedunError
    from redun.provenance import Provenance, is_id_prefix

    try:
        with closing(_session(context).open_store()) as store:
            provenance = Provenance(store)
            if not incomplete:
                recent = [one for _, one in zip(range(_RECENT), provenance.executions(), strict=False)]
                return [
                    CompletionItem(one.id, help=f"{local_time(one.start_us)}  {command_line(one.argv)}"[:100]) for one in recent
                ]
            if not is_id_prefix(incomplete):
                return []
            found = provenance.find(incomplete, kinds) if kinds else provenance.find(incomplete)
            text = RecordText(provenance)
            return [
                CompletionItem(one.id, help=text.candidate_line(one)[:100]) for one in {one.id: one for one in found}.values()
            ]
    except (RedunError, OSError):
        # Nothing has run here yet, or the store is in use: there is nothing to complete.
        return []
