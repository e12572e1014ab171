"""The power goes at a random moment of runs, imports, garbage collections, upgrades and repairs: the store is whole, acknowledged runs stay."""

from __future__ import annotations

import json
import os
import random
import shutil
import sys
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from redun.fsck import check, repair
from redun.store.journal import decode_extra
from redun.store.repository import Store

from . import power
from .faulty_disk import build, run_program, run_under

ROUNDS = int(os.environ.get("REDUN_FAULT_ROUNDS", "30"))
GOLDEN = Path(__file__).resolve().parents[1] / "golden"


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(tmp_path_factory.mktemp("shim"))


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "root").mkdir()
    return tmp_path / "root"


def is_whole(folder: Path, acknowledged: list[str]) -> None:
    if not (folder / "data.mdb").exists():
        assert not acknowledged, "the store is gone"
        return
    report = check(folder, full=True)
    assert report.verdict == "sound", report.found
    with Store.open(folder) as store:
        for name in acknowledged:
            head = store.source.read_ref(name)
            assert head is not None, f"{name} was acknowledged"
            assert any(key == "end" for key, _ in decode_extra(store.source.get(head))), f"the end of {name} was acknowledged"


def each_cut(root: Path, log: Path, count: int, look: Callable[[Path, list[str]], None], initial: Path | None = None) -> None:
    dice = random.Random(int(os.environ.get("REDUN_FAULT_SEED", "1")))
    changes = power.read_log(log, root)
    assert len(changes) > 20
    for number, (disk, acks) in enumerate(power.cuts(changes, dice, count, initial)):
        after = root.parent / f"cut{number}"
        disk.cut(dice, after)
        look(after, [json.loads(line) for line in acks])
        shutil.rmtree(after)


@pytest.mark.parametrize("sliced", ["", "1"], ids=["whole", "sliced"])
def test_runs(library: Path, root: Path, monkeypatch: pytest.MonkeyPatch, sliced: str) -> None:
    monkeypatch.setenv("REDUN_FAULT_SLICES", sliced)
    log = root.parent / "log"
    run_program(library, root, "record", "8", log=log)

    def look(after: Path, acknowledged: list[str]) -> None:
        is_whole(after / "store", acknowledged)

    each_cut(root, log, ROUNDS * 2, look)


def test_what_a_disk_that_does_not_sync_would_do(library: Path, root: Path) -> None:
    """The model notices what is wrong: without syncs, stores are lost. (Else the other tests would prove nothing.)"""
    log = root.parent / "log"
    run_program(library, root, "record", "8", log=log)
    dice = random.Random(1)
    changes = [change for change in power.read_log(log, root) if change.kind != "s"]
    for change in changes:
        change.dsync = False
    lost = 0
    for number, (disk, acks) in enumerate(power.cuts(changes, dice, 30)):
        after = root.parent / f"cut{number}"
        disk.cut(dice, after)
        try:
            is_whole(after / "store", [json.loads(line) for line in acks])
        except Exception:
            lost += 1
    assert lost > 5


def test_an_upgrade(library: Path, root: Path) -> None:
    log = root.parent / "log"
    with tarfile.open(GOLDEN / "store1" / "store.tar.xz") as archive:
        archive.extractall(root, filter="data")
    before = shutil.copytree(root, root.parent / "before")
    code = f"from redun.store.repository import Store; Store.open({str(root / 'store')!r}).close()"
    done = run_under(library, root, [sys.executable, "-c", code], log)
    assert done.returncode == 0, done.stderr

    def look(after: Path, acknowledged: list[str]) -> None:
        with Store.open(after / "store") as store:
            assert len(store.source.refs("executions/")) == 2
            assert len(list(store.source.reflog())) > 2
        assert check(after / "store", full=True).verdict == "sound"

    changes = power.read_log(log, root)
    assert any(change.path.endswith("data.mdb") for change in changes)
    dice = random.Random(2)
    for number, (disk, _) in enumerate(power.cuts(changes, dice, max(5, ROUNDS // 3), before)):
        disk.cut(dice, root.parent / f"cut{number}")
        look(root.parent / f"cut{number}", [])


def test_a_repair(library: Path, root: Path) -> None:
    """A damaged file is as it was, or made again of what could be read; never something between."""
    log = root.parent / "log"
    run_program(library, root, "record", "4")
    data = root / "store" / "data.mdb"
    content = bytearray(data.read_bytes())
    # The pages of one table hang below a page that becomes zeros.
    from redun.store.pages import Snapshot

    with Snapshot(data) as snapshot:
        page = snapshot.tables["memo"].root
    content[page * 4096 : (page + 1) * 4096] = bytes(4096)
    data.write_bytes(content)
    before = shutil.copytree(root, root.parent / "before")
    code = "from pathlib import Path; from redun.fsck import repair; from redun.store.repository import Store\n"
    code += f"folder = Path({str(root / 'store')!r}); print(repair(folder, lambda: Store.open(folder)).verdict)"
    done = run_under(library, root, [sys.executable, "-c", code], log)
    assert done.stdout == "repaired\n", done.stderr

    dice = random.Random(3)
    for number, (disk, _) in enumerate(power.cuts(power.read_log(log, root), dice, max(5, ROUNDS // 3), before)):
        after = root.parent / f"cut{number}"
        disk.cut(dice, after)
        folder = after / "store"
        report = repair(folder, lambda folder=folder: Store.open(folder))
        assert report.verdict in ("sound", "repaired")
        with Store.open(folder) as store:
            assert len(store.source.refs("executions/")) == 4
