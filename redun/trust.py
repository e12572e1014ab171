"""Whom to believe: which signers of a repo's log may say what a call gives.

A row of the memo is a claim that no hash can verify, and what it names may be an expression, that is, code to run. So rows are taken from
signers that the configuration trusts only:

    [repos.team]
    trust = SHA256:... SHA256:...        these signers; or: all, whoever can write there
    [keys]
    revoked = SHA256:...                 never, wherever it says otherwise

The store's own keys are trusted, former ones too, and whoever signs with the shared key of the environment variable `REDUN_SIGNING_KEY`.
docs/security.md has the model as a whole.
"""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

from redun.errors import ConfigError
from redun.store.keys import Keys, SharedSecret, Signer, fingerprint

if TYPE_CHECKING:
    from redun.config import Config
    from redun.remotes import Repo
    from redun.store.repository import Store

TRUST_ALL = "all"
KEYS_SECTION = "keys"
SECRET_VARIABLE = "REDUN_SIGNING_KEY"
_FINGERPRINT = re.compile(r"SHA256:[A-Za-z0-9+/]{43}\Z")


def parse_fingerprints(text: str, where: str) -> tuple[str, ...]:
    """Return the fingerprints in a text, separated by spaces or commas.

    Raises:
        ConfigError: one of them is none.
    """
    found = tuple(text.replace(",", " ").split())
    for one in found:
        if not _FINGERPRINT.match(one):
            raise ConfigError(
                f"{where}: {one!r} is no fingerprint of a key: expected SHA256: and 43 characters, as 'redun keys list' shows"
            )
    return found


def revoked(config: Config) -> frozenset[str]:
    """Return the fingerprints of signers that are not trusted any more.

    Raises:
        ConfigError: one of them is none.
    """
    section = config.get(KEYS_SECTION)
    if section is None:
        return frozenset()
    return frozenset(parse_fingerprints(section.get("revoked", ""), section.where("revoked")))


def shared_secret() -> SharedSecret | None:
    """Return the signing key that the environment gives, None if it gives none.

    Raises:
        StoreError: it is too short.
    """
    text = os.environ.get(SECRET_VARIABLE, "")
    return SharedSecret(text.encode()) if text else None


def store_keys(store: Store) -> Keys | None:
    """Return the keys of a store; one in memory has none."""
    return None if store.folder is None else Keys(store.folder / "keys")


def signer_of(store: Store) -> Signer | None:
    """Return who signs what a store pushes: the shared key if there is one, else the store's own."""
    secret = shared_secret()
    if secret is not None:
        return secret
    keys = store_keys(store)
    return None if keys is None else keys.own()


class Trust:
    """Who is believed in one repo.

    Args:
        store: whose own keys are believed.
    """

    def __init__(self, store: Store, repo: Repo) -> None:
        self._store = store
        self._repo = repo
        self._revoked = repo.revoked
        self._trusted = frozenset(repo.fingerprints)
        self.secret = shared_secret()
        self._own: frozenset[bytes] | None = None
        self._verdicts: dict[bytes, bool] = {}

    @property
    def everybody(self) -> bool:
        """True if whoever can write there is believed."""
        return self._repo.trusts_all and not self._revoked

    def believes(self, signer: bytes) -> bool:
        """Tell whether a signer is believed.

        Args:
            signer: its name, 32 bytes, checked against the signature; empty if nobody signed.
        """
        if not signer:
            return self._repo.trusts_all
        verdict = self._verdicts.get(signer)
        if verdict is None:
            verdict = self._verdicts[signer] = self._judge(signer)
        return verdict

    def _judge(self, signer: bytes) -> bool:
        mark = fingerprint(signer)
        if mark in self._revoked:
            return False
        if self._repo.trusts_all or mark in self._trusted:
            return True
        return signer in self._ours() or (self.secret is not None and signer == self.secret.name)

    def _ours(self) -> frozenset[bytes]:
        if self._own is None:
            keys = store_keys(self._store)
            self._own = (
                frozenset()
                if keys is None or not keys.exist
                else frozenset((keys.own().name, *[former.name for former in keys.former()]))
            )
        return self._own
