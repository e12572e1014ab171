"""The tags that `redun run` gives to every execution: who ran what version of which code, where."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

from redun.store import who
from redun.tags import DOC_KEY, GIT_COMMIT_KEY, GIT_ORIGIN_KEY, HOST_KEY, PROJECT_KEY, USER_KEY, VERSION_KEY
from redun.version import __version__

# For machines without the checkout: a container knows what it was built from.
COMMIT_VARIABLE = "REDUN_GIT_COMMIT"
ORIGIN_VARIABLE = "REDUN_GIT_ORIGIN_URL"


def execution_tags(
    given: list[tuple[str, Any]], user: str | None, project: str | None, doc: str | None, namespace: str | None, folder: Path
) -> list[tuple[str, Any]]:
    """Return the tags of an execution: those given, and what tells where it came from.

    Args:
        namespace: of the task that runs, the project unless another one is named.
        folder: of the script, whose checkout counts.
    """
    tags = list(given)
    git = {**git_tags(folder), **_from_environment()}
    for key, value in (
        (PROJECT_KEY, project or namespace),
        (DOC_KEY, doc),
        (USER_KEY, user or user_name()),
        (VERSION_KEY, __version__),
        (HOST_KEY, who.host_name()),
        *git.items(),
    ):
        if value and (key, value) not in tags:
            tags.append((key, value))
    return tags


def user_name() -> str | None:
    """Return the user: of environment variable REDUN_USER, else the one who runs this process; None if it has no name."""
    return os.environ.get("REDUN_USER") or who.user_name()


def _from_environment() -> dict[str, str]:
    found = {GIT_COMMIT_KEY: os.environ.get(COMMIT_VARIABLE), GIT_ORIGIN_KEY: os.environ.get(ORIGIN_VARIABLE)}
    return {key: without_credentials(value) for key, value in found.items() if value}


def git_tags(folder: Path) -> dict[str, str]:
    """Return commit and origin of the git checkout around a folder, read from its files; nothing if there is none.

    Starting git for it would take longer than a small workflow, and it need not be installed.
    """
    try:
        folder = folder.resolve()
        for parent in (folder, *folder.parents):
            if (parent / ".git").exists():
                return _read_git(parent / ".git")
    except (OSError, ValueError, RuntimeError):
        # Not readable, or of a form that we do not know: no reason to fail.
        pass
    return {}


def _read_git(git: Path) -> dict[str, str]:
    if git.is_file():
        # A worktree or submodule: "gitdir: <path>".
        git = (git.parent / git.read_text().strip().removeprefix("gitdir: ")).resolve()
    common = git / "commondir"
    shared = (git / common.read_text().strip()).resolve() if common.exists() else git
    tags = {}
    head = (git / "HEAD").read_text().strip()
    commit = _read_ref(git, shared, head.removeprefix("ref: ")) if head.startswith("ref: ") else head
    if commit:
        tags[GIT_COMMIT_KEY] = commit
    origin = _read_origin(shared / "config")
    if origin:
        tags[GIT_ORIGIN_KEY] = without_credentials(origin)
    return tags


def _read_ref(git: Path, shared: Path, ref: str) -> str | None:
    for folder in (git, shared):
        if (folder / ref).is_file():
            return (folder / ref).read_text().strip()
    packed = shared / "packed-refs"
    if packed.exists():
        for line in packed.read_text().splitlines():
            commit, _, name = line.partition(" ")
            if name == ref:
                return commit
    return None


def _read_origin(config: Path) -> str | None:
    inside = False
    for line in config.read_text().splitlines():
        line = line.strip()
        if line.startswith("["):
            inside = line.replace(" ", "") == '[remote"origin"]'
        elif inside and line.split("=")[0].strip() == "url":
            return line.partition("=")[2].strip().strip('"')
    return None


_USER_INFO = r"^(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*://)(?P<user>[^/?#]*)@"


def without_credentials(url: str) -> str:
    """Return a URL that tells nobody a password or token.

    The name in `ssh://git@host` is part of the address and stays; over http it may itself be a token, and goes.
    """
    found = re.match(_USER_INFO, url)
    if found is None:
        return url
    name = found["user"].partition(":")[0]
    keep = f"{name}@" if name and not found["scheme"].lower().startswith("http") else ""
    return f"{found['scheme']}{keep}{url[found.end() :]}"
