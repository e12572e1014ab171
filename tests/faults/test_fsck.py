"""Every kind of damage: found, told in words, repaired, and the next run gives what it gave before."""

from __future__ import annotations

import json
import os
import random
import shutil
import struct
import subprocess
from collections.abc import Callable
from pathlib import Path

import lmdb
import pytest

from redun.fsck import Report, check, repair
from redun.losses import Part
from redun.store.journal import decode_segment
from redun.store.objects import Kind
from redun.store.pages import Snapshot
from redun.store.repository import Store
from redun.store.rows import sequence_key

from . import damage


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("original") / "work"
    damage.make(folder)
    return folder


@pytest.fixture
def folder(original: Path, tmp_path: Path) -> Path:
    """Return a copy of a folder whose script has run twice."""
    return shutil.copytree(original, tmp_path / "work")


def store_of(folder: Path) -> Path:
    return folder / ".redun" / "store"


def mend(folder: Path) -> Report:
    return repair(store_of(folder), lambda: Store.open(store_of(folder)))


EXPECTED = repr([(" ".join([f"word number {i} " * 9 for i in range(30)]))[:100] * 3, [80_000] * 3])


def runs_as_before(folder: Path, again: bool = False) -> str:
    """The script gives what it gave; return the log of the run."""
    done = damage.run(folder, "run", "flow.py", "main")
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == EXPECTED
    if again:
        second = damage.run(folder, "run", "flow.py", "main")
        assert second.stdout.strip() == EXPECTED
        assert "Run    Job" not in second.stderr
    return done.stderr


def is_whole(folder: Path) -> None:
    report = check(store_of(folder), full=True)
    assert report.verdict == "sound", report
    # What shows the past goes on, too.
    assert damage.run(folder, "log", "--job").returncode == 0


def test_a_sound_store_is_sound(folder: Path) -> None:
    for words in ((), ("--full",), ("--repair",), ("--rebuild",), ("--full", "--rebuild")):
        done = damage.run(folder, "fsck", *words)
        assert (done.returncode, done.stderr) == (0, "")
        assert done.stdout.endswith("the store is sound\n")
    done = damage.run(folder, "fsck", "--format", "json")
    told = json.loads(done.stdout)
    assert told["verdict"] == "sound"
    assert told["objects"]["execution"] == 2
    assert told["blobs"] >= 3
    is_whole(folder)


# Objects.


def value_of(folder: Path, task: str) -> bytes:
    """Id of the result of a task's call, one that is an object of its own."""
    from redun.records import CallRecord

    (call, *_) = damage.calls_of(folder, task)
    with Store.open(store_of(folder)) as store:
        ref = CallRecord.decode(store.source.get(call)).result
    assert ref[0] == 0
    return ref[1:]


OBJECTS: dict[str, tuple[Callable[[Path], bytes], Part]] = {
    "result": (lambda folder: value_of(folder, "hurt.word"), Part.RESULT),
    "final result": (lambda folder: value_of(folder, "hurt.join"), Part.RESULT),
    "call": (lambda folder: damage.calls_of(folder, "hurt.word")[0], Part.CALL),
    "root call": (lambda folder: damage.calls_of(folder, "hurt.main")[0], Part.CALL),
    "task": (lambda folder: damage.objects(folder, Kind.TASK)[0], Part.TASK),
}


@pytest.mark.parametrize("harm", [damage.hurt_row, damage.drop_row], ids=["flipped", "vanished"])
@pytest.mark.parametrize("what", OBJECTS)
def test_what_can_be_computed_again_is(folder: Path, what: str, harm) -> None:
    find, part = OBJECTS[what]
    oid = find(folder)
    harm(folder, "objects", oid)
    report = check(store_of(folder))
    assert report.verdict == "damaged"
    (loss,) = report.losses
    assert (loss.id, loss.part) == (oid.hex(), part)
    assert loss.executions
    if part is not Part.TASK:
        assert all(task.startswith("hurt.") for task in loss.tasks)
        assert loss.tasks
    # A run heals what it needs by itself.
    copy = shutil.copytree(folder, folder.with_name("copy"))
    log = runs_as_before(copy, again=True)
    if "result" in what and harm is damage.hurt_row:
        # One miss, said once; one job; what was damaged is kept for the curious.
        assert log.count(oid.hex()) == log.count("Cached result cannot be used") == 1
        assert log.count("Run    Job") == 1
        assert [name[:40] for name in os.listdir(store_of(copy) / "quarantine")] == [oid.hex()]
    done = damage.run(folder, "fsck", "--repair")
    assert done.returncode == 3, done.stdout
    assert f"{part.title} {oid.hex()[:8]}" in done.stdout
    assert part.then in done.stdout
    runs_as_before(folder)
    is_whole(folder)


