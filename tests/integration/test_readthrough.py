"""Read-through and write-back: runs take what others have computed from repos, and push what they did."""

from __future__ import annotations

import fcntl
import json
import os
import random
import shutil
import subprocess
import threading
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from servers import s3_server

from redun import File, Handle, Scheduler, catch, task
from redun.config import Config
from redun.errors import ConfigError, RedunError
from redun.fsck import check
from redun.remotes import find_repo
from redun.sharing import push_to
from redun.store.errors import RemoteBusy, RemoteDenied
from redun.store.remote.backends import opening
from redun.store.repository import Store
from redun.subrun import subrun

from .conftest import Cli

redun_namespace = "readthrough_tests"
RAN: list[str] = []
COMPILE = Path(__file__).parents[2] / "examples" / "02_compile"


@task()
def leaf(i: int) -> list[Any]:
    RAN.append("leaf")
    return [i, "long enough to be an object of its own " * 3]


@task()
def large(size: int) -> bytes:
    RAN.append("large")
    return b"x" * size


@task()
def measure(data: bytes) -> int:
    RAN.append("measure")
    return len(data)


@task()
def total(items: list[Any]) -> int:
    RAN.append("total")
    return sum(item[0] for item in items)


@task()
def main(n: int = 3) -> Any:
    RAN.append("main")
    return [total([leaf(i) for i in range(n)]), measure(large(6_000_000))]


@task(check_valid="shallow")
def whole(n: int) -> Any:
    RAN.append("whole")
    return [total([leaf(i) for i in range(n)]), measure(large(200_000))]


@task()
def write(path: str) -> File:
    RAN.append("write")
    file = File(path)
    file.write("content")
    return file


@task()
def fails() -> Any:
    RAN.append("fails")
    raise ValueError("as it must")


class Log:
    """Takes the place of a logger."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.warnings: list[str] = []

    def log(self, level: int, text: str) -> None:
        self.lines.append(text)

    def warning(self, text: str) -> None:
        self.warnings.append(text)


class Machine:
    """Somebody's store, and a repo that all share."""

    def __init__(self, folder: Path, remote: str, trust: str = "all", **backend: str) -> None:
        self.folder = folder
        sections = {"backend": backend, "repos": {"team": {"url": remote, "trust": trust}}}
        self.config = Config(sections, str(folder))
        self.log = Log()

    def run(self, expr: Any, *remotes: str, pushes: bool = False, **options: Any) -> Any:
        RAN.clear()
        self.log = Log()
        with Store.open(self.folder / "store") as store:
            scheduler = Scheduler(self.config, store=store, logger=self.log)
            scheduler.remotes = (*scheduler.remotes, *remotes)
            scheduler.pushes = scheduler.pushes or pushes
            return scheduler.run(expr, **options)

    def push(self) -> None:
        with Store.open(self.folder / "store") as store:
            push_to(store, find_repo(self.config, "team"))

    def cached(self, place: str = "team") -> list[str]:
        lines = [line for line in self.log.lines if line.startswith("Cached") and line.endswith(f"from {place})")]
        return sorted(line.split("readthrough_tests.")[1].split("(")[0] for line in lines)

    def is_sound(self) -> bool:
        return check(self.folder / "store", full=True).verdict == "sound"


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Machine]:
    monkeypatch.chdir(tmp_path)

    def make(name: str, *args: str, **options: str) -> Machine:
        (tmp_path / name).mkdir()
        return Machine(tmp_path / name, str(tmp_path / "remote"), *args, **options)

    return make


@pytest.fixture
def a(machine: Callable[..., Machine]) -> Machine:
    """Whoever ran the workflow and pushed."""
    one = machine("a")
    one.run([main(), whole(4)])
    one.push()
    return one


