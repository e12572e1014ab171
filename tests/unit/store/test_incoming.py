"""What comes in is safe from gc before anything names it, and what a dead import left goes."""

from __future__ import annotations

from pathlib import Path

import pytest

from redun import Scheduler, exchange, task
from redun.exchange import ExchangeError, export_lines, import_lines
from redun.store.gc import Plan
from redun.store.incoming import Incoming
from redun.store.objects import links
from redun.store.repository import Store


@task(namespace="incoming")
def part(i: int) -> str:
    return f"a text that is no part of anything else: {i} " * 3


@task(namespace="incoming")
def main(n: int) -> list[str]:
    return [part(i) for i in range(n)]


def collect(store: Store) -> int:
    report = Plan(store).carry_out(readers_wait_s=0.0, stray_after_s=-10.0)
    return report.before.total[0] - report.after.total[0]


@pytest.fixture
def exported(tmp_path: Path) -> list[str]:
    with Store.open(tmp_path / "from") as store:
        Scheduler(store=store, logger=False).run(main(12))
        return list(export_lines(store))


def test_an_import_beside_gc(exported: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exchange, "_BATCH_OBJECTS", 3)
    with Store.open(tmp_path / "to") as store:
        # Some of it is there, as garbage: it is found, and then it goes.
        Scheduler(store=store, logger=False).run(main(5))
        for name, _ in store.source.refs():
            plan = Plan(store, [name])
            plan._drop_refs(None)

        def beside():
            for place, line in enumerate(exported):
                if place % 4 == 1:
                    collect(store)
                yield line

        import_lines(store, beside())
        store.source.refresh()
        assert [name for name, _ in store.source.refs() if name.startswith("incoming/")] == []
        collect(store)
        there = set(store.source.ids())
        assert all(set(links(store.source.get(oid))) <= there for oid in there)
        assert len(there) == sum('"object"' in line for line in exported)
        runs = []
        scheduler = Scheduler(store=store, logger=False)
        assert len(scheduler.run(main(12))) == 12
        runs = scheduler.get_job_status_report()
        assert any("CACHED" in line for line in runs)


def test_what_a_failed_import_wrote_goes(exported: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exchange, "_BATCH_OBJECTS", 3)
    with Store.open(tmp_path / "to") as store:
        with pytest.raises(ExchangeError):
            import_lines(store, exported[:-2])
        store.source.refresh()
        assert store.source.refs() == []
        assert collect(store) > 0
        assert list(store.source.ids()) == []


def test_what_a_killed_import_wrote_goes(tmp_path: Path) -> None:
    with Store.open(tmp_path) as store:
        incoming = Incoming(store)
        with incoming:
            incoming.commit({b"a" * 20: b"\1\0\1\0x"}, {})
            assert collect(store) == 0
            incoming.ended()  # so that the ref stays, as of one that was killed
        assert len(store.source.refs("incoming/")) == 1
        assert collect(store) == 2
        assert store.source.refs() == []
