"""`redun gc`, `pin`, `store`, run as a user runs them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from redun.store.repository import Store

from .conftest import Cli

FLOW = """
from redun import File, task

redun_namespace = "flow"

@task()
def part(i: int):
    return f"part {i} " * 100

@task()
def big(i: int):
    return bytes([i]) * 100_000

@task()
def main(n: int = 3, seed: int = 0):
    return [[part(seed + i) for i in range(n)], big(seed)]
"""


@pytest.fixture
def flow(cli: Cli, tmp_path: Path) -> Cli:
    (tmp_path / "flow.py").write_text(FLOW)
    return cli


def run(cli: Cli, seed: int, *words: str) -> Any:
    ended = cli("run", *words, "flow.py", "main", "--seed", str(seed))
    assert ended.status == 0, ended
    return ended


def gc(cli: Cli, *words: str) -> dict[str, Any]:
    ended = cli("gc", *words, "--format", "json")
    assert ended.status == 0, ended
    assert ended.stderr == ""
    found: dict[str, Any] = json.loads(ended.stdout)
    return found


def executions(cli: Cli) -> list[str]:
    ended = cli("log", "--exec", "--format", "json")
    assert ended.status == 0, ended
    return [json.loads(line)["id"] for line in ended.stdout.splitlines()]


def info(cli: Cli) -> dict[str, Any]:
    ended = cli("store", "info", "--format", "json")
    assert ended.status == 0, ended
    found: dict[str, Any] = json.loads(ended.stdout)
    return found


def test_without_rules_every_execution_stays(flow: Cli) -> None:
    run(flow, 0)
    run(flow, 1)
    done = gc(flow)
    assert done["dropped"] == []
    assert [one["reason"] for one in done["kept"]] == ["no rule", "no rule"]
    assert done["before"] == done["after"]
    assert run(flow, 0).jobs("Run") == []


def test_the_last_ones_stay_and_share_what_they_need(flow: Cli) -> None:
    for seed in (0, 1, 9):
        run(flow, seed)
    before = info(flow)
    done = gc(flow, "--keep-last", "2")
    kept = executions(flow)
    assert [one["execution"] for one in done["kept"]] == kept
    assert len(kept) == 2
    assert done["before"]["objects"] == before["objects"]
    after = info(flow)
    assert after["objects"] == done["after"]["objects"] < before["objects"]
    assert after["unreachable"]["objects"] == 0
    # parts 1 and 2 of the first are those of the second, too.
    assert run(flow, 1).jobs("Run") == []
    assert run(flow, 0).jobs("Run") == ["big", "main", "part"]


def test_a_dry_run_says_what_the_real_one_does(flow: Cli) -> None:
    for seed in range(4):
        run(flow, seed)
    for words in (["--keep-last", "3"], ["--keep-last", "3", "--max-size", "120kB"], ["--task", "part"], ["--keep-last", "1"]):
        told = gc(flow, *words, "--dry-run")
        before = info(flow)
        assert before["objects"] == told["before"]["objects"]
        done = gc(flow, *words)
        assert {**told, "dry_run": False} == done
        assert info(flow)["kinds"] == done["after"]["kinds"]
        assert info(flow)["dropped_values"] == done["after"]["dropped_values"]


def test_an_empty_store_is_left_when_all_are_dropped(flow: Cli, tmp_path: Path) -> None:
    run(flow, 0, "--tag", "env=prod")
    run(flow, 1)
    flow("tag", "add", "-", "level=2")
    flow("tag", "add", "flow.big", "kind=large")
    assert flow("log", "--value").status == 0
    done = gc(flow, "--keep-last", "0", "--compact")
    assert done["after"]["objects"] == done["after"]["memo"] == done["after"]["refs"] == 0
    store = tmp_path / ".redun" / "store"
    assert [path for path in (store / "blobs").rglob("*") if path.is_file()] == []
    assert os.listdir(store / "leases") == []
    with closing(Store.open(store)) as opened:
        for name in (
            "prov_jobs",
            "prov_calls",
            "prov_parents",
            "prov_values",
            "prov_files",
            "prov_tasks",
            "prov_runs",
            "prov_tags",
        ):
            assert list(opened.source.table(name).scan()) == [], name
        assert len(list(opened.source.reflog())) == 1
    for words in (("log",), ("log", "--value"), ("log", "--job"), ("tag", "list")):
        ended = flow(*words)
        assert (ended.status, ended.errors) == (0, [])
    assert run(flow, 0).jobs("Run") == ["big", "main", "part", "part", "part"]


def test_tags_keep_executions_and_go_with_them(flow: Cli) -> None:
    run(flow, 0, "--tag", "env=prod")
    run(flow, 1)
    run(flow, 2)
    newest = executions(flow)[0]
    flow("tag", "add", newest, "env=prod")
    flow("tag", "add", executions(flow)[1], "env=test")
    done = gc(flow, "--keep-tag", "env=prod")
    assert {one["reason"] for one in done["kept"]} == {"tagged"}
    assert len(done["kept"]) == 2
    assert len(done["dropped"]) == 1
    assert "env=test" not in flow("tag", "list", "--values").stdout
    assert "env=prod" in flow("tag", "list", "--values").stdout
    assert gc(flow, "--keep-tag", "env")["dropped"] == []


def test_keep_within(flow: Cli) -> None:
    run(flow, 0)
    time.sleep(0.05)
    assert gc(flow, "--keep-within", "1d12h")["dropped"] == []
    assert len(gc(flow, "--keep-within", "0.01s")["dropped"]) == 1


def test_pins_keep_what_they_name(flow: Cli) -> None:
    run(flow, 0)
    first = executions(flow)[0]
    run(flow, 5)
    jobs = [json.loads(line) for line in flow("log", "--job", "--format", "json").stdout.splitlines()]
    big = next(job for job in jobs if job["task_name"] == "flow.big" and job["execution_id"] != first)
    assert flow("pin", first[:8], big["id"][:8]).status == 0
    listed = [json.loads(line) for line in flow("pin", "--list", "--format", "json").stdout.splitlines()]
    assert {pin["kind"] for pin in listed} == {"execution", "call"}
    assert "pinned already" in flow("pin", first[:8]).stdout
    done = gc(flow, "--keep-last", "0")
    assert [one["reason"] for one in done["kept"]] == ["pinned"]
    assert run(flow, 0).jobs("Run") == []
    assert "big" not in run(flow, 5).jobs("Run")
    assert flow("unpin", "--all").status == 0
    assert flow("pin", "--list").stdout == "Nothing is pinned.\n"
    assert gc(flow, "--keep-last", "0")["after"]["objects"] == 0


def test_dropped_values_come_back_when_they_are_asked_for(flow: Cli) -> None:
    first = run(flow, 0)
    run(flow, 200)
    done = gc(flow, "--max-size", "150kB")
    assert done["after"]["bytes"] <= 150_000
    assert done["values"]
    assert done["after"]["dropped_values"] == len(done["values"])
    assert done["dropped"] == []
    assert done["before"]["kinds"]["call"] == done["after"]["kinds"]["call"]
    # The newest run's are there still, the other's are computed again, and the log says why.
    again = run(flow, 0)
    assert again.jobs("Run") == ["big", "part", "part", "part"]
    assert any("was dropped by gc to make room" in line for line in again.log)
    assert again.stdout == first.stdout
    assert info(flow)["dropped_values"] < len(done["values"]) or gc(flow)["after"]["dropped_values"] < len(done["values"])
    assert run(flow, 0).jobs("Run") == []


def test_results_of_one_task(flow: Cli) -> None:
    run(flow, 0)
    done = gc(flow, "--task", "flow.part")
    assert len(done["values"]) == 3
    # The result of main is there; only who asks for the parts misses them.
    again = run(flow, 0)
    assert again.jobs("Run") == ["part", "part", "part"]
    assert gc(flow, "--task", "main", "--max-size", "1GB")["values"] == []


def test_the_configuration_has_defaults_and_options_replace_them(flow: Cli, tmp_path: Path) -> None:
    for seed in range(3):
        run(flow, seed)
    ini = tmp_path / ".redun" / "redun.ini"
    ini.write_text("[gc]\nkeep_last = 2\nkeep_tag = env=prod keep\nmax_size = 1 GB\n")
    assert len(gc(flow, "--keep-last", "3", "-n")["dropped"]) == 0
    assert len(gc(flow)["dropped"]) == 1
    for line, part in (
        ("keep_last = x", "keep_last"),
        ("keep_last = -1", "at least 0"),
        ("keep_within = soon", "expected a time"),
        ("max_size = much", "expected a size"),
        ("warn_size = much", "expected a size"),
    ):
        ini.write_text(f"[gc]\n{line}\n")
        ended = flow("gc")
        assert (ended.status, ended.stderr.count("\n")) == (1, 1), ended
        assert part in ended.stderr
    ini.write_text("[gc]\nkeep_lats = 2\n")
    assert "did you mean 'keep_last'?" in flow("gc").stderr


def test_a_large_store_is_said_once_a_day(flow: Cli, tmp_path: Path) -> None:
    run(flow, 0)
    (tmp_path / ".redun" / "redun.ini").write_text("[gc]\nwarn_size = 150kB\n")
    assert "redun gc" in "".join(run(flow, 1).errors)
    assert run(flow, 2).errors == []
    long_ago = time.time() - 25 * 3600
    os.utime(tmp_path / ".redun" / "store" / "warned", (long_ago, long_ago))
    assert "more than warn_size" in "".join(run(flow, 2).errors)


@pytest.mark.parametrize(
    ("words", "part"),
    [
        (("gc", "--keep-last", "-1"), "--keep-last"),
        (("gc", "--keep-last", "x"), "--keep-last"),
        (("gc", "--keep-within", "nonsense"), "30d"),
        (("gc", "--keep-within", "3"), "30d"),
        (("gc", "--max-size", "12q"), "50GB"),
        (("gc", "--keep-tag", "a={"), "--keep-tag"),
        (("gc", "extra"), "extra"),
        (("pin",), "expected"),
        (("pin", "--list", "abc"), "--list"),
        (("unpin",), "--all"),
        (("unpin", "--all", "abc"), "--all"),
        (("store",), "store"),
        (("store", "info", "--most", "-1"), "--most"),
    ],
)
def test_what_cannot_be_read_is_refused(flow: Cli, refused: Any, words: tuple[str, ...], part: str) -> None:
    refused(flow(*words), part, status=2)


def test_what_is_not_there_is_said(flow: Cli, refused: Any) -> None:
    for words in (("gc",), ("store", "info"), ("store", "compact"), ("pin", "-"), ("unpin", "-")):
        refused(flow(*words), "nothing has been run here yet")
    run(flow, 0)
    refused(flow("gc", "--task", "nosuch"), "nosuch")
    refused(flow("pin", "abcdef"), "abcdef")
    refused(flow("unpin", "abcdef"), "abcdef")


def test_a_store_that_cannot_be_written(flow: Cli, refused: Any, tmp_path: Path) -> None:
    run(flow, 0)
    store = tmp_path / ".redun" / "store"
    if os.geteuid() == 0:
        pytest.skip("nothing is read-only for root")
    store.chmod(0o555)
    try:
        refused(flow("gc"), "reading only")
        assert flow("gc", "--dry-run").status == 0
        refused(flow("store", "compact"), "read-only")
    finally:
        store.chmod(0o755)


def test_compaction_names_who_has_the_store(flow: Cli, refused: Any, tmp_path: Path) -> None:
    for seed in range(3):
        run(flow, seed)
    gc(flow, "--keep-last", "1")
    store = Store.open(tmp_path / ".redun" / "store")
    try:
        refused(flow("store", "compact"), str(os.getpid()))
    finally:
        store.close()
    before = info(flow)
    ended = flow("store", "compact", "--format", "json")
    assert ended.status == 0, ended
    sizes = json.loads(ended.stdout)
    assert sizes["before"] == before["file"]["bytes"] > sizes["after"]
    after = info(flow)
    assert after["kinds"] == before["kinds"]
    assert after["file"]["bytes"] == sizes["after"]
    assert run(flow, 2).jobs("Run") == []


SLOW = """
from redun import task
import time
redun_namespace = "slow"

