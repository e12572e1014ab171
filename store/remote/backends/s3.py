"""A remote in S3, or in what speaks like it, through boto3.

`put_new` is a PUT with `If-None-Match: *`: 412 means that the name is taken, 409 that somebody else is just writing it, so the same name
is asked for again. Only packs beyond `PART_BYTES` travel in parts: a part costs a request, and nobody else can have a pack's name, so
it needs no condition. Of a server that ignores conditions the remote finds out when it is made (`redun.store.remote.remote`).
"""

from __future__ import annotations

import io
import os
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from email.utils import parsedate_to_datetime
from typing import Any, BinaryIO

from redun.store.errors import NotInRemote, RemoteBusy, RemoteDamaged, RemoteDenied, RemoteError, StoreError
from redun.store.remote.backends.base import CHUNK_BYTES, FileFact, Meter, backoff, check_name, too_long, wrong_size
from redun.store.remote.clock import PlaceClock
from redun.store.remote.threads import RequestThreads, ahead
from redun.store.remote.url import hide, shown, split_s3

PART_BYTES = 64 << 20
"""A larger file is sent and fetched in parts, some of them at once: one connection seldom has all the bandwidth there is."""
_SENT_BYTES = 16 << 20
_AT_ONCE = 4
"""So many parts are in memory."""
_MOST_PARTS = 10_000
_CONFLICT_TRIES = 8
_MISSING = frozenset(("404", "NoSuchKey", "NotFound"))
_TAKEN = frozenset(("412", "PreconditionFailed"))
_CONFLICT = frozenset(("409", "ConditionalRequestConflict", "OperationAborted"))
_FORBIDDEN = frozenset(
    ("401", "403", "AccessDenied", "Forbidden", "InvalidAccessKeyId", "SignatureDoesNotMatch", "ExpiredToken", "InvalidToken")
)
_BUSY = frozenset(
    ("500", "502", "503", "504", "InternalError", "ServiceUnavailable", "SlowDown", "RequestTimeout", "ThrottlingException")
)
_FULL = frozenset(("QuotaExceeded", "InsufficientStorage", "EntityTooLarge", "XMinioStorageFull", "StorageFull", "507"))


