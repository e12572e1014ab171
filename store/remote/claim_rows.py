"""What is said of eval hashes in a remote, as its mirror keeps it: claims, and who makes them (`redun.store.remote.mirror` has the tables).

Claims of merged indexes are taken in as these are read. Those of entries stand in their indexes, which are kept for the next checkpoint;
they become rows when somebody first asks for one: whoever only pushes and pulls never does.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

import msgpack

from redun.store.remote.index import Claim, read_index
from redun.store.sources.base import Source, Table

RECENT_KEY = struct.Struct(">QH")
_NUMBER = struct.Struct(">I")
_CLAIM = struct.Struct(">20sQ")
_SEQ = struct.Struct(">Q")
_SAID = b"said"
_TAKEN = b"claimed"
_ROWS_AT_ONCE = 50_000


class KnownClaim(NamedTuple):
    """What somebody says of an eval hash.

    Attributes:
        call: the call that it leads to.
        seq: number of the log entry that says so.
        signer: of that entry, empty if nobody signed it.
        vouchers: empty if that entry was read here; else the signers of the checkpoints that say what it says.
    """

    call: bytes
    seq: int
    signer: bytes
    vouchers: tuple[bytes, ...]


class ClaimRows:
    """Claims in a mirror. Whoever writes is alone (`Mirror.alone`).

    Attributes:
        are_taken: nothing in the indexes that are kept is yet to be taken in.
    """

    def __init__(self, source: Source) -> None:
        self._state = source.table("state")
        self._rows = source.table("claim")
        self.forget()

    def forget(self) -> None:
        """Let go of what was read: another process may have written."""
        self._said: dict[int, tuple[bytes, tuple[bytes, ...]]] | None = None
        self.are_taken = False

    def add(self, claims: Mapping[tuple[bytes, bytes], Claim], vouchers: tuple[bytes, ...]) -> None:
        """Take in what a merged index says of eval hashes; what is known already is newer, and stays.

        Args:
            vouchers: signers of the checkpoints that it came through.
        """
        said = {signer: _NUMBER.pack(self._number_of(signer, vouchers)) for signer in {pair[1] for pair in claims}}
        rows = {key + said[signer]: _CLAIM.pack(*claim) for (key, signer), claim in claims.items()}
        for key in self._rows.get_many(list(rows)):
            del rows[key]
        put_rows(self._rows, rows)

    def take(self, recent: Table) -> None:
        """Take in what the indexes say that are kept and were not looked at for it.

        Args:
            recent: holds them.
        """
        row = self._state.get(_TAKEN)
        last = 0 if row is None else _SEQ.unpack(row)[0]
        signer = b""
        rows: dict[bytes, bytes] = {}
        for key, data in recent.scan(start=RECENT_KEY.pack(last + 1, 0)):
            last, place = RECENT_KEY.unpack(key)
            if place == 0:
                signer = msgpack.unpackb(data)[0]
                continue
            said = _NUMBER.pack(self._number_of(signer, ()))
            memo = read_index(data, f"index of entry {last}").memo()
            rows.update({eval_hash + said: _CLAIM.pack(call, last) for eval_hash, call in memo})
            if len(rows) > _ROWS_AT_ONCE:
                put_rows(self._rows, rows)
                rows = {}
        put_rows(self._rows, rows)
        self._state.put_many([(_TAKEN, _SEQ.pack(last))])
        self.are_taken = True

    def _sayings(self) -> dict[int, tuple[bytes, tuple[bytes, ...]]]:
        if self._said is None:
            self._said = {}
            for key, row in self._state.scan(_SAID):
                signer, vouchers = msgpack.unpackb(row)
                self._said[_NUMBER.unpack(key[len(_SAID) :])[0]] = (signer, tuple(vouchers))
        return self._said

    def _number_of(self, signer: bytes, vouchers: tuple[bytes, ...]) -> int:
        said = self._sayings()
        for number, known in said.items():
            if known == (signer, vouchers):
                return number
        number = max(said, default=0) + 1
        said[number] = (signer, vouchers)
        self._state.put_many([(_SAID + _NUMBER.pack(number), msgpack.packb([signer, list(vouchers)]))])
        return number

    def of(self, eval_hashes: Iterable[bytes]) -> dict[bytes, list[KnownClaim]]:
        """Return what is said of some eval hashes, the newest first; nothing is said of those that are left out."""
        said = [_NUMBER.pack(number) for number in self._sayings()]
        found: dict[bytes, list[KnownClaim]] = {}
        for key, row in self._rows.get_many([eval_hash + one for eval_hash in eval_hashes for one in said]).items():
            found.setdefault(key[:-4], []).append(self._claim(key, row))
        for claims in found.values():
            claims.sort(key=lambda claim: -claim.seq)
        return found

    def all(self) -> Iterator[tuple[bytes, KnownClaim]]:
        """Yield eval hash and claim of all."""
        for key, row in self._rows.scan():
            yield key[:-4], self._claim(key, row)

    def _claim(self, key: bytes, row: bytes) -> KnownClaim:
        call, seq = _CLAIM.unpack(row)
        return KnownClaim(call, seq, *self._sayings()[_NUMBER.unpack(key[-4:])[0]])


def put_rows(table: Table, rows: Mapping[bytes, bytes]) -> None:
    """Write rows in the order of their keys, some at once, so that a million of them need little memory twice."""
    keys = sorted(rows)
    for start in range(0, len(keys), _ROWS_AT_ONCE):
        table.put_many([(key, rows[key]) for key in keys[start : start + _ROWS_AT_ONCE]])


__all__ = ["RECENT_KEY", "ClaimRows", "KnownClaim", "put_rows"]
