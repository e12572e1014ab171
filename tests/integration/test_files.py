"""Files from outside: what `log` finds of folders, copies over HTTP and FTP, and everything that can go wrong with a file."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from servers import ftp_server, http_server

from redun import Dir, File, Scheduler, task
from redun.file import ContentFile, FileSet, FileSystemError, IFile, get_filesystem

from .conftest import Cli

redun_namespace = "test_files"

WORKFLOW = """
from redun import Dir, File, task
from redun.file import ContentDir, FileSet

redun_namespace = "folders"

@task()
def make(kind: str) -> Dir:
    for name in ("a.txt", "sub/b.txt"):
        File(f"d/{name}").write(name)
    return {"Dir": Dir, "ContentDir": ContentDir}[kind]("d") if kind != "FileSet" else FileSet("d/**")

@task()
def single() -> File:
    file = File("c.txt")
    file.write("c")
    return file

@task()
def use(folder, file: File) -> list:
    return [file, len(list(folder))]

@task()
def main(kind: str = "Dir") -> list:
    return use(make(kind), single())
"""


@pytest.mark.parametrize("kind", ["Dir", "ContentDir", "FileSet"])
def test_log_finds_each_file_of_a_folder(cli: Cli, tmp_path: Path, kind: str) -> None:
    (tmp_path / "flow.py").write_text(WORKFLOW)
    assert cli("run", "flow.py", "main", "--kind", kind).status == 0
    shown = cli("log", "d/sub/b.txt")
    assert shown.status == 0
    assert f"folders.make('{kind}')" in shown.stdout.splitlines()[3]
    if kind == "Dir":
        assert "folders.single()" in cli("log", "c.txt").stdout.splitlines()[3]
        listed = [line.split()[-1] for line in cli("log", "--file").stdout.splitlines()]
        assert sorted(set(listed)) == ["c.txt", "d/a.txt", "d/sub/b.txt"]
        again = cli("run", "flow.py", "main")
        assert again.jobs("Run") == []
        (tmp_path / "d" / "sub" / "b.txt").write_text("changed")
        assert "make" in cli("run", "flow.py", "main").jobs("Run")


PLACES = """
from redun import Dir, File, Handle, ShardedS3Dataset, task
from redun.file import FileSet, IDir

redun_namespace = "places"

class Conn(Handle):
    def __init__(self, name, path=None, mode="r"):
        self.instance = None

@task()
def folder() -> Dir:
    File("made/a.txt").write("a")
    return Dir("made")

@task()
def pattern(given: Dir) -> FileSet:
    return FileSet("made/*.txt")

@task()
def dataset() -> ShardedS3Dataset:
    File("table/x.csv").write("a\\n1\\n")
    return ShardedS3Dataset("table", format="csv")

@task()
def connect() -> Conn:
    return Conn("stock", "data/stock.db")

@task()
def connect_by_name() -> Conn:
    return Conn("other", path="other.db")

@task()
def main() -> list:
    return [pattern(folder()), dataset(), connect(), [{"far": IDir("s3://bucket/far/")}], connect_by_name()]
