"""One suite for every place that holds a remote: each must keep to the text of `redun.store.remote.backends.base`."""

from __future__ import annotations

import io
import threading
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import fsspec
import pytest
from fsspec.implementations.local import LocalFileSystem
from servers import s3_server

from redun.store.errors import NotInRemote, RemoteDamaged
from redun.store.remote.backends.base import Backend, free
from redun.store.remote.backends.opening import open_backend

PACK = "packs/" + "ab" * 32 + "-0123456789abcdef"
LOG = [f"log/{number:012d}" for number in range(12)]


class Plain(LocalFileSystem):  # type: ignore[misc]
    """A file system of which nobody knows whether it creates files exclusively."""

    protocol = "plain"


@pytest.fixture(scope="module")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    with s3_server(tmp_path_factory.mktemp("s3")) as environ:
        yield environ


@pytest.fixture(params=["folder", "memory", "s3", "single-writer"])
def opened(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[], Backend]:
    """Return a function that opens the same empty place again and again."""
    kind = request.param
    if kind == "s3":
        for name, value in request.getfixturevalue("s3").items():
            monkeypatch.setenv(name, value)
        import boto3

        bucket = f"bucket-{uuid.uuid4().hex[:12]}"
        boto3.client("s3").create_bucket(Bucket=bucket)
        return lambda: open_backend(f"s3://{bucket}/some/prefix")
    if kind == "memory":
        name = uuid.uuid4().hex
        return lambda: open_backend(f"memory://{name}/remote")
    if kind == "single-writer":
        fsspec.register_implementation("plain", Plain, clobber=True)
        return lambda: open_backend(f"plain://{tmp_path}/remote")
    return lambda: open_backend(str(tmp_path / "remote"))


@pytest.fixture
def backend(opened: Callable[[], Backend]) -> Iterator[Backend]:
    made = opened()
    yield made
    made.close()


def put(backend: Backend, name: str, data: bytes) -> None:
    backend.put(name, io.BytesIO(data), len(data), free)


def test_what_is_not_there(backend: Backend) -> None:
    assert backend.size("config") is None
    assert backend.names("log/") == []
    for read in (lambda: backend.get("config", 10), lambda: backend.get_range(PACK, 0, 1)):
        with pytest.raises(NotInRemote, match="has no"):
            read()
    with pytest.raises(NotInRemote):
        backend.fetch(PACK, io.BytesIO(), 4, free)
    backend.delete(PACK)


def test_a_file_is_written_and_read_whole_and_in_part(backend: Backend, opened: Callable[[], Backend]) -> None:
    data = bytes(range(256)) * 9000
    put(backend, PACK, data)
    other = opened()
    assert other.get(PACK, len(data)) == data
    assert other.get_range(PACK, 255, 3) == b"\xff\x00\x01"
    assert other.get_range(PACK, len(data) - 1, 1) == data[-1:]
    target = io.BytesIO()
    counts: list[int] = []
    other.fetch(PACK, target, len(data), counts.append)
    assert target.getvalue() == data
    assert sum(counts) == len(data)
    assert other.size(PACK) == len(data)
    assert other.names("packs/") == [PACK]
    put(backend, PACK, b"other")
    assert opened().get(PACK, 10) == b"other"
    backend.delete(PACK)
    assert opened().size(PACK) is None


def test_more_than_is_allowed_is_not_read(backend: Backend) -> None:
    put(backend, PACK, b"x" * 1000)
    with pytest.raises(RemoteDamaged, match="longer than 999 bytes"):
        backend.get(PACK, 999)
    for size in (999, 1001):
        target = io.BytesIO()
        with pytest.raises(RemoteDamaged, match=r"expected|cut short"):
            backend.fetch(PACK, target, size, free)
        assert len(target.getvalue()) <= 1000
    with pytest.raises(RemoteDamaged):
        backend.get_range(PACK, 990, 20)
    with pytest.raises(RemoteDamaged):
        backend.get_range(PACK, 2000, 20)


def test_a_name_is_taken_once(backend: Backend, opened: Callable[[], Backend]) -> None:
    assert backend.put_new(LOG[1], b"first")
    assert not backend.put_new(LOG[1], b"second")
    assert not opened().put_new(LOG[1], b"third")
    assert opened().get(LOG[1], 100) == b"first"


def test_of_many_writers_of_a_name_one_wins(opened: Callable[[], Backend]) -> None:
    if not opened().shared:
        pytest.skip("this place says itself that it serves one writer")
    count = 8
    backends = [opened() for _ in range(count)]
    for name in LOG[:5]:
        barrier = threading.Barrier(count)

        def write(place: int, name: str = name, barrier: threading.Barrier = barrier) -> bool:
            barrier.wait()
            return backends[place].put_new(name, f"writer {place}".encode())

        with ThreadPoolExecutor(count) as pool:
            won = list(pool.map(write, range(count)))
        assert won.count(True) == 1
        assert opened().get(name, 100) == f"writer {won.index(True)}".encode()


def test_names_come_in_order_after_a_name(backend: Backend) -> None:
    for name in reversed(LOG[1:]):
        backend.put_new(name, name.encode())
    backend.put_new("ckpt/000000000100", b"x")
    assert backend.names("log/") == LOG[1:]
    assert backend.names("log/", LOG[9]) == LOG[10:]
    assert backend.names("log/", LOG[11]) == []
    assert backend.names("ckpt/") == ["ckpt/000000000100"]


def test_an_empty_file(backend: Backend) -> None:
    put(backend, PACK, b"")
    assert backend.size(PACK) == 0
    assert backend.get(PACK, 0) == b""
    target = io.BytesIO()
    backend.fetch(PACK, target, 0, free)
    assert target.getvalue() == b""


@pytest.mark.parametrize("name", ["../x", "packs/../../x", "/etc/passwd", "packs/", "log/a\n", "other/00", "", "packs/ab/cd"])
def test_names_from_outside_are_no_paths(backend: Backend, name: str) -> None:
    for use in (
        lambda: backend.get(name, 10),
        lambda: backend.put_new(name, b""),
        lambda: put(backend, name, b""),
        lambda: backend.size(name),
        lambda: backend.delete(name),
        lambda: backend.get_range(name, 0, 1),
        lambda: backend.fetch(name, io.BytesIO(), 1, free),
    ):
        with pytest.raises(RemoteDamaged, match="no name of a file"):
            use()


def test_the_clock_of_the_place_is_known_after_a_request(backend: Backend) -> None:
    backend.put_new(LOG[1], b"x")
    now = backend.now_us()
    assert now is not None
    assert now > 1_600_000_000_000_000


def test_the_meter_is_told_what_is_sent(backend: Backend) -> None:
    counts: list[int] = []
    backend.put(PACK, io.BytesIO(b"x" * 3_000_000), 3_000_000, counts.append)
    assert sum(counts) == 3_000_000
    backend.close()
    backend.close()


def test_files_are_listed_with_size_and_time(backend: Backend, opened: Callable[[], Backend]) -> None:
    assert backend.files("packs/") == []
    before = backend.now_us()
    names = sorted(f"packs/{digits * 32}-0123456789abcdef" for digits in ("ab", "0c", "77"))
    for name in names:
        put(backend, name, b"x" * len(name))
    found = opened().files("packs/")
    assert [(file.name, file.size) for file in found] == [(name, len(name)) for name in names]
    now = backend.now_us()
    assert now is not None
    for file in found:
        assert file.written_us is not None
        assert (before or now) - 120_000_000 < file.written_us < now + 120_000_000
    assert backend.remove_strays(now - 1_000_000) == 0
    assert len(backend.files("packs/")) == 3
