"""The documents against the code: numbers of the format, paths of modules, examples."""

from __future__ import annotations

import importlib
import importlib.util
import re
from enum import IntEnum
from pathlib import Path
from typing import Any

import pytest

import redun.library
import redun.scheduler  # noqa: F401
from redun.decoding import ValueDecoder
from redun.extensions import UserExt
from redun.store.ids import INLINE_MAX
from redun.store.journal import Status
from redun.store.objects import FORMAT_VERSION, Codec, Flag, Kind
from redun.store.plain_types import Ext
from redun.store.rows import BLOB_ABOVE
from redun.store.upgrades import STORE_FORMAT
from redun.task import get_task_registry
from redun.value import get_type_registry

ROOT = Path(__file__).resolve().parents[2]
DOCS = sorted((ROOT / "docs").rglob("*.md"))
FORMAT = (ROOT / "docs" / "format.md").read_text()

_ROW = re.compile(r"^\| (\d+) \| `([A-Z]+)` \|(?: ([^|]*) \|)?", re.MULTILINE)
_TABLE = re.compile(r"(?:^\|.*\n)+", re.MULTILINE)
_PATH = re.compile(r"`((?:redun|store|cli|tests|docs|bench|examples)/[\w./-]*)`")
_MODULE = re.compile(r"`(redun(?:\.\w+)+)`")
_LINK = re.compile(r"\]\(([^)#]+)(?:#[^)]*)?\)")
_EXAMPLE = re.compile(r"^```python\n(.*?)^```", re.MULTILINE | re.DOTALL)


def numbers(heading: str) -> dict[str, int]:
    """Name -> number of the one table in the format page whose header begins so."""
    (table,) = [table for table in _TABLE.findall(FORMAT) if table.startswith(f"| {heading} |")]
    rows = _ROW.findall(table)
    assert len(rows) == len(table.splitlines()) - 2, "each row of the table states one number and one name"
    return {name: int(number) for number, name, _ in rows}


def members(*enums: type[IntEnum]) -> dict[str, int]:
    return {member.name: int(member) for enum in enums for member in enum}


@pytest.mark.parametrize(
    ("heading", "expected"),
    [
        ("number", members(Ext, UserExt)),
        ("kind", members(Kind)),
        ("codec", members(Codec)),
        ("status", members(Status)),
        ("flag", {name: value for name, value in vars(Flag).items() if name.isupper()}),
    ],
)
def test_numbers_are_those_of_the_code(heading: str, expected: dict[str, int]) -> None:
    assert numbers(heading) == expected


def test_extensions_have_the_stated_form() -> None:
    maker = ValueDecoder({}.__getitem__).decoder.maker
    stated = {int(number): form for number, _, form in _ROW.findall(FORMAT) if form in ("bytes", "state")}
    assert stated == {int(code): "bytes" if maker(code)[0] else "state" for code in (*Ext, *UserExt)}


def test_limits_and_versions_are_those_of_the_code() -> None:
    assert f"at most {INLINE_MAX} bytes" in FORMAT
    assert f"more than {BLOB_ABOVE:,} bytes" in FORMAT
    assert (
        f"version of objects (third byte of each, {FORMAT_VERSION}) and the format of the store (`meta`, {STORE_FORMAT})"
        in FORMAT
    )


@pytest.mark.parametrize("page", DOCS, ids=lambda page: page.name)
def test_paths_and_links_exist(page: Path) -> None:
    text = page.read_text()
    missing = [path for path in _PATH.findall(text) if not (ROOT / path).exists()]
    missing += [link for link in _LINK.findall(text) if "://" not in link and not (page.parent / link).exists()]
    assert missing == []


def test_the_tour_names_many_modules() -> None:
    """Or the test above would pass on an empty page."""
    assert len(set(_PATH.findall((ROOT / "docs" / "design.md").read_text()))) > 50


NOT_THERE: frozenset[str] = frozenset()
"""What docs/semantics.md names as not there yet."""


@pytest.mark.parametrize("page", DOCS, ids=lambda page: page.name)
def test_modules_named_with_dots_exist(page: Path) -> None:
    named = [
        name
        for name in _MODULE.findall(page.read_text())
        if name not in NOT_THERE and not name.endswith((".ini", ".root_task"))
    ]
    unknown = [name for name in named if not (is_module(name) or is_attribute(name) or is_type_name(name))]
    assert unknown == []


def test_what_is_said_not_to_be_there_is_not() -> None:
    found = {name for name in NOT_THERE if is_module(name) or is_attribute(name)}
    assert found == set(), "docs/semantics.md has to be brought up to date"


def is_module(name: str) -> bool:
    try:
        return importlib.util.find_spec(name) is not None
    except ModuleNotFoundError:
        return False


def is_attribute(name: str) -> bool:
    module, _, attribute = name.rpartition(".")
    return is_module(module) and hasattr(importlib.import_module(module), attribute)


def is_type_name(name: str) -> bool:
    return get_type_registry().by_name(name) is not None


def examples() -> list[Any]:
    return [
        pytest.param(page, text, id=f"{page.name}-{place}")
        for page in DOCS
        for place, text in enumerate(_EXAMPLE.findall(page.read_text()))
    ]


@pytest.mark.parametrize(("page", "text"), examples())
def test_examples_run(page: Path, text: str, tmp_path: Path) -> None:
    # A task's source is read from a file.
    script = tmp_path / "example.py"
    script.write_text(text)
    registry = get_task_registry()
    before = dict(registry._tasks)
    try:
        exec(compile(text, str(script), "exec"), {"__name__": "docs_example"})
    finally:
        # Whoever looks for the modules of all tasks next must not look for one of that name.
        registry._tasks.clear()
        registry._tasks.update(before)


def test_there_are_examples_of_both_kinds() -> None:
    assert {param.values[0].name for param in examples()} >= {"format.md", "semantics.md"}