"""


def test_log_finds_folders_patterns_datasets_and_handles(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "flow.py").write_text(PLACES)
    assert cli("run", "flow.py", "main").status == 0
    for name, first, job in [
        ("made", "Dir", "places.folder()"),
        ("./made/", "Dir", "places.folder()"),
        (str(tmp_path / "made"), "Dir", "places.folder()"),
        ("made/*.txt", "FileSet", "places.pattern("),
        ("table/", "ShardedS3Dataset", "places.dataset()"),
        ("s3://bucket/far", "IDir", "places.main()"),
        ("s3://bucket/far/", "IDir", "places.main()"),
    ]:
        shown = cli("log", name)
        assert shown.status == 0, shown
        lines = shown.stdout.splitlines()
        assert lines[0].startswith(f"{first} ")
        assert lines[1].startswith("Produced by Job ")
        assert job in lines[3]
    for name, call in [
        ("stock", "connect"),
        ("places.stock", "connect"),
        ("data/stock.db", "connect"),
        ("other.db", "connect_by_name"),
    ]:
        shown = cli("log", name)
        assert shown.status == 0, shown
        assert shown.stdout.startswith("Value ")
        assert f"places.{call}" in shown.stdout
    assert cli("log", "no-such-folder").status == 1
    # Lists of files are of files.
    assert [line.split()[-1] for line in cli("log", "--file").stdout.splitlines()] == ["made/a.txt", "table/x.csv"]
    assert cli("log", "--value", "--file-path", "made").stdout.count("redun.Dir") == 1


def test_files_over_http(cli: Cli, tmp_path: Path) -> None:
    site = tmp_path / "site"
    site.mkdir()
    (site / "a.txt").write_text("hello")
    with http_server(site) as url:
        file = File(f"{url}/a.txt")
        before = file.hash
        assert (file.read(), file.read("rb"), file.size(), file.exists()) == ("hello", b"hello", 5, True)
        assert (file.isfile(), file.basename()) == (True, "a.txt")
        assert file.is_valid()
        assert file.copy_to(File(str(tmp_path / "copy"))).read() == "hello"
        assert not File(f"{url}/none").exists()
        with pytest.raises(FileNotFoundError, match="none"):
            File(f"{url}/none").read()
        with pytest.raises(NotImplementedError):
            file.write("x")
        (site / "a.txt").write_text("changed")
        os.utime(site / "a.txt", (5, 5))
        assert not file.is_valid()
        assert File(f"{url}/a.txt").hash != before
        assert cli("fs", "cp", f"{url}/a.txt", "-").stdout == "changed"
        failed = cli("fs", "cp", f"{url}/none", "x")
        assert failed.status == 1
        assert "none" in failed.errors[0]
        assert "Traceback" not in failed.stderr


def test_files_over_ftp(tmp_path: Path) -> None:
    site = tmp_path / "site"
    site.mkdir()
    with ftp_server(site) as url:
        file = File(f"{url}/sub/a.txt")
        assert not file.exists()
        file.write("hello")
        assert (site / "sub" / "a.txt").read_text() == "hello"
        assert (file.read(), file.size(), file.exists()) == ("hello", 5, True)
        assert file.is_valid()
        assert [item.read() for item in Dir(f"{url}/sub")] == ["hello"]
        file.write("longer")
        assert file.copy_to(File(str(tmp_path / "copy"))).read() == "longer"
        file.remove()
        assert not file.exists()


def test_fs_cp_says_what_is_wrong(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "a").write_text("1")
    (tmp_path / "d").mkdir()
    for words, said in (
        (("none", "b"), "cannot copy 'none' to 'b': [Errno 2] No such file"),
        (("d", "b"), "it is a folder; give --recursive"),
        (("-r", "none", "b"), "No such folder"),
        (("-", "-"), "at least one"),
        (("-r", "d", "-"), "a folder cannot be copied"),
        (("nonsense://x", "b"), "no file system serves the protocol 'nonsense'"),
        (("a", "a/b"), "cannot copy 'a' to 'a/b'"),
    ):
        done = cli("fs", "cp", *words)
        assert done.status == 1, words
        assert said in done.stderr
        assert "Traceback" not in done.stderr
    assert cli("fs", "cp", "a", "new/").status == 0
    assert (tmp_path / "new" / "a").read_text() == "1"
    assert cli("fs", "cp", "a").status == 2


def test_fs_cp_copies_into_folders(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "a").write_text("1")
    (tmp_path / "d" / "sub").mkdir(parents=True)
    (tmp_path / "d" / "sub" / "b c").write_text("2")
    (tmp_path / "d" / ".hidden").write_text("3")
    for words in (("a", "d"), ("-r", "a", "one"), ("-r", "d", "other"), ("-r", "d", "other/"), ("-r", "d", "d/inner")):
        done = cli("fs", "cp", *words)
        assert (done.status, done.stderr) == (0, "")
    assert (tmp_path / "d" / "a").read_text() == (tmp_path / "one").read_text() == "1"
    found = sorted(
        str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file() and "redun" not in str(path.name)
    )
    assert found == ["a", "d/.hidden", "d/a", "d/inner/a", "d/inner/sub/b c", "d/sub/b c", "one", "other/a", "other/sub/b c"]


def test_fs_cp_reads_standard_input(tmp_path: Path, redun_environ: dict[str, str]) -> None:
    command = "printf text | redun fs cp - sub/a && redun fs cp sub/a - | tr a-z A-Z"
    done = subprocess.run(["sh", "-c", command], cwd=tmp_path, env=redun_environ, capture_output=True, text=True, check=True)
    assert done.stdout == "TEXT"


# What can become of a file.

calls: list[str] = []


@task()
def write(path: str) -> File:
    calls.append("write")
    file = File(path)
    file.write("content")
    return file


@task()
def nest(path: str) -> dict[str, object]:
    calls.append("nest")
    file = File(path)
    file.write("content")
    return {"files": [(file,)], "n": 1}


@pytest.fixture
def scheduler(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Scheduler:
    monkeypatch.chdir(tmp_path)
    calls.clear()
    return Scheduler(logger=False)


def _delete() -> None:
    os.remove("out")


def _replace_by_folder() -> None:
    os.remove("out")
    os.makedirs("out/x")
    shutil.rmtree("out")
    os.symlink("nowhere", "out")


def _change() -> None:
    Path("out").write_text("other content")


@pytest.mark.parametrize("harm", [_delete, _replace_by_folder, _change])
@pytest.mark.parametrize("call", [write, nest])
def test_a_result_that_is_not_there_any_more_is_made_again(scheduler: Scheduler, call: object, harm: object) -> None:
    for expected in (1, 1, 2, 2):
        if expected == 2 and len(calls) == 1:
            harm()  # type: ignore[operator]
            if os.path.islink("out"):
                os.unlink("out")
        scheduler.run(call("out"))  # type: ignore[operator]
        assert len(calls) == expected
    assert Path("out").read_text() == "content"


def test_a_folder_where_a_file_was_is_said(scheduler: Scheduler) -> None:
    scheduler.run(write("out"))
    os.remove("out")
    os.mkdir("out")
    with pytest.raises(IsADirectoryError, match="out"):
        scheduler.run(write("out"))
    assert calls == ["write", "write"]


def test_a_file_where_a_folder_should_be_is_said(scheduler: Scheduler) -> None:
    Path("out").write_text("")
    with pytest.raises(NotADirectoryError, match=r"Not a directory\. out/a"):
        scheduler.run(write("out/a"))


UNREADABLE = """
import os, sys
import redun.encoding, redun.files.local
from redun import Dir, File
os.setgid(65534); os.setuid(65534)
file = File(sys.argv[1])
for use in (file.read, lambda: file.write("x"), lambda: file.open("a"), lambda: File(sys.argv[1] + "-new").write("x")):
    try:
        use()
    except PermissionError as error:
        print(error)
