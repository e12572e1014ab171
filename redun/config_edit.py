"""Sections of a redun.ini added and removed without touching a byte of the rest: comments, order and spaces are the user's."""

from __future__ import annotations

import contextlib
import os
import re
import tempfile
from collections.abc import Mapping
from pathlib import Path

from redun.errors import ConfigError

_HEADER = re.compile(r"\s*\[([^\]]*)\]")


def add_section(path: Path, name: str, options: Mapping[str, str]) -> None:
    """Add a section at the end of a file; it is made if it is not there.

    Args:
        options: name -> text; a `$` in it is written so that it stays one.

    Raises:
        ConfigError: the file has that section already, or cannot be written.
    """
    text = _read(path)
    if name in _sections(text):
        raise ConfigError(f"{path}: section [{name}] is there already: change it there, or remove it first")
    lines = [f"[{name}]"] + [f"{option} = {_escaped(value)}" for option, value in options.items()]
    gap = "" if not text else "\n" if text.endswith("\n") else "\n\n"
    _write(path, text + gap + "\n".join(lines) + "\n")


def remove_section(path: Path, name: str) -> bool:
    """Remove a section, and the empty lines before it; comments above its header stay.

    Returns:
        False if the file has no such section.

    Raises:
        ConfigError: the file cannot be read or written.
    """
    lines = _read(path).splitlines(keepends=True)
    start = next((at for at, line in enumerate(lines) if _header(line) == name), None)
    if start is None:
        return False
    end = next((at for at in range(start + 1, len(lines)) if _header(lines[at]) is not None), len(lines))
    # What stands between the last option and the next section belongs to that one.
    last = max(at for at in range(start, end) if lines[at].strip() and not lines[at].lstrip().startswith(("#", ";")))
    before = start
    while before and not lines[before - 1].strip():
        before -= 1
    rest = lines[last + 1 :]
    kept = lines[:before]
    if kept and rest and rest[0].strip():
        kept.append("\n")
    _write(path, "".join(kept + rest))
    return True


def set_option(path: Path, section: str, option: str, value: str) -> None:
    """Set an option, in its line if it has one (with the indented lines that go on from it), else at the head of its section.

    Args:
        section: added at the end if the file has none of that name.
        value: empty to remove the option.

    Raises:
        ConfigError: the file cannot be read or written.
    """
    text = _read(path)
    if section not in _sections(text):
        if value:
            add_section(path, section, {option: value})
        return
    lines = text.splitlines(keepends=True)
    start = next(at for at, line in enumerate(lines) if _header(line) == section)
    end = next((at for at in range(start + 1, len(lines)) if _header(lines[at]) is not None), len(lines))
    new = [f"{option} = {_escaped(value)}\n"] if value else []
    for at in range(start + 1, end):
        if re.match(rf"{re.escape(option)}\s*[=:]", lines[at]):
            after = at + 1
            while after < end and lines[after][:1].isspace() and lines[after].strip():
                after += 1
            lines[at:after] = new
            break
    else:
        if not lines[start].endswith("\n"):
            lines[start] += "\n"
        lines[start + 1 : start + 1] = new
    _write(path, "".join(lines))


def _sections(text: str) -> set[str]:
    return {found for line in text.splitlines() if (found := _header(line)) is not None}


def _header(line: str) -> str | None:
    # An option's text may go on in an indented line that begins with a bracket.
    found = _HEADER.match(line) if not line[:1].isspace() else None
    return found[1] if found else None


def _escaped(value: str) -> str:
    if "\n" in value or "\r" in value:
        raise ConfigError(f"an option of a configuration cannot hold the line break in {value!r}")
    return value.replace("$", "$$")


def _read(path: Path) -> str:
    try:
        with open(path, encoding="utf-8", newline="") as file:
            return file.read()
    except FileNotFoundError:
        return ""
    except OSError as error:
        raise ConfigError(f"configuration {str(path)!r} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"configuration {str(path)!r} is not UTF-8 text: {error.reason} at byte {error.start}") from error


def _write(path: Path, text: str) -> None:
    target = Path(os.path.realpath(path))
    try:
        mode = target.stat().st_mode & 0o777 if target.exists() else target.parent.stat().st_mode & 0o666
        number, temporary = tempfile.mkstemp(prefix=f"{target.name}.", suffix=".partial", dir=target.parent)
        try:
            with open(number, "w", encoding="utf-8", newline="") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            os.chmod(temporary, mode)
            os.replace(temporary, target)
        except BaseException:
            with contextlib.suppress(OSError):
                os.unlink(temporary)
            raise
    except OSError as error:
        raise ConfigError(f"configuration {str(path)!r} cannot be written: {error.strerror}") from error
