"""Words `key=value` of the command line, and the tags that every execution gets."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from redun.version import __version__


def split_pair(text: str) -> tuple[str, Any]:
    """Return key and value of `key=value`; the value is JSON if it can be, else text.

    Raises:
        ValueError: there is no key or no `=`.
    """
    import json

    key, equals, value = text.partition("=")
    if not equals or not key.strip():
        raise ValueError(f"expected key=value, found {text!r}")
    try:
        return key.strip(), json.loads(value)
    except ValueError:
        return key.strip(), value


def pairs(context: click.Context, parameter: click.Parameter, texts: tuple[str, ...]) -> list[tuple[str, Any]]:
    """Callback of options that take `key=value` any number of times."""
    found = []
    for text in texts:
        try:
            found.append(split_pair(text))
        except ValueError as error:
            raise click.BadParameter(str(error), ctx=context, param=parameter) from None
    return found


def nested(found: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return the dict that pairs with dotted keys make: `a.b=1` is `{"a": {"b": 1}}`."""
    from redun.context import merge

    result: dict[str, Any] = {}
    for key, value in found:
        for part in reversed(key.split(".")):
            value = {part: value}
        result = merge(result, value)
    return result


def execution_tags(
    given: list[tuple[str, Any]], user: str | None, project: str | None, doc: str | None, namespace: str | None
) -> list[tuple[str, Any]]:
    """Return the tags of an execution: those given, and what tells where it came from.

    Args:
        namespace: of the task that runs, the project unless another one is named.
    """
    tags = list(given)
    for key, value in (
        ("project", project or namespace),
        ("doc", doc),
        ("user", user or _user_name()),
        ("redun.version", __version__),
    ):
        if value:
            tags.append((key, value))
    return [*tags, *git_tags(Path.cwd())]


def _user_name() -> str | None:
    import getpass

    try:
        return getpass.getuser()
    except (KeyError, OSError):
        # A user id without a name, as in containers.
        return None


def git_tags(folder: Path) -> list[tuple[str, Any]]:
    """Return commit and origin of the git checkout around a folder, read from its files; none if there is none.

    Starting git for it would take longer than a small workflow.
    """
    for parent in (folder, *folder.parents):
        if (parent / ".git").exists():
            try:
                return _read_git(parent / ".git")
            except (OSError, ValueError):
                # A checkout of a form that we do not know is no reason to fail.
                return []
    return []


def _read_git(git: Path) -> list[tuple[str, Any]]:
    if git.is_file():
        # A worktree or submodule: "gitdir: <path>".
        git = (git.parent / git.read_text().strip().removeprefix("gitdir: ")).resolve()
    common = git / "commondir"
    shared = (git / common.read_text().strip()).resolve() if common.exists() else git
    tags: list[tuple[str, Any]] = []
    head = (git / "HEAD").read_text().strip()
    commit = _read_git_ref(git, shared, head.removeprefix("ref: ")) if head.startswith("ref: ") else head
    if commit:
        tags.append(("git_commit", commit))
    origin = _read_git_origin(shared / "config")
    if origin:
        tags.append(("git_origin_url", origin))
    return tags


def _read_git_ref(git: Path, shared: Path, ref: str) -> str | None:
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


def _read_git_origin(config: Path) -> str | None:
    inside = False
    for line in config.read_text().splitlines():
        line = line.strip()
        if line.startswith("["):
            inside = line.replace(" ", "") == '[remote"origin"]'
        elif inside and line.split("=")[0].strip() == "url":
            return line.partition("=")[2].strip()
    return None
