"""Who says what an eval hash leads to: from the log, and from checkpoints of people who are believed or not."""

from __future__ import annotations

import os
from collections.abc import Callable

import pytest

from redun.store.keys import KeyPair
from redun.store.remote import checkpoint, index
from redun.store.remote.claims import Claims
from redun.store.remote.index import Claim, Index, decode_index, encode_index
from redun.store.remote.push import push

from .conftest import Site
from .test_push_pull import Wrapped
from .test_signers import HONEST, STRANGER, as_signer, believing

Sites = Callable[..., Site]
KEY, OTHER = os.urandom(20), os.urandom(20)
CALL, LIE = os.urandom(20), os.urandom(20)


def say(site: Site, key: KeyPair | None, memo: dict[bytes, bytes]) -> None:
    """Push something, and say what eval hashes lead to."""
    site.fill(3)
    with as_signer(site, key) as remote:
        push(site.source, remote, site.heads, memo=memo.items)


def claimed(site: Site, eval_hash: bytes, *believed: KeyPair) -> bytes | None:
    with as_signer(site, None) as remote:
        remote.refresh()
        found = Claims(remote, believing(*believed)).find(eval_hash)
        return None if found is None else found.call


def test_only_who_is_believed_counts(site: Sites) -> None:
    a, b = site("a"), site("b")
    say(a, HONEST, {KEY: CALL})
    say(a, STRANGER, {KEY: LIE, OTHER: LIE})
    say(a, None, {KEY: LIE})
    assert claimed(b, KEY, HONEST) == CALL
    assert claimed(b, OTHER, HONEST) is None
    assert claimed(b, OTHER, HONEST, STRANGER) == LIE
    assert claimed(b, KEY) is None
    # Of two who are believed the later one counts.
    assert claimed(b, KEY, HONEST, STRANGER) == LIE


@pytest.fixture
def _often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checkpoint, "CHECKPOINT_EVERY", 3)
    monkeypatch.setattr(index.Index.split, "__defaults__", (4,))


@pytest.mark.parametrize("last", [HONEST, STRANGER], ids=["honest", "stranger"])
@pytest.mark.usefixtures("_often")
def test_checkpoints_pass_on_who_said_so(site: Sites, last: KeyPair) -> None:
    """Whoever wrote the checkpoint, a stranger's claims stay a stranger's, and what is true is believed."""
    a, b = site("a"), site("b")
    more = {os.urandom(20): os.urandom(20) for _ in range(9)}
    say(a, HONEST, {KEY: CALL, **more})
    say(a, STRANGER, {KEY: LIE, OTHER: LIE})
    say(a, last, {})
    wrapped = Wrapped(b.backend)
    b.backend = wrapped
    assert claimed(b, KEY, HONEST) == CALL
    read = [name for method, name in wrapped.calls if name.startswith("log/0")]
    # What the stranger's checkpoint says is looked up in the log.
    assert ("log/000000000001" in read) == (last is STRANGER)
    assert claimed(b, OTHER, HONEST) is None
    assert all(claimed(b, key, HONEST) == call for key, call in more.items())


@pytest.mark.usefixtures("_often")
def test_a_checkpoint_lies(site: Sites, monkeypatch: pytest.MonkeyPatch) -> None:
    """A stranger writes a checkpoint that has somebody else say what they never said; later ones of honest people merge it."""
    a, b = site("a"), site("b")
    say(a, HONEST, {KEY: CALL})
    say(a, HONEST, {})

    def lies(whole: Index, *rest: int) -> list[Index]:
        whole.claims[(KEY, HONEST.name)] = Claim(LIE, 1)
        whole.claims[(OTHER, HONEST.name)] = Claim(LIE, 1)
        return [whole]

    with monkeypatch.context() as patch:
        patch.setattr(index.Index, "split", lies)
        say(a, STRANGER, {})
    assert claimed(b, OTHER, HONEST) is None
    assert claimed(b, KEY, HONEST) in (None, CALL)
    for _ in range(3):
        say(a, HONEST, {})
    c = site("c")
    with as_signer(c, None) as remote:
        remote.refresh()
        remote.load_shards()
        found = [claim for key, claim in remote.mirror.all_claims() if key == OTHER]
        assert [STRANGER.name in claim.vouchers for claim in found] == [True]
    assert claimed(c, OTHER, HONEST) is None
    assert claimed(c, OTHER, HONEST, STRANGER) == LIE


def test_an_entry_does_not_speak_for_others(site: Sites) -> None:
    a = site("a")
    with as_signer(a, STRANGER) as remote:
        own = Index(memo={KEY: LIE}, claims={(OTHER, HONEST.name): Claim(LIE, 1)})
        read = decode_index(encode_index(own), "test")
        assert read.claims == own.claims
        assert read.said_by(remote.writer.signer().name, 4).claims == {(KEY, STRANGER.name): Claim(LIE, 4)}  # type: ignore[union-attr]


def test_claims_become_rows_when_somebody_asks_for_one(site: Sites, monkeypatch: pytest.MonkeyPatch) -> None:
    a, b = site("a"), site("b")
    say(a, HONEST, {KEY: LIE})
    say(a, HONEST, {KEY: CALL})

    def rows(of: Site) -> int:
        return len(list(of.store.mirror_source("team").table("claim").scan()))

    with b.remote() as remote:
        assert remote.refresh()
    assert (rows(a), rows(b)) == (0, 0)
    assert claimed(b, KEY, HONEST) == CALL
    assert claimed(b, OTHER, HONEST) is None
    assert rows(b) == 1
    # What others say later is seen, too, also where so much is said that the indexes are not kept.
    monkeypatch.setattr("redun.store.remote.mirror._RECENT_MOST", 1)
    for _ in range(4):
        key = os.urandom(20)
        say(a, HONEST, {KEY: LIE, key: CALL})
        with b.remote() as remote:
            remote.refresh()
    say(a, HONEST, {OTHER: CALL})
    assert (claimed(b, KEY, HONEST), claimed(b, key, HONEST), claimed(b, OTHER, HONEST)) == (LIE, CALL, CALL)
    assert claimed(a, key, HONEST) == CALL
