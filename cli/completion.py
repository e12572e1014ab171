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


def files(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Complete a file, by the shell itself."""
    from click.shell_completion import CompletionItem

    return [CompletionItem(incomplete, type="file")]


def folders(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Complete a folder, by the shell itself."""
    from click.shell_completion import CompletionItem

    return [CompletionItem(incomplete, type="dir")]


def statuses(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Complete the last of several names of states, with commas between."""
    from click.shell_completion import CompletionItem

    from redun.provenance import Status

    before, comma, last = incomplete.rpartition(",")
    return [CompletionItem(f"{before}{comma}{name}") for name in Status.__members__ if name.startswith(last.upper())]


def tasks(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Complete the name of a task of the script that was given."""
    from click.shell_completion import CompletionItem

    found = [
        CompletionItem(name, help=(ast.get_docstring(node) or "").split("\n")[0])
        for full, node in _tasks_of(context.params.get("script"))
        # The bare name will do; who begins with a namespace wants the whole one.
        if (name := full if "." in incomplete else full.rpartition(".")[2]).startswith(incomplete)
    ]
    return [*found, CompletionItem("help", help="tasks of the script")] if "help".startswith(incomplete) else found


def arguments(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Complete the arguments of the task that was given."""
    from click.shell_completion import CompletionItem

    wanted = (context.params.get("task_name") or "").rpartition(".")[2]
    words = context.params.get("words") or ()
    for name, node in _tasks_of(context.params.get("script")):
        if name.rpartition(".")[2] == wanted:
            parameters = {_flag(arg.arg): arg for arg in (*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs)}
            before, equals, text = incomplete.partition("=")
            if words and words[-1] in parameters and not incomplete.startswith("--"):
                return _values(context, parameters[words[-1]], incomplete)
            if equals and before in parameters:
                return _values(context, parameters[before], text)
            flags = list(parameters)
            if not incomplete.startswith("-") and not words:
                flags += ["help", "info"]
            return [CompletionItem(flag) for flag in flags if flag.startswith(incomplete)]
    return []


def _flag(name: str) -> str:
    return "--" + (name if name.startswith("_") else name.replace("_", "-"))


def _values(context: click.Context, argument: ast.arg, incomplete: str) -> list[CompletionItem]:
    """Complete a value by the annotation of its parameter: members of an enum of the script, literals, flags; else a file."""
    from click.shell_completion import CompletionItem

    known: list[str] = []
    for node in ast.walk(argument.annotation) if argument.annotation is not None else ():
        if isinstance(node, ast.Constant) and node.value is not None:
            known.append(str(node.value))
        elif isinstance(node, ast.Name):
            known += ["true", "false"] if node.id == "bool" else _members(context.params.get("script"), node.id)
    if not known:
        return [CompletionItem(incomplete, type="file")]
    return [CompletionItem(name) for name in known if name.startswith(incomplete)]


def _members(script: str | None, name: str) -> list[str]:
    tree = _parsed(script)
    for node in tree.body if tree is not None else ():
        if isinstance(node, ast.ClassDef) and node.name == name and any("Enum" in ast.unparse(base) for base in node.bases):
            targets = [target for line in node.body if isinstance(line, ast.Assign) for target in line.targets]
            return [target.id for target in targets if isinstance(target, ast.Name)]
    return []


class TaskCommand(click.Command):
    """A command of which everything after the task belongs to the task."""

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Complete options of the command before the script, and arguments of the task after it."""
        if ctx.params.get("task_name") is not None:
            return arguments(ctx, self.params[-1], incomplete)
        return super().shell_complete(ctx, incomplete)


def _tasks_of(script: str | None) -> Iterator[tuple[str, _Function]]:
    """Yield fullname and function of the tasks of a script or module, as its text has them."""
    tree = _parsed(script)
    namespace = ""
    for node in tree.body if tree is not None else ():
        if isinstance(node, ast.Assign) and [getattr(one, "id", "") for one in node.targets] == ["redun_namespace"]:
            namespace = str(node.value.value) if isinstance(node.value, ast.Constant) else ""
        if isinstance(node, _Function):
            for decorator in node.decorator_list:
                call = decorator.func if isinstance(decorator, ast.Call) else decorator
                if (call.attr if isinstance(call, ast.Attribute) else getattr(call, "id", None)) == "task":
                    own = _given(decorator, "namespace")
                    within = namespace if own is None else own
                    name = _given(decorator, "name") or node.name
                    yield f"{within}.{name}" if within else name, node
                    break


def _parsed(script: str | None) -> ast.Module | None:
    path = _path_of(script) if script else None
    try:
        return None if path is None else ast.parse(path.read_bytes())
    except (OSError, SyntaxError, ValueError):
        return None


def _given(decorator: ast.expr, option: str) -> str | None:
    for keyword in decorator.keywords if isinstance(decorator, ast.Call) else ():
        if keyword.arg == option and isinstance(keyword.value, ast.Constant):
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


def sections(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Complete a section of the configuration in force, or one of its options."""
    from click.shell_completion import CompletionItem

    from redun.config import load_config
    from redun.config_origins import settings
    from redun.errors import RedunError

    with suppress(RedunError):
        found = list(settings(load_config(_session(context).find_folder())))
        names = dict.fromkeys([*[one.section for one in found], *[f"{one.section}.{one.option}" for one in found]])
        return [CompletionItem(name) for name in names if name.startswith(incomplete)]
    return []


def executors(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Complete the name of a configured executor."""
    from click.shell_completion import CompletionItem

    from redun.config import load_config
    from redun.errors import RedunError

    with suppress(RedunError):
        known = {"default", *(load_config(_session(context).find_folder()).get("executors") or {})}
        return [CompletionItem(name) for name in sorted(known) if name.startswith(incomplete)]
    return []


def repos(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Complete the name of a repo."""
    from click.shell_completion import CompletionItem

    from redun.config import load_config
    from redun.errors import RedunError
    from redun.remotes import repos as configured

    with suppress(RedunError):
        known = configured(load_config(_session(context).find_folder()))
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
