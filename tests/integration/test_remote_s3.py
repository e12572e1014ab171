"""Remotes on S3, against a server over loopback (moto): requests counted at the client, and what goes wrong."""

from __future__ import annotations

import hashlib
import io
import os
import time
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from servers import free_port, s3_server

from redun.store.errors import NotInRemote, RemoteBusy, RemoteDamaged, RemoteDenied, RemoteError
from redun.store.ids import object_id
from redun.store.objects import Codec, Kind, header, with_links
from redun.store.remote.backends.s3 import S3Backend
from redun.store.remote.log import Entry, Writer
from redun.store.remote.mirror import Mirror
from redun.store.remote.names import log_name
from redun.store.remote.pull import Pulled, pull
from redun.store.remote.push import Pushed, push
from redun.store.remote.remote import Remote
from redun.store.repository import Store
from redun.store.sources.base import Batch, RefUpdate

from .conftest import Cli


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    with s3_server(tmp_path_factory.mktemp("s3")) as environ:
        yield environ


@pytest.fixture
def bucket(server: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> str:
    for name, value in server.items():
        monkeypatch.setenv(name, value)
    import boto3

    name = f"bucket-{uuid.uuid4().hex[:12]}"
    boto3.client("s3").create_bucket(Bucket=name)
    return name


class Site:
    """A store and its remote in a bucket; counts what the client sends."""

    def __init__(self, folder: Path, bucket: str) -> None:
        self.store = Store.open(folder)
        self.bucket = bucket
        self.requests: list[str] = []

    def remote(self) -> Remote:
        backend = S3Backend(f"s3://{self.bucket}/team")
        backend.client.meta.events.register("before-send.s3", self._count)
        writer = Writer(self.store.identity(), "tester")
        return Remote("team", backend, Mirror(self.store.mirror_source("team")), writer)

    def _count(self, request: Any, **rest: Any) -> None:
        self.requests.append(f"{request.method} {request.url.partition(self.bucket)[2]}")

    def push(self) -> Pushed:
        self.requests.clear()
        with self.remote() as remote:
            return push(self.store.source, remote, dict(self.store.source.refs()))

    def pull(self) -> Pulled:
        self.requests.clear()
        with self.remote() as remote:
            assert remote.refresh()
            return pull(self.store.source, remote, remote.refs(), everything=True)

    def fill(self, count: int) -> None:
        objects = {}
        for _ in range(count):
            data = header(Kind.VALUE, Codec.RAW) + os.urandom(296)
            objects[object_id(data)] = data
        data = with_links(Kind.VALUE, Codec.RAW, 0, list(objects), b"")
        top = object_id(data)
        self.store.source.commit(Batch({**objects, top: data}, refs=[RefUpdate(f"pins/{top.hex()}", None, top)]))


@pytest.fixture
def sites(bucket: str, tmp_path: Path) -> Iterator[tuple[Site, Site]]:
    made = Site(tmp_path / "a", bucket), Site(tmp_path / "b", bucket)
    yield made
    for site in made:
        site.store.close()


def test_requests_of_a_hundred_thousand_objects(sites: tuple[Site, Site]) -> None:
    a, b = sites
    a.fill(100_000)
    assert a.push().objects == 100_001
    assert len(a.requests) <= 10, a.requests
    for site in sites:
        for _ in range(2):
            assert a.push().objects == 0
            assert len(a.requests) <= 3, a.requests
        if site is b:
            break
        assert b.pull().objects == 100_001
        assert len(b.requests) <= 12, b.requests
    assert b.pull().objects == 0
    assert len(b.requests) <= 3, b.requests
    a.fill(99)
    assert a.push().objects == 100
    assert len(a.requests) <= 5, a.requests
    assert b.pull().objects == 100
    assert len(b.requests) <= 5, b.requests


def test_requests_with_a_long_log(sites: tuple[Site, Site], bucket: str) -> None:
    """More entries than a page of a listing has names. (With 5,000 in `tests/unit/remote`, where a request costs nothing.)"""
    a, b = sites
    a.fill(10)
    a.push()
    with a.remote() as remote:
        remote.refresh()
        known = remote.known
        entries = []
        before = known.digest
        for seq in range(2, 1012):
            entry = Entry(known.remote, seq, before)
            entries.append((log_name(seq), entry.encode(remote.writer)))
            before = entry.digest
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(lambda item: remote.backend.put_new(*item), entries))
    a.push()
    assert a.push().objects == 0
    assert len(a.requests) == 3, a.requests
    a.fill(99)
    a.push()
    assert len(a.requests) <= 5, a.requests
    assert b.pull().refs == 2


