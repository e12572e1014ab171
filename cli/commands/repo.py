"""`redun repo`: which repos there are to push to and pull from."""

from __future__ import annotations

import json
import os
import sys
from contextlib import closing
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import click

from redun.cli.errors import CommandError, warn
from redun.cli.session import current_session
from redun.cli.transfer import plural

if TYPE_CHECKING:
    from redun.remotes import Repo
    from redun.store.remote.mirror import SignerFact
    from redun.store.repository import Store


@click.group(name="repo", short_help="Add, list and remove repos to share results with.")
def command() -> None:
    """Add, list and remove repos: places where results are pushed to and pulled from.

    They stand as sections [repos.NAME] in redun.ini.

    \b
    Examples:
      redun repo add team s3://lab-results/redun --trust all
      redun repo add share /mnt/lab/redun
      redun repo list
      redun repo remove share
    """


@command.command(name="add")
@click.argument("name")
@click.argument("url")
@click.option("--endpoint-url", metavar="URL", help="Of a service that speaks as S3 does.")
@click.option("--profile", metavar="NAME", help="Of the credentials of AWS.")
@click.option("--region", metavar="NAME", help="Of S3.")
@click.option("--unquoted-etag", is_flag=True, help="For S3 services that want etags in conditions without quotes (Ceph RGW).")
@click.option("--storage-options", metavar="JSON", help='Options for fsspec, such as \'{"account_name": "lab"}\'.')
@click.option(
    "--trust",
    metavar="all|none|FINGERPRINT,...",
    help="Whose results are used here, and so may run code here: of whoever can write there (all), of these signers, of nobody else.",
)
@click.option("--readonly", is_flag=True, help="Never push there.")
@click.option("--no-check", is_flag=True, help="Do not look whether the place can be reached.")
def add_command(
    name: str, url: str, trust: str | None, readonly: bool, no_check: bool, unquoted_etag: bool, **texts: str | None
) -> None:
    """Add a repo: URL is a folder, s3://bucket/prefix, a URL of fsspec, or the .redun folder of another project of yours.

    On a terminal it shows who has signed results there and asks whom to trust. In scripts say --trust: 'all' means that whoever can
    write there can run code here; FINGERPRINT names a signer (their 'redun keys list' shows it as own).

    \b
    Examples:
      redun repo add team s3://lab-results/redun --trust all
      redun repo add share /mnt/lab/redun
      redun repo add box sshfs://me@host/data/redun
      redun repo add other ~/other-project/.redun
    """
    from pathlib import Path

    from redun.config import INI, make_folder
    from redun.config_edit import add_section
    from redun.remotes import KIND, check_repo_name, find_repo, has_password, repos
    from redun.store.remote.backends.opening import folder_of
    from redun.trust import parse_fingerprints

    session = current_session()
    check_repo_name(name)
    if trust not in (None, "all", "none"):
        parse_fingerprints(str(trust), "option --trust")
    folder = session.find_folder()
    if session.config_dir is None:
        make_folder(folder)
    if name in repos(session.load_config(folder)):
        raise CommandError(f"there is a repo {name!r} already: 'redun repo remove {name}' removes it")
    place = folder_of(url)
    options: dict[str, str] = {}
    if place is not None and (place / INI).is_file():
        options["config_dir"] = os.path.abspath(place)
    else:
        options["url"] = url if place is None else os.path.abspath(place)
    options.update({option: text for option, text in texts.items() if text})
    for option, wanted, text in (
        ("unquoted_etag", unquoted_etag, "true"),
        ("readonly", readonly, "true"),
    ):
        if wanted:
            options[option] = text
    ini = Path(folder, INI)
    if has_password(url):
        warn(f"the password in the URL is written to {str(ini)!r}: whoever can read that file can read it")
    repo = _as_configured(folder, name, options)
    said, signers = ("", []) if no_check else _look(repo)
    if trust is None and signers:
        trust = _ask(repo, signers)
    if trust not in (None, "none"):
        options["trust"] = str(trust).replace(",", " ")
        repo = replace(repo, trust=options["trust"])
    add_section(ini, f"{KIND}.{name}", options)
    find_repo(session.load_config(folder), name)
    click.echo(f"added repo {name}: {repo.place}{said}")
    if not repo.trusts_all and not repo.fingerprints:
        click.echo(
            "nobody but this store is trusted there: what others push can be pulled and looked at, but is not used by runs; "
            "'redun keys list' shows who signed it, 'redun keys trust' trusts them"
        )


def _ask(repo: Repo, signers: list[SignerFact]) -> str:
    """Return whom to trust, as the user says on a terminal; elsewhere an error that says how to say it."""
    from redun.store.keys import fingerprint

    marks = [fingerprint(signer.name) for signer in signers]
    listing = "".join(
        f"\n  {number}  {mark}  {signer.by or '?'}{_seen(signer)}"
        for number, (mark, signer) in enumerate(zip(marks, signers, strict=True), 1)
    )
    if not sys.stdin.isatty() or not sys.stderr.isatty():
        raise CommandError(
            f"repo {repo.name!r} holds results signed by:{listing}\nsay whose are to be used here: --trust FINGERPRINT,..., --trust none, or "
            "--trust all, which means that whoever can write there can run code here"
        )
    click.echo(f"results there are signed by:{listing}", err=True)
    click.echo(
        "Results may be code. Whom do you trust to run code here? Numbers, 'all' (whoever can write there, now or later), or 'none'.",
        err=True,
    )
    while True:
        answer = str(click.prompt("trust", default="none", err=True)).strip().lower()
        if answer in ("all", "none"):
            return answer
        numbers = answer.replace(",", " ").split()
        if numbers and all(one.isdigit() and 1 <= int(one) <= len(marks) for one in numbers):
            return " ".join(marks[int(one) - 1] for one in numbers)
        click.echo(f"expected all, none, or numbers from 1 to {len(marks)}, found {answer!r}", err=True)


