"""Files as values: stamps and hashes, validity, streams, copies, families, and that nothing is imported in vain."""

from __future__ import annotations

import gc
import io
import os
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any, ClassVar

import pytest

from redun.encoding import restore, value_bytes, value_id
from redun.file import (
    ContentDir,
    ContentFile,
    ContentFileSet,
    Dir,
    File,
    FileSet,
    FileSystem,
    FileSystemError,
    IDir,
    IFile,
    IFileSet,
    IStagingFile,
    StagingDir,
    StagingFile,
    copy_file,
    get_filesystem,
    get_proto,
    glob_file,
    open_file,
    register_filesystem,
)
from redun.files.filesystem import FOLDER, MISSING
from redun.value import get_type_registry


@pytest.fixture(autouse=True)
def _in_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def write(path: str, text: str = "text", mtime: float | None = None) -> str:
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    Path(path).write_text(text)
    if mtime is not None:
        os.utime(path, (mtime, mtime))
    return path


def reload(value: Any) -> Any:
    """Store a value and read it back."""
    return restore(value_bytes(value))


# Hash.


def test_the_hash_is_the_id_of_the_value_and_moves_with_size_and_time():
    write("a", "one", 100)
    file = File("a")
    assert file.hash == value_id(file).hex() == file.get_hash()
    assert len(file.hash) == 40
    assert File("a").hash == file.hash
    write("a", "two", 101)
    assert File("a").hash != file.hash
    write("a", "longer", 100)
    assert File("a").hash != file.hash
    write("a", "one", 100)
    assert File("a").hash == file.hash


def test_path_as_written_takes_part_in_the_hash():
    write("a")
    assert len({File("a").hash, File("./a").hash, File(os.path.abspath("a")).hash}) == 3


def test_the_hash_is_taken_once_and_reading_does_not_move_it():
    file = File(write("a", "one", 100))
    before = file.hash
    assert file.read() == "one"
    write("a", "other", 200)
    assert file.read() == "other"
    assert file.hash == before
    file.update_hash()
    assert file.hash != before


def test_files_that_are_missing_and_folders_have_marks_of_their_own():
    assert File("a").stamp == MISSING
    assert File("a").hash == File("a").hash
    assert File("a").hash != File("b").hash
    os.mkdir("a")
    assert File("a").stamp == FOLDER
    write("f")
    assert File("f/below").stamp == MISSING


def test_repr_shows_path_and_hash_and_never_fails():
    file = File(write("lib.o"))
    assert repr(file) == str(file) == f"File(path=lib.o, hash={file.hash[:8]})"
    assert repr(FileSet("*.o")).startswith("FileSet(pattern=*.o, hash=")
    assert repr(Dir("d/")).startswith("Dir(path=d, hash=")
    assert repr(File("nonsense://x")) == "File(path=nonsense://x, hash=?)"


@pytest.mark.parametrize("cls", [File, ContentFile, IFile, FileSet, ContentFileSet, IFileSet, Dir, ContentDir, IDir])
def test_values_come_back_from_the_store_and_from_pickle_as_they_were(cls: Any):
    write("d/a")
    value = cls("d")
    before = value.hash
    write("d/a", "changed")
    write("d/b")
    for again in (reload(value), pickle.loads(pickle.dumps(value))):
        assert type(again) is cls
        assert again.hash == before
        assert again.stamp == value.stamp


def test_paths_may_be_path_objects_and_nothing_else():
    assert File(Path("a/b")).path == "a/b"
    for bad in (3, None, b"a", ["a"]):
        with pytest.raises(TypeError, match="needs a path as text"):
            File(bad)  # type: ignore[arg-type]


def test_a_file_can_stand_where_python_takes_a_path():
    write("a", "x")
    with open(File("a")) as stream:
        assert stream.read() == "x"
    assert os.path.exists(File("file://" + os.path.abspath("a")))


# Validity.


def test_validity_is_being_what_was_recorded():
    file = File(write("a", "one", 100))
    assert file.is_valid()
    _ = file.hash
    assert file.is_valid()
    for change in (
        lambda: write("a", "two", 101),
        lambda: os.remove("a"),
        lambda: os.mkdir("a"),
    ):
        change()
        assert not file.is_valid()
    os.rmdir("a")
    write("a", "one", 100)
    assert file.is_valid()


