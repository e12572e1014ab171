"""Parts of values that classes tell of by `iter_subvalues`: recorded and found, but no part of the hash."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest

from redun import File, Scheduler, task
from redun.content import KEPT, Content
from redun.describe import subvalues, type_name
from redun.encoding import ValueEncoder, restore, value_bytes, value_id, value_ref
from redun.file import Dir, IDir, IFileSet
from redun.provenance import Provenance
from redun.provenance.values import ValueReader
from redun.store.ids import link_ref, object_id
from redun.store.objects import Flag
from redun.value import ProxyValue, Value, get_type_registry

registry = get_type_registry()


class Report(Value):
    """Yields a file that its state does not hold."""

    type_name = "tests.subvalues.Report"

    def __init__(self, path: str) -> None:
        self.path = path

    def iter_subvalues(self) -> Iterator[Value]:
        yield self
        yield File(self.path)


class Held(Value):
    type_name = "tests.subvalues.Held"

    def __init__(self, files: list[File]) -> None:
        self.files = files

    def iter_subvalues(self) -> Iterator[Value]:
        return iter(self.files)


class Writing(Report):
    type_name = "tests.subvalues.Writing"

    def serialize(self) -> bytes:
        return self.path.encode()

    @classmethod
    def deserialize(cls, raw_type: Any, data: bytes) -> Any:
        return raw_type(data.decode())


class Foreign:
    def __init__(self, path: str) -> None:
        self.path = path


class ForeignProxy(ProxyValue):
    type = Foreign
    type_name = "tests.subvalues.Foreign"

    def iter_subvalues(self) -> Iterator[Value]:
        yield File(self.instance.path)


class Broken(Value):
    type_name = "tests.subvalues.Broken"

    def iter_subvalues(self) -> Iterator[Value]:
        raise RuntimeError("no")


KINDS: dict[str, Any] = {
    "state": lambda: Report("a.txt"),
    "held": lambda: Held([File("a.txt")]),
    "bytes": lambda: Writing("a.txt"),
    "proxy": lambda: Foreign("a.txt"),
    "folder": lambda: IDir("folder"),
    "set": lambda: IFileSet("folder/*.txt"),
}
OUTSIDE = ("state", "bytes", "proxy", "folder", "set")


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    Path("a.txt").write_text("a")
    Path("folder").mkdir()
    Path("folder/b.txt").write_text("b")
    return tmp_path


def files_in(value: Any) -> list[str]:
    parts: dict[bytes, bytes] = {}
    data = ValueEncoder(parts.__setitem__).object(value)
    assert data[3] & Flag.SUBVALUES
    return [type_name(item, parts.__getitem__) for name, item in subvalues(data, parts.__getitem__) if name.endswith("File")]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("wrap", [lambda x: x, lambda x: [x, {"k": 1}]])
def test_parts_are_recorded_with_the_value(kind: str, wrap: Any) -> None:
    assert len(files_in(wrap(KINDS[kind]()))) == 1


@pytest.mark.parametrize("kind", KINDS)
def test_a_value_comes_back_with_its_parts(kind: str) -> None:
    value = KINDS[kind]()
    back = restore(value_bytes(value))
    assert type(back) is type(value)
    assert value_ref(back) == value_ref(value)
    assert registry.get_hash(back) == registry.get_hash(value)


@pytest.mark.parametrize("kind", OUTSIDE)
def test_parts_do_not_count(kind: str) -> None:
    hashes, keys, refs = set(), set(), set()
    for content in ("a", "longer", "longer still"):
        Path("a.txt").write_text(content)
        Path(f"folder/{content}.txt").write_text(content)
        value = KINDS[kind]()
        encoder = ValueEncoder()
        ref = encoder.encode([value])
        refs.add(ref)
        keys.add(encoder.key([value], ref))
        hashes.add(registry.get_hash(value))
    assert (len(hashes), len(keys), len(refs)) == (1, 1, 3)


def test_the_hash_is_that_of_a_value_without_parts() -> None:
    Path("folder/b.txt").unlink()
    assert IDir("folder").hash == value_id(IDir("folder")).hex()
    before = IDir("folder").hash
    Path("folder/c.txt").write_text("c")
    assert IDir("folder").hash == before != value_id(IDir("folder")).hex()


def test_sets_that_count_by_their_files_hold_them_once() -> None:
    assert len(files_in(Dir("folder"))) == 1
    assert Dir("folder").hash == value_id(Dir("folder")).hex()


def test_a_value_is_as_valid_as_its_parts() -> None:
    held = restore(value_bytes(Held([File("a.txt")])))
    assert registry.is_valid(held)
    os.remove("a.txt")
    assert not registry.is_valid(held)
    assert registry.is_valid(restore(value_bytes(IDir("folder"))))


def test_a_class_that_fails_to_tell_is_said_once(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, logger="redun"):
        for _ in range(3):
            assert type(restore(value_bytes(Broken()))) is Broken
    assert [record.getMessage() for record in caplog.records] == [
        "the parts of a 'tests.unit.test_subvalues.Broken' cannot be had, so none is recorded: RuntimeError('no')"
    ]


@task(namespace="tests.subvalues")
def make(kind: str) -> Any:
    return KINDS[kind]()


@task(namespace="tests.subvalues")
def use(value: Any) -> str:
    return type(value).__name__


@pytest.mark.parametrize("kind", KINDS)
def test_parts_lead_to_the_job_that_made_them(kind: str) -> None:
    scheduler = Scheduler(logger=False)
    expected = type(KINDS[kind]()).__name__
    assert scheduler.run(use(make(kind))) == expected
    path = "folder/b.txt" if kind in ("folder", "set") else "a.txt"
    provenance = Provenance(scheduler.store)
    (found,) = provenance.file(path)
    assert (found.reads, found.writes) == (True, True)
    assert {provenance.call(one).task_name for one in provenance.producing(found.value)} == {"tests.subvalues.make"}
    assert scheduler.run(use(make(kind)), dryrun=True) == expected


class Signed(File):
    """A file whose state holds more than text: a time, a tuple, a set, a value of a class."""

    type_name = "tests.subvalues.Signed"

    def __getstate__(self) -> dict[str, Any]:
        return {
            "when": datetime(2026, 1, 2, tzinfo=timezone.utc),
            "by": ("a", 1, -0.0),
            **super().__getstate__(),
            "rest": [{2, 1}, {3: b"x"}, 1 << 80, Held([])],
        }


def test_a_file_with_a_rich_state_is_found_by_its_id_when_its_content_is_kept() -> None:
    plain, kept = Signed("a.txt"), Signed("a.txt")
    assert plain.stamp == kept.stamp
    kept.kept = [Content.small(b"a"), None, False]
    parts: dict[bytes, bytes] = {}
    data = ValueEncoder(parts.__setitem__).object([kept])
    (name, found), *_ = subvalues(data, parts.__getitem__)
    assert name == Signed.type_name
    assert KEPT.encode() in data
    assert found == ValueEncoder().object(plain)
    assert subvalues(ValueEncoder().object([plain]), parts.__getitem__)[0] == (name, found)
    # So `redun log` finds by its id what made or used it.
    parts[object_id(data)] = data
    assert ValueReader(parts.__getitem__).holds(link_ref(object_id(data)), object_id(found))
