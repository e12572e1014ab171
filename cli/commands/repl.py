"""`redun repl`: Python with what ran at hand."""

from __future__ import annotations

import sys
from contextlib import closing
from typing import Any

import click

from redun.cli import completion
from redun.cli.session import current_session


@click.command(name="repl", short_help="Python with what ran at hand.")
@click.argument("what", required=False, metavar="[ID]", shell_complete=completion.ids)
def command(what: str | None) -> None:
    """Start Python with `query(id)`, `executions()`, `last_exec` and `provenance`; with ID, `obj` is what it names.

    `query` takes the beginning of any id, `-` or `~N`, and returns an execution, job, call, task or value; `provenance`
    (`redun.provenance`) answers what belongs to it.

    \b
    Examples:
      redun repl
      redun repl 3f1a8bc5
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
        if sys.stdin.isatty():
            _add_readline(names)
        sys.ps1, sys.ps2 = "(redun) ", "    ... "
        code.interact(banner=f"names: {', '.join(names)}", local=names, exitmsg="")


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
