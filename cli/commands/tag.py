"""`redun tag`: look at the tags of executions, jobs, calls, tasks and values, and change them."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import TYPE_CHECKING, Any

import click

from redun.cli import completion
from redun.cli.errors import CommandError
from redun.cli.session import current_session
from redun.cli.tags import read_tag, wanted_tags

if TYPE_CHECKING:
    from redun.provenance import Provenance
    from redun.tag_records import Pair, TagRecord

_NAMES = {"execution": "Execution", "job": "Job", "call": "CallNode", "task": "Task", "value": "Value"}
_KEY_WIDTH = 10
_PAIR_WIDTH = 30
_ID_DIGITS = 6
"""A word of fewer digits after the first one, like `a`, is a key of `tag rm` and no id."""


@click.group(name="tag", short_help="List, add, change and remove tags of what ran.")
def command() -> None:
    """List, add, change and remove tags of executions, jobs, call nodes, tasks, values and files.

    An ENTITY is the beginning of an id, `-` for the last execution, or a file. VALUE is a number, true, false, null, JSON that begins
    with [, { or ", else text. Nothing is lost by a change: `tag list --history ENTITY` shows all that was ever said.

    \b
    Examples:
      redun tag list                        which tags there are
      redun tag list env=prod               what has this tag
      redun tag add - env=prod reviewed=true
      redun tag update 3f1a8bc5 env=test    instead of all values of env
      redun tag rm 3f1a8bc5 env
    """


@command.command(name="list")
@click.option("--values", is_flag=True, help="Show values too, not only keys.")
@click.option(
    "--history",
    "entity",
    metavar="ENTITY",
    shell_complete=completion.ids,
    help="Show all that was ever said of this, what was removed too.",
)
@click.argument("wanted", nargs=-1, callback=wanted_tags, metavar="[KEY[=VALUE] ...]")
def list_command(values: bool, entity: str | None, wanted: tuple[tuple[str, Any], ...]) -> None:
    """List the tags that there are, or what has all of the given ones.

    \b
    Examples:
      redun tag list
      redun tag list env=prod
    """
    from redun.cli.render.output import show
    from redun.cli.render.selection import KINDS, Filters, Form, LogView
    from redun.provenance import Provenance, entity_of

    with closing(current_session().open_store()) as store:
        provenance = Provenance(store)
        view = LogView(provenance, Form())
        if entity is not None:
            record = view.find(entity)
            kind, found = entity_of(record)
            show(_history_lines(kind, found, provenance.tags.history(record), wanted), pager=True)
        elif wanted and not values:
            kinds = [kind for kind in KINDS if kind != "file"]
            show(view.lines(None, kinds, Filters(tag=wanted)), colours=current_session().wants_colour(sys.stdout))
        else:
            show(_count_lines(provenance, values, wanted), pager=True)


def _count_lines(provenance: Provenance, values: bool, wanted: tuple[tuple[str, Any], ...]) -> Iterator[str]:
    """Yield `key=value   (2 Execution, 1 Job)`, by key."""
    from redun.provenance import matches
    from redun.tags import format_tag_key_value

    counts: dict[tuple[str, str], Counter[str]] = {}
    for kind, _, pairs in provenance.tags.all():
        for key, value in pairs:
            if wanted and not any(matches([(key, value)], [one]) for one in wanted):
                continue
            shown = format_tag_key_value(key, value) if values else key
            counts.setdefault((key, shown), Counter())[_NAMES[kind]] += 1
    yield "Tags:"
    for (_, shown), by_kind in sorted(counts.items()):
        told = ", ".join([f"{count} {kind}" for kind, count in sorted(by_kind.items())])
        yield f"  {shown:<{_PAIR_WIDTH if values else _KEY_WIDTH}} ({told})"


def _history_lines(kind: str, entity: bytes, said: list[TagRecord], wanted: tuple[tuple[str, Any], ...]) -> Iterator[str]:
    from redun.cli.render.words import local_time
    from redun.provenance import matches
    from redun.tag_records import newest
    from redun.tags import format_tag_key_value

    yield f"{_NAMES[kind]} {_name(kind, entity)}"
    by_id = {record.id: record for record in said}
    holds = newest(said)
    for tag_id, record in by_id.items():
        about = [_pair(tag) for tag in (record, *[by_id[parent] for parent in record.parents if parent in by_id])]
        if wanted and not any(matches(about, [one]) for one in wanted):
            continue
        when = "run" + " " * 16 if record.time_us is None else local_time(record.time_us)
        parents = [by_id[parent] for parent in record.parents if parent in by_id]
        replaced = sorted([format_tag_key_value(*_pair(parent)) for parent in parents if parent.key is not None])
        if record.key is None:
            yield f"  {when}   rm  {', '.join(replaced)}{_by(record)}"
            continue
        mark = "*" if tag_id in holds else " "
        instead = f" instead of {', '.join(replaced)}" if replaced else ""
        yield f"  {when} {mark} add {format_tag_key_value(*_pair(record))}{instead}{_by(record)}"
    yield ""
    yield "* holds now"


def _pair(record: TagRecord) -> Pair:
    return record.key or "", record.value


def _by(record: TagRecord) -> str:
    return f" (by {record.by})" if record.by else ""


def _name(kind: str, entity: bytes) -> str:
    from uuid import UUID

    return str(UUID(bytes=entity)) if len(entity) == 16 else entity.hex()


@command.command(name="add")
@click.argument("words", nargs=-1, metavar="ENTITY ... KEY=VALUE ...", shell_complete=completion.ids)
def add_command(words: tuple[str, ...]) -> None:
    """Add tags. A key may have several values.

    \b
    Example:
      redun tag add 3f1a8bc5 env=prod 'people=["ada"]'
    """
    _change("add", words, lambda editor: editor.add)


@command.command(name="update")
@click.argument("words", nargs=-1, metavar="ENTITY ... KEY=VALUE ...", shell_complete=completion.ids)
def update_command(words: tuple[str, ...]) -> None:
    """Give keys new values in place of all that they have.

    \b
    Example:
      redun tag update 3f1a8bc5 env=test
    """
    _change("update", words, lambda editor: editor.update)


@command.command(name="rm")
@click.argument("words", nargs=-1, metavar="ENTITY ... KEY[=VALUE] ...", shell_complete=completion.ids)
def rm_command(words: tuple[str, ...]) -> None:
    """Remove tags; a key alone removes all of its values.

    \b
    Example:
      redun tag rm 3f1a8bc5 env=prod
    """
    _change("delete", words, lambda editor: editor.remove)


def _change(verb: str, words: tuple[str, ...], method: Callable[[Any], Callable[..., Any]]) -> None:
    from redun.cli.default_tags import user_name
    from redun.cli.render.selection import Form, LogView
    from redun.provenance import Provenance, entity_of
    from redun.tag_edits import TagEditor

    names, pairs = split_words(words, keys_alone=verb == "delete")
    with closing(current_session().open_store(write=True)) as store:
        view = LogView(Provenance(store), Form())
        # All must be found before anything is changed.
        entities = list(dict.fromkeys([entity_of(view.find(name)) for name in names]))
        editor = TagEditor(store, user_name() or "")
        for kind, entity in entities:
            method(editor)(kind, entity, pairs)
            click.echo(f"{verb} tag {_NAMES[kind]}:{_name(kind, entity)} {' '.join([_text(*pair) for pair in pairs])}")


def _text(key: str, value: Any) -> str:
    import json

    from redun.tags import ANY_VALUE

    return key if value is ANY_VALUE else f"{key}={json.dumps(value)}"


def split_words(words: tuple[str, ...], keys_alone: bool) -> tuple[list[str], list[tuple[str, Any]]]:
    """Tell the entities from the tags: they end at the first word with `=`, or at `--`.

    Args:
        keys_alone: a tag may be a key alone.

    Raises:
        CommandError: a word is no tag.
        click.UsageError: there is no entity or no tag.
    """
    from redun.provenance import is_id_prefix

    names = list(words[:1])
    rest = list(words[1:])
    while rest and "=" not in rest[0]:
        word = rest[0]
        if keys_alone and word != "-" and not word.startswith("~") and not (len(word) >= _ID_DIGITS and is_id_prefix(word)):
            break
        names.append(rest.pop(0))
    if not names or "=" in names[0]:
        raise click.UsageError("expected the beginning of an id, '-' or a file, then tags such as env=prod")
    if not rest:
        raise click.UsageError(f"expected tags such as env=prod after {' '.join(map(repr, names))}")
    try:
        return names, [read_tag(word, value_required=not keys_alone) for word in rest]
    except ValueError as error:
        raise CommandError(f"cannot read tag: {error}") from None
