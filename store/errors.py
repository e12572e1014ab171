"""Errors of the store, under the one root of the whole project.

`RedunError` lives here because the store is the lowest layer; `redun.errors` re-exports it. Each error also inherits the
builtin that a caller would naturally catch. Messages are lower case and say what failed, on what, and what to do next.
"""

from __future__ import annotations

from typing import Any


class RedunError(Exception):
    """Root of every error that redun raises on purpose."""


class StoreError(RedunError):
    """The store cannot do what was asked."""


class ObjectNotFound(StoreError, KeyError):
    """No object has this id.

    Args:
        object_id: the 20-byte id that was looked up.
    """

    def __init__(self, object_id: bytes) -> None:
        super().__init__(f"object {object_id.hex()} is not in the store")
        self.object_id = object_id

    def __str__(self) -> str:
        # KeyError shows the repr of its argument; a message should read as a sentence.
        return str(self.args[0])


class ObjectDropped(ObjectNotFound):
    """gc has dropped this value to make room; its call can be made again.

    Args:
        object_id: the 20-byte id that was looked up.
        size: bytes that the object had.
    """

    def __init__(self, object_id: bytes, size: int) -> None:
        super().__init__(object_id)
        self.args = (f"object {object_id.hex()} ({size} bytes) was dropped by gc to make room",)
        self.size = size


class ObjectAway(ObjectNotFound):
    """An object is not here, but in a remote, where it was left when the rest was pulled.

    Args:
        object_id: the 20-byte id that was looked up.
        size: bytes that it has.
    """

    def __init__(self, object_id: bytes, size: int) -> None:
        super().__init__(object_id)
        text = object_id.hex()
        self.args = (f"value {text} of {size:,} bytes was left in its repo: 'redun pull REPO {text[:8]}' fetches it",)
        self.size = size


class DamagedObject(StoreError, ValueError):
    """Stored bytes do not match their checksum, or cannot be an object at all."""


class DamagedStore(StoreError):
    """The database file itself is damaged: its pages do not hang together. Nothing is written to it before it is repaired."""

    @classmethod
    def at(cls, folder: object, what: str) -> DamagedStore:
        """Make the error for a store's folder and what was found in it."""
        return cls(
            f"store {str(folder)!r} is damaged: {what}; the disk or its memory may fail: 'redun fsck' tells what is touched, "
            "'redun fsck --repair' saves what can be read"
        )


class DecodeError(StoreError, ValueError):
    """Bytes are not a canonical encoding of anything we know: truncated, hostile or of a newer version."""


class EncodeError(StoreError, TypeError):
    """A value has no encoding."""


class CyclicError(EncodeError):
    """A value contains itself.

    Args:
        chain: the containers that lead back to the first of them.
    """

    def __init__(self, chain: list[Any]) -> None:
        super().__init__(f"a {type(chain[0]).__qualname__} that contains itself has no encoding")
        self.chain = chain


class MissingLinks(StoreError):
    """A commit links ids that are not in the store (any more); nothing of it was written.

    Args:
        missing: the ids that must be put again before the commit can succeed.
    """

    def __init__(self, missing: frozenset[bytes]) -> None:
        super().__init__(f"{len(missing)} linked object(s) are missing, first {min(missing).hex()}")
        self.missing = missing


class RefConflict(StoreError):
    """A ref did not have the value that its compare-and-swap expected; nothing of the commit was written."""

    @classmethod
    def between(cls, name: str, expected: bytes | None, found: bytes | None) -> RefConflict:
        """Make the error for a ref and the two ids that differ."""
        expected_text, found_text = (oid.hex() if oid is not None else "nothing" for oid in (expected, found))
        return cls(f"ref {name!r} was expected at {expected_text}, found at {found_text}: another process moved it")


class StoreUnavailable(StoreError, OSError):
    """The store's folder cannot be opened, read or written: permissions, full disk, wrong kind of file."""


class FormatTooNew(StoreError):
    """The store was written by a newer version of redun than this one."""


class StoreLocked(StoreError):
    """Another process holds the store and sharing is not possible."""


class RemoteError(StoreError, OSError):
    """A remote cannot be used: network, credentials, a full disk, a missing bucket.

    Attributes:
        transient: trying again may help.
    """

    transient = False


class RemoteBusy(RemoteError):
    """A remote does not answer, or says that it is busy: trying again may help."""

    transient = True


class RemoteDenied(RemoteError, PermissionError):
    """A remote does not let us: no credentials, or they do not allow it."""


class NotInRemote(StoreError, FileNotFoundError):
    """A remote has no file of this name; says which."""


class RemoteDamaged(StoreError, ValueError):
    """What a remote holds is not what it should be: damaged, or made to harm. Nothing of it was taken in."""


class RemoteRolledBack(RemoteDamaged):
    """A remote holds less, or something else, than it did when we last looked."""


class SamePid(StoreLocked):
    """A process of another container has the store open, and has the same pid as this one; LMDB cannot tell them apart."""