def _seen(signer: SignerFact) -> str:
    import time

    if not signer.entries:
        return ""
    when = time.strftime("%Y-%m-%d", time.localtime(signer.time_us // 1_000_000))
    return f", {signer.entries:,} push{'' if signer.entries == 1 else 'es'}, last {when}"


def _as_configured(folder: Any, name: str, options: dict[str, str]) -> Repo:
    from redun.config import Config
    from redun.remotes import KIND, find_repo

    section = {option: text.replace("$", "$$") for option, text in options.items()}
    return find_repo(Config({f"{KIND}.{name}": section}, str(folder)), name)


def _look(repo: Repo) -> tuple[str, list[SignerFact]]:
    """Return what is at a place, to be said, and who signed it; an error if it cannot be reached."""
    from redun.remotes import open_other_store, open_remote
    from redun.store.repository import Store

    if repo.config_dir:
        with closing(open_other_store(repo, write=False)) as other:
            return f" ({plural(_executions(other), 'execution')})", []
    with Store.in_memory() as store, open_remote(store, repo) as remote:
        if not remote.refresh():
            return " (empty: the first push makes it)", []
        count = len({name.split("/")[1] for name in remote.refs("executions/")})
        said = f" ({plural(count, 'execution')}, {remote.seq:,} log {'entry' if remote.seq == 1 else 'entries'})"
        return said, remote.mirror.signers()


def _executions(store: Store) -> int:
    return len({name.split("/")[1] for name, _ in store.source.refs("executions/")})


@command.command(name="list")
@click.option("--format", "form", type=click.Choice(["text", "json"]), default="text", help="How to show them.")
def list_command(form: str) -> None:
    """List the repos: name, place, and whether its results are trusted; `default` is the store here.

    \b
    Example:
      redun repo list --format json
    """
    from redun.remotes import DEFAULT, repos

    session = current_session()
    folder = session.find_folder()
    found = repos(session.load_config(folder))
    width = max(map(len, [DEFAULT, *found]))
    if form == "json":
        here = {"name": DEFAULT, "place": str(folder), "trust": None, "readonly": False, "kind": "store"}
        click.echo(json.dumps(here))
    else:
        click.echo(f"{DEFAULT.ljust(width)}  {folder}")
    for name, repo in sorted(found.items()):
        if form == "json":
            record = {"name": name, "place": repo.place, "trust": repo.trust or None, "readonly": repo.readonly}
            click.echo(json.dumps({**record, "kind": "store" if repo.config_dir else "remote"}))
        else:
            trusted = len(repo.fingerprints)
            notes = ["everybody trusted"] if repo.trusts_all else [f"{trusted} trusted"] if trusted else []
            notes = notes + (["read-only"] if repo.readonly else [])
            note = f"  ({', '.join(notes)})" if notes else ""
            click.echo(f"{name.ljust(width)}  {repo.place}{note}")


@command.command(name="remove")
@click.argument("name")
def remove_command(name: str) -> None:
    """Remove a repo from redun.ini, and what was noted about it here; the repo itself stays as it is.

    \b
    Example:
      redun repo remove share
    """
    from pathlib import Path

    from redun.config import INI
    from redun.config_edit import remove_section
    from redun.remotes import DEFAULT, KIND, RepoError, repos

    session = current_session()
    folder = session.find_folder()
    if name == DEFAULT:
        raise RepoError("the name 'default' is that of the store itself: it cannot be removed")
    if not remove_section(Path(folder, INI), f"{KIND}.{name}"):
        known = ", ".join(sorted(repos(session.load_config(folder)))) or "there is none"
        raise CommandError(f"no repo {name!r} in {str(Path(folder, INI))!r}: expected one of: {known}")
    _forget(name)
    click.echo(f"removed repo {name}")


@command.command(name="forget")
@click.argument("name")
def forget_command(name: str) -> None:
    """Forget what was seen of a repo so far, after it was replaced or set back on purpose; the next command meets it anew.

    \b
    Example:
      redun repo forget team
    """
    from redun.remotes import find_repo

    session = current_session()
    repo = find_repo(session.load_config(session.find_folder()), name)
    _forget(repo.mirror)
    click.echo(f"forgot what was seen of {repo.name}")


def _forget(mirror: str) -> None:
    import shutil

    from redun.store.refs import check_ref_name

    session = current_session()
    folder = session.find_folder()
    check_ref_name(mirror)
    if folder.exists():
        with closing(session.open_store(folder, create=True, local=True)) as store:
            if store.folder is not None:
                shutil.rmtree(store.folder / "remotes" / mirror, ignore_errors=True)
