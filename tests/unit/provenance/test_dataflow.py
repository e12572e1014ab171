"""Dataflow: back to the origins, each step under its name, never in circles, never too deep."""

from __future__ import annotations

import pytest

from redun.provenance import Provenance, Section, Status, Step
from redun.provenance.parameters import Parameters
from tests.unit.provenance.journals import FakeFile, FakeStore, Run, build_compile


def sketch(sections: list[Section]) -> dict[str, str]:
    """Each section as one line: `name: steps -> variables`."""
    found = {}
    for section in sections:
        steps = []
        for hop in section.hops:
            names = f"{hop.task_name.rpartition('.')[2]}({','.join(hop.names)})"
            steps.append({Step.CALL: names, Step.ARGUMENT: f"arg {names}"}.get(hop.step, hop.step.value))
        variables = ",".join([variable.name for variable in section.variables])
        assert section.name not in found
        found[section.name] = " < ".join(steps) + (f" -> {variables}" if variables else "")
    return found


def test_a_program_back_to_its_sources() -> None:
    store = FakeStore()
    build_compile(store)
    provenance = Provenance(store)
    (use,) = provenance.file("prog")
    expected = {
        "value": "link(prog_path,o_files) -> prog_path,o_files",
        "prog_path": "arg make_prog(prog_path,c_files) < origin",
        "o_files": "derives -> compile_result,compile_result_2",
        "compile_result": "compile(c_file) -> c_file",
        "c_file": "arg make_prog(prog_path,c_files) < arg make(files) < origin",
        "compile_result_2": "compile(c_file_2) -> c_file_2",
        "c_file_2": "arg make_prog(prog_path,c_files) < arg make(files) < origin",
    }
    assert sketch(list(provenance.dataflow(use.value))) == expected
    # The job's own view is the same, but for the name it begins with.
    call = provenance.producer(use.value)
    assert call is not None
    job = provenance.job_of_call(call)
    assert job is not None
    expected["result"] = expected.pop("value")
    assert sketch(list(provenance.dataflow(job))) == expected


def test_a_result_made_of_several_derives_from_them() -> None:
    store = FakeStore()
    run, _ = build_compile(store)
    provenance = Provenance(store)
    flow = sketch(list(provenance.dataflow(provenance.job(run.job_uuid(1)))))
    assert flow["result"] == "derives -> make_prog_result,make_prog_result_2"
    assert flow["make_prog_result"].startswith("link(")
    # lib.o is explained once, though both programs need it.
    assert flow["o_files"] == "derives -> compile_result,compile_result_2"
    assert flow["o_files_2"] == "derives -> compile_result_3,compile_result_2"


def test_a_call_without_arguments_is_an_origin() -> None:
    store = FakeStore()
    run = Run(store, 1)
    one = run.task("w.one", "def one(): return 1")
    run.job(one, run.call(one, result=1))
    run.end()
    provenance = Provenance(store)
    assert sketch(list(provenance.dataflow(provenance.job(run.job_uuid(1))))) == {"result": "one() < origin"}


def test_a_job_without_call_has_no_dataflow() -> None:
    store = FakeStore()
    run = Run(store, 1)
    run.job(run.task("w.t", "def t(): pass"), None, status=Status.RUNNING)
    run.commit()
    provenance = Provenance(store)
    assert list(provenance.dataflow(provenance.job(run.job_uuid(1)))) == []


def test_a_part_of_an_argument_is_followed_to_the_call_that_made_it() -> None:
    """use(files[0]) inside outer([made, other]): the file comes from `make`, though the list derives from two calls."""
    store = FakeStore()
    run = Run(store, 1)
    make, outer, use = (
        run.task("w.make", "def make(n): ..."),
        run.task("w.outer", "def outer(files): ..."),
        run.task("w.use", "def use(file): ..."),
    )
    root_task = run.task("w.main", "def main(): ...")
    root = run.begin()
    made, other = FakeFile("a"), FakeFile("b")
    call_a, call_b = run.call(make, (1,), result=made), run.call(make, (2,), result=other)
    run.job(make, call_a, root)
    run.job(make, call_b, root)
    used = run.call(use, (made,), result="done")
    called = run.call(outer, ([made, other],), result="done", children=(used,))
    place = run.job(outer, called, root, upstreams={0: (call_a, call_b), None: (used,)})
    run.job(use, used, place)
    run.job(
        root_task,
        run.call(root_task, result="done", children=(call_a, call_b, called)),
        number=root,
        upstreams={None: (called,)},
    )
    run.end()
    provenance = Provenance(store)
    flow = sketch(list(provenance.dataflow(provenance.job(run.job_uuid(root)))))
    assert flow["result"] == "use(file) -> file"
    assert flow["file"] == "arg outer(files) < make(n) -> n"
    assert flow["n"] == "origin"


