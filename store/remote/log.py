"""The log of a remote: one entry per push, each naming the digest of the one before, and checkpoints that sum it up.

The file of an entry or checkpoint is msgpack `[body, signature]`: both binary; the body is a msgpack map. Its digest is the SHA-256
of the file. The signature is empty where nobody signs.

Keys of both: `f` format, `r` id of the remote (16), `s` sequence number, `t` UTC microseconds by the writer's clock (only shown, never
relied upon), `w` the writer's public key (32 bytes, or empty), `u` who in words (user@host), `y` id of the writer's store (16), `n`
nonce (16), which tells a writer whose answer got lost that the entry is its own.

    entry       b  digest of the entry before (32; zeros for the first)
                +  packs added: [[name, size, kind]]              -  names of packs removed
                x  indexes: [[name, size]]                        i  bytes of a small index, in place of a file
                R  refs: [[name, old id or nil, new id or nil]]
    checkpoint  d  digest of the entry with this number
                P  packs alive: [[name, size, kind]]
                R  refs: [[name, id, number of the entry that set it, its signer, [signers of the checkpoints that said so]]]
                I  runs of merged indexes, oldest first: [[[first id, index, size]]]
                V  for each run the signers of earlier checkpoints that parts of it were taken from: [[signer]]; absent if there are none
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any, NamedTuple

import msgpack

from redun.store.errors import FormatTooNew, RemoteDamaged
from redun.store.ids import ID_BYTES
from redun.store.keys import HMAC_BYTES, KEY_BYTES, SharedSecret, Signer, fingerprint, verify
from redun.store.remote.names import check_index_name, check_pack_name, check_shared_ref
from redun.store.remote.pack import PackKind

REMOTE_FORMAT = 1
NONCE_BYTES = 16
START = bytes(32)
"""Stands for the digest of the entry before the first."""
ENTRY_LIMIT = 64 << 20
CHECKPOINT_EVERY = 100
_DIGEST_BYTES = 32


class PackFact(NamedTuple):
    """A pack as the log tells of it: its name, the size of its file in bytes, what it holds."""

    name: str
    size: int
    kind: PackKind


class RefMove(NamedTuple):
    """A movement of a ref in a remote: 20-byte ids, or None."""

    name: str
    old: bytes | None
    new: bytes | None


class IndexFact(NamedTuple):
    """An index in a remote: its name, and the size of its file in bytes."""

    name: str
    size: int


class Shard(NamedTuple):
    """A part of a merged index: of the ids from `first` on, up to the `first` of the next one.

    `vouchers` are the signers of the checkpoints that it came through: as good as these is what it says of eval hashes.
    """

    first: bytes
    part: IndexFact
    vouchers: tuple[bytes, ...] = ()

    def said_by(self, signer: bytes) -> Shard:
        """Return what is known of it if a checkpoint of that signer (empty: of nobody) names it."""
        return self._replace(vouchers=tuple(dict.fromkeys((*self.vouchers, signer))))


class RefFact(NamedTuple):
    """A ref in a remote: the id that it names, the number of the entry that set it, and who signed that.

    `vouchers` is empty if we read that entry ourselves; else a checkpoint said so, which is as good as whoever signed it, and whoever signed
    the ones that its writer had it from.
    """

    name: str
    target: bytes
    seq: int
    writer: bytes
    vouchers: tuple[bytes, ...] = ()

    def said_by(self, signer: bytes) -> RefFact:
        """Return what is known if a checkpoint of that signer (empty: of nobody) says so."""
        return self._replace(vouchers=tuple(dict.fromkeys((*self.vouchers, signer))))


@dataclass(frozen=True, slots=True)
class Writer:
    """Whoever writes entries.

    Attributes:
        store: id of the store that pushes, 16 bytes.
        by: who in words.
        signer: gives the one who signs, None if nothing is signed; called when there is something to sign.
    """

    store: bytes
    by: str
    signer: Callable[[], Signer | None] = lambda: None


@dataclass(slots=True)
class Entry:
    """An entry of the log. See the module text.

    Attributes:
        before: digest of the entry before.
        inline: bytes of an index that stands in the entry itself, empty if there is none.
        signature, body: as they were read; empty for an entry that is yet to be written.
        digest: of the file; empty for an entry that is yet to be written.
    """

    remote: bytes
    seq: int
    before: bytes
    packs: list[PackFact] = field(default_factory=list)
    dropped: list[str] = field(default_factory=list)
    indexes: list[IndexFact] = field(default_factory=list)
    inline: bytes = b""
    refs: list[RefMove] = field(default_factory=list)
    time_us: int = 0
    writer: bytes = b""
    by: str = ""
    store: bytes = b""
    nonce: bytes = b""
    signature: bytes = b""
    body: bytes = b""
    digest: bytes = b""

    def encode(self, writer: Writer) -> bytes:
        """Return the bytes of the file, signed by its writer, with a time and a nonce of its own."""
        signer = _stamp(self, writer)
        self.body = msgpack.packb(
            {
                **_heading(self),
                "b": self.before,
                "+": [[pack.name, pack.size, int(pack.kind)] for pack in self.packs],
                "-": self.dropped,
                "x": [list(index) for index in self.indexes],
                "i": self.inline,
                "R": [list(move) for move in self.refs],
            }
        )
        return _sealed(self, signer)


@dataclass(slots=True)
class Checkpoint:
    """The sum of the log up to an entry. See the module text."""

    remote: bytes
    seq: int
    at: bytes
    packs: list[PackFact] = field(default_factory=list)
    refs: list[RefFact] = field(default_factory=list)
    runs: list[list[Shard]] = field(default_factory=list)
    time_us: int = 0
    writer: bytes = b""
    by: str = ""
    store: bytes = b""
    nonce: bytes = b""
    signature: bytes = b""
    body: bytes = b""
    digest: bytes = b""

    def encode(self, writer: Writer) -> bytes:
        """Return the bytes of the file, signed by its writer."""
        signer = _stamp(self, writer)
        vouchers = [list(run[0].vouchers) if run else [] for run in self.runs]
        self.body = msgpack.packb(
            {
                **_heading(self),
                "d": self.at,
                "P": [[pack.name, pack.size, int(pack.kind)] for pack in self.packs],
                "R": [[*ref[:4], list(ref.vouchers)] for ref in self.refs],
                "I": [[[shard.first, *shard.part] for shard in run] for run in self.runs],
                **({"V": vouchers} if any(vouchers) else {}),
            }
        )
        return _sealed(self, signer)


def _stamp(made: Entry | Checkpoint, writer: Writer) -> Signer | None:
    made.time_us = made.time_us or time.time_ns() // 1000
    made.nonce = made.nonce or uuid.uuid4().bytes
    made.by, made.store = writer.by, writer.store
    signer = writer.signer()
    made.writer = b"" if signer is None else signer.name
    return signer


def _heading(made: Entry | Checkpoint) -> dict[str, Any]:
    return {
        "f": REMOTE_FORMAT,
        "r": made.remote,
        "s": made.seq,
        "t": made.time_us,
        "w": made.writer,
        "u": made.by,
        "y": made.store,
        "n": made.nonce,
    }


def verified(made: Entry | Checkpoint, where: str, secret: SharedSecret | None) -> bytes:
    """Return the name of whoever signed an entry or checkpoint, empty if nobody did, or nobody who can be told here.

    Args:
        secret: the shared secret, if there is one here.

    Raises:
        RemoteDamaged: it is not signed by whom it names.
    """
    if not made.writer or (len(made.signature) == HMAC_BYTES and (secret is None or secret.name != made.writer)):
        return b""
    if not verify(made.writer, made.signature, made.body, secret):
        raise RemoteDamaged(
            f"{where} was not signed by {fingerprint(made.writer)}, whom it names: it is forged, or was changed after it was written"
        )
    return made.writer


def _sealed(made: Entry | Checkpoint, signer: Signer | None) -> bytes:
    made.signature = b"" if signer is None else signer.sign(made.body)
    data: bytes = msgpack.packb([made.body, made.signature])
    made.digest = sha256(data).digest()
    return data


def _open(data: bytes, where: str) -> tuple[bytes, bytes, dict[str, Any]]:
    try:
        body, signature = msgpack.unpackb(data, max_bin_len=ENTRY_LIMIT)
        found = msgpack.unpackb(body, max_bin_len=ENTRY_LIMIT)
        version = found["f"]
        if type(version) is not int:
            raise ValueError("its format is no number")
    except (KeyError, TypeError, ValueError, msgpack.UnpackException) as error:
        raise RemoteDamaged(f"{where} cannot be read: it is damaged ({error})") from error
    if version > REMOTE_FORMAT:
        raise FormatTooNew(
            f"{where} has format {version}, this redun reads up to {REMOTE_FORMAT}: upgrade redun to use this remote"
        )
    return body, signature, found


def _common(found: dict[str, Any]) -> dict[str, Any]:
    for key, size in (("r", 16), ("n", NONCE_BYTES)):
        _bytes(found[key], size)
    if type(found["w"]) is not bytes or len(found["w"]) not in (0, KEY_BYTES):
        raise ValueError("its writer is no public key")
    if type(found["s"]) is not int or found["s"] < 1 or type(found["t"]) is not int:
        raise ValueError("its number or time is no integer")
    return {
        "remote": found["r"],
        "seq": found["s"],
        "time_us": found["t"],
        "writer": found["w"],
        "by": str(found["u"])[:200],
        "store": _bytes(found["y"], 16),
        "nonce": found["n"],
    }


def _bytes(found: Any, size: int) -> bytes:
    if type(found) is not bytes or len(found) != size:
        raise ValueError(f"expected {size} bytes, found {str(found)[:40]!r}")
    return found


def _count(found: Any) -> int:
    if type(found) is not int or not 0 <= found < 1 << 60:
        raise ValueError(f"expected a size, found {str(found)[:40]!r}")
    return found


def _id(found: Any) -> bytes | None:
    return None if found is None else _bytes(found, ID_BYTES)


def _packs(rows: Any) -> list[PackFact]:
    return [PackFact(check_pack_name(name), _count(size), PackKind(kind)) for name, size, kind in rows]


def decode_entry(data: bytes, where: str) -> Entry:
    """Read an entry; its signature is not checked here.

    Args:
        where: names it, for messages.

    Raises:
        RemoteDamaged: it is none.
        FormatTooNew: a newer redun wrote it.
    """
    body, signature, found = _open(data, where)
    try:
        return Entry(
            **_common(found),
            before=_bytes(found["b"], _DIGEST_BYTES),
            packs=_packs(found["+"]),
            dropped=[check_pack_name(name) for name in found["-"]],
            indexes=[IndexFact(check_index_name(name), _count(size)) for name, size in found["x"]],
            inline=_binary(found["i"]),
            refs=[RefMove(check_shared_ref(name), _id(old), _id(new)) for name, old, new in found["R"]],
            signature=_binary(signature),
            body=body,
            digest=sha256(data).digest(),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise RemoteDamaged(f"{where} cannot be used: {error}") from error


def _binary(found: Any) -> bytes:
    if type(found) is not bytes:
        raise ValueError(f"expected bytes, found {str(found)[:40]!r}")
    return found


def decode_checkpoint(data: bytes, where: str) -> Checkpoint:
    """Read a checkpoint; its signature is not checked here. Raises as `decode_entry`."""
    body, signature, found = _open(data, where)
    try:
        return Checkpoint(
            **_common(found),
            at=_bytes(found["d"], _DIGEST_BYTES),
            packs=_packs(found["P"]),
            refs=[
                RefFact(
                    check_shared_ref(name),
                    _bytes(target, ID_BYTES),
                    _count(seq),
                    _binary(writer),
                    tuple(map(_binary, vouchers)),
                )
                for name, target, seq, writer, vouchers in found["R"]
            ],
            runs=[
                [
                    Shard(_first(first), IndexFact(check_index_name(name), _count(size)), tuple(map(_binary, vouchers)))
                    for first, name, size in run
                ]
                for run, vouchers in zip(found["I"], found.get("V") or [()] * len(found["I"]), strict=True)
            ],
            signature=_binary(signature),
            body=body,
            digest=sha256(data).digest(),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise RemoteDamaged(f"{where} cannot be used: {error}") from error


def _first(found: Any) -> bytes:
    if type(found) is not bytes or len(found) not in (0, ID_BYTES):
        raise ValueError(f"expected an id, found {str(found)[:40]!r}")
    return found