class S3Backend:
    """Implements `redun.store.remote.backends.base.Backend` on S3.

    Args:
        url: `s3://bucket/prefix`.
        options: `endpoint_url`, `profile`, `region`; `unquoted_etag`: true for servers that want etags in conditions without quotes.
        client_options: arguments of botocore's `Config`.

    Attributes:
        client: boto3's.
    """

    def __init__(
        self, url: str, options: Mapping[str, str] | None = None, client_options: Mapping[str, Any] | None = None
    ) -> None:
        self.url = shown(url)
        self.shared = True
        self._secret_url = url
        self._bucket, prefix = split_s3(url)
        self._prefix = f"{prefix}/" if prefix else ""
        self._options = dict(options or {})
        self._client_options = dict(client_options or {})
        self._lock = threading.Lock()
        self._client: Any = None
        self._pid = 0
        self._clock = PlaceClock()

    @property
    def client(self) -> Any:
        """The client of boto3, safe for threads; made anew in a forked child."""
        with self._lock:
            if self._client is None or self._pid != os.getpid():
                self._client, self._pid = self._make_client(), os.getpid()
            return self._client

    def _make_client(self) -> Any:
        import boto3
        from botocore.config import Config
        from botocore.exceptions import BotoCoreError

        options = {"connect_timeout": 10, "read_timeout": 60, "retries": {"mode": "standard", "max_attempts": 2}}
        options["max_pool_connections"] = 32
        options.update(self._client_options)
        try:
            session = boto3.session.Session(
                profile_name=self._options.get("profile") or None, region_name=self._options.get("region") or None
            )
            client = session.client("s3", endpoint_url=self._options.get("endpoint_url") or None, config=Config(**options))
        except (BotoCoreError, ValueError) as error:
            raise StoreError(f"remote {self.url!r} cannot be opened: {hide(str(error), self._secret_url)}") from error
        client.meta.events.register("after-call.s3", self._note_time)
        return client

    def _note_time(self, http_response: Any = None, **rest: Any) -> None:
        text = getattr(http_response, "headers", {}).get("Date")
        if text:
            try:
                self._clock.hear(int(parsedate_to_datetime(text).timestamp() * 1_000_000))
            except (TypeError, ValueError):
                return

    def _key(self, name: str) -> dict[str, str]:
        return {"Bucket": self._bucket, "Key": self._prefix + check_name(name)}

    @contextmanager
    def _told(self, action: str, name: str) -> Iterator[None]:
        """Turn errors of boto3 into those of a remote."""
        from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError, PartialCredentialsError
        from urllib3.exceptions import HTTPError

        what = f"cannot {action} {name!r} in remote {self.url!r}"
        try:
            yield
        except ClientError as error:
            raise self._from_client(what, name, error) from error
        except (NoCredentialsError, PartialCredentialsError) as error:
            raise RemoteDenied(f"{what}: {error}: set AWS_PROFILE, AWS_ACCESS_KEY_ID or a role, or option 'profile'") from error
        except (BotoCoreError, HTTPError, ConnectionError, TimeoutError) as error:
            from botocore.exceptions import ConnectionError as BotoConnectionError
            from botocore.exceptions import HTTPClientError, ParamValidationError

            kind = RemoteBusy if isinstance(error, BotoConnectionError | HTTPClientError | HTTPError | OSError) else RemoteError
            hint = (
                "check the bucket's name"
                if isinstance(error, ParamValidationError)
                else "check the network and option 'endpoint_url'"
            )
            raise kind(f"{what}: {hide(str(error), self._secret_url)}: {hint}") from error

    def _from_client(self, what: str, name: str, error: Any) -> Exception:
        said = error.response.get("Error", {})
        code = str(said.get("Code", "?"))
        status = str(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", ""))
        text = hide(f"{said.get('Message') or 'no message'} ({code})", self._secret_url)
        if code == "NoSuchBucket":
            return RemoteError(
                f"{what}: there is no bucket {self._bucket!r}: make it first, or check its name and the endpoint"
            )
        if code in _MISSING or (code == "?" and status == "404"):
            return NotInRemote(f"remote {self.url!r} has no {name!r}")
        if code == "RequestTimeTooSkewed":
            return RemoteError(f"{what}: the clock of this machine is wrong: {text}: set it, then run again")
        if code in _FULL:
            return RemoteError(f"{what}: the remote is full: {text}: make room there and run again")
        if code in _FORBIDDEN or status in ("401", "403"):
            return RemoteDenied(f"{what}: {text}: check the credentials (AWS_PROFILE, option 'profile') and what they allow")
        if code in _BUSY or status[:1] == "5":
            return RemoteBusy(f"{what}: {text}: the service is busy, run again later")
        return RemoteError(f"{what}: {text}")

    def get(self, name: str, limit: int) -> bytes:
        """See `Backend.get`."""
        with self._told("read", name):
            found = self.client.get_object(**self._key(name))
            if found["ContentLength"] > limit:
                found["Body"].close()
                raise too_long(self.url, name, limit)
            data: bytes = found["Body"].read(limit + 1)
        if len(data) > limit:
            raise too_long(self.url, name, limit)
        return data

    def get_range(self, name: str, start: int, size: int) -> bytes:
        """See `Backend.get_range`."""
        try:
            with self._told("read", name):
                found = self.client.get_object(**self._key(name), Range=f"bytes={start}-{start + size - 1}")
                data: bytes = found["Body"].read(size + 1)
        except RemoteError as error:
            if "InvalidRange" in str(error):
                raise RemoteDamaged(
                    f"{name!r} in remote {self.url!r} ends before byte {start:,}: it was cut short or replaced"
                ) from error
            raise
        if len(data) != size:
            raise wrong_size(self.url, name, start + len(data), start + size)
        return data

    def fetch(self, name: str, target: BinaryIO, size: int, meter: Meter) -> None:
        """See `Backend.fetch`."""
        if size <= PART_BYTES:
            with self._told("read", name):
                self._copy(name, self.client.get_object(**self._key(name)), size, target.write, meter)
            return

        def part(start: int) -> list[bytes]:
            end = min(start + _SENT_BYTES, size)
            chunks: list[bytes] = []
            with self._told("read", name):
                found = self.client.get_object(**self._key(name), Range=f"bytes={start}-{end - 1}")
                whole = found.get("ContentRange", "").rpartition("/")[2]
                if whole != str(size):
                    found["Body"].close()
                    raise wrong_size(self.url, name, int(whole) if whole.isdigit() else 0, size)
                self._copy(name, found, end - start, chunks.append, meter)
            return chunks

        try:
            with closing(RequestThreads(_AT_ONCE)) as threads:
                for chunks in ahead(threads, part, range(0, size, _SENT_BYTES), _AT_ONCE):
                    for chunk in chunks:
                        target.write(chunk)
        except RemoteError as error:
            if "InvalidRange" in str(error):
                raise wrong_size(self.url, name, 0, size) from error
            raise

    def _copy(self, name: str, found: dict[str, Any], size: int, write: Callable[[bytes], Any], meter: Meter) -> None:
        """Write what an answer brings, which must be so many bytes."""
        body = found["Body"]
        try:
            if found["ContentLength"] != size:
                raise wrong_size(self.url, name, found["ContentLength"], size)
            left = size
            while left:
                chunk = body.read(min(left, CHUNK_BYTES))
                if not chunk:
                    raise wrong_size(self.url, name, size - left, size)
                meter(len(chunk))
                left -= len(chunk)
                write(chunk)
        finally:
            body.close()

    def put(self, name: str, source: BinaryIO, size: int, meter: Meter) -> None:
        """See `Backend.put`."""
        with self._told("write", name):
            if size <= PART_BYTES:
                data = source.read(size)
                meter(len(data))
                self.client.put_object(**self._key(name), Body=data)
            else:
                self._put_parts(name, source, size, meter)

    def _put_parts(self, name: str, source: BinaryIO, size: int, meter: Meter) -> None:
        key = self._key(name)
        part_bytes = max(min(_SENT_BYTES, PART_BYTES), -(-size // _MOST_PARTS))
        upload = self.client.create_multipart_upload(**key)["UploadId"]

        def send(part: tuple[int, bytes]) -> dict[str, Any]:
            number, data = part
            done = self.client.upload_part(**key, UploadId=upload, PartNumber=number, Body=io.BytesIO(data))
            return {"PartNumber": number, "ETag": done["ETag"]}

        def read() -> Iterator[tuple[int, bytes]]:
            number = 0
            while data := source.read(part_bytes):
                meter(len(data))
                number += 1
                yield number, data

        try:
            with closing(RequestThreads(_AT_ONCE)) as threads:
                parts = list(ahead(threads, send, read(), _AT_ONCE))
            self.client.complete_multipart_upload(**key, UploadId=upload, MultipartUpload={"Parts": parts})
        except BaseException:
            # What was sent of it would be paid for and never seen.
            self.client.abort_multipart_upload(**key, UploadId=upload)
            raise

    def put_new(self, name: str, data: bytes) -> bool:
        """See `Backend.put_new`."""
        from botocore.exceptions import ClientError

        for attempt in range(_CONFLICT_TRIES):
            with self._told("write", name):
                try:
                    self.client.put_object(**self._key(name), Body=data, IfNoneMatch="*")
                    return True
                except ClientError as error:
                    code = str(error.response.get("Error", {}).get("Code", ""))
                    status = str(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", ""))
                    if code in _TAKEN or status == "412":
                        return False
                    if code not in _CONFLICT and status != "409":
                        raise
            backoff(attempt)
        raise RemoteBusy(f"{name!r} in remote {self.url!r} is written by others all the time: run again later")

    def replace(self, name: str, data: bytes, etag: str) -> bool:
        """Replace a file if it still is what it was.

        Args:
            etag: of what it was, as `etag` returned it.

        Returns:
            False if it is something else by now.
        """
        from botocore.exceptions import ClientError

        with self._told("write", name):
            try:
                self.client.put_object(**self._key(name), Body=data, IfMatch=self._condition(etag))
                return True
            except ClientError as error:
                code = str(error.response.get("Error", {}).get("Code", ""))
                if code in _TAKEN or code in _CONFLICT or code in _MISSING:
                    return False
                raise

    def _condition(self, etag: str) -> str:
        """Return an etag as this server wants it in a condition: RFC 9110 says in quotes, some servers want none."""
        bare = etag.strip('"')
        return bare if self._options.get("unquoted_etag") in ("true", "1", "yes", "on") else f'"{bare}"'

    def etag(self, name: str) -> str | None:
        """Return what a file is, for `replace`; None if there is none."""
        try:
            with self._told("look at", name):
                found: str = self.client.head_object(**self._key(name))["ETag"]
                return found
        except NotInRemote:
            return None

    def names(self, folder: str, after: str = "") -> list[str]:
        """See `Backend.names`: one request for each 1,000 names."""
        rows = self._rows(folder, {"StartAfter": self._prefix + after} if after else {})
        names = [row["Key"][len(self._prefix) :] for row in rows]
        return sorted([name for name in names if name > after])

    def _rows(self, folder: str, options: dict[str, str]) -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = []
        with self._told("list", folder):
            pages = self.client.get_paginator("list_objects_v2").paginate(
                Bucket=self._bucket, Prefix=self._prefix + folder, **options
            )
            for page in pages:
                rows += page.get("Contents", ())
        return rows

    def files(self, folder: str) -> list[FileFact]:
        """See `Backend.files`: one request for each 1,000 files."""
        return sorted(
            [
                FileFact(row["Key"][len(self._prefix) :], row["Size"], int(row["LastModified"].timestamp() * 1_000_000))
                for row in self._rows(folder, {})
            ]
        )

    def remove_strays(self, before_us: int) -> int:
        """See `Backend.remove_strays`: uploads in parts that were not ended."""
        count = 0
        with self._told("list", "uploads"):
            pages = self.client.get_paginator("list_multipart_uploads").paginate(Bucket=self._bucket, Prefix=self._prefix)
            for row in [row for page in pages for row in page.get("Uploads", ())]:
                if row["Initiated"].timestamp() * 1_000_000 < before_us:
                    self.client.abort_multipart_upload(Bucket=self._bucket, Key=row["Key"], UploadId=row["UploadId"])
                    count += 1
        return count

    def size(self, name: str) -> int | None:
        """See `Backend.size`."""
        try:
            with self._told("look at", name):
                return int(self.client.head_object(**self._key(name))["ContentLength"])
        except NotInRemote:
            return None

    def delete(self, name: str) -> None:
        """See `Backend.delete`."""
        with self._told("remove", name):
            self.client.delete_object(**self._key(name))

    def now_us(self) -> int | None:
        """See `Backend.now_us`: the `Date` of the last answer."""
        return self._clock.now_us()

    def close(self) -> None:
        """See `Backend.close`."""
        with self._lock:
            if self._client is not None and self._pid == os.getpid():
                self._client.close()
            self._client = None
