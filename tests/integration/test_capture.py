"""Files whose content the store keeps: given back where they are missing or changed, here and after a move."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from redun import Dir, File, Scheduler, script, task
from redun.config import Config
from redun.file import ContentFile, IFile
from redun.store.objects import links
from redun.store.repository import Store

from .conftest import Cli

redun_namespace = "capture_tests"
RAN: list[str] = []

LARGE = 300_000


@task()
def write(path: str, size: int) -> File:
    RAN.append(path)
    file = File(path)
    file.write("x" * size)
    return file


@task()
def folder(path: str) -> Dir:
    RAN.append(path)
    for name in ("a", "b/c", "b/d"):
        File(f"{path}/{name}.txt").write(name)
    return Dir(path)


@task()
def always(path: str) -> IFile:
    RAN.append(path)
    file = IFile(path)
    file.write("once")
    return file


@task()
def by_content(path: str) -> ContentFile:
    RAN.append(path)
    file = ContentFile(path)
    file.write("content")
    return file


@task()
def program() -> Any:
    RAN.append("program")
    return script("printf '#!/bin/sh\\necho out' > made/run; chmod +x made/run", outputs=[File("made/run")])


@task()
def length(file: File) -> int:
    RAN.append(f"length of {file.path}")
    return len(file.read())


class Product(File):
    type_name = "capture_tests.Product"
    capture_files = True


@task()
def product(path: str) -> list[File]:
    RAN.append(path)
    files = [Product(path), File(f"{path}.log")]
    for file in files:
        file.write(file.path)
    return files


@task()
def main() -> Any:
    files = [write("out/small.txt", 10), write("out/large.txt", LARGE), write("out/empty.txt", 0)]
    return [files, [length(file) for file in files], folder("tree"), always("i.txt"), by_content("c.txt")]


@task(capture_files=True)
def asked() -> Any:
    return [write("out/small.txt", 10), folder("tree")]


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    RAN.clear()


@pytest.fixture
def run(tmp_path: Path) -> Callable[..., tuple[Any, list[str]]]:
    """Run an expression on the store of this test; return its value and what ran."""

    def run(expr: Any, everywhere: bool = True, **options: Any) -> tuple[Any, list[str]]:
        RAN.clear()
        backend = {"capture_files": "true"} if everywhere else {}
        with Store.open(tmp_path / "store") as store:
            value = Scheduler(Config({"backend": backend}), store=store, logger=False).run(expr, **options)
        return value, list(RAN)

    return run


def tree(root: Path = Path()) -> dict[str, str]:
    return {str(path.relative_to(root)): path.read_text() for path in sorted(root.rglob("*")) if path.is_file()}


def remove_all() -> None:
    for path in sorted(Path().rglob("*"), reverse=True):
        path.unlink() if path.is_file() or path.is_symlink() else path.rmdir()


def test_what_was_removed_comes_back(run: Any) -> None:
    first, ran = run(main())
    assert len(ran) == 9
    before = tree()
    assert set(before) == {"c.txt", "i.txt", "out/empty.txt", "out/large.txt", "out/small.txt"} | {
        f"tree/{name}.txt" for name in ("a", "b/c", "b/d")
    }
    remove_all()
    again, ran = run(main())
    assert ran == []
    assert tree() == before
    assert repr(again) == repr(first)


def test_what_was_changed_comes_back(run: Any) -> None:
    run(main())
    before = tree()
    File("out/small.txt").write("something else")
    Path("tree/b/c.txt").unlink()
    Path("out/large.txt").write_text("y" * LARGE)
    _, ran = run(main())
    assert ran == []
    assert tree() == before


def test_another_time_of_the_same_content_changes_nothing(run: Any) -> None:
    run(main())
    for path in tree():
        os.utime(path, (1, 1))
    _, ran = run(main())
    assert ran == []
    assert os.stat("out/small.txt").st_mtime == 1


def test_in_another_folder(run: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run(main())
    before = tree()
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    _, ran = run(main())
    assert ran == []
    assert tree() == before


def test_files_of_scripts_can_be_executed_again(run: Any) -> None:
    os.mkdir("made")
    run(program())
    remove_all()
    _, ran = run(program())
    assert ran == []
    assert os.popen("made/run").read() == "out\n"


def test_as_a_task_option_files_keep_their_time(run: Any) -> None:
    _, ran = run(asked(), everywhere=False)
    assert len(ran) == 2
    before = tree()
    stamp = os.stat("out/small.txt").st_mtime_ns
    remove_all()
    _, ran = run(asked(), everywhere=False)
    assert ran == []
    assert tree() == before
    assert os.stat("out/small.txt").st_mtime_ns == stamp


def test_a_class_may_ask_for_it(run: Any) -> None:
    run(product("p"), everywhere=False)
    os.remove("p")
    assert run(product("p"), everywhere=False)[1] == []
    assert Path("p").read_text() == "p"
    os.remove("p.log")
    assert run(product("p"), everywhere=False)[1] == ["p"]


def test_without_it_the_task_runs_again(run: Any) -> None:
    run(write("out/small.txt", 10), everywhere=False)
    remove_all()
    _, ran = run(write("out/small.txt", 10), everywhere=False)
    assert ran == ["out/small.txt"]


def test_a_process_keeps_them_as_well(run: Any) -> None:
    run([write.options(executor="process")("out/large.txt", LARGE), folder.options(executor="process")("tree")])
    before = tree()
    remove_all()
    run([write.options(executor="process")("out/large.txt", LARGE), folder.options(executor="process")("tree")])
    assert tree() == before
    # It ran elsewhere, so ask whether a run here takes it.
    remove_all()
    _, ran = run(write("out/large.txt", LARGE))
    assert ran == []


def test_arguments_count_by_content(run: Any) -> None:
    Path("input.txt").write_text("12345")
    assert run(length(File("input.txt"))) == (5, ["length of input.txt"])
    os.utime("input.txt", (1, 1))
    assert run(length(File("input.txt"))) == (5, [])
    Path("input.txt").write_text("54321")
    assert run(length(File("input.txt"))) == (5, ["length of input.txt"])


def test_a_kept_file_counts_like_any_other(run: Any) -> None:
    file, _ = run(write("out/small.txt", 10))
    run(length(file))
    # The same file, made by hand.
    assert run(length(File("out/small.txt"))) == (10, [])


def test_nothing_is_written_through_a_link(run: Any, tmp_path: Path) -> None:
    run(write("out/small.txt", 10))
    remove_all()
    (tmp_path / "victim").mkdir()
    os.symlink(tmp_path / "victim", "out")
    # The task itself follows the link, as it always did; restoring does not.
    _, ran = run(write("out/small.txt", 10))
    assert ran == ["out/small.txt"]


def test_nor_outside_of_the_working_folder(run: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = str(tmp_path / "work" / "inside.txt")
    run(write(path, 10))
    os.remove(path)
    assert run(write(path, 10))[1] == []
    assert os.path.exists(path)
    run(write("../outside.txt", 10))
    os.remove("../outside.txt")
    assert run(write("../outside.txt", 10))[1] == ["../outside.txt"]


def test_a_folder_in_its_place_is_left_alone(run: Any) -> None:
    run(write("out/small.txt", 10))
    remove_all()
    Path("out/small.txt").mkdir(parents=True)
    with pytest.raises(IsADirectoryError):
        run(write("out/small.txt", 10))
    assert Path("out/small.txt").is_dir()


def test_a_dry_run_restores_nothing_but_knows_that_it_could(run: Any) -> None:
    run(main())
    remove_all()
    run(main(), dryrun=True)
    assert tree() == {}


def test_writing_to_a_restored_file_leaves_the_store_alone(run: Any) -> None:
    run(write("out/large.txt", LARGE))
    remove_all()
    run(write("out/large.txt", LARGE))
    with open("out/large.txt", "r+") as stream:
        stream.write("changed")
    _, ran = run(write("out/large.txt", LARGE))
    assert ran == []
    assert Path("out/large.txt").read_text() == "x" * LARGE


def test_equal_contents_are_kept_once(run: Any, tmp_path: Path) -> None:
    run([write(f"out/{number}.txt", LARGE) for number in range(5)])
    blobs = [path for path in (tmp_path / "store" / "blobs").rglob("*") if path.is_file()]
    assert len(blobs) == 1


def test_a_result_links_what_it_keeps(run: Any, tmp_path: Path) -> None:
    run(write("out/large.txt", LARGE))
    with Store.open(tmp_path / "store") as store:
        source = store.source
        sizes = {oid: len(source.get(oid)) for oid in source.ids()}
        large = [oid for oid, size in sizes.items() if size > LARGE]
        assert len(large) == 1
        assert sum(large[0] in links(source.get(oid)) for oid in sizes) == 1


def test_a_content_that_is_gone_is_a_miss(run: Any, tmp_path: Path) -> None:
    run(write("out/large.txt", LARGE))
    remove_all()
    for path in (tmp_path / "store" / "blobs").rglob("*"):
        if path.is_file():
            path.unlink()
    _, ran = run(write("out/large.txt", LARGE))
    assert ran == ["out/large.txt"]
    remove_all()
    assert run(write("out/large.txt", LARGE))[1] == []


def test_a_file_of_one_store_in_another(run: Any, tmp_path: Path) -> None:
    """What the other store does not have is read from the file once more, or left out."""
    file, _ = run(write("out/large.txt", LARGE))
    other = Store.in_memory()
    config = Config({"backend": {"capture_files": "true"}})
    assert Scheduler(config, store=other, logger=False).run(length(file)) == LARGE
    assert all(other.source.contains(link) for oid in other.source.ids() for link in links(other.source.get(oid)))
    remove_all()
    third = Store.in_memory()
    with pytest.raises(FileNotFoundError):
        Scheduler(config, store=third, logger=False).run(length(file))
    assert all(third.source.contains(link) for oid in third.source.ids() for link in links(third.source.get(oid)))


def test_hostile_names_are_refused(tmp_path: Path) -> None:
    from redun.content import Content
    from redun.files.restore import Kept, RestoreError, write_back

    source = Store.in_memory().source
    content = Content.small(b"evil")
    from redun.store.sources.base import Batch

    source.commit(Batch({content.oid: content.data}))
    os.symlink(tmp_path, "link")
    os.symlink(tmp_path / "target", "file_link")
    for path in ("/etc/evil", "../evil", "a/../../evil", "link/evil", "", ".", "a\0b", "file:///etc/evil", "file_link"):
        with pytest.raises(RestoreError):
            write_back(Kept(path, content, None, False), source, Path.cwd())
    assert not (tmp_path / "evil").exists()
    assert not (tmp_path / "target").exists()
    assert write_back(Kept("good/./path", content, None, False), source, Path.cwd()) == 4
    assert Path("good/path").read_text() == "evil"


FLOW = """
from redun import Dir, File, task

