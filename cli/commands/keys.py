"""`redun keys`: by which key this store signs what it pushes, and whose signatures it believes."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from redun.cli.errors import CommandError, warn
from redun.cli.session import current_session

if TYPE_CHECKING:
    from redun.config import Config
    from redun.remotes import Repo
    from redun.store.repository import Store


@click.group(name="keys", short_help="Whose results are believed: keys, trusted and revoked.")
def command() -> None:
    """Keys by which results are signed when they are pushed, and whose signatures are believed when they are pulled.

    Results of others may be code. So what is pulled is used by runs only if somebody signed it whom this project trusts.

    \b
    Examples:
      redun keys list
      redun keys trust SHA256:mVPwvezndPv/ARoIadVY98vAC0g+P/5633yTC4d/wXE --repo team
      redun keys revoke SHA256:mVPwvezndPv/ARoIadVY98vAC0g+P/5633yTC4d/wXE
      redun keys rotate
    """


@command.command(name="list")
@click.option("--format", "form", type=click.Choice(["text", "json"]), default="text", help="json: one object per line.")
def list_command(form: str) -> None:
    """List the key of this store, and the signers of each repo as far as they were seen: trusted, revoked, or neither.

    \b
    Example:
      redun keys list --format json
    """
    session = current_session()
    folder = session.find_folder()
    config = session.load_config(folder)
    with closing(session.open_store(folder, config, local=True)) as store:
        for record in _records(store, config):
            click.echo(json.dumps(record) if form == "json" else _line(record))


def _records(store: Store, config: Config) -> Iterator[dict[str, Any]]:
    from redun.remotes import repos
    from redun.store.keys import fingerprint
    from redun.trust import revoked, shared_secret, store_keys

    keys = store_keys(store)
    if keys is not None and (keys.exist or not store.readonly):
        yield {"fingerprint": fingerprint(keys.own().name), "state": "own", "repo": None, "by": "this store"}
        for former in keys.former():
            yield {
                "fingerprint": fingerprint(former.name),
                "state": "former",
                "repo": None,
                "by": "this store",
                "time": former.until_s,
            }
    secret = shared_secret()
    if secret is not None:
        yield {"fingerprint": fingerprint(secret.name), "state": "shared", "repo": None, "by": "REDUN_SIGNING_KEY"}
    gone = revoked(config)
    for name, repo in sorted(repos(config).items()):
        yield from _signers(store, repo, name)
    for mark in sorted(gone):
        yield {"fingerprint": mark, "state": "revoked", "repo": None, "by": ""}


def _signers(store: Store, repo: Repo, name: str) -> Iterator[dict[str, Any]]:
    from redun.store.keys import fingerprint
    from redun.store.remote.mirror import Mirror
    from redun.trust import Trust

    if repo.config_dir:
        return
    trust = Trust(store, repo)
    missing = set(repo.fingerprints)
    with closing(Mirror(store.mirror_source(repo.mirror))) as mirror:
        for fact in mirror.signers():
            mark = fingerprint(fact.name)
            missing.discard(mark)
            state = "revoked" if mark in repo.revoked else "trusted" if trust.believes(fact.name) else "not trusted"
            yield {
                "fingerprint": mark,
                "state": state,
                "repo": name,
                "by": fact.by,
                **({"time": fact.time_us // 1_000_000} if fact.time_us else {}),
            }
    for mark in sorted(missing):
        yield {"fingerprint": mark, "state": "revoked" if mark in repo.revoked else "trusted", "repo": name, "by": ""}


def _line(record: dict[str, Any]) -> str:
    where = f" in {record['repo']}" if record["repo"] else ""
    by = f"  {record['by']}" if record["by"] else ""
    when = f", {time.strftime('%Y-%m-%d', time.localtime(record['time']))}" if record.get("time") else ""
    return f"{record['fingerprint']}  {record['state']}{where}{by}{when}"


@command.command(name="trust")
@click.argument("mark", metavar="FINGERPRINT")
@click.option("--repo", "name", metavar="REPO", help="In which repo; may be left out if there is only one.")
def trust_command(mark: str, name: str | None) -> None:
    """Believe what a signer says in a repo: results that it signed are used by runs here, and may run code here.

    Ask them by another way than the repo itself whether that is their key: 'redun keys list' shows it there as own. What was pulled
    before is taken in by the next 'redun pull'.

    \b
    Example:
      redun keys trust SHA256:mVPwvezndPv/ARoIadVY98vAC0g+P/5633yTC4d/wXE --repo team
    """
    from redun.config_edit import set_option
    from redun.remotes import KIND, repos
    from redun.trust import KEYS_SECTION, TRUST_ALL, revoked

    folder, config = _config()
    mark = _checked(mark)
    known = repos(config)
    if name is None:
        if len(known) != 1:
            raise CommandError(
                f"option --repo is missing: expected one of {', '.join(sorted(known)) or 'none, as there is no repo'}"
            )
        name = next(iter(known))
    if name not in known:
        raise CommandError(f"there is no repo {name!r}: expected one of: {', '.join(sorted(known)) or 'none'}")
    repo = known[name]
    if mark in revoked(config):
        left = sorted(revoked(config) - {mark})
        set_option(folder / "redun.ini", KEYS_SECTION, "revoked", " ".join(left))
        warn(f"{mark} was revoked and is not any more")
    if repo.trust == TRUST_ALL or mark in repo.fingerprints:
        click.echo(f"{mark} is trusted in {name} already{' (everybody is)' if repo.trust == TRUST_ALL else ''}")
        return
    set_option(folder / "redun.ini", f"{KIND}.{name}", "trust", " ".join([*repo.fingerprints, mark]))
    click.echo(f"trusted in {name}: {mark}; 'redun pull {name}' takes in what it signed")


@command.command(name="revoke")
@click.argument("mark", metavar="FINGERPRINT")
def revoke_command(mark: str) -> None:
    """Never believe a signer again, in no repo: for a key that somebody else may have.

    Results that it signed are not used by runs any more; they stay to be looked at. What runs here made of them meanwhile is not
    undone: 'redun run --no-cache' makes it anew.

    \b
    Example:
      redun keys revoke SHA256:mVPwvezndPv/ARoIadVY98vAC0g+P/5633yTC4d/wXE
    """
    from redun.cli.transfer import plural
    from redun.config_edit import set_option
    from redun.remotes import KIND, repos
    from redun.revocation import disown
    from redun.store.keys import fingerprint
    from redun.trust import KEYS_SECTION, TRUST_ALL, revoked, store_keys

    folder, config = _config()
    mark = _checked(mark)
    with closing(current_session().open_store(folder, config, create=True, write=True, local=True)) as store:
        keys = store_keys(store)
        if keys is not None and keys.exist and fingerprint(keys.own().name) == mark:
            raise CommandError(
                "that is the key of this store itself: 'redun keys rotate' makes another one, then revoke this one"
            )
        ini = folder / "redun.ini"
        for name, repo in repos(config).items():
            if repo.trust != TRUST_ALL and mark in repo.fingerprints:
                set_option(ini, f"{KIND}.{name}", "trust", " ".join(one for one in repo.fingerprints if one != mark))
        set_option(ini, KEYS_SECTION, "revoked", " ".join(sorted({*revoked(config), mark})))
        count, taken = disown(store, mark)
    click.echo(
        f"revoked: {mark}; {plural(count, 'execution')} that it signed {'is' if count == 1 else 'are'} not used any more"
        + (f", nor {plural(taken, 'result')} that runs here took from it" if taken else "")
    )


@command.command(name="rotate")
def rotate_command() -> None:
    """Make another key for this store; what was signed by the old one stays trusted here.

    Others have to trust the new one: tell them its fingerprint. If somebody else may have the old key, they should revoke it.

    \b
    Example:
      redun keys rotate
    """
    from redun.store.keys import fingerprint
    from redun.trust import store_keys

    folder, config = _config()
    with closing(current_session().open_store(folder, config, create=True, write=True, local=True)) as store:
        keys = store_keys(store)
        if keys is None:
            raise CommandError("a store in memory has no key")
        pair = keys.rotate()
    click.echo(f"new key: {fingerprint(pair.name)}")


def _config() -> tuple[Path, Config]:
    from redun.config import make_folder

    session = current_session()
    folder = session.find_folder()
    if session.config_dir is None:
        make_folder(folder)
    return folder, session.load_config(folder)


def _checked(mark: str) -> str:
    from redun.trust import parse_fingerprints

    found = parse_fingerprints(mark, "argument FINGERPRINT")
    if len(found) != 1:
        raise CommandError(f"argument FINGERPRINT: expected one fingerprint, found {mark!r}")
    return found[0]
