"""Files of s3://, through boto3: no listing is ever remembered, and a write appears whole or not at all.

boto3 comes with redun, so that object storage works without more packages. Credentials, region and endpoint are found as boto3
finds them (`AWS_PROFILE`, `AWS_ENDPOINT_URL`, `~/.aws`, ...). A stamp is made of path and etag: one HEAD for a file, one LIST for
each 1,000 objects of a folder.

A folder is the beginning of keys, and is there if a key begins with it. `mkdir` puts an empty object `folder/`, as consoles do.
"""

from __future__ import annotations

import os
import re
import threading
from collections.abc import Iterator
from typing import IO, Any

from redun.boto import get_boto_config, make_boto_config
from redun.files.filesystem import MISSING, FileSystem, FileSystemError, get_proto, register_filesystem
from redun.files.remote import file_stamp
from redun.files.s3_errors import translated
from redun.files.s3_streams import open_reader, open_writer

_MAGIC = re.compile(r"[*?\[]")


@register_filesystem
class S3FileSystem(FileSystem):
    """Objects of Amazon S3 and of services that speak as it does.

    Attributes:
        keys_at_once: how many keys a request lists or removes; S3 takes no more than 1,000.
    """

    name = "s3"
    keys_at_once = 1000

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._client: Any = None
        self._made_for: tuple[int, dict[str, Any]] = (0, {})

    @property
    def s3_raw(self) -> Any:
        """The client of boto3; one per process, as a fork must not share connections. Its clients are safe for threads."""
        made_for = (os.getpid(), get_boto_config())
        with self._lock:
            if self._client is None or self._made_for != made_for:
                import boto3

                self._client = boto3.session.Session().client("s3", config=make_boto_config())
                self._made_for = made_for
            return self._client

    @property
    def s3(self) -> Any:
        """The file system of the package s3fs, for those who want its other methods.

        Raises:
            FileSystemError: s3fs is not installed.
        """
        try:
            import s3fs
        except ImportError:
            raise FileSystemError("S3FileSystem.s3 needs the package 's3fs', which is not installed: use s3_raw") from None
        return s3fs.S3FileSystem(config_kwargs=get_boto_config())

    @staticmethod
    def get_bucket_and_key(path: str) -> tuple[str, str]:
        """Return bucket and key of a path.

        Raises:
            FileSystemError: it names no bucket.
        """
        bucket, _, key = path.partition("://")[2].partition("/")
        if not bucket:
            raise FileSystemError(f"path {path!r} names no bucket: expected s3://bucket/key")
        return bucket, key

    def _head(self, path: str) -> dict[str, Any] | None:
        """Return what S3 knows of an object, None if there is none."""
        bucket, key = self.get_bucket_and_key(path)
        if not key:
            return None
        try:
            with translated(path):
                found: dict[str, Any] = self.s3_raw.head_object(Bucket=bucket, Key=key)
                return found
        except FileNotFoundError:
            return None

    def exists(self, path: str) -> bool:
        """Tell whether there is an object, or a folder."""
        return self.isfile(path) or self.isdir(path)

    def isfile(self, path: str) -> bool:
        """Tell whether there is an object."""
        return not path.endswith("/") and self._head(path) is not None

    def isdir(self, path: str) -> bool:
        """Tell whether keys begin with the path."""
        bucket, key = self.get_bucket_and_key(path)
        prefix = f"{key.rstrip('/')}/" if key else ""
        try:
            with translated(path):
                found = self.s3_raw.list_objects_v2(Bucket=bucket, Prefix=prefix, MaxKeys=1)
        except FileNotFoundError:
            return False
        return bool(found.get("KeyCount", 0)) or not key

    def filesize(self, path: str) -> int:
        """Return an object's size in bytes."""
        bucket, key = self.get_bucket_and_key(path)
        with translated(path):
            return int(self.s3_raw.head_object(Bucket=bucket, Key=key)["ContentLength"])

    def get_hash(self, path: str) -> str:
        """Return an object's stamp."""
        found = self._head(path)
        return MISSING if found is None else file_stamp(path, found)

    def _open(self, path: str, mode: str, **kwargs: Any) -> IO[Any]:
        bucket, key = self.get_bucket_and_key(path)
        make = open_writer if any(letter in mode for letter in "wax+") else open_reader
        return make(self.s3_raw, path, bucket, key, mode, **kwargs)

    def touch(self, path: str, time: tuple[float, float] | None = None) -> None:
        """Make an empty object; one that exists stays as it is, since S3 sets the times itself."""
        if time is not None:
            raise NotImplementedError("times of objects cannot be set on S3")
        if self._head(path) is None:
            self._put_empty(path)

    def _put_empty(self, path: str) -> None:
        bucket, key = self.get_bucket_and_key(path)
        with translated(path):
            self.s3_raw.put_object(Bucket=bucket, Key=key, Body=b"")

    def remove(self, path: str) -> None:
        """Remove an object, if there is one."""
        bucket, key = self.get_bucket_and_key(path)
        try:
            with translated(path):
                self.s3_raw.delete_object(Bucket=bucket, Key=key)
        except FileNotFoundError:
            # There is no such bucket.
            return

    def mkdir(self, path: str) -> None:
        """Make a folder, if there is none."""
        if not self.isdir(path):
            self._put_empty(f"{path.rstrip('/')}/")

    def rmdir(self, path: str, recursive: bool = False) -> None:
        """Remove a folder; objects in it stay, and so does the folder, unless `recursive`."""
        if not recursive:
            self.remove(f"{path.rstrip('/')}/")
            return
        bucket, _ = self.get_bucket_and_key(path)
        keys = [{"Key": found["Key"]} for found in self._listed(path)]
        for start in range(0, len(keys), self.keys_at_once):
            with translated(path):
                done = self.s3_raw.delete_objects(
                    Bucket=bucket, Delete={"Objects": keys[start : start + self.keys_at_once], "Quiet": True}
                )
            if done.get("Errors"):
                error = done["Errors"][0]
                raise PermissionError(
                    13, f"{error.get('Message')} ({len(done['Errors'])} objects)", f"s3://{bucket}/{error.get('Key')}"
                )

    def _objects(self, bucket: str, prefix: str, delimiter: str = "") -> Iterator[dict[str, Any]]:
        """Yield rows of keys that begin with a prefix; with a delimiter, of folders as well, whose key ends with it."""
        lists = self.s3_raw.get_paginator("list_objects_v2")
        pages = lists.paginate(
            Bucket=bucket, Prefix=prefix, Delimiter=delimiter, PaginationConfig={"PageSize": self.keys_at_once}
        )
        for page in pages:
            yield from page.get("Contents", ())
            yield from ({"Key": found["Prefix"]} for found in page.get("CommonPrefixes", ()))

    def _listed(self, path: str) -> list[dict[str, Any]]:
        """List all objects below a folder, marks of folders included."""
        bucket, key = self.get_bucket_and_key(path)
        try:
            with translated(path):
                return list(self._objects(bucket, f"{key.rstrip('/')}/" if key else ""))
        except FileNotFoundError:
            return []

    def scan_files(self, path: str) -> list[tuple[str, str]] | None:
        """List path and stamp of all objects below a folder; None if there is no folder."""
        found = self._listed(path)
        return self._rows(path, found) if found or not self.get_bucket_and_key(path)[1] else None

    def list_files(self, path: str) -> list[str]:
        """List all objects below a folder, sorted."""
        return [name for name, _ in self._rows(path, self._listed(path))]

    def _rows(self, path: str, found: list[dict[str, Any]]) -> list[tuple[str, str]]:
        head = f"{path.partition('://')[0]}://{self.get_bucket_and_key(path)[0]}/"
        names = [(head + row["Key"], row) for row in found if not row["Key"].endswith("/")]
        return sorted([(name, file_stamp(name, row)) for name, row in names])

    def _matches(self, pattern: str) -> list[dict[str, Any]]:
        bucket, key = self.get_bucket_and_key(pattern)
        magic = _MAGIC.search(key)
        if magic is None:
            head = self._head(pattern)
            if head is not None:
                return [{"Key": key, "ETag": head.get("ETag")}]
            return [{"Key": f"{key.rstrip('/')}/"}] if self.isdir(pattern) else []
        fixed = key[: magic.start()]
        flat = "/" not in key[magic.start() :] and "**" not in key
        fits = _pattern(key).fullmatch
        try:
            with translated(pattern):
                found = list(self._objects(bucket, fixed, "/" if flat else ""))
        except FileNotFoundError:
            return []
        rows = {row["Key"]: row for row in found}
        if not flat:
            for name in list(rows):
                for at in range(len(fixed), len(name)):
                    if name[at] == "/":
                        rows.setdefault(name[: at + 1], {"Key": name[: at + 1]})
        return [row for name, row in rows.items() if fits(name.removesuffix("/"))]

    def glob(self, pattern: str) -> list[str]:
        """List the objects and folders that match a pattern, sorted."""
        head = f"{pattern.partition('://')[0]}://{self.get_bucket_and_key(pattern)[0]}/"
        return sorted([head + row["Key"].removesuffix("/") for row in self._matches(pattern)])

    def scan_matches(self, pattern: str) -> list[tuple[str, str]]:
        """List path and stamp of all objects that match a pattern, sorted."""
        return self._rows(pattern, self._matches(pattern))

    def list_matches(self, pattern: str) -> list[str]:
        """List the objects that match a pattern, sorted."""
        return [name for name, _ in self.scan_matches(pattern)]

    def copy(self, src_path: str, dest_path: str) -> None:
        """Copy a file; within S3 its bytes do not come here, from and to this machine it goes in parallel parts."""
        protocols = get_proto(src_path), get_proto(dest_path)
        client = self.s3_raw
        if protocols == ("s3", "s3"):
            (src_bucket, src_key), (bucket, key) = self.get_bucket_and_key(src_path), self.get_bucket_and_key(dest_path)
            if (src_bucket, src_key) == (bucket, key):
                return
            with translated(src_path):
                client.copy({"Bucket": src_bucket, "Key": src_key}, bucket, key)
        elif protocols == ("s3", "local"):
            from redun.files.local import native

            dest = native(dest_path)
            if os.path.dirname(dest):
                os.makedirs(os.path.dirname(dest), exist_ok=True)
            bucket, key = self.get_bucket_and_key(src_path)
            with translated(src_path):
                client.download_file(bucket, key, dest)
        elif protocols == ("local", "s3"):
            from redun.files.local import native

            bucket, key = self.get_bucket_and_key(dest_path)
            with translated(dest_path):
                client.upload_file(native(src_path), bucket, key)
        else:
            super().copy(src_path, dest_path)


def _pattern(glob: str) -> re.Pattern[str]:
    """Return a pattern for keys: `*` and `?` stay within a folder, `**` stands for any number of folders."""
    parts = []
    at = 0
    while at < len(glob):
        letter = glob[at]
        if glob.startswith("**/", at) and (at == 0 or glob[at - 1] == "/"):
            parts.append("(?:.*/)?")
            at += 3
        elif glob.startswith("**", at):
            parts.append(".*")
            at += 2
        elif letter == "*":
            parts.append("[^/]*")
            at += 1
        elif letter == "?":
            parts.append("[^/]")
            at += 1
        elif letter == "[" and (end := glob.find("]", at + 2)) != -1:
            inside = glob[at + 1 : end].replace("\\", "\\\\")
            parts.append(f"[{'^' + inside[1:] if inside[0] == '!' else inside}]")
            at = end + 1
        else:
            parts.append(re.escape(letter))
            at += 1
    return re.compile("".join(parts), re.DOTALL)
