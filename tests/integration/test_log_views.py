"""What `redun log` shows of stores that are recorded by hand: every form of the command, without an engine."""

from __future__ import annotations

import io
import json
import re
from typing import Any

import pytest

from redun.cli.render.flow import flow_lines
from redun.cli.render.output import show
from redun.cli.render.selection import KINDS, Filters, Form, LogView
from redun.evaluation.failure import ErrorValue
from redun.provenance import AmbiguousId, NotRecorded, Provenance, Status
from tests.unit.provenance.journals import FakeFile, FakeStore, Run, build_compile


def log(store: FakeStore, what: str | None = None, *kinds: str, form: Form | None = None, **filters: Any) -> list[str]:
    return list(LogView(Provenance(store), form or Form()).lines(what, kinds, Filters(**filters)))


def build_failure(store: FakeStore, number: int = 5) -> Run:
    run = Run(store, number)
    main, bad = run.task("w.main", "def main():\n    return bad(1)\n"), run.task("w.bad", "def bad(x):\n    return x / 0\n")
    error = ErrorValue(
        ZeroDivisionError("division by zero"),
        ['  File "wf.py", line 2, in bad', "    return x / 0", "ZeroDivisionError: division by zero"],
    )
    root = run.begin()
    failed = run.call(bad, (1,), result=error, failed=True)
    run.job(bad, failed, root, Status.FAILED)
    run.job(main, run.call(main, result=error, children=(failed,), failed=True), 0, Status.FAILED, number=root)
    run.end(Status.FAILED)
    return run


def test_recent_executions() -> None:
    store = FakeStore()
    build_compile(store)
    build_failure(store)
    lines = log(store)
    assert lines[:2] == ["Recent executions:", ""]
    assert re.fullmatch(r"Exec 00000005 \[FAILED\] \d{4}-\d\d-\d\d \d\d:\d\d:\d\d:  run wf.py main \(project=demo\)", lines[2])
    assert lines[3].startswith("Exec 00000001 [ DONE ] ")
    assert len(lines) == 4


def test_recent_executions_are_limited_and_say_so() -> None:
    store = FakeStore()
    for number in range(1, 106):
        Run(store, number).end()
    lines = log(store)
    assert len(lines) == 2 + 100 + 1
    assert "--limit" in lines[-1]
    assert len(log(store, None, "exec")) == 105
    assert len(log(store, form=Form(limit=3))) == 2 + 3
    assert log(store, form=Form(only_count=True)) == ["     105 Execution"]


def test_an_empty_store() -> None:
    store = FakeStore()
    assert log(store) == ["Recent executions:", ""]
    assert log(store, None, *KINDS) == []
    assert log(store, None, *KINDS, form=Form(only_count=True))[0] == "       0 Execution"


def test_the_tree_of_an_execution() -> None:
    store = FakeStore()
    run, _ = build_compile(store)
    lines = log(store, "-")
    assert lines[0].startswith(f"Exec {run.id} [ DONE ] ")
    assert lines[1:3] == ["Duration: 0:00:02.35", ""]
    assert "| c.compile         0       0       0       1       3       4" in lines
    assert "Jobs: 9 (DONE: 8, CACHED: 1, FAILED: 0)" in lines
    rule = lines.index("-" * 80)
    tree = lines[rule + 1 :]
    assert len(tree) == 9
    assert re.fullmatch(r"Job ab000001 \[ DONE \] [\d: -]+ c\.make\(files=\{'prog': .*\}\)", tree[0])
    assert re.fullmatch(
        r"  Job ab000002 \[ DONE \] .* c\.make_prog\('prog', \[FakeFile\(prog\.c\), FakeFile\(lib\.c\)\]\)", tree[1]
    )
    assert tree[7].startswith("    Job ab000008 [CACHED] ")
    assert log(store, run.id) == log(store, run.id[:8]) == log(store, "~0") == lines


def test_an_interrupted_execution_says_so() -> None:
    store = FakeStore()
    run = Run(store, 1)
    run.job(run.task("w.t", "def t(): pass"), None, status=Status.RUNNING)
    run.commit()
    text = "\n".join(log(store) + log(store, "-"))
    assert text.count("INTERRUPTED") >= 4
    store.alive.add(run.id)
    text = "\n".join(log(store) + log(store, "-"))
    assert "INTERRUPTED" not in text
    assert "[ RUN  ]" in text


def test_a_deep_tree_is_not_made_of_blanks() -> None:
    store = FakeStore()
    run = Run(store, 1)
    task = run.task("w.rec", "def rec(): ...")
    parent = 0
    for _ in range(3000):
        parent = run.job(task, None, parent, Status.RUNNING)
    run.commit()
    lines = log(store, "-")
    assert len(lines) > 3000
    assert max(map(len, lines)) < 200
    assert "(depth 2999) Job" in lines[-1]