def test_an_object_is_taken_from_an_older_page(folder: Path) -> None:
    """LMDB writes a changed page elsewhere: only the newest copy of the row is damaged here."""
    oid = value_of(folder, "hurt.word")
    path = damage.data_file(folder)
    row = damage.row(folder, "objects", oid)
    with Store.open(store_of(folder)) as store:
        environment = store.source.environment()
        environment.write(lambda txn: txn.put(oid, row[:-1] + bytes((row[-1] ^ 1,)), db=environment.table("objects")))
    assert path.read_bytes().count(oid + row) >= 1
    done = damage.run(folder, "fsck", "--repair", "--format", "json")
    told = json.loads(done.stdout)
    assert (done.returncode, told["verdict"]) == (3, "repaired")
    assert told["lost"][0]["then"] == "it was found again"
    is_whole(folder)
    assert "Run    Job" not in runs_as_before(folder)


def test_an_object_is_taken_from_elsewhere(folder: Path) -> None:
    """What remotes will do."""
    oid = value_of(folder, "hurt.word")
    with Store.open(store_of(folder)) as store:
        data = store.source.get(oid)
    damage.hurt_row(folder, "objects", oid)
    asked: list[set[bytes]] = []

    def elsewhere(wanted):
        asked.append(set(wanted))
        yield oid, data

    report = repair(store_of(folder), lambda: Store.open(store_of(folder)), elsewhere)
    assert asked == [{oid}]
    assert report.verdict == "repaired"
    assert report.back == {oid.hex()}
    is_whole(folder)
    assert "Run    Job" not in runs_as_before(folder)


@pytest.mark.parametrize("kind", ["folder", "store"])
def test_objects_are_taken_from_a_repo(folder: Path, tmp_path: Path, kind: str) -> None:
    """Of small and large values, a call, and the record of the execution itself, which no run would make again."""
    if kind == "store":
        shutil.copytree(folder / ".redun", tmp_path / "other" / ".redun")
        url = str(tmp_path / "other" / ".redun")
    else:
        url = str(tmp_path / "repo")
    added = damage.run(folder, "repo", "add", "--trust", "all", "team", url)
    assert added.returncode == 0, added.stderr
    if kind == "folder":
        assert damage.run(folder, "push", "team").returncode == 0
    name, head = damage.heads(folder)[0]
    with Store.open(store_of(folder)) as store:
        record = decode_segment(store.source.get(head)).execution
    large = value_of(folder, "hurt.large").hex()
    for oid in (value_of(folder, "hurt.join"), damage.calls_of(folder, "hurt.main")[0], record, head):
        damage.hurt_row(folder, "objects", oid)
    os.unlink(store_of(folder) / "blobs" / large[:2] / large[2:])
    done = damage.run(folder, "fsck", "--repair")
    assert done.returncode == 3, done.stdout + done.stderr
    assert "took 5 lost objects from r" in done.stdout
    assert done.stdout.count("it was found again") == 5
    is_whole(folder)
    assert name.split("/")[1][:8] in damage.run(folder, "log").stdout
    assert "Run    Job" not in runs_as_before(folder)


# Large values.


def flip(path: Path) -> None:
    with open(path, "r+b") as file:
        file.seek(50_000)
        file.write(b"~")
    os.utime(path, ns=(1, 1))


def replace_by_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


