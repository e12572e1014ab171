"""The files of something recorded, written into a folder: what `redun checkout` does.

Values are looked into without loading a class, so files of tasks that are not here, or that came from elsewhere, can be had too.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from redun.content import Content
from redun.describe import kept_states
from redun.errors import RedunError
from redun.files.restore import Kept, write_back
from redun.provenance import Call, Execution, Job, Provenance, Value
from redun.store.errors import StoreError
from redun.store.ids import is_link

CHUNK_BYTES = 1 << 20


class Found(NamedTuple):
    """A file that can be written.

    Attributes:
        name: where below the folder. kept: what the store has of it. size_bytes: None if the content is not in the store.
    """

    name: str
    kept: Kept
    size_bytes: int | None


def files_of(provenance: Provenance, source: Any, thing: Execution | Job | Call | Value) -> list[Found]:
    """List the files whose content was kept, of a value, of the result of a job or call, or of all results of an execution.

    Of a path that was written several times the last state counts. Sorted by name.

    Args:
        source: the store's.
    """
    names: dict[str, Found] = {}
    cwd = _folder_of(provenance, thing)
    for value in _values(provenance, thing):
        for kept in kept_in(value.ref, source):
            name = _name(kept.path, cwd)
            names[name] = Found(name, kept, _size(source, kept.content))
    return sorted(names.values())


def kept_in(ref: bytes, source: Any) -> Iterator[Kept]:
    """Yield the files in a value whose content was kept."""
    try:
        data = source.get(ref[1:]) if is_link(ref) else ref
    except StoreError:
        return
    for state, entries in kept_states(data, source.get):
        for path, entry in zip(state, entries, strict=False):
            try:
                content, time_ns, executable = entry
            except (TypeError, ValueError):
                continue
            if type(content) is Content and isinstance(time_ns, int | None):
                yield Kept(path, content, time_ns, executable is True)


def differing(found: Iterable[Found], source: Any, below: Path) -> list[Found]:
    """List the files of which something else is in the folder already."""
    return [one for one in found if (below / one.name).exists() and not _is_same(one, source, below / one.name)]


def write(found: Found, source: Any, below: Path) -> int:
    """Write a file below a folder; returns its size in bytes.

    Raises:
        RestoreError: its name leads out of the folder or through a link, or the disk refuses.
        StoreError: its content is not in the store.
    """
    return write_back(found.kept._replace(path=found.name), source, below)


def _values(provenance: Provenance, thing: Execution | Job | Call | Value) -> Iterator[Value]:
    if isinstance(thing, Value):
        yield thing
        return
    of: Iterable[Execution | Job | Call] = provenance.jobs(thing) if isinstance(thing, Execution) else [thing]
    for one in of:
        try:
            result = provenance.result(one)
        except RedunError:
            continue
        if result is not None:
            yield result


def _folder_of(provenance: Provenance, thing: Execution | Job | Call | Value) -> str:
    """Return the folder that absolute paths may be seen from."""
    try:
        if isinstance(thing, Job):
            return provenance.execution(thing.execution).cwd
    except RedunError:
        return ""
    return thing.cwd if isinstance(thing, Execution) else ""


def _name(path: str, cwd: str) -> str:
    text = path.removeprefix("file://")
    if cwd and text.startswith(cwd.rstrip("/") + "/"):
        text = text[len(cwd.rstrip("/")) + 1 :]
    return text.lstrip("/")


def _size(source: Any, content: Content) -> int | None:
    try:
        return len(source.view(content.oid)) - content.start
    except StoreError:
        return None


def _is_same(one: Found, source: Any, path: Path) -> bool:
    if path.is_symlink() or not path.is_file() or path.stat().st_size != one.size_bytes:
        return False
    content = memoryview(source.view(one.kept.content.oid))[one.kept.content.start :]
    with open(path, "rb") as stream:
        at = 0
        while piece := stream.read(CHUNK_BYTES):
            if piece != content[at : at + len(piece)]:
                return False
            at += len(piece)
    return at == len(content)