def test_a_job() -> None:
    store = FakeStore()
    run, calls = build_compile(store)
    text = "\n".join(log(store, run.job_uuid(5)))
    assert text.startswith(f"Job {run.job_uuid(5)} [ DONE ] ")
    assert "\nTraceback: Exec 00000001 > (1 Job) > Job ab000002 make_prog > Job ab000005 link\n" in text
    assert f"\n  CallNode {calls['link'].hex()} c.link\n    Args:   'prog', [FakeFile(prog.o), FakeFile(lib.o)]\n" in text
    assert "\n    Result: FakeFile(prog)\n" in text
    assert "\n    def link(prog_path, o_files):\n        return File(prog_path)\n" in text
    assert f"\n    result <-- <{calls['link'].hex()[:8]}> link(prog_path, o_files)\n" in text
    assert "\n    o_files <-- derives from\n      compile_result   = <" in text
    assert "\n    c_file <-- argument of <" in text
    assert "\n           <-- origin\n" in text


def test_a_failed_job_shows_error_source_and_traceback() -> None:
    store = FakeStore()
    run = build_failure(store)
    text = "\n".join(log(store, run.job_uuid(2)))
    assert "[FAILED]" in text.splitlines()[0]
    assert "    Raised: ZeroDivisionError: division by zero\n" in text
    assert "    def bad(x):\n        return x / 0\n" in text
    assert text.endswith(
        '  Traceback:\n    File "wf.py", line 2, in bad\n      return x / 0\n  ZeroDivisionError: division by zero'
    )


def test_a_job_that_has_not_finished() -> None:
    store = FakeStore()
    run = Run(store, 1)
    run.job(run.task("w.t", "def t(): pass"), None, status=Status.RUNNING)
    run.commit()
    store.alive.add(run.id)
    text = "\n".join(log(store, run.job_uuid(1)))
    assert "CallNode UNKNOWN: Job has not finished" in text
    assert "def t(): pass" in text


def test_a_call_a_task_and_a_value() -> None:
    store = FakeStore()
    _, calls = build_compile(store)
    text = "\n".join(log(store, calls["lib.o"].hex()[:10]))
    assert "Parent CallNodes:" in text
    assert text.count("c.make_prog") == 2
    assert "Job ab000008 [CACHED]" in text
    task = Provenance(store).get_call(calls["link"].hex())
    assert task is not None
    text = "\n".join(log(store, task.task_hash[:10]))
    assert text.startswith(f"Task {task.task_hash} c.link\n")
    assert "return File(prog_path)" in text
    assert "Job ab000005" in text
    value = task.arguments[1].value
    text = "\n".join(log(store, value.id[:10]))
    assert text.startswith(f"Value {value.id} builtins.list\n[FakeFile(prog.o), FakeFile(lib.o)]\n")
    assert "Holds:" in text
    assert "Consumed by:" in text
    assert "value <-- origin" in text


def test_a_file_by_path_and_by_hash() -> None:
    store = FakeStore()
    build_compile(store, 1, "1")
    build_compile(store, 2, "2")
    lines = log(store, "prog")
    assert re.fullmatch(r"File [0-9a-f]{8} prog", lines[0])
    assert lines[1] == "Produced by Job ab000005"
    assert any("Traceback: Exec 00000002 >" in line for line in lines)
    newest = Provenance(store).file("prog")[0].value.id
    assert log(store, newest[:9]) == lines
    assert log(store, "lib.c")[1] == "Consumed by Job ab000004"


def test_files_are_listed_with_their_modes() -> None:
    store = FakeStore()
    build_compile(store)
    lines = log(store, None, "file")
    assert len(lines) == 8
    for path, mode in (("lib.o", "rw"), ("lib.c", "r "), ("prog", " w")):
        (line,) = [line for line in lines if line.endswith(f" {path}")]
        assert re.fullmatch(rf"File [0-9a-f]{{8}} \d{{4}}-\d\d-\d\d \d\d:\d\d:\d\d {mode} {path}", line)


def test_a_path_beats_an_id_prefix() -> None:
    store = FakeStore()
    run = Run(store, 1)
    task = run.task("w.t", "def t(f): ...")
    run.job(task, run.call(task, (FakeFile("ab"),)))
    run.end()
    assert log(store, "ab")[0].startswith("File ")
    assert log(store, "ab0")[0].startswith("Job ab0")


def test_unknown_and_ambiguous_names() -> None:
    store = FakeStore()
    build_compile(store)
    with pytest.raises(NotRecorded, match=r"no execution, job.* is called 'nothing\.txt'"):
        log(store, "nothing.txt")
    with pytest.raises(NotRecorded, match="'ffffffffffff'"):
        log(store, "ffffffffffff")
    with pytest.raises(NotRecorded, match="no task is called"):
        log(store, "ab000001", "task")
    with pytest.raises(AmbiguousId) as caught:
        log(store, "ab00")
    message = str(caught.value)
    assert message.startswith("id prefix 'ab00' is ambiguous")
    assert message.count("\n  Job ab0000") == 9