redun_namespace = "checkout"

@task()
def make(name: str, text: str) -> File:
    file = File(f"out/{name}")
    file.write(text)
    return file

@task()
def tree() -> Dir:
    File("tree/a/b.txt").write("b")
    return Dir("tree")

@task()
def main(text: str = "one") -> list:
    return [make("x.txt", text), make("y.txt", "y" * 100_000), tree()]
"""


def test_checkout(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "flow.py").write_text(FLOW)
    assert cli("init").status == 0
    (tmp_path / ".redun" / "redun.ini").write_text("[backend]\ncapture_files = true\n")
    assert cli("run", "flow.py", "main").status == 0
    assert cli("run", "flow.py", "main", "--text", "two").status == 0
    listed = cli("checkout", "--list", "-")
    assert listed.stdout.splitlines() == ["out/x.txt  3 bytes", "out/y.txt  100,000 bytes", "tree/a/b.txt  1 bytes"]
    done = cli("checkout", "~1", "old")
    assert done.status == 0
    assert (tmp_path / "old" / "out" / "x.txt").read_text() == "one"
    assert (tmp_path / "old" / "tree" / "a" / "b.txt").read_text() == "b"
    refused = cli("checkout", "-", "old")
    assert (refused.status, refused.stdout) == (1, "")
    assert "'out/x.txt'" in refused.stderr
    assert (tmp_path / "old" / "out" / "x.txt").read_text() == "one"
    assert cli("checkout", "--force", "-", "old").status == 0
    assert (tmp_path / "old" / "out" / "x.txt").read_text() == "two"
    (tmp_path / "out" / "y.txt").unlink()
    assert cli("checkout", "-").status == 0
    assert (tmp_path / "out" / "y.txt").stat().st_size == 100_000
    job = cli("log", "--job", "--task-name", "make", "--limit", "1", "--format", "json").stdout
    made = cli("checkout", json.loads(job)["id"], "one", "--format", "json")
    assert [json.loads(line)["bytes"] for line in made.stdout.splitlines()] in ([3], [100_000])


def test_checkout_where_nothing_was_kept(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "flow.py").write_text(FLOW)
    assert cli("run", "flow.py", "main").status == 0
    done = cli("checkout", "-")
    assert done.status == 1
    assert "capture_files" in done.stderr


def test_digests_are_taken_once(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that has not changed is read by one run, not by the next; one that has, is."""
    from redun.files import known_contents

    Path("input.txt").write_text("12345")
    os.utime("input.txt", (1_000_000, 1_000_000))
    run(length(File("input.txt")))
    known_contents._known.clear()
    read: list[str] = []
    remember = known_contents.remember
    monkeypatch.setattr(known_contents, "remember", lambda path, *rest: (read.append(path), remember(path, *rest)))
    assert run(length(File("input.txt"))) == (5, [])
    assert read == []
    Path("input.txt").write_text("54321")
    os.utime("input.txt", (2_000_000, 2_000_000))
    assert run(length(File("input.txt"))) == (5, ["length of input.txt"])
    assert set(read) == {"input.txt"}
