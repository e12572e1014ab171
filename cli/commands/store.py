"""`redun store`: what a store holds, and making its file smaller."""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import closing
from typing import TYPE_CHECKING, Any

import click

from redun.cli.commands.gc import census_json
from redun.cli.progress import progress
from redun.cli.render.words import size_text
from redun.cli.session import current_session

if TYPE_CHECKING:
    from redun.store_report import StoreReport


@click.group(name="store", short_help="Show what the store holds; make its file smaller.")
def command() -> None:
    """Look after the store.

    \b
    Examples:
      redun store info
      redun store compact
    """


@command.command(name="info")
@click.option(
    "--most", type=click.IntRange(min=0), default=10, metavar="N", help="How many values, tasks and executions to name."
)
@click.option("--format", "form", type=click.Choice(["text", "json"]), default="text", help="json: one object.")
def info_command(most: int, form: str) -> None:
    """Show what the store holds: objects and bytes by kind, the largest values and tasks, what each execution added, free space.

    \b
    Examples:
      redun store info
      redun store info --format json
    """
    from redun.store_report import report

    with closing(current_session().open_store()) as store, progress() as told:
        found = report(store, most, told)
    if form == "json":
        click.echo(json.dumps(_as_json(found)))
        return
    for line in _lines(found):
        click.echo(line)


def _lines(found: StoreReport) -> list[str]:
    from redun.cli.render.words import local_time

    count, size = found.census.total
    free = max(0, found.file_size - found.file_used)
    lines = [
        f"store: {found.folder} (format {found.format})",
        f"data.mdb: {size_text(found.file_size)}, {size_text(free)} of it free; files beside it: {size_text(found.blobs_size)}",
        "",
    ]
    rows = [(kind, f"{number:,}", size_text(total)) for kind, (number, total) in sorted(found.census.kinds.items())]
    rows += [("all objects", f"{count:,}", size_text(size))]
    rows += [("  of them files", f"{found.census.files[0]:,}", size_text(found.census.files[1]))]
    rows += [("  unreachable", f"{found.unreached[0]:,}", size_text(found.unreached[1]))]
    rows += [("memo rows", f"{found.census.memo:,}", ""), ("executions", f"{found.census.executions:,}", "")]
    if found.census.dropped:
        rows += [("dropped values", f"{found.census.dropped:,}", "")]
    lines += _table(rows)
    if found.values:
        lines += [
            "",
            "largest values:",
            *_table([(one.id[:8], size_text(one.size), ", ".join(one.tasks)) for one in found.values]),
        ]
    if found.tasks:
        lines += ["", "largest results by task:"]
        lines += _table([(size_text(total), f"{number:,}", name) for name, number, total in found.tasks])
    if found.growth:
        lines += ["", "added by execution:"]
        lines += _table(
            [
                (one.execution[:8], local_time(one.start_us), f"{one.objects:,}", size_text(one.size), " ".join(one.argv)[:60])
                for one in found.growth
            ]
        )
    return lines


def _table(rows: Sequence[tuple[str, ...]]) -> list[str]:
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    numeric = [
        all(not row[column] or row[column][0].isdigit() for row in rows) and column > 0 for column in range(len(rows[0]))
    ]
    return [
        "  "
        + "  ".join(
            [
                f"{cell:>{width}}" if right else f"{cell:<{width}}"
                for cell, width, right in zip(row, widths, numeric, strict=True)
            ]
        ).rstrip()
        for row in rows
    ]


def _as_json(found: StoreReport) -> dict[str, Any]:
    return {
        "folder": found.folder,
        "format": found.format,
        **census_json(found.census),
        "file": {"bytes": found.file_size, "used": found.file_used, "free": max(0, found.file_size - found.file_used)},
        "blobs": found.blobs_size,
        "unreachable": {"objects": found.unreached[0], "bytes": found.unreached[1]},
        "largest_values": [{"value": one.id, "bytes": one.size, "tasks": one.tasks} for one in found.values],
        "largest_tasks": [{"task": name, "results": number, "bytes": total} for name, number, total in found.tasks],
        "growth": [
            {
                "execution": one.execution,
                "objects": one.objects,
                "bytes": one.size,
                "start": one.start_us,
                "argv": list(one.argv),
            }
            for one in found.growth
        ],
    }


@command.command(name="compact")
@click.option("--format", "form", type=click.Choice(["text", "json"]), default="text", help="json: one object.")
def compact_command(form: str) -> None:
    """Write data.mdb anew without the free space in it. Nobody else may use the store meanwhile.

    \b
    Example:
      redun store compact
    """
    with closing(current_session().open_store(write=True)) as store:
        before, after = store.compact()
    if form == "json":
        click.echo(json.dumps({"before": before, "after": after}))
    else:
        click.echo(f"data.mdb: {size_text(before)} before, {size_text(after)} after")