def test_a_file_that_was_missing_is_valid_while_it_is():
    file = reload(File("a"))
    assert file.is_valid()
    write("a")
    assert not file.is_valid()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may look at everything")
def test_what_may_not_be_looked_at_is_not_valid():
    file = File(write("d/a"))
    _ = file.hash
    os.chmod("d", 0)
    try:
        assert not file.is_valid()
    finally:
        os.chmod("d", 0o700)


@pytest.mark.parametrize(
    "error", [PermissionError(13, "Permission denied"), ConnectionError("network"), FileSystemError("package")]
)
def test_what_cannot_be_looked_at_is_not_valid(error: Exception, monkeypatch: pytest.MonkeyPatch):
    file = File(write("a"))
    _ = file.hash

    def refuse(path: str) -> str:
        raise error

    monkeypatch.setattr(file.filesystem, "get_hash", refuse)
    assert not file.is_valid()


def test_content_files_ignore_times_and_see_content():
    file = ContentFile(write("a", "one", 100))
    before = file.hash
    write("a", "one", 200)
    assert file.is_valid()
    assert ContentFile("a").hash == before
    write("a", "two", 100)
    assert not file.is_valid()
    assert ContentFile("b").stamp == MISSING
    assert ContentFile(write("c", "one")).hash != before


def test_immutable_files_are_their_path_and_always_valid():
    file = IFile("a")
    before = file.hash
    assert reload(file).is_valid()
    write("a")
    assert IFile("a").hash == before
    assert reload(file).is_valid()
    for value in (IDir("d"), IFileSet("d/*")):
        _ = value.hash
        write("d/x")
        assert reload(value).is_valid()


# Streams.


@pytest.mark.parametrize("mode", ["w", "a", "x", "wb", "ab", "xb", "w+", "w+b", "wt"])
def test_writing_moves_the_hash_once_when_the_stream_closes(mode: str, monkeypatch: pytest.MonkeyPatch):
    file = File("new/dir/a")
    before = file.hash
    calls = []
    update = file.update_hash
    monkeypatch.setattr(file, "update_hash", lambda: (calls.append(file.size()), update()))
    with file.open(mode) as stream:
        stream.write(b"hello" if "b" in mode else "hello")
        assert isinstance(stream, io.IOBase)
        assert not calls
    stream.close()
    assert calls == [5]
    assert file.hash != before
    assert file.hash == File("new/dir/a").hash


def test_update_in_place_moves_the_hash():
    file = File(write("a", "12345", 100))
    before = file.hash
    with file.open("r+") as stream:
        assert stream.read(2) == "12"
        stream.seek(0)
        stream.write("ab")
    assert file.read() == "ab345"
    assert file.hash != before


def test_a_stream_that_cannot_be_opened_leaves_the_hash_alone():
    write("a", "x", 100)
    os.mkdir("folder")
    for path, mode, error in (
        ("a", "x", FileExistsError),
        ("folder", "w", IsADirectoryError),
        ("a/b", "w", OSError),
        ("a", "wq", ValueError),
        ("a", "wbt", ValueError),
    ):
        file = File(path)
        before = file.hash
        with pytest.raises(error):
            file.open(mode)
        assert file._hash == before
    with pytest.raises(ValueError, match="encoding"):
        File("a").open("wb", encoding="utf-8")
    with pytest.raises(LookupError):
        File("a").open("w", encoding="no-such-encoding")


@pytest.mark.parametrize("path", ["kept.txt", "memory://closing/kept.txt"])
def test_a_stream_that_is_left_open_counts_when_it_is_collected_or_an_error_passes(path: str) -> None:
    file = File(path)
    file.write("1")
    before = file.hash
    stream = file.open("w")
    stream.write("22")
    del stream
    gc.collect()
    assert file.hash != before
    assert file.is_valid()
    before = file.hash
    with pytest.raises(TypeError), file.open("w") as stream:
        stream.write(f"333{None + 1}")  # type: ignore[operator]
    assert file.hash != before
    assert file.is_valid()


def test_a_file_without_a_name_cannot_be_staged_under_it() -> None:
    with pytest.raises(ValueError, match="'s3://bucket/' cannot be staged under its own name"):
        File("s3://bucket/").stage()
    assert File("s3://bucket/").stage("x").local.path == "x"


def test_a_pattern_below_a_folder_that_is_not_there_matches_nothing() -> None:
    assert glob_file("nowhere/**") == []


