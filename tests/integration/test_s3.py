"""Files on S3, against a server that speaks S3 over loopback (moto), not a mock of the client."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from servers import s3_server

from redun import Dir, File, Scheduler, ShardedS3Dataset, task
from redun.encoding import restore, value_bytes
from redun.file import ContentDir, ContentFile, FileSet, FileSystemError, S3FileSystem, copy_file, get_filesystem, glob_file
from redun.tools import copy_dir

from .conftest import Cli

redun_namespace = "test_s3"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    with s3_server(tmp_path_factory.mktemp("s3")) as environ:
        yield environ


@pytest.fixture
def bucket(server: dict[str, str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> str:
    """Return the URL of a new bucket; the working folder is the test's own."""
    for name, value in server.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(tmp_path)
    # A client of an earlier test would still know another server.
    monkeypatch.setattr(filesystem(), "_client", None)
    name = f"bucket-{uuid.uuid4().hex[:12]}"
    client().create_bucket(Bucket=name)
    return f"s3://{name}"


def filesystem() -> S3FileSystem:
    found = get_filesystem("s3")
    assert isinstance(found, S3FileSystem)
    return found


def client() -> Any:
    return filesystem().s3_raw


def test_a_file_is_written_read_copied_and_removed(bucket: str):
    file = File(f"{bucket}/tmp/hello.txt")
    file.remove()
    assert not file.exists()
    states = [file.hash]
    with file.open("w") as stream:
        stream.write("hello")
    states.append(file.hash)
    assert file.exists()
    assert (file.isfile(), file.isdir(), file.size()) == (True, False, 5)
    file.write("hello\ntwo\n")
    states.append(file.hash)
    assert len(set(states)) == 3
    assert file.readlines() == ["hello\n", "two\n"]
    assert file.read("rb") == b"hello\ntwo\n"
    assert file.is_valid()
    file.write("three\n", "a")
    assert file.read().endswith("two\nthree\n")
    copy = file.copy_to(File(f"{bucket}/tmp/copy"))
    assert copy.read() == file.read()
    assert file.copy_to(File("deep/local")).read() == file.read()
    assert File("deep/local").copy_to(File(f"{bucket}/back")).is_valid()
    assert file.copy_to(File(f"memory://{bucket[5:]}/m")).read() == file.read()
    copy.remove()
    assert not copy.exists()


def test_what_is_there_is_looked_up_and_never_remembered(bucket: str):
    file, folder = File(f"{bucket}/a"), Dir(f"{bucket}/dir")
    before, empty = file.hash, folder.hash
    assert not file.exists()
    assert not folder.exists()
    client().put_object(Bucket=bucket[5:], Key="a", Body=b"x")
    client().put_object(Bucket=bucket[5:], Key="dir/a", Body=b"x")
    assert file.exists()
    assert folder.exists()
    assert not file.is_valid()
    assert not folder.is_valid()
    assert File(f"{bucket}/a").hash != before
    assert Dir(f"{bucket}/dir").hash != empty


def test_folders_come_and_go(bucket: str):
    folder = Dir(f"{bucket}/tmp/")
    missing = folder.hash
    folder.rmdir()
    folder.mkdir()
    assert folder.exists()
    assert folder.hash != missing
    assert list(folder) == []
    folder.file("a").write("1")
    folder.file("sub/b").write("2")
    folder.rmdir()
    assert folder.exists()
    assert [file.path for file in folder] == [f"{bucket}/tmp/a", f"{bucket}/tmp/sub/b"]
    assert [file.path for file in folder.copy_to(Dir("here"))] == ["here/a", "here/sub/b"]
    assert [file.read() for file in Dir("here").copy_to(Dir(f"{bucket}/there"))] == ["1", "2"]
    assert ContentDir(f"{bucket}/tmp").is_valid()
    folder.rmdir(recursive=True)
    assert not folder.exists()
    assert not Dir(f"{bucket}-none").exists()
    # A folder is no other whose name begins as its own does.
    File(f"{bucket}/tmp2/x").write("")
    assert not Dir(f"{bucket}/tmp").exists()
    assert Dir(f"{bucket}/tmp").files() == []