@pytest.mark.parametrize(
    "harm",
    [flip, os.unlink, lambda path: os.truncate(path, 0), lambda path: os.truncate(path, 70_000), replace_by_folder],
    ids=["flipped", "vanished", "emptied", "cut", "folder"],
)
def test_large_values(folder: Path, harm) -> None:
    digits = value_of(folder, "hurt.large").hex()
    harm(store_of(folder) / "blobs" / digits[:2] / digits[2:])
    quick, full = check(store_of(folder)), check(store_of(folder), full=True)
    # Only hashing tells that a byte has changed.
    assert quick.verdict == ("sound" if harm is flip else "damaged")
    assert full.verdict == "damaged"
    (loss,) = full.losses
    assert loss.part is Part.RESULT
    assert loss.tasks == {"hurt.large"}
    copy = shutil.copytree(folder, folder.with_name("copy"))
    if harm is not replace_by_folder:
        runs_as_before(copy)
    report = mend(folder)
    assert report.verdict == "repaired"
    runs_as_before(folder)
    is_whole(folder)
    assert os.listdir(store_of(folder) / "quarantine") or harm is os.unlink


# What names objects.


def test_a_damaged_cache_is_made_again(folder: Path) -> None:
    with Snapshot(damage.data_file(folder)) as snapshot:
        keys = [key for key, _ in snapshot.rows("memo")]
    for key in keys[::7]:
        damage.hurt_row(folder, "memo", key)
    report = check(store_of(folder))
    assert set(report.found.bad_memo) == set(keys[::7])
    assert mend(folder).verdict == "repaired"
    is_whole(folder)
    assert "Run    Job" not in runs_as_before(folder)


@pytest.mark.parametrize("kind", ["executions/", "tags/"])
@pytest.mark.parametrize("harm", [damage.hurt_row, damage.drop_row], ids=["flipped", "vanished"])
def test_a_damaged_ref_is_set_again(folder: Path, kind: str, harm) -> None:
    with Store.open(store_of(folder)) as store:
        before = store.source.refs()
    name, _ = next(ref for ref in before if ref[0].startswith(kind))
    harm(folder, "refs", name.encode())
    report = check(store_of(folder))
    assert list(report.found.bad_refs) == [name]
    if harm is damage.hurt_row:
        refused = damage.run(folder, "log")
        assert refused.returncode == 1
        assert f"ref '{name}' is damaged: 'redun fsck --repair' mends it" in refused.stderr
    assert mend(folder).verdict == "repaired"
    with Store.open(store_of(folder)) as store:
        assert store.source.refs() == before
    is_whole(folder)


def test_a_ref_whose_name_is_damaged(folder: Path) -> None:
    with Store.open(store_of(folder)) as store:
        before = store.source.refs()
    name = before[0][0].encode()
    assert damage.overwrite(
        damage.data_file(folder),
        name + damage.row(folder, "refs", name),
        name[:-1] + b"\xff" + damage.row(folder, "refs", name),
    )
    report = check(store_of(folder))
    assert len(report.found.bad_refs) == 2
    assert mend(folder).verdict == "repaired"
    with Store.open(store_of(folder)) as store:
        assert store.source.refs() == before
    is_whole(folder)


@pytest.mark.parametrize("place", [0, 1, -1])
def test_a_damaged_reflog(folder: Path, place: int) -> None:
    shown = damage.run(folder, "log", "--job").stdout
    with Store.open(store_of(folder)) as store:
        entries = list(store.source.reflog())
    damage.hurt_row(folder, "reflog", sequence_key(entries[place].seq))
    report = check(store_of(folder))
    assert len(report.found.bad_movements) == 1
    assert mend(folder).verdict == "repaired"
    assert damage.run(folder, "log", "--job").stdout == shown
    is_whole(folder)
    assert "Run    Job" not in runs_as_before(folder)


@pytest.mark.parametrize("table", ["prov_jobs", "prov_state", "prov_calls"])
def test_a_damaged_index_is_made_again(folder: Path, table: str) -> None:
    expected = damage.run(folder, "log", "--job").stdout
    with Snapshot(damage.data_file(folder)) as snapshot:
        key, _ = next(iter(snapshot.rows(f"t_{table}")))
    damage.hurt_row(folder, f"t_{table}", key)
    assert check(store_of(folder)).found.bad_tables == {table: 1}
    copy = shutil.copytree(folder, folder.with_name("copy"))
    done = damage.run(copy, "fsck", "--rebuild")
    assert done.returncode == 0, done.stdout
    assert damage.run(copy, "log", "--job").stdout == expected
    assert mend(folder).verdict == "repaired"
    assert damage.run(folder, "log", "--job").stdout == expected
    is_whole(folder)


