"""Which options are in force, and where each comes from: files with their lines, the environment, or redun itself."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from redun.config import Config
from redun.config_section import DEFAULT
from redun.evaluation.status import DEFAULT_STATUS_INTERVAL_S

_DEFAULTS = {
    "backend": {"path": "store"},
    "scheduler": {"job_status_interval": str(DEFAULT_STATUS_INTERVAL_S)},
    "executors.default": {"type": "local", "max_workers": "20"},
}
_HEAD = re.compile(r"\[(.+)\]")
_OPTION = re.compile(r"([^\s#;=:\[][^=:]*?)\s*[=:]")
_SECRET = re.compile(r"password|passwd|secret|token|api_?key|credential", re.IGNORECASE)


class Setting(NamedTuple):
    """An option in force.

    Attributes:
        section, option: where it stands.
        value: its text, interpolated; `***` if its name says that it is secret.
        origin: file and line, `default`, and the environment variables that went into it.
    """

    section: str
    option: str
    value: str
    origin: str


def settings(config: Config) -> Iterator[Setting]:
    """Yield what is in force, by section: what the files say, then what they leave to redun."""
    lines: dict[str, dict[tuple[str, str], int]] = {}
    there = {section.name: section for section in config.sections()}
    for name in [*there, *[name for name in _DEFAULTS if name not in there]]:
        section = there.get(name)
        if section is not None:
            source = config.source_of(name)
            if source not in lines:
                lines[source] = _lines_of(source)
            for option, text in section.texts.items():
                value = "***" if _SECRET.search(option) else section[option]
                yield Setting(
                    name, option, value, _origin(source, lines[source].get((name, option)), text, section.environment(text))
                )
        for option, value in _DEFAULTS.get(name, {}).items():
            if section is None or option not in section:
                yield Setting(name, option, value, "default")
            elif option not in section.texts:
                yield Setting(name, option, section[option], f"[{DEFAULT}] of {config.source}")


def _origin(source: str, line: int | None, text: str, variables: list[str]) -> str:
    place = source if line is None else f"{source}:{line}"
    return f"{place}, environment {', '.join(variables)}" if variables else place


def _lines_of(source: str) -> dict[tuple[str, str], int]:
    """Return (section, option) -> number of the line where a file says it."""
    try:
        text = Path(source).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        # Not from a file, or the file has gone since.
        return {}
    found = {}
    section = ""
    for number, line in enumerate(text.splitlines(), 1):
        head = _HEAD.match(line)
        option = _OPTION.match(line)
        if head is not None:
            section = head[1]
        elif option is not None:
            found[section, option[1]] = number
    return found
