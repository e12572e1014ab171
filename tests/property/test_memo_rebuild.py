"""The memo made again from the journals is the memo: after random programs, cold, replayed, edited and failed."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from redun import Scheduler, task
from redun.context import get_context
from redun.fsck import check, rebuild
from redun.memo_rebuild import memo_rows, rebuild_memo
from redun.store.repository import Store
from redun.store.rows import unguarded
from redun.store.sources.lmdb_table import scan

from .test_evaluation import PROGRAMS, STEP, Boom, build, define

redun_namespace = "rebuilt"


def stored_memo(store: Store) -> dict[bytes, bytes | None]:
    return {key: unguarded(row, key) for key, row in scan(store.source, "memo")}  # type: ignore[arg-type]


def lose_memo(store: Store) -> None:
    environment = store.source.environment()  # type: ignore[attr-defined]
    environment.write(lambda txn: txn.drop(environment.table("memo"), delete=False))
    store.source.refresh()
    assert stored_memo(store) == {}


def comes_back(store: Store, expected: dict[bytes, bytes | None]) -> None:
    assert memo_rows(store.source) == expected
    assert rebuild_memo(store.source) == (0, len(expected))
    lose_memo(store)
    assert rebuild_memo(store.source) == (len(expected), len(expected))
    store.source.refresh()
    assert stored_memo(store) == expected


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(PROGRAMS, st.booleans()), min_size=1, max_size=4))
def test_a_rebuilt_memo_is_the_memo(programs: list[tuple[Any, bool]]) -> None:
    folder = Path(tempfile.mkdtemp())
    try:
        with Store.open(folder) as store:
            for program, edited in programs:
                STEP[0] = 2 if edited else 1
                with contextlib.suppress(Boom):
                    Scheduler(store=store, logger=False).run(build(program, define()))
            comes_back(store, stored_memo(store))
    finally:
        STEP[0] = 1
        shutil.rmtree(folder)


def test_calls_with_context_and_indexes_come_back(tmp_path: Path) -> None:
    @task()
    def leaf(x: int, scale: Any = get_context("scale", 1)) -> int:  # noqa: B008
        return x * scale

    @task()
    def main(n: int) -> list[int]:
        return [leaf(i) for i in range(n)] + [leaf.update_context(scale=3)(i) for i in range(n)]

    with Store.open(tmp_path / "store") as store:
        for n in (2, 5):
            Scheduler(store=store, logger=False).run(main.update_context(scale=2)(n))
        expected = stored_memo(store)
        assert len(expected) > 20
        comes_back(store, expected)
        assert "0 of them were missing" in rebuild(store)[0]
    assert check(tmp_path / "store", full=True).verdict == "sound"


def test_what_no_journal_knows_stays(tmp_path: Path) -> None:
    """Rows that an import brought are not in any journal here."""

    @task()
    def one() -> int:
        return 1

    with Store.open(tmp_path / "store") as store:
        Scheduler(store=store, logger=False).run(one())
        expected = stored_memo(store)
        for name, head in store.source.refs():
            from redun.store.sources.base import Batch, RefUpdate

            store.source.commit(Batch(refs=[RefUpdate(name, head, None)]))
        lost = memo_rows(store.source)
        assert set(lost) <= set(expected)
        rebuild_memo(store.source)
        assert stored_memo(store) == expected


def test_a_call_that_is_gone_is_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    @task()
    def one() -> int:
        return 1

    with Store.open(tmp_path / "store") as store:
        Scheduler(store=store, logger=False).run(one())
        ((_, row),) = stored_memo(store).items()
        assert row is not None
        source: Any = store.source
        environment = source.environment()
        environment.write(lambda txn: txn.delete(row[:20], db=environment.table("objects")))
        source.refresh()
        assert memo_rows(source) == {}