# What cannot be computed again.


def test_a_lost_piece_of_history(folder: Path) -> None:
    with Store.open(store_of(folder)) as store:
        (name, head) = store.source.refs("executions/")[0]
        parent = decode_segment(store.source.get(head)).parent
    for place, oid in (("head", head), ("before", parent)):
        copy = shutil.copytree(folder, folder.with_name(place))
        if oid is None:
            continue
        damage.hurt_row(copy, "objects", oid)
        report = check(store_of(copy))
        assert report.losses[0].part is Part.HISTORY
        assert report.losses[0].executions == {name.split("/")[1]}
        done = damage.run(copy, "fsck", "--repair")
        assert done.returncode == 1
        assert "lost for good" in done.stdout
        assert name.split("/")[1] in done.stdout
        runs_as_before(copy)
        is_whole(copy)


def test_a_lost_record_of_an_execution(folder: Path) -> None:
    (execution, other) = [name.split("/")[1] for name, _ in damage.heads(folder)]
    jobs = damage.run(folder, "log", execution[:8]).stdout.count("Job ")
    with Store.open(store_of(folder)) as store:
        record = decode_segment(store.source.get(store.source.read_ref(f"executions/{execution}"))).execution
    damage.hurt_row(folder, "objects", record)
    report = mend(folder)
    assert report.verdict == "lost"
    assert [loss.part for loss in report.losses] == [Part.EXECUTION]
    assert f"execution {execution}: its record was lost" in report.gone_for_good[0]
    is_whole(folder)
    shown = damage.run(folder, "log", execution[:8]).stdout
    # Its jobs are still there.
    assert shown.count("Job ") == jobs
    assert "(lost)" in shown
    assert other[:8] in damage.run(folder, "log").stdout
    assert "Run    Job" not in runs_as_before(folder)


def test_a_lost_tag(folder: Path) -> None:
    damage.hurt_row(folder, "objects", damage.objects(folder, Kind.TAG)[0])
    report = mend(folder)
    assert report.verdict == "lost"
    assert [loss.part for loss in report.losses] == [Part.TAG]
    is_whole(folder)


# Pages.


def pages_of(folder: Path) -> list[int]:
    """Numbers of all pages that the newest snapshot uses and that say what they are."""
    data = damage.data_file(folder).read_bytes()
    with Snapshot(damage.data_file(folder)) as snapshot:
        for name in snapshot.tables:
            list(snapshot.rows(name))
        used = [number for number in range(2, snapshot.meta.last_page + 1) if snapshot._seen[number]]
    return [number for number in used if struct.unpack_from("<Q", data, number * 4096)[0] == number]


def zero(folder: Path, page: int) -> None:
    with open(damage.data_file(folder), "r+b") as file:
        file.seek(page * 4096)
        file.write(bytes(4096))


ROUNDS = int(os.environ.get("REDUN_FAULT_ROUNDS", "30"))