class Between:
    """Puts something between a run and the places of its repos."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, str]] = []
        self.before: Callable[[str, str], None] = lambda method, name: None

    def open(self, *args: Any) -> Any:
        between, inner = self, REAL_OPEN(*args)

        class Wrapped:
            url, shared = inner.url, inner.shared

            def __getattr__(self, method: str) -> Any:
                found = getattr(inner, method)
                if method in ("now_us", "close"):
                    return found

                def call(name: str, *rest: Any) -> Any:
                    between.calls.append((method, name))
                    between.before(method, name)
                    return found(name, *rest)

                return call

        return Wrapped()


REAL_OPEN = opening.open_backend


@pytest.fixture
def between(monkeypatch: pytest.MonkeyPatch) -> Between:
    one = Between()
    monkeypatch.setattr(opening, "open_backend", one.open)
    return one


# What is taken.


def test_what_others_computed_is_not_computed_again(a: Machine, machine: Any) -> None:
    b = machine("b")
    assert b.run(main(), "team") == [3, 6_000_000]
    assert RAN == []
    assert b.cached() == ["large", "leaf", "leaf", "leaf", "main", "measure", "total"]
    assert b.log.warnings == []
    # It is here now.
    assert b.run(main()) == [3, 6_000_000]
    assert (RAN, b.cached()) == ([], [])
    assert b.is_sound()
    # Only what is new runs.
    assert b.run(main(5), "team")[0] == 10
    assert sorted(RAN) == ["leaf", "main", "total"]


def test_calls_are_the_same_here_and_there(a: Machine, machine: Any) -> None:
    b = machine("b")
    b.run([main(), whole(4)], "team")
    with Store.open(a.folder / "store") as one, Store.open(b.folder / "store") as other:
        calls = {oid for oid in one.source.ids() if one.source.get(oid)[0] == 3}
        mine = {oid for oid in other.source.ids() if other.source.get(oid)[0] == 3}
    # But for the roots, which say where they were called from.
    assert calls == mine


def test_a_shallow_check_takes_the_whole_call(a: Machine, machine: Any) -> None:
    b = machine("b")
    assert b.run(whole(4), "team") == [6, 200_000]
    assert (RAN, b.cached()) == ([], ["whole"])
    assert b.run(whole(4)) == [6, 200_000]
    assert RAN == []
    assert b.is_sound()
    with Store.open(b.folder / "store") as store:
        # A large value that is no part of the result stays there.
        assert len(store.source.all_away()) == 1


def test_gc_leaves_what_was_taken(a: Machine, machine: Any, cli: Cli) -> None:
    b = machine("b")
    b.run([main(), whole(4)], "team")
    (b.folder / "redun.ini").touch()
    assert cli("--config", str(b.folder), "gc").status == 0
    b.run([main(), whole(4)])
    assert RAN == []
    assert b.is_sound()


def test_a_whole_run_takes_few_requests(machine: Any, between: Between) -> None:
    a, b = machine("a"), machine("b")
    a.run([leaf(i) for i in range(500)])
    a.push()
    between.calls.clear()
    b.run([leaf(i) for i in range(500)], "team")
    assert RAN == []
    # And the root.
    assert len(b.cached()) == 501
    # The configuration, checkpoints, the log, its one entry, and one pack.
    assert len(between.calls) <= 6, between.calls


@task()
def link(before: bytes, i: int) -> bytes:
    RAN.append("link")
    return random.Random(i).randbytes(20_000)


@task()
def chain(n: int) -> Any:
    found: Any = b""
    for i in range(n):
        found = link(found, i)
    return found


def test_a_chain_of_calls_takes_few_requests(machine: Any, between: Between) -> None:
    """One value after another, out of a pack that is too large to be fetched for one of them."""
    a, b = machine("a"), machine("b")
    a.run(chain(100))
    a.push()
    between.calls.clear()
    b.run(chain(100), "team")
    assert RAN == []
    assert len(between.calls) <= 16, between.calls


def test_nothing_is_asked_where_everything_is_known(a: Machine, between: Between) -> None:
    a.run(main(), "team")
    assert (RAN, between.calls) == ([], [])


def test_a_configured_remote_and_a_dry_run(a: Machine, machine: Any) -> None:
    b = machine("b", remotes="team")
    assert b.run(main(), dryrun=True) == [3, 6_000_000]
    assert (RAN, len(b.cached())) == ([], 7)
    # A dry run keeps nothing.
    assert not list((b.folder / "store").glob("blobs/*/*"))
    with pytest.raises(RedunError):
        b.run(main(4), dryrun=True)
    b.run(main())
    assert (RAN, len(b.cached())) == ([], 7)
    b.run(leaf(1), cache=False)
    assert RAN == ["leaf"]


def test_another_store_of_the_same_user(a: Machine, machine: Any) -> None:
    b = machine("b")
    b.config = Config({"repos": {"mine": {"config_dir": str(a.folder)}}}, str(b.folder))
    assert b.run([main(), whole(4)], "mine") == [[3, 6_000_000], [6, 200_000]]
    assert RAN == []
    assert "whole" in b.cached("mine")
    assert b.run([main(), whole(4)]) == [[3, 6_000_000], [6, 200_000]]
    assert RAN == []
    assert b.is_sound()


def test_the_second_repo_knows(a: Machine, machine: Any, tmp_path: Path) -> None:
    b = machine("b")
    first = {"url": str(tmp_path / "empty"), "trust": "all"}
    b.config = Config({"repos": {"team": {"url": str(tmp_path / "remote"), "trust": "all"}, "first": first}}, str(b.folder))
    assert b.run(main(), "first", "team") == [3, 6_000_000]
    assert (RAN, b.log.warnings) == ([], [])


@task()
def made_good(error: Exception) -> list[Any]:
    RAN.append("made_good")
    return leaf(7)


@task()
def careful() -> Any:
    return [catch(fails(), ValueError, made_good), leaf(1)]


def test_what_catch_recovered_is_taken(machine: Any) -> None:
    a, b, c = machine("a"), machine("b"), machine("c", "")
    value = a.run(careful())
    a.push()
    assert b.run(careful(), "team") == value
    assert RAN == []
    assert b.run(careful()) == value
    assert RAN == []
    assert b.is_sound()
    assert c.run(careful(), "team") == value
    assert sorted(RAN) == ["fails", "leaf", "leaf", "made_good"]


class Conn(Handle):
    type_name = "readthrough_tests.Conn"


@task()
def step(conn: Conn, i: int) -> Conn:
    RAN.append(f"step {i}")
    return conn


@task()
def steps() -> Any:
    first = step(Conn("c"), 1)
    return [step(step(first, 2), 3), [leaf(i) for i in range(3)]]


def test_states_of_handles_hold_where_they_were_made(machine: Any) -> None:
    a, b = machine("a"), machine("b")
    a.run(steps())
    a.push()
    b.run(steps(), "team")
    assert RAN == ["step 1", "step 2", "step 3"]
    b.run(steps(), "team")
    assert RAN == []


def test_a_store_in_memory_reads_through(a: Machine) -> None:
    RAN.clear()
    scheduler = Scheduler(a.config, logger=False)
    scheduler.remotes = ("team",)
    assert scheduler.run([main(), whole(4)]) == [[3, 6_000_000], [6, 200_000]]
    assert RAN == []
    # A scheduler may run again.
    assert scheduler.run(main(4))[0] == 6
    assert RAN == ["main"]


def test_a_sub_run_reads_through(machine: Any) -> None:
    a, b, c = machine("a"), machine("b"), machine("c")
    a.run([subrun(main(), executor="default"), total([leaf(i) for i in range(4)])])
    a.push()
    b.run(subrun(main(), executor="default"), "team")
    assert RAN == []
    # It is not known as a whole, but what is in it.
    c.run(subrun(total([leaf(i) for i in range(4)]), executor="default"), "team")
    assert RAN == []
    assert b.is_sound()
    assert c.is_sound()


def test_what_a_gc_dropped_comes_back(a: Machine, machine: Any) -> None:
    """The memo knows it, the value is gone."""
    b = machine("b")
    b.run(leaf(1), "team")
    with Store.open(b.folder / "store") as store:
        source: Any = store.source
        value = next(oid for oid in source.ids() if b"object of its own" in source.get(oid) and source.get(oid)[0] == 1)
        environment = source.environment()
        source.drop()
        environment.write(lambda txn: txn.delete(value, db=environment.table("objects")), 0)
    b.run(leaf(1), "team")
    assert (RAN, b.cached()) == ([], ["leaf"])
    b.run(leaf(1))
    assert RAN == []


# Whom it is taken from.


def test_nothing_is_taken_from_strangers(a: Machine, machine: Any) -> None:
    c = machine("c", "")
    assert c.run(main(), "team") == [3, 6_000_000]
    assert sorted(RAN) == ["large", "leaf", "leaf", "leaf", "main", "measure", "total"]
    assert len(c.log.warnings) == 1
    assert "nobody signed them who is trusted" in c.log.warnings[0]


def test_whoever_is_disowned_is_not_believed_in_hindsight(a: Machine, machine: Any, cli: Cli) -> None:
    b = machine("b")
    (b.folder / "redun.ini").write_text(f"[repos.team]\nurl = {b.folder.parent / 'remote'}\ntrust = all\n")
    b.run([main(), whole(4)], "team")
    assert RAN == []
    listed = cli("--config", str(b.folder), "keys", "list", "--format", "json").stdout
    mark = next(row["fingerprint"] for row in map(json.loads, listed.splitlines()) if row["repo"] == "team")
    done = cli("--config", str(b.folder), "keys", "revoke", mark)
    # With the root, which holds the list.
    assert "nor 9 results that runs here took from it" in done.stdout, done
    assert cli("--config", str(b.folder), "fsck", "--rebuild").status == 0
    b.run([main(), whole(4)])
    assert sorted(set(RAN)) == ["large", "leaf", "main", "measure", "total", "whole"]


# What goes wrong.


def test_a_remote_that_dies_in_the_middle(a: Machine, machine: Any, between: Between) -> None:
    b = machine("b")

    def dies(method: str, name: str) -> None:
        if name.startswith("packs/") and len([one for _, one in between.calls if one.startswith("packs/")]) > 1:
            raise RemoteDenied("the network is gone")

    between.before = dies
    assert b.run(main(), "team") == [3, 6_000_000]
    assert RAN
    assert len(b.log.warnings) == 1
    assert "repo 'team' is left alone for the rest of this run: the network is gone" in b.log.warnings[0]
    between.before = lambda method, name: None
    b.run(main(), "team")
    assert RAN == []


def test_a_remote_that_never_answers(a: Machine, machine: Any, between: Between) -> None:
    b = machine("b", remote_timeout="0.2")
    go_on = threading.Event()
    between.before = lambda method, name: (go_on.wait(), None)[1]
    try:
        assert b.run(main(), "team") == [3, 6_000_000]
    finally:
        go_on.set()
    assert "main" in RAN
    assert b.log.warnings == ["repo 'team' is left alone for the rest of this run: no answer for 0.2 seconds"]


def test_another_process_waits_for_the_remote(a: Machine, machine: Any) -> None:
    """It holds what is known of the remote as long as it does not get an answer."""
    b = machine("b", remote_timeout="0.2")
    b.run(leaf(1), "team")
    (lock,) = [path for path in (b.folder / "store" / "remotes").iterdir() if path.suffix == ".lock"]
    with open(lock, "ab") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        assert b.run(main(), "team") == [3, 6_000_000]
    assert "main" in RAN
    assert len(b.log.warnings) == 1


def test_a_remote_that_stalls_in_a_large_value(a: Machine, machine: Any, between: Between) -> None:
    """What is here by then is used; the rest is computed."""
    b = machine("b", remote_timeout="0.2")
    go_on = threading.Event()
    seen: list[str] = []

    def stalls(method: str, name: str) -> None:
        if name.startswith("packs/"):
            seen.append(name)
            if len(set(seen)) > 1:
                go_on.wait()

    between.before = stalls
    try:
        assert b.run(main(), "team") == [3, 6_000_000]
    finally:
        go_on.set()
    assert len(b.log.warnings) == 1
    assert b.is_sound()


@pytest.mark.parametrize("what", ["packs", "log", "config", "idx"])
def test_a_damaged_remote(a: Machine, machine: Any, what: str) -> None:
    b = machine("b")
    place = a.folder.parent / "remote" / what
    for path in [place] if place.is_file() else sorted(place.glob("*")):
        path.chmod(0o644)
        data = bytearray(path.read_bytes())
        data[len(data) // 2] ^= 0xFF
        path.write_bytes(data)
    assert b.run(main(), "team") == [3, 6_000_000]
    assert len(b.log.warnings) <= 1
    assert b.is_sound()


def test_a_remote_that_was_set_back(a: Machine, machine: Any) -> None:
    b = machine("b")
    b.run(leaf(2), "team")
    assert RAN == []
    shutil.rmtree(a.folder.parent / "remote" / "log")
    b.run(main(), "team")
    assert "main" in RAN
    assert len(b.log.warnings) == 1
    assert "set back" in b.log.warnings[0]


def test_a_run_that_fails_beside_a_remote_that_hangs(a: Machine, machine: Any, between: Between) -> None:
    b = machine("b", remote_timeout="60")
    go_on = threading.Event()
    between.before = lambda method, name: (go_on.wait(), None)[1]
    try:
        with pytest.raises(ValueError, match="as it must"):
            # The second one is put to the repo, which never answers; the first does not ask.
            b.run([fails.options(cache=False)(), leaf(1)], "team")
    finally:
        go_on.set()


def test_bad_configurations(a: Machine, machine: Any) -> None:
    b = machine("b")
    for run, text in (
        (lambda: b.run(main(), "nobody"), "unknown repo 'nobody'"),
        (lambda: machine("c", remote_timeout="soon").run(main(), "team"), "remote_timeout"),
        (lambda: machine("d", push_on_success="nobody").run(main()), "unknown repo 'nobody'"),
        (lambda: machine("e", remotes="x").run(main()), "unknown repo 'x'"),
    ):
        with pytest.raises((RedunError, ConfigError), match=text):
            run()
        assert RAN == []


# Write-back.


def test_what_a_run_did_is_pushed(machine: Any) -> None:
    a, b = machine("a", push_on_success="team"), machine("b")
    a.run(main())
    assert [line for line in a.log.lines if line.startswith("Pushed")]
    b.run(main(), "team")
    assert RAN == []
    # What failed is not.
    with pytest.raises(ValueError, match="as it must"):
        a.run(fails())
    assert not [line for line in a.log.lines if line.startswith("Pushed")]


def test_a_push_that_fails_fails_no_run(machine: Any, between: Between) -> None:
    a = machine("a")

    def refuse(method: str, name: str) -> None:
        if method.startswith("put"):
            raise RemoteBusy("the server is on fire") if name == "config" else RemoteDenied("read-only")

    between.before = refuse
    assert a.run(main(), pushes=True) == [3, 6_000_000]
    assert len(a.log.warnings) == 1
    assert "not pushed to 'team'" in a.log.warnings[0]
    between.before = lambda method, name: None
    a.run(main(), pushes=True)
    assert (RAN, a.log.warnings) == ([], [])


def test_results_of_a_repo_are_handed_on(a: Machine, machine: Any, tmp_path: Path) -> None:
    b = machine("b")
    second = {"url": str(tmp_path / "second"), "trust": "all"}
    b.config = Config(
        {
            "backend": {"push_on_success": "second"},
            "repos": {"team": {"url": str(tmp_path / "remote"), "trust": "all"}, "second": second},
        },
        str(b.folder),
    )
    b.run([main(), whole(4)], "team")
    c = machine("c")
    c.config = Config({"repos": {"second": second}}, str(c.folder))
    assert c.run([main(), whole(4)], "second") == [[3, 6_000_000], [6, 200_000]]
    assert RAN == []


def test_a_read_only_repo(machine: Any, tmp_path: Path) -> None:
    a = machine("a")
    a.config = Config({"repos": {"team": {"url": str(tmp_path / "remote"), "readonly": "true"}}}, str(a.folder))
    with pytest.raises(RedunError, match="cannot tell which repo to push to"):
        a.run(main(), pushes=True)
    a.config = Config(
        {"backend": {"push_on_success": "team"}, "repos": {"team": {"url": str(tmp_path / "remote"), "readonly": "true"}}},
        str(a.folder),
    )
    with pytest.raises(RedunError, match="read-only"):
        a.run(main())


# Files.


def test_files_come_along(machine: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    a, b = machine("a", capture_files="true"), machine("b", capture_files="true")
    monkeypatch.chdir(a.folder)
    a.run(write("out/x.txt"))
    a.push()
    monkeypatch.chdir(b.folder)
    b.run(write("out/x.txt"), "team")
    assert RAN == []
    assert Path("out/x.txt").read_text() == "content"


@pytest.fixture(scope="module")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    with s3_server(tmp_path_factory.mktemp("s3")) as environ:
        yield environ


@pytest.mark.parametrize("way", ["pull", "read-through"])
def test_programs_compiled_on_another_machine(
    cli: Cli, tmp_path: Path, s3: dict[str, str], way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A compiles and pushes to S3; B, elsewhere, with a fresh store and other times of files, gets the programs."""
    for name, value in s3.items():
        monkeypatch.setenv(name, value)
    import boto3

    bucket = f"bucket-{uuid.uuid4().hex[:12]}"
    boto3.client("s3").create_bucket(Bucket=bucket)
    here, there = tmp_path / "one" / "project", tmp_path / "quite" / "another" / "place"
    for folder in (here, there):
        shutil.copytree(COMPILE, folder, ignore=shutil.ignore_patterns(".redun"))
        (folder / ".redun").mkdir()
        (folder / ".redun" / "redun.ini").write_text("[backend]\ncapture_files = true\n")
    done = cli("repo", "add", "lab", f"s3://{bucket}/team", "--trust", "none", cwd=here, env=s3)
    assert done.status == 0, done
    done = cli("run", "--push", "make.py", "make", cwd=here, env=s3)
    assert (done.status, len(done.jobs("Run"))) == (0, 8), done
    assert "Pushed" in done.stderr
    mark = (
        cli("repo", "add", "lab", f"s3://{bucket}/team", cwd=there, env=s3)
        .stderr.split("SHA256:")[1]
        .split()[0]
        .strip(",;:'\"")
    )
    done = cli("repo", "add", "lab", f"s3://{bucket}/team", "--trust", f"SHA256:{mark}", cwd=there, env=s3)
    assert done.status == 0, done
    for source in there.glob("*.c"):
        os.utime(source, (1_000_000_000, 1_000_000_000))
    if way == "pull":
        assert cli("pull", "lab", cwd=there, env=s3).status == 0
        done = cli("run", "make.py", "make", cwd=there, env=s3)
    else:
        done = cli("run", "--remote", "lab", "make.py", "make", cwd=there, env=s3)
    assert (done.status, done.jobs("Run"), len(done.jobs("Cached"))) == (0, [], 9), done
    assert done.errors == []
    for name in ("prog", "prog2"):
        assert (there / name).read_bytes() == (here / name).read_bytes()
        assert subprocess.run([there / name], capture_output=True, text=True, check=True).stdout.startswith(f"{name}: Hello")


def test_no_network(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / ".redun").mkdir()
    (tmp_path / ".redun" / "redun.ini").write_text(
        "[backend]\nremotes = far\n[repos.far]\nurl = s3://bucket/x\nendpoint_url = http://127.0.0.1:9\ntrust = all\n"
    )
    (tmp_path / "flow.py").write_text("from redun import task\n@task(namespace='n')\ndef main():\n    return 7\n")
    env = {"AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "y", "AWS_DEFAULT_REGION": "us-east-1"}
    done = cli("run", "--push", "flow.py", "main", env=env)
    assert (done.status, done.stdout) == (0, "7\n"), done
    assert len([line for line in done.log if line.startswith("Warning: repo 'far' is left alone")]) == 1
    assert len([line for line in done.log if line.startswith("Warning: not pushed to 'far'")]) == 1
    assert "Traceback" not in done.stderr