@pytest.mark.parametrize(
    "options", [{}, {"encoding": "utf-16"}, {"newline": "\r\n"}, {"buffering": 1}, {"encoding": "ascii", "errors": "replace"}]
)
def test_text_is_written_as_the_builtin_open_writes_it(options: dict[str, Any]):
    text = "one\ntwö\n"
    with File("ours").open("w", **options) as ours, open("theirs", "w", **options) as theirs:
        ours.write(text)
        theirs.write(text)
        assert ours.encoding == theirs.encoding
        assert ours.mode == theirs.mode
        assert ours.name == "ours"
    assert Path("ours").read_bytes() == Path("theirs").read_bytes()


def test_reading_failures_are_pythons_own():
    os.mkdir("folder")
    with pytest.raises(FileNotFoundError, match="missing"):
        File("missing").read()
    with pytest.raises(IsADirectoryError):
        File("folder").read()
    with pytest.raises(FileNotFoundError):
        File("missing").size()
    with pytest.raises(OSError, match="folder"):
        File("folder").remove()


def test_whole_contents_in_one_call():
    file = File("a")
    file.write("one\ntwo\n")
    file.write(b"three\n", mode="a")
    assert file.read() == "one\ntwo\nthree\n"
    assert file.read("rb") == b"one\ntwo\nthree\n"
    assert file.readlines() == ["one\n", "two\n", "three\n"]
    assert file.readlines("rb")[0] == b"one\n"
    assert file.size() == 14
    assert file.is_valid()


def test_touch_and_remove_move_the_hash():
    file = File("d/a")
    states = [file.hash]
    file.touch()
    states.append(file.hash)
    file.touch((5, 7))
    states.append(file.hash)
    assert os.stat("d/a").st_mtime == 7
    file.remove()
    assert file.hash == states[0]
    file.remove()
    assert len(set(states)) == 3
    assert not file.exists()


def test_names_and_kinds():
    write("d/a.txt")
    file = File("d/a.txt")
    assert (file.basename(), file.dirname()) == ("a.txt", "d")
    assert (file.exists(), file.isfile(), file.isdir()) == (True, True, False)
    assert (File("d").exists(), File("d").isfile(), File("d").isdir()) == (True, False, True)
    assert File("s3://bucket/key/x").basename() == "x"
    assert File("s3://bucket/key/x").dirname() == "s3://bucket/key"


def test_a_full_disk_says_so_and_the_hash_tells_the_truth():
    if not os.path.exists("/dev/full"):
        pytest.skip("no /dev/full here")
    file = File("/dev/full")
    with pytest.raises(OSError, match="No space left"):
        file.write("x" * 100_000)


# Copies.


def test_copies_return_their_destination_with_a_fresh_hash():
    src = File(write("a", "content"))
    dest = File("new/b")
    stale = dest.hash
    assert src.copy_to(dest) is dest
    assert dest.read() == "content"
    assert dest.hash != stale
    write("a", "changed")
    assert src.copy_to(dest, skip_if_exists=True).read() == "content"
    assert src.copy_to(dest).read() == "changed"
    assert src.copy_to(File("./a")).read() == "changed"
    with pytest.raises(FileNotFoundError):
        File("missing").copy_to(dest)


def test_copies_cross_file_systems():
    memory = File("memory://test-copies/x/a")
    File(write("a", "content")).copy_to(memory)
    assert memory.read("rb") == b"content"
    assert memory.copy_to(File("back")).read() == "content"
    assert memory.copy_to(File("memory://test-copies/y")).read() == "content"


def test_copy_file_between_paths_and_streams(monkeypatch: pytest.MonkeyPatch, capfdbinary: Any):
    write("d/a", "1")
    copy_file("d", "e", recursive=True)
    copy_file("e/a", "b")
    assert Path("b").read_text() == "1"
    copy_file("b", "-")
    assert capfdbinary.readouterr().out == b"1"

    class Stdin:
        buffer = io.BytesIO(b"from stdin")

    monkeypatch.setattr(sys, "stdin", Stdin)
    copy_file(None, "c")
    assert Path("c").read_text() == "from stdin"
    for args in ((None, "-"), (None, None)):
        with pytest.raises(ValueError, match="at least one"):
            copy_file(*args)
    with pytest.raises(ValueError, match="folder"):
        copy_file("d", None, recursive=True)