def test_a_folder_of_more_objects_than_one_answer_holds(bucket: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(S3FileSystem, "keys_at_once", 3)
    for number in range(10):
        File(f"{bucket}/many/{number:04}").write("")
    folder = Dir(f"{bucket}/many")
    assert len(folder.files()) == 10
    assert len(glob_file(f"{bucket}/many/*5")) == 1
    folder.rmdir(recursive=True)
    assert folder.files() == []


@pytest.mark.parametrize(
    ("pattern", "found"),
    [
        ("*.txt", ["a.txt"]),
        ("*", ["a.txt", "d"]),
        ("d/*", ["d/[x].txt", "d/b.txt", "d/e"]),
        ("**", ["a.txt", "d", "d/[x].txt", "d/b.txt", "d/e", "d/e/c.md"]),
        ("**/*.txt", ["a.txt", "d/[x].txt", "d/b.txt"]),
        ("d/?.txt", ["d/b.txt"]),
        ("d/[ab].txt", ["d/b.txt"]),
        ("d/[!ab]*.txt", ["d/[x].txt"]),
        ("d/b.txt", ["d/b.txt"]),
        ("d/e", ["d/e"]),
        ("none/*", []),
        ("none", []),
    ],
)
def test_patterns(bucket: str, pattern: str, found: list[str]):
    for key in ("a.txt", "d/b.txt", "d/[x].txt", "d/e/c.md"):
        File(f"{bucket}/{key}").write("")
    assert glob_file(f"{bucket}/{pattern}") == [f"{bucket}/{key}" for key in found]
    files = [f"{bucket}/{key}" for key in found if key not in ("d", "d/e")]
    assert [file.path for file in FileSet(f"{bucket}/{pattern}")] == files


def test_large_objects_go_in_parts_and_are_read_from_any_place(bucket: str):
    data = os.urandom(1 << 20) * 19 + b"end"
    file = File(f"{bucket}/large")
    with file.open("wb") as stream:
        for start in range(0, len(data), 3_000_001):
            stream.write(data[start : start + 3_000_001])
    assert file.size() == len(data)
    with file.open("rb") as stream:
        assert stream.read(10) == data[:10]
        assert stream.seek(-3, os.SEEK_END) == len(data) - 3
        assert stream.read() == b"end"
        stream.seek(17_000_000)
        assert stream.read(1000) == data[17_000_000:17_001_000]
        assert stream.read(1 << 25) == data[17_001_000:]
    assert client().list_multipart_uploads(Bucket=bucket[5:]).get("Uploads", []) == []


@pytest.mark.parametrize("size", [10, 9 << 20])
def test_a_write_that_fails_leaves_what_was_there(bucket: str, size: int):
    file = File(f"{bucket}/a")
    file.write("before")

    def fail() -> None:
        with file.open("wb") as stream:
            stream.write(bytes(size))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert file.read() == "before"
    assert file.is_valid()
    assert client().list_multipart_uploads(Bucket=bucket[5:]).get("Uploads", []) == []


def test_an_object_that_is_replaced_while_it_is_read_is_no_mixture(bucket: str):
    file = File(f"{bucket}/a")
    file.write(b"a" * 1_000_000)
    with file.open("rb") as stream:
        stream.read(10)
        file.write(b"b" * 1_000_000)
        stream.seek(900_000)
        with pytest.raises(OSError, match=r"replaced while it was read.*s3://bucket"):
            stream.read(10)


def test_text_has_an_encoding_and_line_ends(bucket: str):
    file = File(f"{bucket}/a")
    with file.open("w", encoding="utf-16", newline="\r\n") as stream:
        stream.write("ä\nb\n")
    assert file.read("rb").decode("utf-16") == "ä\r\nb\r\n"
    assert file.readlines(encoding="utf-16") == ["ä\n", "b\n"]
    with pytest.raises(ValueError, match="encoding"):
        file.open("rb", encoding="utf-8")
    file.open("w", ContentType="text/html").close()
    assert client().head_object(Bucket=bucket[5:], Key="a")["ContentType"] == "text/html"


def test_failures_are_pythons_own_and_name_the_path(bucket: str, monkeypatch: pytest.MonkeyPatch):
    missing = File(f"{bucket}/none")
    for use in (missing.read, missing.size, lambda: missing.copy_to(File("x")), lambda: missing.copy_to(File(f"{bucket}/x"))):
        with pytest.raises(FileNotFoundError, match=f"{bucket}/none"):
            use()
    with pytest.raises(FileNotFoundError, match="bucket"):
        File("s3://there-is-no-bucket/x").write("1")
    assert missing.hash == File(f"{bucket}/none").hash
    file = File(f"{bucket}/a")
    file.write("1")
    with pytest.raises(FileExistsError):
        file.open("x").close()
    assert file.read() == "1"
    with pytest.raises(ValueError, match="either read or written"):
        file.open("r+")
    with pytest.raises(FileSystemError, match="names no bucket"):
        File("s3://").read()
    with pytest.raises(NotImplementedError):
        file.touch((1, 2))
    file.touch()
    assert file.read() == "1"


def test_a_refusal_says_what_s3_said_and_is_no_valid_file(bucket: str, monkeypatch: pytest.MonkeyPatch):
    from botocore.exceptions import ClientError

    file = File(f"{bucket}/a")
    file.write("1")
    folder = Dir(bucket)
    assert folder.hash
    response = {"Error": {"Code": "403", "Message": "Forbidden"}, "ResponseMetadata": {"HTTPStatusCode": 403}}

    class Refuses:
        def __getattr__(self, name: str) -> Any:
            def refuse(*args: Any, **kwargs: Any) -> Any:
                raise ClientError(response, name)

            return refuse

    assert client()
    monkeypatch.setattr(filesystem(), "_client", Refuses())
    for use in (file.read, file.update_hash, folder.update_hash, lambda: file.write("2")):
        with pytest.raises(PermissionError, match="Forbidden") as caught:
            use()
        assert isinstance(caught.value, ClientError)
        assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 403
        assert isinstance(pickle.loads(pickle.dumps(caught.value)), PermissionError)
    assert not file.is_valid()
    assert not folder.is_valid()


def test_a_server_that_is_not_there_is_an_os_error(bucket: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    monkeypatch.setattr(filesystem(), "_client", None)
    with pytest.raises(OSError, match=r"127\.0\.0\.1:9"):
        File("s3://bucket/a").read()


FORKS = """
import multiprocessing, sys
from redun import File

def read(path):
    return File(path).read()

print(read(sys.argv[1]))
with multiprocessing.get_context("fork").Pool(2) as pool:
    print(*pool.map(read, [sys.argv[1]] * 4))
"""


def test_a_fork_has_a_client_of_its_own(bucket: str, server: dict[str, str], redun_environ: dict[str, str]):
    file = File(f"{bucket}/a")
    file.write("shared")
    done = subprocess.run(
        [sys.executable, "-c", FORKS, file.path],
        env={**redun_environ, **server},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.stdout.split() == ["shared"] * 5, done.stderr


def test_values_travel(bucket: str):
    File(f"{bucket}/d/a").write("1")
    for value in (File(f"{bucket}/d/a"), Dir(f"{bucket}/d"), FileSet(f"{bucket}/d/*"), ContentFile(f"{bucket}/d/a")):
        again = restore(value_bytes(value))
        assert again.hash == value.hash
        assert again.is_valid()


calls: list[str] = []


@task()
def write(path: str) -> File:
    calls.append("write")
    file = File(path)
    file.write("content")
    return file


@task()
def read(file: File) -> str:
    calls.append("read")
    text: str = file.read()
    return text


@task()
def main(path: str) -> str:
    return read(write(path))


def test_a_workflow_sees_that_an_object_changed_or_is_gone(bucket: str):
    scheduler = Scheduler(logger=False)
    calls.clear()
    path = f"{bucket}/out"
    assert scheduler.run(main(path)) == "content"
    assert scheduler.run(main(path)) == "content"
    assert calls == ["write", "read"]
    client().put_object(Bucket=bucket[5:], Key="out", Body=b"other")
    assert scheduler.run(main(path)) == "content"
    assert calls == ["write", "read", "write"]
    File(path).remove()
    assert scheduler.run(main(path)) == "content"
    assert calls[3:] == ["write"]


def test_tools_and_copies(bucket: str):
    for name in ("a", "sub/b"):
        File(f"src/{name}").write(name)
    scheduler = Scheduler(logger=False)
    folder = scheduler.run(copy_dir(Dir("src"), f"{bucket}/dest"))
    assert [file.read() for file in folder] == ["a", "sub/b"]
    copy_file(f"{bucket}/dest", "back", recursive=True)
    assert [file.path for file in Dir("back")] == ["back/a", "back/sub/b"]


def test_fs_cp(cli: Cli, bucket: str, tmp_path: Path, server: dict[str, str]):
    (tmp_path / "a").write_text("1")
    assert cli("fs", "cp", "a", f"{bucket}/d/", env=server).status == 0
    assert cli("fs", "cp", "-r", f"{bucket}/d", "copy", env=server).status == 0
    assert (tmp_path / "copy" / "a").read_text() == "1"
    failed = cli("fs", "cp", f"{bucket}/none", "x", env=server)
    assert failed.status == 1
    assert failed.errors == [f"redun: error: cannot copy '{bucket}/none' to 'x': [Errno 2] No such object: '{bucket}/none'"]


# Datasets.


def test_a_dataset_is_its_files(bucket: str):
    for key in ("shard1.csv", "shard2.csv", "word1=foo/shard1.csv", "no_table.txt"):
        File(f"{bucket}/data/{key}").write(f"word1,word2\nhello,{key}\n")
    dataset = ShardedS3Dataset(f"{bucket}/data/", format="csv")
    flat = ShardedS3Dataset(f"{bucket}/data", format="csv")
    assert [name[len(bucket) :] for name in dataset.filenames] == [
        "/data/shard1.csv",
        "/data/shard2.csv",
        "/data/word1=foo/shard1.csv",
    ]
    flat.recurse = False
    assert len(flat.filenames) == 2
    assert flat.hash != dataset.hash
    assert dataset.hash == ShardedS3Dataset(f"{bucket}/data", format="csv").hash
    again = restore(value_bytes(dataset))
    assert (again.hash, again.filenames, again.format, again.recurse) == (dataset.hash, dataset.filenames, "csv", True)
    File(f"{bucket}/data/word1=foo/shard1.csv").remove()
    assert flat.is_valid()
    assert not dataset.is_valid()
    dataset.path = f"{bucket}/nowhere"
    assert dataset.filenames == []
    with pytest.raises(ValueError, match="no csv files"):
        dataset.load_pandas()
    dataset.path = f"{bucket}/data"
    dataset.format = "parquet"
    assert dataset.filenames == []
    with pytest.raises(ValueError, match="expected one of"):
        ShardedS3Dataset(bucket, format="nonsense")
    assert [file.path for file in flat.iter_subvalues()] == flat.filenames


@pytest.mark.parametrize("format", ["csv", "json", "parquet"])
def test_tables_of_pandas_come_back(bucket: str, format: str):
    import pandas

    table = pandas.DataFrame({"year": [1, 2, 2], "name": ["a", "b/c", "ü"], "x": [0.5, 1.5, 2.5]})
    dataset = ShardedS3Dataset.from_data(table, f"{bucket}/t", format=format)
    pandas.testing.assert_frame_equal(dataset.load_pandas(), table)
    split = ShardedS3Dataset.from_data(table, f"{bucket}/t", format=format, partition_keys=["year", "name"])
    assert len(split.filenames) == 3
    assert not dataset.is_valid()
    loaded = split.load_pandas().sort_values("x", ignore_index=True)
    pandas.testing.assert_frame_equal(loaded[["year", "name", "x"]], table)
    assert len(split.load_pandas_shards(max_shards=2)) == 2
    assert len(ShardedS3Dataset.from_data(table, f"{bucket}/t", format=format).filenames) == 1


def test_spark_that_is_not_there_says_so(bucket: str):
    dataset = ShardedS3Dataset(f"{bucket}/t")
    for use in (dataset.load_spark, lambda: dataset.save_spark(None), dataset.purge_spark):
        with pytest.raises(ValueError, match=r"Spark.*pandas|Spark.*rmdir"):
            use()
    with pytest.raises(ValueError, match="found list"):
        ShardedS3Dataset.from_data([1], f"{bucket}/t")


def test_a_dataset_of_given_files(bucket: str):
    files = [File(f"{bucket}/data/{name}") for name in ("a/1.csv", "b/2.csv", "3.csv")]
    with pytest.raises(FileNotFoundError):
        ShardedS3Dataset.from_files(files)
    for file in files:
        file.write("x\n1\n")
    assert ShardedS3Dataset.from_files(files[:1]).path == f"{bucket}/data/a"
    assert ShardedS3Dataset.from_files(files).path == f"{bucket}/data"
    with pytest.raises(ValueError, match="allow_additional_files"):
        ShardedS3Dataset.from_files(files[:2])
    assert len(ShardedS3Dataset.from_files(files[:2], allow_additional_files=True).filenames) == 3
    other = File(f"{bucket}/data/x.parquet")
    other.write("")
    for wrong in ([], [*files, other], [File("local.csv")]):
        with pytest.raises(ValueError, match=r"empty|same format|on S3"):
            ShardedS3Dataset.from_files(wrong)


@task()
def save(path: str) -> ShardedS3Dataset:
    import pandas

    calls.append("save")
    dataset = ShardedS3Dataset(path, format="csv")
    File(f"{path}/1.csv").write("x\n1\n")
    assert isinstance(pandas.__version__, str)
    return dataset


def test_a_dataset_is_a_result_like_others(bucket: str):
    scheduler = Scheduler(logger=False)
    calls.clear()
    for _ in range(2):
        assert scheduler.run(save(f"{bucket}/r")).filenames == [f"{bucket}/r/1.csv"]
    assert calls == ["save"]
    File(f"{bucket}/r/2.csv").write("x\n2\n")
    scheduler.run(save(f"{bucket}/r"))
    assert calls == ["save", "save"]