@pytest.mark.parametrize("part", range(5))
def test_lost_pages(original: Path, tmp_path: Path, part: int) -> None:
    """A page that became zeros: the file is made again of the others."""
    pages = pages_of(original)
    for page in random.Random(part).sample(pages, min(len(pages), ROUNDS // 15)):
        folder = shutil.copytree(original, tmp_path / f"page{page}")
        zero(folder, page)
        report = check(store_of(folder))
        assert report.verdict == "damaged"
        done = damage.run(folder, "fsck", "--repair")
        assert done.returncode in (1, 3), done.stdout
        is_whole(folder)
        runs_as_before(folder)
        is_whole(folder)
        assert (
            any(name.startswith("data.mdb-") for name in os.listdir(store_of(folder) / "quarantine")) or not report.found.pages
        )


@pytest.mark.parametrize("page", [0, 1])
def test_a_lost_head_page(folder: Path, page: int) -> None:
    zero(folder, page)
    for words in (("run", "flow.py", "main"), ("log",)):
        done = damage.run(folder, *words)
        assert done.returncode == 1
        assert "redun fsck --repair" in done.stderr
    assert damage.run(folder, "fsck").returncode == 1
    assert damage.run(folder, "fsck", "--repair").returncode in (1, 3)
    is_whole(folder)
    runs_as_before(folder)


def test_a_file_that_was_cut(folder: Path) -> None:
    size = damage.data_file(folder).stat().st_size
    os.truncate(damage.data_file(folder), size // 8192 * 4096)
    done = damage.run(folder, "run", "flow.py", "main")
    assert done.returncode == 1
    assert "cut short" in done.stderr
    before = damage.data_file(folder).read_bytes()
    done = damage.run(folder, "fsck", "--repair")
    assert done.returncode in (1, 3)
    if "restore a copy" in done.stderr:
        # The page that names the tables stood in what is gone, and no older one in what is left: nothing can be told apart any more.
        assert damage.data_file(folder).read_bytes() == before
        return
    is_whole(folder)
    runs_as_before(folder)


def test_a_file_of_which_nothing_is_left(folder: Path) -> None:
    path = damage.data_file(folder)
    path.write_bytes(bytes(path.stat().st_size))
    for words in ((), ("--repair",)):
        done = damage.run(folder, "fsck", *words)
        assert done.returncode == 1
        assert "restore a copy" in done.stderr
    assert path.read_bytes() == bytes(path.stat().st_size)


def test_the_database_of_somebody_else_is_left_alone(folder: Path) -> None:
    path = damage.data_file(folder)
    path.unlink()
    env = lmdb.open(str(path.parent), max_dbs=2)
    with env.begin(write=True) as txn:
        txn.put(b"theirs", b"value", db=env.open_db(b"their table", txn=txn))
    env.close()
    content = path.read_bytes()
    for words in ((), ("--full",), ("--repair",), ("--rebuild",)):
        done = damage.run(folder, "fsck", *words)
        assert done.returncode == 1
        assert "no database of redun" in done.stderr
    assert path.read_bytes() == content


# Who else is there.


def test_somebody_else_has_it_open(folder: Path) -> None:
    """Looking goes on beside others; making the file again does not."""
    with Store.open(store_of(folder)):
        done = damage.run(folder, "fsck", "--full")
        assert done.returncode == 0
    zero(folder, pages_of(folder)[1])
    code = "import sys; from redun.store.locks import FolderLock; from pathlib import Path\n"
    code += f"lock = FolderLock(Path({str(store_of(folder))!r}), readonly=False, timeout_s=1)\nprint('open', flush=True); sys.stdin.read()"
    with subprocess.Popen([os.sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        other.stdout.readline()
        assert damage.run(folder, "fsck").returncode == 1
        done = damage.run(folder, "fsck", "--repair")
        assert done.returncode == 1
        assert f"process {other.pid} has" in done.stderr
        other.communicate()
    assert damage.run(folder, "fsck", "--repair").returncode in (1, 3)
    is_whole(folder)


def test_no_store(tmp_path: Path) -> None:
    done = damage.run(tmp_path, "fsck")
    assert done.returncode == 1
    assert "nothing has been run here yet" in done.stderr
    (tmp_path / ".redun").mkdir()
    done = damage.run(tmp_path, "fsck", "--repair")
    assert done.returncode == 1
    assert "there is no store" in done.stderr
    assert not (tmp_path / ".redun" / "store").exists()


def test_looking_beside_runs_and_collections_finds_nothing(tmp_path: Path, fork) -> None:
    """While others write and delete there is never anything wrong."""
    from redun import Scheduler, task
    from redun.store.gc import Plan

    @task(namespace="beside")
    def make(i: int) -> list:
        return [b"%08d" % i * 9_000, f"text {i} " * 100]

    @task(namespace="beside")
    def main(n: int) -> list:
        return [make(i) for i in range(n, n + 8)]

    def write(child) -> None:
        with Store.open(tmp_path / "store") as store:
            for n in range(10_000):
                Scheduler(store=store, logger=False).run(main(n * 5))
                if n % 3 == 2:
                    names = [name for name, _ in store.source.refs("executions/")]
                    Plan(store, names[: len(names) // 2]).carry_out(readers_wait_s=0.0, stray_after_s=0.0)
                child.report(n)

    child = fork(write)
    for number in range(ROUNDS):
        assert child.read() == number
        report = check(tmp_path / "store", full=True)
        assert report.verdict == "sound", report.found
    child.kill()