@pytest.mark.parametrize(
    ("src", "dest", "command"),
    [
        ("a", "b", "cp a b"),
        ("a b", "c'd", "cp 'a b' 'c'\"'\"'d'"),
        ("-x", "y", "cp ./-x y"),
        ("a", None, "cat a"),
        ("s3://b/k", "x", "aws s3 cp --no-progress s3://b/k x"),
        ("s3://b/k", None, "aws s3 cp --no-progress s3://b/k -"),
        ("x", "s3://b/k", "aws s3 cp --no-progress x s3://b/k"),
        ("gs://b/k", "x", "gsutil cp gs://b/k x"),
        ("http://h/k", "x", "redun fs cp http://h/k x"),
        ("s3://b/k", "gs://b/k", "(aws s3 cp --no-progress s3://b/k -) | (gsutil cp - gs://b/k)"),
        (None, "gs://b/k", "gsutil cp - gs://b/k"),
    ],
)
def test_shell_commands_fit_the_protocols(src: str, dest: str | None, command: str):
    from redun.files.shell import copy_command

    assert copy_command(src, dest) == command


def test_shell_commands_of_folders():
    assert Dir("s3://b/k").shell_copy_to("x") == "aws s3 cp --no-progress --recursive s3://b/k x"
    write("d/a", "1")
    write("d/sub/b c", "2")
    assert Dir("d").shell_copy_to("e") == "cp -r d e"
    assert Dir("s3://b/k").shell_copy_to("gs://b/k") == "redun fs cp --recursive s3://b/k gs://b/k"
    for _ in range(2):
        subprocess.run(["sh", "-ec", StagingDir("deep/e", "d").stage_lines()], check=True)
    assert [file.path for file in Dir("deep/e")] == ["deep/e/a", "deep/e/sub/b c"]
    with pytest.raises(ValueError, match="folder"):
        Dir("d").shell_copy_to(None)  # type: ignore[arg-type]


# Staging.


def test_staging_counts_by_its_paths():
    write("a", "1")
    one = value_id(File("a").stage("in"))
    write("a", "22")
    write("in", "3")
    assert value_id(File("a").stage("in")) == one
    assert value_id(File("a").stage("other")) != one
    assert value_id(IFile("a").stage("in")) != one


def test_staging_copies_in_and_out():
    write("a", "1")
    staged = File("a").stage("work/in")
    assert staged.stage() is staged.local
    assert staged.local.read() == "1"
    staged.local.write("2")
    assert staged.unstage() is staged.remote
    assert Path("a").read_text() == "2"
    assert staged.remote.is_valid()
    assert reload(staged).local.path == "work/in"
    folder = Dir("work").stage("copy")
    assert [file.path for file in folder.stage()] == ["copy/in"]


def test_staging_renders_commands():
    assert File("a b").stage("in").render_stage() == "cp 'a b' in"
    assert File("a").stage("in/x").render_stage() == "cp a in/x"
    assert File("a").stage("in/x").stage_lines() == "mkdir -p in\ncp a in/x"
    assert File("s3://b/k").stage().render_unstage() == "aws s3 cp --no-progress k s3://b/k"
    assert File("a").stage().render_stage() == File("./a").stage("a").render_unstage() == ""
    assert StagingFile("l", "r").render_unstage() == "cp l r"
    assert "aws" in StagingDir("l", "s3://b/r").render_stage()


def test_staging_shows_its_paths_without_touching_them():
    assert repr(File("s3://b/k").stage("x")) == "StagingFile(local=File(path=x), remote=File(path=s3://b/k))"
    with pytest.raises(ValueError, match="StagingFile"):
        get_type_registry().parse_arg(StagingFile, "a")


# Folders and sets.


def test_a_folder_holds_the_files_below_and_no_hidden_ones():
    for path in ("d/a", "d/sub/b", "d/.hidden", "d/.git/x"):
        write(path)
    os.mkdir("d/empty")
    assert [file.path for file in Dir("d")] == ["d/a", "d/sub/b"]
    assert [file.path for file in Dir("d/").files()] == ["d/a", "d/sub/b"]
    assert all(type(file) is File for file in Dir("d"))
    assert list(Dir("missing")) == []
    os.chdir("d")
    assert [file.path for file in Dir(".")] == ["./a", "./sub/b"]


