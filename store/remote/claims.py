"""What is said of an eval hash in a remote, by somebody who is believed.

That a call gives a result is a claim which no hash can verify. It stands in an index that a signed entry of the log names, or in a merged
index that a signed checkpoint names, with who said so and in which entry. What came through a checkpoint of somebody who is not believed
is looked up in that entry.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from redun.store.errors import RemoteDamaged
from redun.store.remote.index import decode_index
from redun.store.remote.mirror import KnownClaim
from redun.store.remote.remote import Remote


class Claims:
    """Claims in a remote that was brought up to date. One thread, that of the remote.

    Args:
        believed: tells whether a signer (32 bytes; empty: nobody signed) is believed.

    Attributes:
        doubted: how many eval hashes were asked for of which only others speak.
    """

    def __init__(self, remote: Remote, believed: Callable[[bytes], bool]) -> None:
        self._remote = remote
        self._believed = believed
        self._entries: dict[int, Mapping[bytes, bytes]] = {}
        self.doubted = 0

    def find(self, eval_hash: bytes) -> KnownClaim | None:
        """Return who says what call an eval hash leads to, None if nobody who is believed says anything; see `find_many`."""
        return self.find_many([eval_hash]).get(eval_hash)

    def find_many(self, eval_hashes: Sequence[bytes]) -> dict[bytes, KnownClaim]:
        """Return what is said of some eval hashes by those who are believed.

        Raises:
            RemoteError: the remote cannot be reached.
            RemoteDamaged: an index is not what it should be.
        """
        remote = self._remote
        if remote.mirror.shards:
            remote.load_shards(eval_hashes)
        found = {}
        for eval_hash, claims in remote.mirror.claims(eval_hashes).items():
            for claim in claims:
                if self._is_believed(eval_hash, claim):
                    found[eval_hash] = claim
                    break
            else:
                self.doubted += 1
        return found

    def _is_believed(self, eval_hash: bytes, claim: KnownClaim) -> bool:
        if not self._believed(claim.signer):
            return False
        return not claim.vouchers or all(map(self._believed, claim.vouchers)) or self._confirmed(eval_hash, claim)

    def _confirmed(self, eval_hash: bytes, claim: KnownClaim) -> bool:
        if claim.seq not in self._entries:
            self._entries[claim.seq] = self._said_in(claim.seq, claim.signer)
        return self._entries[claim.seq].get(eval_hash) == claim.call

    def _said_in(self, seq: int, signer: bytes) -> Mapping[bytes, bytes]:
        remote = self._remote
        try:
            entry = remote.entry(seq)
            if not signer or entry.writer != signer:
                return {}
            parts = [entry.inline] if entry.inline else remote.each(remote.index_bytes, entry.indexes)
            memo: dict[bytes, bytes] = {}
            for part in parts:
                memo.update(decode_index(part, f"{remote.where}: index of entry {seq}").memo)
            return memo
        except RemoteDamaged:
            # The log may have been cut there; nobody vouches for it then.
            return {}
