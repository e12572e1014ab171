"""The derived index: right after every kind of history, cheap when nothing is new, harmless when written twice."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from redun.provenance import AmbiguousId, NotRecorded, Provenance, Status
from redun.provenance.index import Index
from redun.provenance.values import ValueReader
from redun.store.ids import object_id, ref_id
from redun.store.sources.base import Batch, RefUpdate
from redun.store.sources.memory import MemorySource
from tests.unit.provenance.journals import FakeFile, FakeStore, Run, build_compile

TABLES = ("jobs", "calls", "parents", "values", "files", "tasks", "runs")


def dump(tables) -> dict[str, list[tuple[bytes, bytes]]]:
    return {name: list(tables.table(f"prov_{name}").scan()) for name in TABLES}


def make_index(store: FakeStore, tables=None) -> Index:
    return Index(store.source, tables if tables is not None else store.source, ValueReader(store.source.get))


def test_growing_step_by_step_equals_one_go() -> None:
    store = FakeStore()
    small = MemorySource()
    for number in (1, 2, 3):
        build_compile(store, number, stamp=str(number % 2))
        assert make_index(store, small).update() > 0
    whole = MemorySource()
    make_index(store, whole).update()
    assert dump(small) == dump(whole)


def test_nothing_new_writes_nothing() -> None:
    store = FakeStore()
    build_compile(store)
    make_index(store).update()

    class ReadOnly:
        def __getattr__(self, name: str):
            return getattr(store.source, name)

        def table(self, name: str):
            table = store.source.table(name)

            class Table:
                get = staticmethod(table.get)
                scan = staticmethod(table.scan)

                def put_many(self, rows) -> None:
                    raise AssertionError("nothing is new")

            return Table()

    assert make_index(store, ReadOnly()).update() == 0


def test_two_readers_at_once_agree() -> None:
    store = FakeStore()
    build_compile(store, 1)
    behind, ahead = MemorySource(), MemorySource()
    make_index(store, behind).update()
    late = make_index(store, ahead)
    build_compile(store, 2, "2")
    # One that started earlier finishes later and puts the older mark back.
    state = list(behind.table("prov_state").scan())
    late.update()
    ahead.table("prov_state").put_many(state)
    make_index(store, ahead).update()
    whole = MemorySource()
    make_index(store, whole).update()
    assert dump(ahead) == dump(whole)


def test_an_execution_that_arrives_with_its_whole_chain_is_indexed_whole() -> None:
    store = FakeStore()
    run, _ = build_compile(store)
    other = FakeStore()
    objects = {oid: store.source.get(oid) for oid in store.source.ids()}
    other.source.commit(Batch(objects, {}, [RefUpdate(f"executions/{run.id}", None, run.head)]))
    assert [job.number for job in Provenance(other).jobs(Provenance(other).execution("-"))] == list(range(9, 0, -1))
    here, there = MemorySource(), MemorySource()
    make_index(store, here).update()
    make_index(other, there).update()
    assert dump(here) == dump(there)


def test_an_index_of_another_version_is_made_anew() -> None:
    store = FakeStore()
    build_compile(store)
    tables = MemorySource()
    make_index(store, tables).update()
    good = dump(tables)
    tables.table("prov_state").put_many([(b"version", b"0")])
    tables.table("prov_parents").put_many([(b"stale", b"")])
    make_index(store, tables).update()
    assert dump(tables) == good


def test_other_refs_are_not_executions() -> None:
    store = FakeStore()
    run, _ = build_compile(store)
    store.source.commit(Batch(refs=[RefUpdate("tags/x", None, run.head)]))
    provenance = Provenance(store)
    assert len(list(provenance.all_jobs())) == 9
    assert provenance.find("ab000001", ("job",))


def test_every_id_prefix_leads_to_its_thing() -> None:
    store = FakeStore()
    run = Run(store, 1)
    task = run.task("w.t", "def t(a, b): pass")
    big, small, file = "x" * 100, 7, FakeFile("data/in.csv")
    call = run.call(task, (small, big), {"files": [file]}, result=None)
    run.job(task, call)
    run.end()
    provenance = Provenance(store)
    things = {
        "execution": run.id,
        "job": run.job_uuid(1),
        "call": call.hex(),
        "task": task.hex(),
        "value": ref_id(run.ref(small)).hex(),
    }
    for value in (big, None, [file], file):
        assert provenance.value(ref_id(run.ref(value)).hex()[:12]).id == ref_id(run.ref(value)).hex()
    for kind, whole in things.items():
        for length in (9, 10, 17, len(whole)):
            found = provenance.find(whole[:length].rstrip("-"), (kind,))
            assert [(item.kind, item.id) for item in found] == [(kind, whole)]
            assert provenance.find(whole[:length].upper().rstrip("-"), (kind,)) == found


@given(st.text(max_size=12))
def test_no_text_breaks_the_lookup(text: str) -> None:
    store = FakeStore()
    build_compile(store)
    for candidate in Provenance(store).find(text):
        assert candidate.id.replace("-", "").startswith(text.lower().replace("-", ""))


def test_a_value_in_very_many_calls_is_one_candidate() -> None:
    store = FakeStore()
    run = Run(store, 1)
    task = run.task("w.t", "def t(a): pass")
    for number in range(100):
        run.job(task, run.call(task, (number,), result=None))
    run.end()
    provenance = Provenance(store)
    none = ref_id(run.ref(None)).hex()
    assert len(provenance.find(none)) == 1
    assert len([value for value in provenance.values() if value.id == none]) == 1
    # 0 to 99 and None
    assert len(list(provenance.values())) == 101
    assert len(provenance.producing(provenance.value(none))) == 100


def test_unknown_and_ambiguous() -> None:
    store = FakeStore()
    build_compile(store)
    provenance = Provenance(store)
    with pytest.raises(NotRecorded, match="'ffffffffff'"):
        provenance.call("ffffffffff")
    with pytest.raises(AmbiguousId) as caught:
        provenance.job("ab")
    assert len(caught.value.candidates) == 9
    assert str(caught.value).count("\n  job ") == 9


def test_calls_and_their_neighbours() -> None:
    store = FakeStore()
    _, calls = build_compile(store)
    provenance = Provenance(store)
    compiled = calls["lib.o"].hex()
    assert set(provenance.parents_of_call(compiled)) == {calls["make_prog"].hex(), calls["make_prog2"].hex()}
    jobs = list(provenance.jobs_of_call(compiled))
    assert [job.number for job in jobs] == [8, 4]
    best = provenance.job_of_call(compiled)
    assert best is not None
    # The cached one is newer, but the other made the file.
    assert best.number == 4
    assert [job.task_name for job in provenance.ancestors(best)] == ["c.make", "c.make_prog", "c.compile"]
    call = provenance.call(calls["link"].hex())
    assert [(argument.slot, argument.name) for argument in call.arguments] == [(0, "prog_path"), (1, "o_files")]


def test_files_and_their_modes() -> None:
    store = FakeStore()
    build_compile(store, 1, "1")
    build_compile(store, 2, "2")
    uses = {(use.path, use.mode) for use in Provenance(store).files()}
    assert uses == {
        ("prog.c", "r "),
        ("prog2.c", "r "),
        ("lib.c", "r "),
        ("prog.o", "rw"),
        ("prog2.o", "rw"),
        ("lib.o", "rw"),
        ("prog", " w"),
        ("prog2", " w"),
    }
    states = Provenance(store).file("lib.o")
    assert [use.value.id for use in states] == [object_id(bytes_of(FakeFile("lib.o", stamp))).hex() for stamp in ("2", "1")]


def bytes_of(value: FakeFile) -> bytes:
    from redun.encoding import ValueEncoder

    return ValueEncoder().object(value)


@pytest.mark.parametrize("path", ["a.txt", "sub/é\u4e00.txt", "x" * 3000, "with\x00nul", "\udcff.bin", ""])
def test_any_path_can_be_asked_for(path: str) -> None:
    store = FakeStore()
    run = Run(store, 1)
    task = run.task("w.t", "def t(a): pass")
    run.job(task, run.call(task, (FakeFile(path),), result=[FakeFile(f"{path}.gz")]))
    run.end()
    provenance = Provenance(store)
    assert [use.path for use in provenance.file(path)] == [path]
    assert {use.path for use in provenance.files()} == {path, f"{path}.gz"}


def test_a_path_may_be_spelt_differently(monkeypatch: pytest.MonkeyPatch, tmp_path) -> None:
    store = FakeStore()
    run = Run(store, 1)
    task = run.task("w.t", "def t(a): pass")
    run.job(task, run.call(task, (FakeFile("out/a.txt"), FakeFile(str(tmp_path / "b.txt")))))
    run.end()
    monkeypatch.chdir(tmp_path)
    provenance = Provenance(store)
    for spelling in ("out/a.txt", "./out/a.txt", "out//a.txt", str(tmp_path / "out/a.txt")):
        assert [use.path for use in provenance.file(spelling)] == ["out/a.txt"]
    assert [use.path for use in provenance.file("b.txt")] == [str(tmp_path / "b.txt")]
    assert provenance.file("c.txt") == []


def test_a_large_value_inside_another_is_found_in_its_holder() -> None:
    store = FakeStore()
    run = Run(store, 1)
    task = run.task("w.t", "def t(a): pass")
    file = FakeFile("x", stamp="s" * 2000)
    run.job(task, run.call(task, ([file],)))
    run.end()
    provenance = Provenance(store)
    value = provenance.value(object_id(bytes_of(file)).hex())
    assert provenance.file_path(value) == "x"
    assert provenance.text(value) == "FakeFile(x)"


def test_the_producer_of_a_file_is_the_call_that_made_it() -> None:
    store = FakeStore()
    _, calls = build_compile(store)
    provenance = Provenance(store)
    for path, call in (("prog", "link"), ("prog2", "link2"), ("lib.o", "lib.o")):
        (use,) = provenance.file(path)
        assert provenance.producer(use.value) == calls[call].hex()
    (source,) = provenance.file("lib.c")
    assert provenance.producer(source.value) is None
    assert provenance.consumer(source.value) == calls["lib.o"].hex()


def test_tasks_by_name_and_the_source_of_a_versioned_one() -> None:
    store = FakeStore()
    run = Run(store, 1)
    run.job(run.task("a.t", "def t(): return 1\n"), None, status=Status.FAILED)
    pinned = run.task("b.t", "def t(x, y): return 2\n", version="7")
    call = run.call(pinned, (1, 2))
    run.job(pinned, call)
    run.end()
    provenance = Provenance(store)
    assert [task.fullname for task in provenance.tasks("t")] == ["a.t", "b.t"]
    assert [task.fullname for task in provenance.tasks("a.t")] == ["a.t"]
    assert provenance.task(pinned.hex()[:8]).source == "def t(x, y): return 2\n"
    assert [argument.name for argument in provenance.call(call.hex()).arguments] == ["x", "y"]
    assert [job.number for job in provenance.jobs_of_task(pinned.hex())] == [2]


def test_upstream_and_downstream_of_a_value() -> None:
    store = FakeStore()
    build_compile(store)
    provenance = Provenance(store)
    (program,) = provenance.file("prog")
    (library,) = provenance.file("lib.c")
    up = {provenance.file_path(value) for value in provenance.upstream(program.value)}
    assert {"prog.o", "lib.o", "prog.c", "lib.c"} <= up
    assert "prog2.c" not in up
    down = {provenance.file_path(value) for value in provenance.downstream(library.value)}
    assert {"lib.o", "prog", "prog2"} <= down
    assert "prog.o" not in down
