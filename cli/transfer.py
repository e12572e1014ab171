"""What push and pull show: a line that moves on a terminal, sizes and rates, and the options both have."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import click

from redun.remotes import parse_rate

if TYPE_CHECKING:
    from redun.remotes import Repo
    from redun.store.remote.pull import Pulled
    from redun.store.remote.push import Pushed

F = TypeVar("F", bound=Callable[..., Any])
_EVERY_S = 0.2


def format_size(count: float) -> str:
    """Return a number of bytes as people say it."""
    for unit, size in (("GB", 1e9), ("MB", 1e6), ("KB", 1e3)):
        if count >= size:
            return f"{count / size:.1f} {unit}"
    return f"{int(count)} bytes" if count != 1 else "1 byte"


def plural(count: int, word: str) -> str:
    """Return `1 object`, `2,000 objects`."""
    return f"{count:,} {word}{'' if count == 1 else 's'}"


class TransferProgress:
    """Counts what is packed or stored, and what travels; on a terminal a line of standard error shows it.

    Args:
        verb: what is going on, such as "pushing".
        travelled: returns the bytes that travelled so far.
        show: None shows it on terminals only.
    """

    def __init__(self, verb: str, travelled: Callable[[], int], show: bool | None = None) -> None:
        self._verb = verb
        self._travelled = travelled
        self._show = sys.stderr.isatty() if show is None else show
        self._start = time.monotonic()
        self._next = self._start + _EVERY_S
        self._shown = False
        self.objects = 0
        self.bytes = 0

    def __call__(self, objects: int, size: int) -> None:
        """Count objects and their bytes."""
        self.objects += objects
        self.bytes += size
        if self._show and time.monotonic() >= self._next:
            self._next = time.monotonic() + _EVERY_S
            self._write(self.line())
            self._shown = True

    def line(self) -> str:
        """Return where it stands."""
        rate = self._travelled() / max(self.seconds, 1e-3)
        return f"{self._verb}: {plural(self.objects, 'object')}, {format_size(self.bytes)}, {format_size(rate)}/s"

    @property
    def seconds(self) -> float:
        """How long it has taken."""
        return time.monotonic() - self._start

    def _write(self, text: str) -> None:
        try:
            sys.stderr.write(f"\r\x1b[K{text}")
            sys.stderr.flush()
        except OSError:
            self._show = False

    def clear(self) -> None:
        """Take the line away."""
        if self._shown:
            self._write("")


def _rate(context: click.Context, parameter: click.Parameter, text: str | None) -> float | None:
    if text is None:
        return None
    try:
        return parse_rate(text)
    except ValueError as error:
        raise click.BadParameter(str(error)) from None


def transfer_options(command: F) -> F:
    """Add the options that push and pull have in common."""
    for option in (
        click.option(
            "--format", "form", type=click.Choice(["text", "json"]), default="text", help="How to tell what was done."
        ),
        click.option("--bandwidth", callback=_rate, metavar="RATE", help="Bytes a second at most, such as 500k or 10MB."),
        click.option("-j", "--jobs", type=click.IntRange(1, 256), help="Requests at once; 8 by default."),
        click.option("-n", "--dry-run", is_flag=True, help="Only tell what would travel."),
    ):
        command = option(command)
    return command


def transfer_record(repo: Repo, done: Pushed | Pulled, dry_run: bool, seconds: float) -> dict[str, Any]:
    """Return what push and pull alike tell in JSON."""
    return {
        "repo": repo.name,
        "place": repo.place,
        "dry_run": dry_run,
        "refs": done.refs,
        "objects": done.objects,
        "bytes": done.raw_bytes,
        "kept": done.kept,
        "seconds": round(seconds, 3),
    }


def split_repo(words: tuple[str, ...], names: list[str], is_place: Callable[[str], bool]) -> tuple[str, tuple[str, ...]]:
    """Return the repo and the ids of `[REPO] [ID ...]`; the repo may be left out if there is only one.

    Raises:
        click.UsageError: no repo is named, and there is not exactly one.
    """
    if words and (words[0] in names or is_place(words[0])):
        return words[0], words[1:]
    if len(names) == 1:
        return names[0], words
    if not names:
        raise click.UsageError("no repo is configured: 'redun repo add NAME URL' adds one, or name a URL")
    named = f"{words[0]!r} is none of them" if words else "name one of them"
    raise click.UsageError(f"there are several repos, {', '.join(names)}: {named}")