def test_a_folders_hash_moves_with_what_is_below_and_with_its_path():
    write("d/a", "1", 100)
    write("d/sub/b", "1", 100)
    states = [Dir("d").hash]

    def expect_new() -> None:
        states.append(Dir("d").hash)
        assert len(set(states)) == len(states)

    write("d/sub/b", "1", 101)
    expect_new()
    write("d/c", "1", 100)
    expect_new()
    os.rename("d/c", "d/e")
    expect_new()
    os.remove("d/e")
    assert Dir("d").hash == states[1]
    write("d/.hidden")
    assert Dir("d").hash == states[1]
    os.rename("d", "renamed")
    states.append(Dir("renamed").hash)
    expect_new()


def test_missing_and_empty_folders_differ():
    missing = Dir("d")
    _ = missing.hash
    os.mkdir("d")
    assert not missing.is_valid()
    assert Dir("d").hash != missing.hash
    assert ContentDir("d").hash != ContentDir("missing").hash


def test_the_hash_is_taken_at_first_use_and_iteration_shows_what_is_there_now():
    folder = Dir("d")
    write("d/a")
    assert folder.is_valid()
    before = folder.hash
    write("d/b")
    assert folder.hash == before
    assert not folder.is_valid()
    assert len(list(folder)) == 2


def test_folders_make_and_remove_and_name_their_files():
    folder = Dir("d/e")
    folder.mkdir()
    assert folder.exists()
    folder.file("sub/x").write("1")
    assert folder.rel_path("d/e/sub/x") == "sub/x"
    with pytest.raises(OSError, match="not empty"):
        folder.rmdir()
    folder.rmdir(recursive=True)
    assert not folder.exists()
    assert Dir("/").file("x").path == "/x"
    assert Dir("/").path == "/"
    assert Dir("s3://b/k/").path == "s3://b/k"


def test_folders_are_copied_with_all_files():
    write("d/a", "1")
    write("d/sub/b", "2")
    assert [file.path for file in Dir("d").copy_to(Dir("e/f"))] == ["e/f/a", "e/f/sub/b"]
    with pytest.raises(FileNotFoundError, match="missing"):
        Dir("missing").copy_to(Dir("x"))


def test_links_are_followed_and_loops_end():
    write("real/a", "1")
    os.symlink("../real", write("d/x") + "-link")
    os.symlink(os.path.abspath("d"), "d/up")
    os.symlink("nowhere", "d/dangling")
    os.makedirs("d/deep/er")
    os.symlink("../..", "d/deep/er/loop")
    paths = [file.path for file in Dir("d")]
    assert "d/x-link/a" in paths
    assert "d/dangling" not in paths
    assert len(paths) < 20
    assert Dir("d").hash == Dir("d").hash


def test_sets_hold_the_files_that_match():
    for path in ("a.txt", "b.txt", "c.md", "sub/d.txt", ".e.txt"):
        write(path)
    os.mkdir("folder.txt")
    assert [file.path for file in FileSet("*.txt")] == ["a.txt", "b.txt"]
    assert [file.path for file in FileSet("**/*.txt")] == ["a.txt", "b.txt", "sub/d.txt"]
    assert glob_file("*.md") == ["c.md"]
    files = FileSet("*.txt")
    before = files.hash
    assert FileSet("*.tx?").hash != before
    write("f.txt")
    assert not files.is_valid()
    os.remove("f.txt")
    assert files.is_valid()
    write("a.txt", "longer now")
    assert not files.is_valid()


def test_subvalues_are_the_files():
    write("d/a")
    registry = get_type_registry()
    assert [file.path for file in registry.iter_subvalues(Dir("d"))] == ["d/a"]
    assert [value.path for value in registry.iter_subvalues([Dir("d"), File("x")])] == ["d", "d/a", "x"]


def test_families_stay_together():
    write("d/a")
    assert [type(file) for file in ContentDir("d")] == [ContentFile]
    assert [type(file) for file in IFileSet("d/*")] == [IFile]
    assert type(IFile("a").stage("b")) is IStagingFile
    assert type(IFile("a").stage("b").local) is IFile
    assert type(IDir("d").file("a")) is IFile


def test_contents_of_folders_ignore_times():
    write("d/a", "1", 100)
    before = ContentDir("d").hash
    write("d/a", "1", 200)
    assert ContentDir("d").hash == before
    write("d/a", "2", 100)
    assert ContentDir("d").hash != before
    assert ContentFileSet("d/*").hash != before


