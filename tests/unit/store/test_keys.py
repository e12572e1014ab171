"""Keys of stores: what is signed, by whom, and what is not believed."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from redun.store.errors import StoreError
from redun.store.keys import KeyPair, Keys, SharedSecret, fingerprint, verify

PAIR = KeyPair(bytes(range(32)))
OTHER = KeyPair(bytes(range(1, 33)))
SECRET = SharedSecret(b"a secret of some length")


@given(st.binary())
def test_what_was_signed_is_believed(message: bytes) -> None:
    assert verify(PAIR.name, PAIR.sign(message), message)
    assert verify(SECRET.name, SECRET.sign(message), message, SECRET)


@given(st.binary(), st.binary(), st.integers(min_value=0, max_value=511))
def test_nothing_else_is(message: bytes, other: bytes, bit: int) -> None:
    signature = PAIR.sign(message)
    flipped = bytearray(signature)
    flipped[bit // 8] ^= 1 << bit % 8
    assert not verify(PAIR.name, bytes(flipped), message)
    assert not verify(OTHER.name, signature, message)
    assert not verify(PAIR.name, other, message)
    if other != message:
        assert not verify(PAIR.name, signature, other)
        assert not verify(SECRET.name, SECRET.sign(message), other, SECRET)
    assert not verify(SECRET.name, SECRET.sign(message), message)
    assert not verify(SECRET.name, SECRET.sign(message), message, SharedSecret(b"another secret, as long"))
    assert not verify(PAIR.name, SECRET.sign(message), message, SECRET)
    assert not verify(b"", signature, message)


def test_rfc_8032() -> None:
    """The public key of the first test vector of section 7.1."""
    seed = bytes.fromhex("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60")
    assert KeyPair(seed).name.hex() == "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a"


def test_a_store_keeps_its_key(tmp_path: Path) -> None:
    keys = Keys(tmp_path / "keys")
    first = keys.own()
    keys.make()
    assert Keys(tmp_path / "keys").own().name == first.name
    assert stat.S_IMODE(os.stat(tmp_path / "keys" / "own").st_mode) == 0o600
    assert sorted(path.name for path in (tmp_path / "keys").iterdir()) == ["own"]


def test_another_key(tmp_path: Path) -> None:
    keys = Keys(tmp_path / "keys")
    first = keys.own()
    second = keys.rotate()
    assert second.name != first.name
    assert [key.name for key in keys.former()] == [first.name]


def test_a_key_that_others_can_read_is_refused(tmp_path: Path) -> None:
    keys = Keys(tmp_path / "keys")
    keys.make()
    os.chmod(tmp_path / "keys" / "own", 0o644)
    with pytest.raises(StoreError, match="can be read by others"):
        keys.own()
    keys.rotate()
    keys.own()


@pytest.mark.parametrize("content", ["", "zz", "00" * 31, "00" * 33])
def test_a_damaged_key(tmp_path: Path, content: str) -> None:
    keys = Keys(tmp_path / "keys")
    keys.make()
    (tmp_path / "keys" / "own").write_text(content)
    with pytest.raises(StoreError, match="is damaged"):
        keys.own()


def test_secrets_are_not_shown() -> None:
    assert bytes(range(32)).hex() not in repr(PAIR)
    assert "a secret" not in repr(SECRET)
    assert fingerprint(PAIR.name) in repr(PAIR)
    with pytest.raises(StoreError, match="at least 16"):
        SharedSecret(b"short")
