"""`redun checkout`: files of what ran, written into a folder."""

from __future__ import annotations

from contextlib import ExitStack, closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from redun.cli import completion
from redun.cli.errors import CommandError, warn
from redun.cli.session import current_session

if TYPE_CHECKING:
    from redun.files.checkout import Found
    from redun.provenance import Provenance

_MOST_NAMED = 10


@click.command(name="checkout", short_help="Write files of what ran into a folder.")
@click.argument("what", metavar="ID", shell_complete=completion.ids)
@click.argument("path", metavar="[PATH]", default=".", type=click.Path(file_okay=False, path_type=Path))
@click.option("-f", "--force", is_flag=True, help="Replace files that are there and different.")
@click.option("--list", "only_list", is_flag=True, help="Only show which files there are.")
@click.option("--format", "form", type=click.Choice(["text", "json"]), default="text", help="json: one object per line.")
def command(what: str, path: Path, force: bool, only_list: bool, form: str) -> None:
    """Write the files of an execution, job, call node or value into PATH, the working folder by default.

    ID is the beginning of an id, `-` for the last execution or `~N` for the N-th before it. Files are those whose content was kept, as
    `capture_files = true` in section [backend] or the task option `capture_files` has it. Their paths are taken from PATH on.

    \b
    Examples:
      redun checkout - results/
      redun checkout --list 3f1a8bc5
      redun checkout 3f1a8bc5 results/
    """
    from redun.cli.render.output import show
    from redun.fetching import fetch_when_needed
    from redun.files.checkout import differing, files_of, write
    from redun.provenance import Provenance

    session = current_session()
    folder = session.find_folder()
    config = session.load_config(folder)
    with ExitStack() as stack:
        store = stack.enter_context(closing(session.open_store(folder, config)))
        if not only_list:
            stack.enter_context(fetch_when_needed(store, config, warn))
        provenance = Provenance(store)
        found = files_of(provenance, store.source, _thing(provenance, what))
        if not found:
            raise CommandError(
                f"nothing was kept of files in {what!r}: contents are kept with capture_files = true in section [backend] of "
                "redun.ini, or as a task option"
            )
        if not only_list:
            _check(found, [] if force else differing(found, store.source, path), path)
            try:
                path.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise CommandError(f"cannot make folder {str(path)!r}: {(error.strerror or str(error)).lower()}") from error
            for one in found:
                write(one, store.source, path.absolute())
        show([_line(one, form, path) for one in found])


def _check(found: list[Found], different: list[Found], path: Path) -> None:
    missing = [one.name for one in found if one.size_bytes is None]
    if missing:
        raise CommandError(f"the store does not have the content of {_names(missing)}: 'redun pull' may bring it")
    if different:
        raise CommandError(
            f"{str(path)!r} has other files under these names: {_names([one.name for one in different])}; "
            "nothing was written: give another folder, or --force to replace them"
        )


def _names(names: list[str]) -> str:
    more = f" and {len(names) - _MOST_NAMED} more" if len(names) > _MOST_NAMED else ""
    return ", ".join(map(repr, names[:_MOST_NAMED])) + more


def _line(one: Found, form: str, path: Path) -> str:
    if form == "json":
        import json

        return json.dumps({"path": one.kept.path, "file": str(path / one.name), "bytes": one.size_bytes})
    size = "content not here" if one.size_bytes is None else f"{one.size_bytes:,} bytes"
    return f"{path / one.name}  {size}"


def _thing(provenance: Provenance, name: str) -> Any:
    found = provenance.named(name, ("execution", "job", "call", "value"))
    if found is None:
        raise CommandError(f"no execution, job, call node or value has an id that begins with {name!r}: 'redun log' lists them")
    return getattr(provenance, found.kind)(found.id)