# File systems.


@pytest.mark.parametrize(
    ("path", "proto"),
    [
        ("a", "local"),
        ("/a", "local"),
        ("file:///a", "local"),
        ("s3://b/k", "s3"),
        ("S3://b", "s3"),
        ("a:b", "local"),
        ("c:/x", "local"),
    ],
)
def test_the_protocol_stands_before_the_path(path: str, proto: str):
    assert get_proto(path) == proto


def test_protocols_that_nobody_serves_are_a_clear_error():
    for use in (lambda: File("nonsense://a").hash, lambda: File("nonsense://a").read(), lambda: Dir("nonsense://a").files()):
        with pytest.raises(FileSystemError, match="nonsense"):
            use()
    assert get_filesystem(proto="local") is get_filesystem(url="a")


def test_remote_files_are_values_too():
    File("memory://test-remote/d/a.txt").write("one")
    with open_file("memory://test-remote/d/sub/b.txt", "wb") as stream:
        stream.write(b"two")
    file = File("memory://test-remote/d/a.txt")
    before = file.hash
    assert file.is_valid()
    assert file.read() == "one"
    assert file.hash == before
    file.write("three")
    assert file.hash != before
    assert file.size() == 5
    folder = Dir("memory://test-remote/d")
    assert [item.read() for item in folder] == ["three", "two"]
    assert [item.basename() for item in FileSet("memory://test-remote/d/*.txt")] == ["a.txt"]
    folder_hash = folder.hash
    File("memory://test-remote/d/sub/b.txt").write("other")
    assert not folder.is_valid()
    assert Dir("memory://test-remote/d").hash != folder_hash
    assert ContentFile("memory://test-remote/d/a.txt").stamp == ContentFile(write("a", "three")).stamp
    file.remove()
    file.remove()
    assert file.stamp == File("memory://test-remote/none").stamp == MISSING
    assert File("memory://test-remote/d").stamp == FOLDER
    with pytest.raises(FileNotFoundError):
        file.read()


def test_file_systems_of_fsspec_keep_the_name_that_was_used():
    import fsspec
    from fsspec.implementations.memory import MemoryFileSystem

    class Named(MemoryFileSystem):
        protocol = ("first-name", "second-name")
        store: ClassVar[dict[str, Any]] = {}
        pseudo_dirs: ClassVar[list[str]] = [""]

        @classmethod
        def _strip_protocol(cls, path: str) -> str:
            return "/" + path.rpartition("://")[2].strip("/")

    fsspec.register_implementation("second-name", Named, clobber=True)
    File("second-name://d/a").write("1")
    assert [file.path for file in Dir("second-name://d")] == ["second-name://d/a"]
    assert glob_file("second-name://d/*") == ["second-name://d/a"]
    assert Dir("second-name://d").files()[0].hash == File("second-name://d/a").hash
    File("memory://named/d/sub/a").write("1")
    assert [file.path for file in Dir("memory://named/d")] == ["memory://named/d/sub/a"]
    assert [file.path for file in Dir("memory://named/d").copy_to(Dir("here"))] == ["here/sub/a"]


def test_users_register_file_systems_of_their_own():
    contents: dict[str, bytes] = {"mine://a": b"x"}

    @register_filesystem
    class MineFileSystem(FileSystem):
        name = "mine"

        def exists(self, path: str) -> bool:
            return path in contents

        isfile = exists

        def isdir(self, path: str) -> bool:
            return False

        def filesize(self, path: str) -> int:
            return len(contents[path])

        def get_hash(self, path: str) -> str:
            return contents[path].hex() if path in contents else MISSING

        def open(self, path: str, mode: str, encoding: Any = None, on_close: Any = None, **kwargs: Any) -> Any:
            return io.BytesIO(contents[path])

        def remove(self, path: str) -> None:
            contents.pop(path, None)

        def mkdir(self, path: str) -> None: ...

        def rmdir(self, path: str, recursive: bool = False) -> None: ...

        def glob(self, pattern: str) -> list[str]:
            return sorted(contents)

    assert File("mine://a").read("rb") == b"x"
    folder = Dir("mine://")
    assert [file.path for file in folder] == ["mine://a"]
    _ = folder.hash
    contents["mine://a"] = b"y"
    assert not folder.is_valid()
