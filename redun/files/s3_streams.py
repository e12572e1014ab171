"""Streams of S3 objects.

Reading is one GET as long as it goes on in order; a seek asks again from there, with the etag that was seen first, so that an
object that is replaced meanwhile gives an error and not a mixture. Writing collects parts of at least 8 MiB and uploads them as
they fill; the object appears when the stream is closed, and does not if a `with` block is left by an error.
"""

from __future__ import annotations

import errno
import io
from contextlib import suppress
from typing import IO, Any

from redun.files.s3_errors import translated

_PART_BYTES = 8 << 20
_BUFFER_BYTES = 1 << 18
# S3 takes 10,000 parts of an object: every so many, parts get twice as large.
_PARTS_OF_ONE_SIZE = 1000


class Reader(io.RawIOBase):
    """An object, read from any place."""

    mode = "rb"

    def __init__(self, client: Any, path: str, bucket: str, key: str) -> None:
        super().__init__()
        self._client = client
        self._path = path
        self._where = {"Bucket": bucket, "Key": key}
        self._at = 0
        self._body: Any = None
        with translated(path):
            found = client.get_object(**self._where)
        self._body = found["Body"]
        self._size = int(found["ContentLength"])
        self._etag = found.get("ETag")

    def readable(self) -> bool:
        """Tell that it can be read."""
        return True

    def seekable(self) -> bool:
        """Tell that it can be read from any place."""
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Go to a place."""
        place = offset + (0, self._at, self._size)[whence]
        if place < 0:
            raise ValueError(f"cannot seek to {place}, before the start of {self._path!r}")
        if place != self._at:
            self._drop()
            self._at = place
        return place

    def tell(self) -> int:
        """Return the place."""
        return self._at

    def readinto(self, buffer: Any) -> int:
        """Read on."""
        if self._at >= self._size:
            return 0
        with translated(self._path):
            if self._body is None:
                self._body = self._from_here()
            data = self._read(len(buffer))
        if not data:
            raise OSError(errno.EIO, f"ends after {self._at} bytes, expected {self._size}", self._path)
        buffer[: len(data)] = data
        self._at += len(data)
        return len(data)

    def _read(self, size: int) -> bytes:
        from urllib3.exceptions import HTTPError

        try:
            data: bytes = self._body.read(min(size, self._size - self._at))
        except HTTPError as error:
            raise OSError(errno.EIO, f"the connection broke after {self._at} bytes: {error}", self._path) from error
        return data

    def _from_here(self) -> Any:
        from botocore.exceptions import ClientError

        condition = {"IfMatch": self._etag} if self._etag else {}
        try:
            return self._client.get_object(**self._where, Range=f"bytes={self._at}-", **condition)["Body"]
        except ClientError as error:
            if error.response.get("Error", {}).get("Code") in ("PreconditionFailed", "412"):
                raise OSError(errno.ESTALE, "the object was replaced while it was read", self._path) from error
            raise

    def _drop(self) -> None:
        body, self._body = self._body, None
        if body is not None:
            body.close()

    def close(self) -> None:
        """Let go of the connection."""
        self._drop()
        super().close()


class Writer(io.RawIOBase):
    """A new content of an object.

    Args:
        options: what S3 takes besides, such as ContentType or Metadata.
        start: what comes first.
        condition: of the last request, such as IfNoneMatch.
    """

    mode = "wb"

    def __init__(
        self, client: Any, path: str, bucket: str, key: str, options: dict[str, Any], start: bytes, condition: dict[str, str]
    ) -> None:
        super().__init__()
        self._client = client
        self._path = path
        self._where = {"Bucket": bucket, "Key": key}
        self._options = options
        self._condition = condition
        self._waiting = bytearray(start)
        self._upload: str | None = None
        self._parts: list[dict[str, Any]] = []
        self._at = len(start)
        self.discarded = False

    def writable(self) -> bool:
        """Tell that it can be written."""
        return True

    def tell(self) -> int:
        """Return how much was written."""
        return self._at

    def write(self, data: Any) -> int:
        """Write on."""
        size = memoryview(data).nbytes
        self._waiting += data
        self._at += size
        while len(self._waiting) >= (limit := _PART_BYTES << len(self._parts) // _PARTS_OF_ONE_SIZE):
            self._send(bytes(self._waiting[:limit]))
            del self._waiting[:limit]
        return size

    def _send(self, part: bytes) -> None:
        with translated(self._path):
            if self._upload is None:
                self._upload = self._client.create_multipart_upload(**self._where, **self._options)["UploadId"]
            number = len(self._parts) + 1
            done = self._client.upload_part(**self._where, UploadId=self._upload, PartNumber=number, Body=part)
        self._parts.append({"PartNumber": number, "ETag": done["ETag"]})

    def close(self) -> None:
        """Make the object, unless it was discarded."""
        if self.closed:
            return
        try:
            if not self.discarded:
                self._finish()
        except BaseException:
            self.discarded = True
            raise
        finally:
            if self.discarded and self._upload is not None:
                # S3 keeps, and charges for, parts that nobody claims.
                with suppress(Exception):
                    self._client.abort_multipart_upload(**self._where, UploadId=self._upload)
            self._waiting.clear()
            super().close()

    def _finish(self) -> None:
        from botocore.exceptions import ClientError

        try:
            with translated(self._path):
                if self._upload is None:
                    self._client.put_object(**self._where, Body=bytes(self._waiting), **self._options, **self._condition)
                    return
            if self._waiting:
                self._send(bytes(self._waiting))
            with translated(self._path):
                self._client.complete_multipart_upload(
                    **self._where, UploadId=self._upload, MultipartUpload={"Parts": self._parts}, **self._condition
                )
        except ClientError as error:
            if error.response.get("Error", {}).get("Code") in ("PreconditionFailed", "412"):
                raise FileExistsError(errno.EEXIST, "File exists", self._path) from error
            raise


class _UnderText(io.BufferedWriter):
    """Says that it can seek, though it only knows its place: without that, no byte order mark is written."""

    def seekable(self) -> bool:
        return True


def open_reader(client: Any, path: str, bucket: str, key: str, mode: str, **kwargs: Any) -> IO[Any]:
    """Open an object for reading, binary or text."""
    kwargs.pop("block_size", None)
    return _dressed(io.BufferedReader(Reader(client, path, bucket, key), _BUFFER_BYTES), mode, kwargs)


def open_writer(client: Any, path: str, bucket: str, key: str, mode: str, **kwargs: Any) -> IO[Any]:
    """Open an object for writing: anew (`w`), what is not there (`x`), or at its end (`a`, which reads it first).

    Raises:
        ValueError: the mode asks for reading and writing in one.
    """
    if "+" in mode:
        raise ValueError(f"mode {mode!r} cannot be had on S3: an object is either read or written")
    kwargs.pop("block_size", None)
    text: dict[str, Any] = {name: kwargs.pop(name) for name in ("encoding", "errors", "newline", "buffering") if name in kwargs}
    start = b""
    if "a" in mode:
        with suppress(FileNotFoundError), Reader(client, path, bucket, key) as old:
            start = old.read() or b""
    condition = {"IfNoneMatch": "*"} if "x" in mode else {}
    raw = Writer(client, path, bucket, key, kwargs, start, condition)
    return _dressed((io.BufferedWriter if "b" in mode else _UnderText)(raw, _BUFFER_BYTES), mode, text)


def _dressed(stream: Any, mode: str, kwargs: dict[str, Any]) -> IO[Any]:
    if "b" not in mode:
        kwargs.pop("buffering", None)
        text: Any = io.TextIOWrapper(stream, **kwargs)
        text.mode = mode
        dressed: IO[Any] = text
        return dressed
    if kwargs.get("encoding") is not None:
        raise ValueError("a binary mode takes no encoding")
    binary: IO[Any] = stream
    return binary
