"""Remotes as the user knows them: sections `[repos.NAME]` of the configuration, opened; and what of a store travels.

A repo is a remote at a URL (`url = s3://bucket/prefix`), or another `.redun` of the same user (`config_dir = /path/.redun`).
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from redun.errors import ConfigError, RedunError
from redun.store.remote.url import scheme, shown
from redun.store.who import user_at_host
from redun.trust import TRUST_ALL, parse_fingerprints, revoked, shared_secret, signer_of

if TYPE_CHECKING:
    from redun.config import Config
    from redun.config_section import Section
    from redun.store.remote.backends.base import Meter
    from redun.store.remote.remote import Remote
    from redun.store.repository import Store

DEFAULT = "default"
KIND = "repos"
OPTIONS = frozenset(
    (
        *("config_dir", "url", "endpoint_url", "profile", "region", "unquoted_etag", "storage_options"),
        *("trust", "jobs", "bandwidth", "readonly"),
    )
)
DEFAULT_JOBS = 8
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}\Z")
_RATE = re.compile(r"\s*([0-9]+(?:\.[0-9]+)?)\s*([kKmMgG]?)(i?)[bB]?(?:/s)?\s*\Z")
_UNITS = {"": 0, "k": 1, "m": 2, "g": 3}


class RepoError(RedunError):
    """A repo cannot be used as it is configured; says what to do."""


@dataclass(frozen=True, slots=True)
class Repo:
    """A repo as configured.

    Attributes:
        name: what the user calls it; its URL where it was given as such.
        url: where the remote is, with secrets; empty if `config_dir` is set.
        config_dir: configuration folder of another store of this machine.
        trust: whom results are taken from: "all", fingerprints, or empty for nobody but ourselves.
        options: of S3. storage_options: of fsspec.
        jobs, bandwidth: requests at once, bytes a second (None: no limit).
        readonly: never push there.
        revoked: fingerprints of whoever is not believed any more, in any repo.
    """

    name: str
    url: str = ""
    config_dir: str = ""
    trust: str = ""
    options: Mapping[str, str] = field(default_factory=dict)
    storage_options: Mapping[str, Any] = field(default_factory=dict)
    jobs: int = DEFAULT_JOBS
    bandwidth: float | None = None
    readonly: bool = False
    revoked: frozenset[str] = frozenset()

    @property
    def place(self) -> str:
        """Where it is, without secrets."""
        return self.config_dir or shown(self.url)

    @property
    def trusts_all(self) -> bool:
        """True if results of whoever writes there may be used."""
        return bool(self.config_dir) or self.trust == TRUST_ALL

    @property
    def fingerprints(self) -> tuple[str, ...]:
        """Of the signers whose results may be used.

        Raises:
            ConfigError: one is none.
        """
        return () if self.trust == TRUST_ALL else parse_fingerprints(self.trust, f"option 'trust' of repo {self.name!r}")

    @property
    def mirror(self) -> str:
        """Name of the folder that holds what is known of it."""
        if _NAME.match(self.name):
            return self.name
        return "url-" + hashlib.sha256(self.url.encode()).hexdigest()[:24]


def check_repo_name(name: str) -> str:
    """Return a name that a new repo may have.

    Raises:
        RepoError: it may not.
    """
    if not _NAME.match(name) or name.startswith("url-"):
        raise RepoError(f"a repo cannot be named {name!r}: expected letters, digits, '.', '_' or '-', such as 'team'")
    if name == DEFAULT:
        raise RepoError("the name 'default' is that of the store itself: choose another one")
    return name


def parse_rate(text: str) -> float:
    """Return bytes a second of a text such as `10MB` or `500k`.

    Raises:
        ValueError: it is none.
    """
    found = _RATE.match(text)
    if found is None or float(found[1]) <= 0:
        raise ValueError(f"expected bytes a second such as 500k or 10MB, found {text!r}")
    rate: float = float(found[1]) * (1024 if found[3] else 1000) ** _UNITS[found[2].lower()]
    return rate


def read_repo(section: Section, configdir: str) -> Repo:
    """Read a section `[repos.NAME]`.

    Raises:
        ConfigError: an option cannot be used.
    """
    name = section.name.partition(".")[2]
    url, folder = section.get("url", ""), section.get("config_dir", "")
    if url and folder:
        raise ConfigError(f"{section.where('url')} and 'config_dir' exclude each other: keep one")
    if not url and not folder:
        raise ConfigError(f"{section.where('url')} is missing: expected a folder, s3://bucket/prefix or another URL")
    if url and not scheme(url):
        url = str(Path(configdir, Path(url).expanduser()))
    try:
        bandwidth = parse_rate(section["bandwidth"]) if section.get("bandwidth") else None
    except ValueError as error:
        raise ConfigError(f"{section.where('bandwidth')}: {error}") from None
    jobs = section.getint("jobs", DEFAULT_JOBS)
    if jobs < 1:
        raise ConfigError(f"{section.where('jobs')}: expected an integer of at least 1, found {section['jobs']!r}")
    trust = section.get("trust", "").strip()
    if trust != TRUST_ALL:
        parse_fingerprints(trust, section.where("trust"))
    return Repo(
        name,
        url,
        str(Path(configdir, Path(folder).expanduser())) if folder else "",
        trust,
        {option: section[option] for option in ("endpoint_url", "profile", "region") if section.get(option)}
        | ({"unquoted_etag": "true"} if section.getboolean("unquoted_etag", False) else {}),
        _storage_options(section),
        jobs,
        bandwidth,
        section.getboolean("readonly", False),
    )


def _storage_options(section: Section) -> dict[str, Any]:
    text = section.get("storage_options", "")
    if not text:
        return {}
    try:
        found = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"{section.where('storage_options')}: expected a JSON object: {error}") from None
    if not isinstance(found, dict):
        raise ConfigError(f"{section.where('storage_options')}: expected a JSON object, found a {type(found).__name__}")
    return found


def repos(config: Config) -> dict[str, Repo]:
    """Return the repos of a configuration by name, without the store itself.

    Raises:
        ConfigError: one of them cannot be used.
    """
    found = {}
    gone = revoked(config)
    for section in config.sections():
        kind, dot, name = section.name.partition(".")
        if kind == KIND and dot and name != DEFAULT:
            found[name] = replace(read_repo(section, config.configdir), revoked=gone)
    return found


def is_place(text: str) -> bool:
    """True if a text is a URL or a path rather than a name or an id."""
    return bool(scheme(text)) or "/" in text


def has_password(url: str) -> bool:
    """True if a URL holds something that must not be shown."""
    return shown(url) != url


def find_repo(config: Config, name: str) -> Repo:
    """Return a repo by name, or the one that a URL or path stands for.

    Raises:
        RepoError: there is none of that name; ConfigError: it cannot be used.
    """
    known = repos(config)
    if name in known:
        return known[name]
    if is_place(name):
        path = Path(name).expanduser()
        if not scheme(name):
            if (path / "redun.ini").is_file():
                return Repo(name, config_dir=os.path.abspath(path))
            return Repo(name, url=os.path.abspath(path), revoked=revoked(config))
        return Repo(shown(name), url=name, revoked=revoked(config))
    if name == DEFAULT:
        raise RepoError("repo 'default' is the store itself: name another one")
    hint = f"expected one of {', '.join(sorted(known))}" if known else "there is none yet"
    raise RepoError(f"unknown repo {name!r}: {hint}; 'redun repo add NAME URL' adds one")


def open_remote(
    store: Store,
    repo: Repo,
    *,
    jobs: int | None = None,
    meter: Meter | None = None,
) -> Remote:
    """Open the remote of a repo; nothing is asked of it yet. To be closed.

    Raises:
        StoreError: its URL cannot be used.
    """
    from redun.boto import get_boto_config
    from redun.store.remote.backends.base import free
    from redun.store.remote.backends.opening import open_backend
    from redun.store.remote.log import Writer
    from redun.store.remote.mirror import Mirror
    from redun.store.remote.remote import Remote

    backend = open_backend(repo.url, repo.options, repo.storage_options, get_boto_config())
    return Remote(
        repo.name,
        backend,
        Mirror(store.mirror_source(repo.mirror), store.mirror_lock(repo.mirror)),
        Writer(store.identity(), user_at_host(), lambda: signer_of(store)),
        secret=shared_secret(),
        jobs=jobs or repo.jobs,
        meter=meter if meter is not None else free,
    )


def open_other_store(repo: Repo, *, write: bool) -> Store:
    """Open the store of another `.redun` of this user.

    Raises:
        RepoError: it is somebody else's, or cannot be written.
        StoreError: it cannot be opened.
    """
    from redun.config import load_config, open_store

    folder = Path(repo.config_dir)
    if not folder.is_dir():
        raise RepoError(f"repo {repo.name!r}: there is no folder {repo.config_dir!r}: was it moved?")
    store = open_store(folder, load_config(folder), create=False, readonly=not write)
    assert store.folder is not None
    owner = (store.folder / "data.mdb").stat().st_uid
    if owner != os.geteuid():
        store.close()
        raise RepoError(
            f"repo {repo.name!r}: store {str(store.folder)!r} belongs to another user ({owner}): a database shared between users can "
            "be damaged by either: use a folder remote or a bundle ('redun export -o') between you"
        )
    if write and store.readonly:
        store.close()
        raise RepoError(f"repo {repo.name!r}: store {str(store.folder)!r} cannot be written: check its permissions")
    return store


__all__ = [
    "DEFAULT",
    "KIND",
    "Repo",
    "RepoError",
    "check_repo_name",
    "find_repo",
    "has_password",
    "is_place",
    "open_other_store",
    "open_remote",
    "parse_rate",
    "read_repo",
    "repos",
]
