"""Who signed a ref of a remote: from the log, and from checkpoints of people who are believed or not."""

from __future__ import annotations

import os
from collections.abc import Callable

import pytest

from redun.store.errors import RemoteDamaged
from redun.store.keys import KeyPair
from redun.store.remote.log import Checkpoint, Entry, RefMove, Writer, decode_checkpoint
from redun.store.remote.names import checkpoint_name, log_name
from redun.store.remote.push import push
from redun.store.remote.remote import Remote

from .conftest import Site

HONEST, STRANGER = KeyPair(os.urandom(32)), KeyPair(os.urandom(32))


def as_signer(site: Site, key: KeyPair | None) -> Remote:
    remote = site.remote()
    remote.writer = Writer(site.store.identity(), "tester", lambda: key)
    return remote


def pushed(site: Site, key: KeyPair | None) -> str:
    name = site.fill(5)
    with as_signer(site, key) as remote:
        push(site.source, remote, site.heads)
    return name


def sum_up(site: Site, key: KeyPair | None, *, lies: dict[str, bytes] | None = None, credit: bytes | None = None) -> None:
    """Write a checkpoint of all that is there; with lies, refs that are elsewhere, in the name of somebody."""
    with as_signer(site, key) as remote:
        remote.refresh()
        known = remote.mirror.known()
        assert known is not None
        facts = [
            fact._replace(target=(lies or {}).get(fact.name, fact.target), writer=credit or fact.writer)
            for fact in remote.mirror.ref_facts()
        ]
        made = Checkpoint(known.remote, known.seq, known.digest, list(remote.mirror.facts()), facts)
        assert remote.backend.put_new(checkpoint_name(known.seq), made.encode(remote.writer))


def believing(*keys: KeyPair) -> Callable[[bytes], bool]:
    names = {key.name for key in keys}
    return lambda signer: signer in names


def test_entries_say_who_signed(site) -> None:  # type: ignore[no-untyped-def]
    a, b = site("a"), site("b")
    signed, unsigned = pushed(a, HONEST), pushed(a, None)
    with as_signer(b, None) as remote:
        remote.refresh()
        assert remote.signer_of(signed, believing()) == HONEST.name
        assert remote.signer_of(unsigned, believing()) == b""
        assert [fact.name for fact in remote.mirror.signers()] == [HONEST.name]


@pytest.mark.parametrize("key", [STRANGER, HONEST, None])
def test_checkpoints_that_tell_the_truth(site, key: KeyPair | None) -> None:  # type: ignore[no-untyped-def]
    a, b, c = site("a"), site("b"), site("c")
    name = pushed(a, HONEST)
    sum_up(b, key)
    with as_signer(c, None) as remote:
        remote.refresh()
        assert remote.signer_of(name, believing(HONEST)) == HONEST.name


def test_checkpoints_that_lie(site) -> None:  # type: ignore[no-untyped-def]
    a, b, c = site("a"), site("b"), site("c")
    name = pushed(a, HONEST)
    sum_up(b, STRANGER, lies={name: bytes(20)})
    with as_signer(c, None) as remote:
        remote.refresh()
        with pytest.raises(RemoteDamaged, match="made to deceive"):
            remote.signer_of(name, believing(HONEST))


def test_checkpoints_that_give_others_credit(site) -> None:  # type: ignore[no-untyped-def]
    a, b, c = site("a"), site("b"), site("c")
    name = pushed(a, STRANGER)
    sum_up(b, STRANGER, credit=HONEST.name)
    with as_signer(c, None) as remote:
        remote.refresh()
        with pytest.raises(RemoteDamaged, match="made to deceive"):
            remote.signer_of(name, believing(HONEST))


def test_a_lie_is_not_laundered_by_the_next_checkpoint(site) -> None:  # type: ignore[no-untyped-def]
    a, b, honest, c = site("a"), site("b"), site("honest"), site("c")
    name = pushed(a, STRANGER)
    sum_up(b, STRANGER, credit=HONEST.name)
    # Somebody who is believed reads that checkpoint, pushes, and sums up in good faith.
    pushed(honest, HONEST)
    sum_up(honest, HONEST)
    with as_signer(c, None) as remote:
        remote.refresh()
        with pytest.raises(RemoteDamaged, match="made to deceive"):
            remote.signer_of(name, believing(HONEST))


def test_forged_checkpoints_and_entries_are_refused(site) -> None:  # type: ignore[no-untyped-def]
    a, b, c = site("a"), site("b"), site("c")
    pushed(a, HONEST)
    with as_signer(b, None) as remote:
        remote.refresh()
        known = remote.mirror.known()
        assert known is not None
        forged = Entry(known.remote, known.seq + 1, known.digest, refs=[RefMove("pins/" + "00" * 20, None, bytes(20))])

        class Forger:
            name = HONEST.name

            def sign(self, message: bytes) -> bytes:
                return STRANGER.sign(message)

        assert remote.backend.put_new(log_name(forged.seq), forged.encode(Writer(b.store.identity(), "x", Forger)))
    with as_signer(c, None) as remote, pytest.raises(RemoteDamaged, match="was not signed by"):
        remote.refresh()


def test_checkpoints_keep_who_vouched(site) -> None:  # type: ignore[no-untyped-def]
    a, b, c = site("a"), site("b"), site("c")
    pushed(a, HONEST)
    sum_up(b, STRANGER)
    pushed(c, HONEST)
    sum_up(c, HONEST)
    with as_signer(c, None) as remote:
        data = remote.backend.get(checkpoint_name(2), 1 << 20)
    found = decode_checkpoint(data, "here")
    assert {fact.vouchers for fact in found.refs} == {(STRANGER.name,), ()}