"""


@pytest.mark.skipif(os.name != "posix" or os.getuid() != 0, reason="another user is made by root")
def test_what_may_not_be_read_is_said(tmp_path: Path) -> None:
    path = tmp_path / "secret"
    path.write_text("x")
    path.chmod(0o600)
    for folder in (tmp_path, *tmp_path.parents[:2]):
        folder.chmod(0o755)
    done = subprocess.run(
        [sys.executable, "-c", UNREADABLE, str(path)],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[2]), "PYTHONDONTWRITEBYTECODE": "1"},
    )
    expected = f"[Errno 13] Permission denied. {path}"
    assert done.stdout.splitlines() == [expected, expected, expected, f"{expected}-new"], done.stderr


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full here")
def test_a_full_disk_fails_the_job_and_leaves_nothing_valid(scheduler: Scheduler) -> None:
    os.symlink("/dev/full", "out")

    @task(namespace="test_files")
    def fill() -> File:
        file = File("out")
        file.write("x" * 100_000)
        return file

    with pytest.raises(OSError, match=r"No space left on device\. out"):
        scheduler.run(fill())


def test_a_file_that_changes_while_it_is_read_is_noticed_by_the_next_run(scheduler: Scheduler) -> None:
    @task(namespace="test_files")
    def read(file: File) -> str:
        calls.append("read")
        text: str = file.read()
        if len(calls) == 1:
            Path("in").write_text("changed while it was read")
        return text

    Path("in").write_text("first")
    assert scheduler.run(read(File("in"))) == "first"
    assert scheduler.run(read(File("in"))) == "changed while it was read"
    assert len(calls) == 2


def test_streams_that_stay_open_count_when_they_are_closed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for kind in (File, ContentFile):
        file = kind("a")
        stream = file.open("w")
        before = file.hash
        stream.write("text")
        assert file.hash == before
        stream.close()
        assert file.hash != before
        assert file.is_valid()
        stream.close()
        file.remove()
    constant = IFile("b")
    before = constant.hash
    constant.write("text")
    assert constant.hash == before
    assert constant.is_valid()


def test_looking_at_a_folder_leaves_the_value_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    File("d/a").write("1")
    for folder in (Dir("d"), FileSet("d/*")):
        before = folder.get_hash()
        File("d/b").write("2")
        assert not folder.is_valid()
        assert folder.get_hash() == folder.hash == before
        File("d/b").remove()
        assert folder.is_valid()


def test_azure_paths_name_their_account() -> None:
    fs = get_filesystem("az")
    account = fs.get_account_name_from_path  # type: ignore[attr-defined]
    assert account("az://mine@account.blob.core.windows.net/a/b") == "account"
    with pytest.raises(FileSystemError, match="names no storage account"):
        account("az://mine/a")


def test_a_stream_that_is_let_go_of_anywhere(tmp_path: Path) -> None:
    """The collector may close a stream while the same file system is being asked: it looks at nothing then."""
    from redun.files.streams import Tells

    file = File(f"file://{tmp_path}/a.txt")
    file.write("one")
    before = file.hash

    class Stream:
        def close(self) -> None:
            Path(tmp_path / "a.txt").write_text("longer")

    looks: list[str] = []
    real = type(file)._calc_stamp

    class Watched(File):
        def _calc_stamp(self) -> str:
            looks.append(self.path)
            return real(self)

    watched = Watched(file.path)
    assert watched.stamp
    looks.clear()
    stream = Tells(Stream(), watched.update_hash)
    del stream
    assert looks == []
    assert File(file.path).hash != before
    assert watched.stamp == File(file.path).stamp
    assert looks == [file.path]
