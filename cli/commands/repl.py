"""`redun repl`: Python with what ran at hand."""

from __future__ import annotations

import sys
from contextlib import closing
from typing import Any

import click

from redun.cli import completion
from redun.cli.errors import FAILED, is_users
from redun.cli.session import current_session

_PROGRAM = "<stdin>"
_CONSOLE = "<console>"


@click.command(name="repl", short_help="Python with what ran at hand.")
@click.argument("what", required=False, metavar="[ID]", shell_complete=completion.ids)
def command(what: str | None) -> int:
    """Start Python with `query(id)`, `executions()`, `last_exec` and `provenance`; with ID, `obj` is what it names.

    `query` takes the beginning of any id, `-` or `~N`, and returns an execution, job, call, task or value; `provenance`
    (`redun.provenance`) answers what belongs to it. A program may come from a pipe; it ends at its first error, with status 1.

    \b
    Examples:
      redun repl
      redun repl 3f1a8bc5
      echo 'last_exec.status' | redun repl
    """
    import code

    from redun.provenance import Provenance

    with closing(current_session().open_store()) as store:
        provenance = Provenance(store)
        names: dict[str, Any] = {
            "provenance": provenance,
            "query": lambda name: _find(provenance, name),
            "executions": lambda: list(provenance.executions()),
        }
        last = next(iter(provenance.executions()), None)
        if last is not None:
            names["last_exec"] = last
        if what is not None:
            names["obj"] = _find(provenance, what)
            click.echo(f"obj = {names['obj']!r}")
        if not sys.stdin.isatty():
            return run_program(sys.stdin.read(), names)
        _add_readline(names)
        sys.ps1, sys.ps2 = "(redun) ", "    ... "

        class Console(code.InteractiveConsole):
            def showtraceback(self) -> None:
                error = sys.exc_info()[1]
                assert error is not None
                self.write(f"{_own_traceback(error)}\n")

        Console(names, _CONSOLE).interact(banner=f"names: {', '.join(names)}", exitmsg="")
    return 0


def run_program(source: str, names: dict[str, Any]) -> int:
    """Run a program from a pipe, showing what its expressions give, as if its statements had been typed.

    Returns:
        The exit status: 1 after an error, which ends it and is shown with the program's own lines.
    """
    import ast

    try:
        for statement in ast.parse(source, _PROGRAM).body:
            exec(compile(ast.Interactive([statement]), _PROGRAM, "single"), names)
    except SystemExit:
        raise
    except Exception as error:
        import linecache

        # So that the traceback can show them.
        linecache.cache[_PROGRAM] = (len(source), None, source.splitlines(keepends=True), _PROGRAM)
        click.echo(_own_traceback(error), err=True)
        return FAILED
    return 0


def _own_traceback(error: BaseException) -> str:
    """Return a traceback of what was typed: neither how it came to be run nor how redun came to refuse it."""
    import traceback

    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if is_users(frame.filename)]
    while frames and frames[0].filename not in (_PROGRAM, _CONSOLE):
        del frames[0]
    lines = ["Traceback (most recent call last):\n", *traceback.format_list(frames)] if frames else []
    return "".join([*lines, *traceback.format_exception_only(type(error), error)]).rstrip("\n")


def _add_readline(names: dict[str, Any]) -> None:
    try:
        import readline
        import rlcompleter
    except ImportError:
        # A Python without readline: lines are edited by the terminal.
        return
    readline.set_completer(rlcompleter.Completer(names).complete)
    readline.parse_and_bind("tab: complete")


def _find(provenance: Any, name: str) -> Any:
    """Return what an id names: an execution, job, call, task or value."""
    from redun.provenance import AmbiguousId, NotRecorded

    if name == "-" or name.startswith("~"):
        return provenance.execution(name)
    found = provenance.find(name)
    if not found:
        raise NotRecorded(f"nothing has an id that begins with {name!r}")
    kinds = {one.kind for one in found}
    if len({one.id for one in found}) > 1:
        raise AmbiguousId(name, found, more=len(found) >= 20)
    # A task is also a value; the task says more.
    kind = next(kind for kind in ("execution", "job", "call", "task", "value") if kind in kinds)
    return getattr(provenance, kind)(found[0].id)