@task()
def step(i: int, text: str):
    open(f"began{i}", "w").close()
    while not __import__("os").path.exists("go"):
        time.sleep(0.01)
    return text.upper()

@task()
def main():
    return [step(i, f"a text that is no part of anything else {i} " * 10) for i in range(3)]
"""


def test_what_runs_is_spared_and_ends_well(flow: Cli, tmp_path: Path, redun_environ: dict[str, str]) -> None:
    """Arguments of running jobs are named by nothing but the journal; a gc in the middle leaves them, and a gc at the end is happy."""
    (tmp_path / "slow.py").write_text(SLOW)
    run(flow, 0)
    with subprocess.Popen(
        ["redun", "run", "slow.py", "main"],
        cwd=tmp_path,
        env=redun_environ,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as slow:
        while not all((tmp_path / f"began{i}").exists() for i in range(3)):
            assert slow.poll() is None
            time.sleep(0.01)
        done = gc(flow, "--keep-last", "0")
        assert [one["reason"] for one in done["kept"]] == ["running"]
        (tmp_path / "go").touch()
        out, log = slow.communicate(timeout=60)
        assert slow.returncode == 0, log
    assert "A TEXT" in out
    assert flow("run", "slow.py", "main").jobs("Run") == []
    done = gc(flow)
    assert done["before"] == done["after"]


def test_interrupted_it_leaves_a_whole_store(flow: Cli, tmp_path: Path, redun_environ: dict[str, str]) -> None:
    for seed in range(3):
        run(flow, seed)
    script = (
        "import os, signal\nfrom redun.store import sweep\n"
        "sweep.WORK_S = 0.0\nsweep._BETWEEN_LOOKS = 1\n"
        "write = sweep.Environment.write\ncount = 0\n"
        "def counted(self, work, wanted_bytes=0):\n"
        "    global count\n    count += 1\n"
        "    if count == 12:\n        os.kill(os.getpid(), signal.SIGINT)\n"
        "    return write(self, work, wanted_bytes)\n"
        "sweep.Environment.write = counted\n"
        "import sys\nfrom redun.cli.main import main\nsys.exit(main(['gc', '--keep-last', '1']))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=tmp_path, env=redun_environ, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 130, done
    assert "interrupted" in done.stderr
    assert "Traceback" not in done.stderr
    assert len(executions(flow)) == 1
    assert run(flow, 2).jobs("Run") == []
    left = gc(flow)
    assert left["before"]["objects"] > left["after"]["objects"]
    assert info(flow)["unreachable"]["objects"] == 0


def test_the_log_of_a_past_that_is_gone(flow: Cli, refused: Any) -> None:
    run(flow, 0)
    old = executions(flow)[0]
    jobs = [json.loads(line) for line in flow("log", "--job", "--format", "json").stdout.splitlines()]
    main = next(job for job in jobs if job["task_name"] == "flow.main")
    part = next(job for job in jobs if job["task_name"] == "flow.part")
    run(flow, 2)
    assert flow("log", "--value").status == 0
    gc(flow, "--keep-last", "1")
    for gone in (old[:8], main["id"][:8], part["id"][:8]):
        ended = flow("log", gone)
        assert ended.status == 1, ended
        assert gone in ended.stderr
        assert "Traceback" not in ended.stderr
    shown = flow("log", "--job").stdout
    assert old[:8] not in shown
    assert "flow.part" in shown
    assert main["id"][:8] not in shown
    # A call that both made is still told of, by the one that is left.
    assert flow("log", "--task").status == 0
