"""Keys: who says what a remote holds.

A memo entry is a claim that no hash can verify, and a reduction is an expression, that is, code to run. So whoever pushes signs what they
add, and whoever pulls decides whom to believe. Every store has a key pair (Ed25519, RFC 8032) from the beginning; the private part is 32
random bytes in `keys/own` of the store's folder, which nobody else may read.

A signer may also be a secret that several share (HMAC-SHA256, RFC 2104), from the environment: for continuous integration, where a store
is new each time. A signer is named by 32 bytes, its public key, or a digest of the secret; the length of a signature tells which it is.
What is signed begins with `DOMAIN`, so that no signature of ours means anything elsewhere.

People see the fingerprint of a signer: `SHA256:` and the base64 of a digest, as ssh shows keys.
"""

from __future__ import annotations

import base64
import contextlib
import hmac
import os
import time
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple, Protocol

from redun.store.disk import unavailable
from redun.store.errors import StoreError

KEY_BYTES = 32
SIGNATURE_BYTES = 64
HMAC_BYTES = 32
DOMAIN = b"redun remote 1\x00"
_HMAC_NAME = b"redun hmac 1\x00"
LEAST_SECRET_BYTES = 16
FINGERPRINT_MARK = "SHA256:"


class BadKey(StoreError):
    """A key cannot be read, or is none."""


class Signer(Protocol):
    """Signs what a store adds to a remote."""

    @property
    def name(self) -> bytes:
        """The 32 bytes that name it."""

    def sign(self, message: bytes) -> bytes:
        """Return the signature of a message."""


class KeyPair:
    """An Ed25519 key pair.

    Args:
        seed: the private part, 32 random bytes.
    """

    def __init__(self, seed: bytes) -> None:
        if len(seed) != KEY_BYTES:
            raise BadKey(f"a private key has {KEY_BYTES} bytes, found {len(seed)}")
        self._seed = seed

    @property
    def name(self) -> bytes:
        """The public key, 32 bytes."""
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

        return Ed25519PrivateKey.from_private_bytes(self._seed).public_key().public_bytes_raw()

    def sign(self, message: bytes) -> bytes:
        """Return a signature of 64 bytes."""
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

        return Ed25519PrivateKey.from_private_bytes(self._seed).sign(DOMAIN + message)

    def __repr__(self) -> str:
        # Never the private part.
        return f"<key pair {fingerprint(self.name)}>"


class SharedSecret:
    """A secret that several have, and by which each believes what another signed.

    Args:
        secret: at least 16 bytes.
    """

    def __init__(self, secret: bytes) -> None:
        if len(secret) < LEAST_SECRET_BYTES:
            raise BadKey(f"a shared signing key has at least {LEAST_SECRET_BYTES} bytes, found {len(secret)}")
        self._secret = secret

    @property
    def name(self) -> bytes:
        """A digest of the secret, 32 bytes."""
        return sha256(_HMAC_NAME + self._secret).digest()

    def sign(self, message: bytes) -> bytes:
        """Return a signature of 32 bytes."""
        return hmac.digest(self._secret, DOMAIN + message, "sha256")

    def verify(self, signature: bytes, message: bytes) -> bool:
        """Tell whether somebody with this secret signed a message."""
        return hmac.compare_digest(self.sign(message), signature)

    def __repr__(self) -> str:
        return f"<shared key {fingerprint(self.name)}>"


def verify(name: bytes, signature: bytes, message: bytes, secret: SharedSecret | None = None) -> bool:
    """Tell whether a signer signed a message.

    Args:
        name: of the signer, 32 bytes.
        secret: the shared secret, if there is one here; without it nothing can be said of what it signed, which then counts as not signed.
    """
    if len(name) != KEY_BYTES:
        return False
    if len(signature) == HMAC_BYTES:
        return secret is not None and hmac.compare_digest(secret.name, name) and secret.verify(signature, message)
    if len(signature) != SIGNATURE_BYTES:
        return False
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    try:
        Ed25519PublicKey.from_public_bytes(name).verify(signature, DOMAIN + message)
    except (InvalidSignature, ValueError):
        return False
    return True


def fingerprint(name: bytes) -> str:
    """Return a signer's name as people see and type it."""
    return FINGERPRINT_MARK + base64.b64encode(sha256(name).digest()).rstrip(b"=").decode()


class FormerKey(NamedTuple):
    """A public key that a store has used before, and until when (seconds since 1970)."""

    name: bytes
    until_s: int


class Keys:
    """The keys of one store.

    Args:
        folder: `keys/` of the store.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @property
    def _own(self) -> Path:
        return self._folder / "own"

    @property
    def exist(self) -> bool:
        """True if the store has a key pair."""
        return self._own.exists()

    def make(self) -> None:
        """Make the key pair of a new store; one that is there is left alone."""
        if not self._own.exists():
            self._write(os.urandom(KEY_BYTES), replace=False)

    def own(self) -> KeyPair:
        """Return the store's key pair, made now if the store is older than keys.

        Raises:
            StoreError: its file is damaged, readable by others, or cannot be read or written.
        """
        try:
            status = os.stat(self._own)
        except FileNotFoundError:
            self.make()
            status = os.stat(self._own)
        except OSError as error:
            raise unavailable("read key", self._own, error) from error
        if status.st_mode & 0o077:
            raise BadKey(
                f"key {str(self._own)!r} can be read by others, so anybody may sign as this store: make it private "
                "(chmod 600), or make another one with 'redun keys rotate'"
            )
        try:
            data = self._own.read_text("ascii").strip()
            return KeyPair(bytes.fromhex(data))
        except (ValueError, BadKey):
            raise BadKey(f"key {str(self._own)!r} is damaged: 'redun keys rotate' makes another one") from None
        except OSError as error:
            raise unavailable("read key", self._own, error) from error

    def rotate(self) -> KeyPair:
        """Replace the key pair; the old public key is remembered, the private one is gone."""
        with contextlib.suppress(StoreError):
            line = f"{self.own().name.hex()} {int(time.time())}\n"
            try:
                with open(self._folder / "former", "a", encoding="ascii") as file:
                    file.write(line)
            except OSError as error:
                raise unavailable("write key", self._folder / "former", error) from error
        self._write(os.urandom(KEY_BYTES), replace=True)
        return self.own()

    def former(self) -> list[FormerKey]:
        """List the public keys that were used before, oldest first."""
        try:
            lines = (self._folder / "former").read_text("ascii", errors="replace").splitlines()
        except OSError:
            return []
        found = []
        for line in lines:
            with contextlib.suppress(ValueError):
                name, until = line.split()
                found.append(FormerKey(bytes.fromhex(name), int(until)))
        return [key for key in found if len(key.name) == KEY_BYTES]

    def _write(self, seed: bytes, *, replace: bool) -> None:
        temporary = self._folder / f"own-{os.getpid()}-{os.urandom(4).hex()}"
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            os.chmod(self._folder, 0o700)
            handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            with open(handle, "w", encoding="ascii") as file:
                file.write(seed.hex() + "\n")
                file.flush()
                os.fsync(file.fileno())
            if replace:
                os.replace(temporary, self._own)
            else:
                # Two processes may make a store at once: the first key stays.
                try:
                    os.link(temporary, self._own)
                except FileExistsError:
                    pass
                except OSError:
                    # A file system without hard links.
                    os.replace(temporary, self._own)
        except OSError as error:
            raise unavailable("write key", self._own, error) from error
        finally:
            with contextlib.suppress(OSError):
                os.unlink(temporary)