def test_large_packs_go_in_parts(bucket: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("redun.store.remote.backends.s3.PART_BYTES", 5 << 20)
    backend = S3Backend(f"s3://{bucket}/x")
    name = f"packs/{'0' * 64}-00000000"
    data = os.urandom((12 << 20) + 5)
    path = tmp_path / "data"
    path.write_bytes(data)
    counts: list[int] = []
    with path.open("rb") as file:
        backend.put(name, file, len(data), counts.append)
    assert sum(counts) == len(data)
    with (tmp_path / "back").open("wb") as file:
        backend.fetch(name, file, len(data), counts.append)
    assert hashlib.sha256((tmp_path / "back").read_bytes()).digest() == hashlib.sha256(data).digest()


def test_large_packs_come_in_ranges(bucket: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for limit in ("PART_BYTES", "_SENT_BYTES"):
        monkeypatch.setattr(f"redun.store.remote.backends.s3.{limit}", 5 << 20)
    backend = S3Backend(f"s3://{bucket}/x")
    name = f"packs/{'0' * 64}-00000000"
    data = os.urandom((27 << 20) + 5)
    backend.put(name, io.BytesIO(data), len(data), lambda count: None)
    ranges: list[str] = []
    backend.client.meta.events.register(
        "before-send.s3", lambda request, **rest: ranges.append(request.headers.get("Range", b"").decode())
    )
    back, counts = io.BytesIO(), []
    backend.fetch(name, back, len(data), counts.append)
    assert back.getvalue() == data
    assert sum(counts) == len(data)
    starts = range(0, len(data), 5 << 20)
    assert sorted(ranges) == sorted([f"bytes={start}-{min(start + (5 << 20), len(data)) - 1}" for start in starts])
    for wrong in (len(data) - 1, len(data) + 1, 2 * len(data)):
        back = io.BytesIO()
        with pytest.raises(RemoteDamaged, match="expected"):
            backend.fetch(name, back, wrong, lambda count: None)
        assert len(back.getvalue()) <= wrong
    with pytest.raises(NotInRemote):
        backend.fetch(name.replace("0", "1"), io.BytesIO(), len(data), lambda count: None)


def test_an_upload_in_parts_that_fails_leaves_nothing(bucket: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("redun.store.remote.backends.s3.PART_BYTES", 5 << 20)
    backend = S3Backend(f"s3://{bucket}/x")
    data = os.urandom(27 << 20)

    def fail(count: int) -> None:
        if len(counts) == 3:
            raise RemoteBusy("no")
        counts.append(count)

    counts: list[int] = []
    with pytest.raises(RemoteBusy):
        backend.put(f"packs/{'0' * 64}-00000000", io.BytesIO(data), len(data), fail)
    assert backend.files("packs/") == []
    assert backend.client.list_multipart_uploads(Bucket=bucket).get("Uploads", []) == []


def test_a_file_is_replaced_only_if_it_is_what_it_was(bucket: str) -> None:
    backend = S3Backend(f"s3://{bucket}/x")
    assert backend.etag("config") is None
    backend.put_new("config", b"one")
    etag = backend.etag("config")
    assert etag is not None
    assert backend.replace("config", b"two", etag)
    assert not backend.replace("config", b"three", etag)
    assert backend.get("config", 10) == b"two"


def test_etags_in_conditions_with_and_without_quotes(bucket: str) -> None:
    for options, form in (({}, '"abc"'), ({"unquoted_etag": "true"}, "abc")):
        backend = S3Backend(f"s3://{bucket}/x", options)
        sent: list[str] = []
        backend.client.meta.events.register(
            "before-send.s3", lambda request, sent=sent, **rest: sent.append(request.headers["If-Match"].decode())
        )
        backend.replace("config", b"x", '"abc"')
        assert sent == [form]


class TestErrors:
    """What a user reads."""

    def test_no_such_bucket(self, bucket: str) -> None:
        with pytest.raises(RemoteError, match="there is no bucket 'no-such-bucket-here'"):
            S3Backend("s3://no-such-bucket-here/x").get("config", 10)
        with pytest.raises(RemoteError, match="there is no bucket"):
            S3Backend("s3://no-such-bucket-here/x").put_new("config", b"")
        with pytest.raises(NotInRemote):
            S3Backend(f"s3://{bucket}/x").get("config", 10)

    def test_no_credentials(self, bucket: str, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delenv("AWS_ACCESS_KEY_ID")
        monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
        with pytest.raises(RemoteDenied, match="AWS_PROFILE"):
            S3Backend(f"s3://{bucket}/x").get("config", 10)

    def test_no_such_profile(self, bucket: str) -> None:
        with pytest.raises(Exception, match="nobody"):
            S3Backend(f"s3://{bucket}/x", {"profile": "nobody"}).get("config", 10)

    def test_no_network(self, bucket: str) -> None:
        options = {"endpoint_url": f"http://127.0.0.1:{free_port()}"}
        backend = S3Backend(f"s3://{bucket}/x", options, {"retries": {"max_attempts": 1}, "connect_timeout": 1})
        with pytest.raises(RemoteBusy, match="check the network"):
            backend.get("config", 10)

    @pytest.mark.parametrize(
        ("status", "code", "kind", "part"),
        [
            (403, "RequestTimeTooSkewed", RemoteError, "clock of this machine is wrong"),
            (403, "SignatureDoesNotMatch", RemoteDenied, "check the credentials"),
            (403, "AccessDenied", RemoteDenied, "check the credentials"),
            (403, "QuotaExceeded", RemoteError, "the remote is full"),
            (507, "XMinioStorageFull", RemoteError, "the remote is full"),
            (503, "SlowDown", RemoteBusy, "the service is busy"),
            (400, "SomethingElse", RemoteError, "SomethingElse"),
        ],
    )
    def test_answers_of_the_service(self, bucket: str, status: int, code: str, kind: type[Exception], part: str) -> None:
        from botocore.awsrequest import AWSResponse

        class Raw:
            def stream(self, **rest: Any) -> Iterator[bytes]:
                yield f"<Error><Code>{code}</Code><Message>said so</Message></Error>".encode()

        backend = S3Backend(f"s3://{bucket}/x", client_options={"retries": {"max_attempts": 1}})
        backend.client.meta.events.register(
            "before-send.s3", lambda request, **rest: AWSResponse(request.url, status, {}, Raw())
        )
        for use in (lambda: backend.put_new("config", b"x"), lambda: backend.get("config", 10)):
            with pytest.raises(kind, match=part) as caught:
                use()
            assert type(caught.value) is kind

    def test_a_conflict_is_tried_again(self, bucket: str, monkeypatch: pytest.MonkeyPatch) -> None:
        from botocore.awsrequest import AWSResponse

        monkeypatch.setattr(time, "sleep", lambda seconds: None)

        class Raw:
            def stream(self, **rest: Any) -> Iterator[bytes]:
                yield b"<Error><Code>ConditionalRequestConflict</Code><Message>x</Message></Error>"

        backend = S3Backend(f"s3://{bucket}/x")
        left = [3]

        def conflict(request: Any, **rest: Any) -> Any:
            if left[0]:
                left[0] -= 1
                return AWSResponse(request.url, 409, {}, Raw())
            return None

        backend.client.meta.events.register("before-send.s3", conflict)
        assert backend.put_new("config", b"x")
        left[0] = 1000
        with pytest.raises(RemoteBusy, match="written by others"):
            backend.put_new(log_name(1), b"x")


SCRIPT = """
from redun import task

@task(namespace="s3_flow")
def main(n: int = 3):
    return ["x" * 100] * n
"""


def test_from_the_command_line(cli: Cli, server: dict[str, str], bucket: str, tmp_path: Path, refused: Any) -> None:
    cli = partial(cli, env=server)
    for name in ("a", "b"):
        folder = tmp_path / name
        folder.mkdir()
        (folder / "flow.py").write_text(SCRIPT)
        cli("init", cwd=folder)
        added = cli("repo", "add", "team", f"s3://{bucket}/lab", "--trust", "all", cwd=folder)
        assert "empty: the first push makes it" in added.stdout, added
    a, b = tmp_path / "a", tmp_path / "b"
    cli("run", "flow.py", "main", cwd=a)
    assert "pushed" in cli("push", cwd=a).stdout
    assert cli("pull", cwd=b).status == 0
    assert cli("run", "flow.py", "main", cwd=b).jobs("Run") == []
    refused(cli("repo", "add", "other", "s3://no-such-bucket-at-all/x", cwd=a), "there is no bucket 'no-such-bucket-at-all'")