def test_filters() -> None:
    store = FakeStore()
    run, _ = build_compile(store)
    build_failure(store)
    assert len(log(store, None, "job")) == 11
    assert len(log(store, None, "job", status=frozenset({Status.CACHED}))) == 1
    assert len(log(store, status=frozenset({Status.FAILED}))) == 2
    assert len(log(store, None, "job", exec_id=("00000001",))) == 9
    assert len(log(store, None, "job", exec_status=frozenset({Status.FAILED}))) == 2
    assert len(log(store, None, "job", task_name=("link", "c.make"))) == 3
    assert len(log(store, None, "job", job_id=("ab000002", "ab000003"))) == 3
    assert len(log(store, None, "exec", task_name=("link",))) == 1
    assert len(log(store, None, "exec", task_name=("nope",))) == 0
    assert len(log(store, None, "exec", exec_status=frozenset({Status.FAILED}))) == 1
    assert [line.split()[2] for line in log(store, None, "task", exec_id=("00000005",))] == ["w.bad", "w.main"]
    assert [line.split()[2] for line in log(store, None, "call_node", task_name=("make",))] == ["c.make"]
    assert {line.split()[2] for line in log(store, value_type=("FakeFile",))} == {"redun.FakeFile"}
    assert len(log(store, None, "value", value_type=("builtins.str",))) == 2
    assert len(log(store, file_path=("*.c",))) == 3
    assert len(log(store, None, "file", task_name=("link",))) == 5
    hashes = {job.task_name: job.task_hash for job in Provenance(store).all_jobs()}
    assert len(log(store, None, "job", task_hash=(hashes["c.compile"][:6].upper(),))) == 4
    assert log(store, None, "job", "file", form=Form(only_count=True)) == ["      11 Job", "       8 File"]
    assert len(log(store, None, "job", "file", form=Form(limit=2))) == 4
    assert run.id in "\n".join(log(store, None, "exec", form=Form(detail=True)))


def test_json_is_one_object_per_line() -> None:
    store = FakeStore()
    run, calls = build_compile(store)
    build_failure(store)
    as_json = Form(as_json=True)
    records = [json.loads(line) for line in log(store, None, *KINDS, form=as_json)]
    assert {record["_type"] for record in records} == {"Execution", "Job", "CallNode", "Task", "Value", "File"}
    assert [json.loads(line)["id"] for line in log(store, form=as_json)] == [record["id"] for record in records[:2]]
    (line,) = log(store, "~1", form=as_json)
    assert len(json.loads(line)["jobs"]) == 9
    (line,) = log(store, run.job_uuid(5), form=as_json)
    job = json.loads(line)
    assert job["call"]["args"][0] == {
        "name": "prog_path",
        "slot": 0,
        "text": "'prog'",
        "type": "builtins.str",
        "value_hash": job["call"]["args"][0]["value_hash"],
    }
    assert job["call_hash"] == calls["link"].hex()
    (line,) = log(store, "prog", form=as_json)
    assert json.loads(line)["produced_by"] == calls["link"].hex()
    (failed,) = [record for record in records if record["_type"] == "CallNode" and record["task_name"] == "w.bad"]
    assert failed["error"]["type"] == "builtins.ZeroDivisionError"


def test_a_long_flow_is_cut_and_counted() -> None:
    store = FakeStore()
    run = Run(store, 1)
    inc = run.task("w.inc", "def inc(x): return x + 1")
    call = None
    for number in range(500):
        after = run.call(inc, (number,), result=number + 1)
        run.job(inc, after, upstreams={0: (call,)} if call else None)
        call = after
    run.end()
    lines = log(store, run.job_uuid(500))
    assert len(lines) < 250
    assert any("440 more values upstream" in line for line in lines)
    assert len(log(store, run.job_uuid(500), form=Form(detail=True))) > 1000
    provenance = Provenance(store)
    flow = provenance.dataflow(provenance.job(run.job_uuid(500)))
    assert sum(1 for _ in flow_lines(provenance, flow, max_sections=2)) < 12


def test_long_values_are_cut_and_line_breaks_do_not_break_lines() -> None:
    store = FakeStore()
    run = Run(store, 1, argv=("redun", "run", "wf.py", "main", "--text", "a\nb"))
    task = run.task("w.t", "def t(a, b): ...")
    run.job(task, run.call(task, ("x" * 100_000, list(range(10_000)))))
    run.end()
    lines = log(store, "-")
    assert max(map(len, lines)) < 2000
    assert not any("\n" in line for line in lines)
    assert max(map(len, log(store, None, "value"))) < 400


def test_output_survives_a_terminal_that_cannot_show_it(monkeypatch: pytest.MonkeyPatch) -> None:
    raw = io.BytesIO()
    monkeypatch.setattr("sys.stdout", io.TextIOWrapper(raw, encoding="ascii"))
    show(iter(["File \u4e00 \udcff.txt"]))
    assert raw.getvalue() == b"File \\u4e00 \\udcff.txt\n"


def test_a_reader_that_stops_early_is_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    class Closed(io.StringIO):
        def write(self, text: str) -> int:
            raise BrokenPipeError

    monkeypatch.setattr("sys.stdout", Closed())
    show(iter(["line"] * 1000))