def test_a_replay_without_children_borrows_from_the_run_that_had_them() -> None:
    store = FakeStore()
    first = Run(store, 1)
    outer, inner = first.task("w.outer", "def outer(x): ..."), first.task("w.inner", "def inner(y): ...")
    root = first.begin()
    inside = first.call(inner, (5,), result="r")
    called = first.call(outer, (5,), result="r", children=(inside,))
    first.job(inner, inside, root)
    first.job(outer, called, number=root, upstreams={None: (inside,)})
    first.end()
    second = Run(store, 2)
    second.job(outer, called, status=Status.CACHED)
    second.end()
    provenance = Provenance(store)
    flow = sketch(list(provenance.dataflow(provenance.job(second.job_uuid(1)))))
    assert flow == {"result": "inner(y) -> y", "y": "arg outer(x) < origin"}


def test_equal_calls_that_feed_each_other_do_not_loop() -> None:
    """g(f(1)) and f(g(1)) in one run: as calls, f and g derive from one another."""
    store = FakeStore()
    run = Run(store, 1)
    f, g = run.task("w.f", "def f(x): return x"), run.task("w.g", "def g(x): return x")
    call_f, call_g = run.call(f, (1,), result=1), run.call(g, (1,), result=1)
    run.job(g, call_g, upstreams={0: (call_f,)})
    run.job(f, call_f, upstreams={0: (call_g,)})
    run.end()
    provenance = Provenance(store)
    for number in (1, 2):
        sections = list(provenance.dataflow(provenance.job(run.job_uuid(number))))
        assert 1 <= len(sections) <= 3


def test_a_deep_chain_is_walked_lazily() -> None:
    store = FakeStore()
    run = Run(store, 1)
    inc = run.task("w.inc", "def inc(x): return x + 1")
    call = None
    for number in range(3000):
        after = run.call(inc, (number,), result=number + 1)
        run.job(inc, after, upstreams={0: (call,)} if call else None)
        call = after
    run.end()
    provenance = Provenance(store)
    sections = provenance.dataflow(provenance.job(run.job_uuid(3000)))
    assert next(sections).name == "result"
    assert sum(1 for _ in sections) == 3000


def test_a_wide_derivation_lists_some_and_counts_the_rest() -> None:
    store = FakeStore()
    run = Run(store, 1)
    one, total = run.task("w.one", "def one(i): ..."), run.task("w.total", "def total(xs): ...")
    calls = tuple([run.call(one, (number,), result=-number) for number in range(500)])
    for call in calls:
        run.job(one, call)
    job = run.job(total, run.call(total, (list(range(500)),), result=0), upstreams={0: calls})
    run.end()
    provenance = Provenance(store)
    sections = list(provenance.dataflow(provenance.job(run.job_uuid(job))))
    (wide,) = [section for section in sections if section.omitted]
    assert len(wide.variables) + wide.omitted == 500


def test_names_stay_distinct_when_a_parameter_looks_like_a_counted_one() -> None:
    store = FakeStore()
    run = Run(store, 1)
    f, g = run.task("w.f", "def f(x): ..."), run.task("w.g", "def g(x, x_2): ...")
    calls = [run.call(f, (number,), result=number + 10) for number in range(2)]
    for call in calls:
        run.job(f, call)
    job = run.job(g, run.call(g, (10, 11), result=0), upstreams={0: (calls[0],), 1: (calls[1],)})
    run.end()
    provenance = Provenance(store)
    # `sketch` refuses a name that stands for two values.
    flow = sketch(list(provenance.dataflow(provenance.job(run.job_uuid(job)))))
    assert len(flow) == 5


@pytest.mark.parametrize("gone", ["task", "call", "upstream"])
def test_what_is_gone_ends_the_walk_and_nothing_else(gone: str) -> None:
    from tests.unit.provenance.test_history import forget

    store = FakeStore()
    run = Run(store, 1)
    f, g = run.task("w.f", "def f(x): ..."), run.task("w.g", "def g(y): ...")
    before = run.call(f, (1,), result=2)
    after = run.call(g, (2,), result=3)
    run.job(f, before)
    run.job(g, after, upstreams={0: (before,)})
    run.end()
    forget(store, {"task": g, "call": after, "upstream": before}[gone])
    provenance = Provenance(store)
    assert list(provenance.dataflow(provenance.job(run.job_uuid(2))))


@pytest.mark.parametrize(
    ("source", "names"),
    [
        ("def f(a, b=1, *rest, c): ...", ["a", "b", "rest_0", "rest_1"]),
        ("async def f(a, /, b): ...", ["a", "b", "arg2", "arg3"]),
        ("x = 1\ndef f(a): ...\ndef g(z): ...", ["a", "arg1", "arg2", "arg3"]),
        ("def other(q): ...", ["q", "arg1", "arg2", "arg3"]),
        ("lambda x: x", ["arg0", "arg1", "arg2", "arg3"]),
        ("def f(:", ["arg0", "arg1", "arg2", "arg3"]),
        ("\x00", ["arg0", "arg1", "arg2", "arg3"]),
        (None, ["arg0", "arg1", "arg2", "arg3"]),
    ],
)
def test_parameters_from_source(source: str | None, names: list[str]) -> None:
    parameters = Parameters(source, "f")
    assert [parameters.name(position) for position in range(4)] == names
