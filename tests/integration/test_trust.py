"""Signatures and trust, from outside: what is pulled is used only if somebody signed it who is trusted."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

import msgpack
import pytest

from redun.store.ids import link_ref, object_id
from redun.store.keys import KeyPair, fingerprint
from redun.store.objects import Codec, Flag, Kind, header

from .conftest import Cli, Ended

SCRIPT = """
import dataclasses
from redun import task
redun_namespace = "trust"

@dataclasses.dataclass
class Point:
    x: int
    text: str

@task()
def point(i: int):
    return Point(i, "long enough to be an object of its own, whatever happens")

@task()
def main(n: int = 2):
    return [point(i) for i in range(n)]
"""


class Site:
    """A project of somebody, sharing a folder with others."""

    def __init__(self, cli: Cli, folder: Path, env: dict[str, str] | None = None) -> None:
        folder.mkdir()
        (folder / "flow.py").write_text(SCRIPT)
        self._cli, self.folder, self.env = cli, folder, env or {}
        assert self("init").status == 0

    def __call__(self, *words: str) -> Ended:
        return self._cli(*words, cwd=self.folder, env=self.env)

    def run(self) -> list[str]:
        done = self("run", "flow.py", "main")
        assert done.status == 0, done
        return done.jobs("Run")

    @property
    def key(self) -> str:
        return next(record["fingerprint"] for record in self.keys() if record["state"] == "own")

    def keys(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self("keys", "list", "--format", "json").stdout.splitlines()]

    def state(self, mark: str) -> str:
        return next(record["state"] for record in self.keys() if record["fingerprint"] == mark and record["repo"])


@pytest.fixture
def a(cli: Cli, tmp_path: Path) -> Site:
    """Whoever ran the workflow and pushed."""
    site = Site(cli, tmp_path / "a")
    assert site("repo", "add", "team", str(tmp_path / "remote")).status == 0
    assert site.run() == ["main", "point", "point"]
    assert site("push").status == 0
    return site


@pytest.fixture
def b(cli: Cli, tmp_path: Path) -> Site:
    """Somebody else."""
    return Site(cli, tmp_path / "b")


def test_whom_to_trust_must_be_said(a: Site, b: Site, tmp_path: Path) -> None:
    refused = b("repo", "add", "team", str(tmp_path / "remote"))
    assert refused.status == 1
    assert a.key in refused.stderr
    assert "whoever can write there can run code here" in refused.stderr
    assert b("repo", "list").stdout.splitlines()[1:] == []
    assert b("repo", "add", "team", str(tmp_path / "remote"), "--trust", a.key).status == 0
    assert b.state(a.key) == "trusted"
    assert b("pull").errors == []
    assert b.run() == []


def test_a_signer_who_is_not_trusted(a: Site, b: Site, tmp_path: Path) -> None:
    assert b("repo", "add", "team", str(tmp_path / "remote"), "--trust", "none").status == 0
    assert "nobody signed them who is trusted" in b("pull").stderr
    assert b.state(a.key) == "not trusted"
    # What came can be looked at.
    shown = b("log", "--value", "--format", "json").stdout
    assert "flow.Point" in shown
    assert b("keys", "trust", a.key).status == 0
    assert b("pull").errors == []
    assert b.run() == []


def test_runs_do_not_take_what_is_not_trusted(a: Site, b: Site, tmp_path: Path) -> None:
    b("repo", "add", "team", str(tmp_path / "remote"), "--trust", "none")
    b("pull")
    assert b.run() == ["main", "point", "point"]
    assert b.run() == []


def test_a_signer_is_revoked(a: Site, b: Site, tmp_path: Path) -> None:
    b("repo", "add", "team", str(tmp_path / "remote"), "--trust", a.key)
    b("pull")
    done = b("keys", "revoke", a.key)
    assert "1 execution that it signed is not used any more" in done.stdout
    assert b.state(a.key) == "revoked"
    assert b.run() == ["main", "point", "point"]
    # Not even where everybody is trusted.
    ini = b.folder / ".redun" / "redun.ini"
    ini.write_text(ini.read_text().replace("[repos.team]\n", "[repos.team]\ntrust = all\n"))
    b("push")
    assert b("keys", "trust", a.key, "--repo", "team").status == 0


def test_another_key_is_another_signer(a: Site, b: Site, tmp_path: Path) -> None:
    b("repo", "add", "team", str(tmp_path / "remote"), "--trust", a.key)
    first = a.key
    assert a("keys", "rotate").status == 0
    assert a.key != first
    assert a("run", "flow.py", "main", "--n", "3").status == 0
    a("push")
    assert "nobody signed them who is trusted" in b("pull").stderr
    assert b.run() == []
    assert b("run", "flow.py", "main", "--n", "3").jobs("Run") == ["main", "point"]
    # The store itself believes what its former key signed.
    shutil.rmtree(a.folder / ".redun" / "store" / "remotes")
    assert a("pull").errors == []


def test_a_shared_key(cli: Cli, tmp_path: Path) -> None:
    env = {"REDUN_SIGNING_KEY": "a secret of our continuous integration"}
    a, b = Site(cli, tmp_path / "a", env), Site(cli, tmp_path / "b", env)
    stranger = Site(cli, tmp_path / "c")
    remote = str(tmp_path / "remote")
    a("repo", "add", "team", remote)
    a.run()
    a("push")
    assert b("repo", "add", "team", remote, "--trust", "none").status == 0
    assert b("pull").errors == []
    assert b.run() == []
    assert stranger("repo", "add", "team", remote, "--trust", "none").status == 0
    assert "no run uses them" in stranger("pull").stderr
    everything = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    assert b"continuous integration" not in everything


def test_a_forged_entry_is_refused(a: Site, b: Site, tmp_path: Path) -> None:
    """Somebody who can write to the place signs with a key of their own in the name of another."""
    (entry,) = (tmp_path / "remote" / "log").iterdir()
    body, _ = msgpack.unpackb(entry.read_bytes())
    stranger = KeyPair(os.urandom(32))
    entry.chmod(0o644)
    entry.write_bytes(msgpack.packb([body, stranger.sign(body)]))
    refused = b("repo", "add", "team", str(tmp_path / "remote"), "--trust", a.key)
    assert refused.status == 1
    assert "was not signed by" in refused.stderr
    assert "Traceback" not in refused.stderr


def test_a_signature_taken_away_is_no_signature(a: Site, b: Site, tmp_path: Path) -> None:
    (entry,) = (tmp_path / "remote" / "log").iterdir()
    body = msgpack.unpackb(msgpack.unpackb(entry.read_bytes())[0])
    body["w"] = b""
    entry.chmod(0o644)
    entry.write_bytes(msgpack.packb([msgpack.packb(body), b""]))
    b("repo", "add", "team", str(tmp_path / "remote"), "--trust", a.key)
    assert "no run uses them" in b("pull").stderr
    assert b.run() == ["main", "point", "point"]


def test_bad_uses(b: Site, tmp_path: Path) -> None:
    for words, text in (
        (("keys", "trust", "SHA256:short"), "is no fingerprint"),
        (("keys", "trust", fingerprint(b"x" * 32)), "--repo is missing"),
        (("keys", "revoke", "x"), "is no fingerprint"),
        (("keys", "revoke", b.key), "redun keys rotate"),
        (("repo", "add", "team", str(tmp_path / "r"), "--trust", "some"), "is no fingerprint"),
        (("keys", "trust", fingerprint(b"x" * 32), "--repo", "nobody"), "there is no repo 'nobody'"),
    ):
        done = b(*words)
        assert (done.status, text in done.stderr, "Traceback" in done.stderr) == (1, True, False), done
    (b.folder / ".redun" / "store" / "keys" / "own").chmod(0o644)
    assert "can be read by others" in b("keys", "list").stderr
    assert b("keys", "rotate").status == 0
    (b.folder / ".redun" / "redun.ini").write_text("[repos.team]\nurl = /x\ntrust = everybody\n")
    assert "is no fingerprint" in b("repo", "list").stderr


@pytest.mark.parametrize(
    "state",
    [
        [["os", "mkdir"], ["evil"], None, None, None],
        [["builtins", "exec"], ["import os; os.mkdir('evil')"], None, None, None],
        [["os", "mkdir"], ["e"], None, None, None],
    ],
)
def test_looking_at_what_came_runs_nothing(tmp_path: Path, state: list[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    from redun.provenance import NotTrusted, Provenance, Value
    from redun.store.repository import Store
    from redun.store.sources.base import Batch

    monkeypatch.chdir(tmp_path)
    packed = msgpack.packb(state)
    data = header(Kind.VALUE, Codec.MSGPACK, Flag.SUBVALUES) + msgpack.packb(msgpack.ExtType(42, packed))
    with Store.in_memory() as store:
        oid = object_id(data)
        store.source.commit(Batch({oid: data}))
        store.source.table("foreign").put_many([(oid, b"team")])
        provenance = Provenance(store)
        for ref in (link_ref(oid), data):
            provenance.text(Value(ref))
            provenance.type_name(Value(ref))
            with pytest.raises(NotTrusted):
                provenance.load(Value(ref))
    assert list(tmp_path.iterdir()) == []
