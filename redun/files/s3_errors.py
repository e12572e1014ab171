"""Errors of S3 as Python's own: what failed, on which path, and what the service said."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager

from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError, PartialCredentialsError

_MISSING = frozenset(("404", "NoSuchKey", "NoSuchBucket", "NotFound"))
_FORBIDDEN = frozenset(
    ("401", "403", "AccessDenied", "Forbidden", "InvalidAccessKeyId", "SignatureDoesNotMatch", "ExpiredToken", "InvalidToken")
)


class S3Error(OSError, ClientError):  # type: ignore[misc]
    """S3 refused a request; the answer is in `response`, as boto3 has it.

    Args:
        path: what it was about.
        error: what boto3 raised.
        number: of the OSError.
    """

    def __init__(self, path: str, error: ClientError, number: int = errno.EIO) -> None:
        self.response = error.response
        self.operation_name = error.operation_name
        said = error.response.get("Error", {})
        code, message = said.get("Code", "?"), said.get("Message") or "no message"
        OSError.__init__(self, number, f"S3 refused {error.operation_name}: {message} ({code})", path)

    def __reduce__(self) -> tuple[type[OSError], tuple[object, ...]]:
        # As far as other processes are concerned, it is what Python has for it.
        kind = PermissionError if isinstance(self, PermissionError) else OSError
        return kind, (self.errno, self.strerror, self.filename)


class S3PermissionError(S3Error, PermissionError):
    """The credentials do not allow it."""


@contextmanager
def translated(path: str) -> Iterator[None]:
    """Turn errors of boto3 into Python's own.

    Raises:
        FileNotFoundError: there is no such object or bucket.
        PermissionError: no credentials, or they do not allow it.
        OSError: anything else that S3 or the network says.
    """
    from boto3.exceptions import S3UploadFailedError

    try:
        yield
    except ClientError as error:
        raise _from_client(path, error) from error
    except (NoCredentialsError, PartialCredentialsError) as error:
        raise PermissionError(errno.EACCES, f"{error}: set AWS_PROFILE, AWS_ACCESS_KEY_ID or a role", path) from error
    except S3UploadFailedError as error:
        cause = error.__context__
        raise (_from_client(path, cause) if isinstance(cause, ClientError) else OSError(errno.EIO, str(error), path)) from error
    except BotoCoreError as error:
        raise OSError(errno.EIO, str(error), path) from error


def _from_client(path: str, error: ClientError) -> OSError:
    code = str(error.response.get("Error", {}).get("Code", ""))
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode")
    if code in _MISSING:
        missing = "no such bucket" if code == "NoSuchBucket" else "No such object"
        return FileNotFoundError(errno.ENOENT, missing, path)
    if code in _FORBIDDEN or status in (401, 403):
        return S3PermissionError(path, error, errno.EACCES)
    return S3Error(path, error)
