"""`redun config`, configurations that take in others, and how often a run tells of itself."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from .conftest import Cli


@pytest.fixture
def ini(tmp_path: Path) -> Path:
    (tmp_path / ".redun").mkdir()
    return tmp_path / ".redun" / "redun.ini"


def test_every_option_has_its_place(cli: Cli, ini: Path, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "redun.ini").write_text("[DEFAULT]\nmany = 3\n\n[executors.far]\nmax_workers = ${many}\n")
    ini.write_text(
        "[scheduler]\nfederated_configs =\n    ../other\n\n[limits]\ndb = 4\n\n[executors.near]\ntype = local\npassword = ${WHO}\n"
    )
    ended = cli("config", "--format", "json", env={"WHO": "ada"})
    assert ended.status == 0
    found = {
        (entry["section"], entry["option"]): (entry["value"], entry["origin"])
        for entry in map(json.loads, ended.stdout.splitlines())
    }
    assert found["limits", "db"] == ("4", f"{ini}:6")
    assert found["executors.near", "password"] == ("***", f"{ini}:10, environment WHO")
    value, origin = found["executors.far", "max_workers"]
    assert (value, Path(origin.rpartition(":")[0]).resolve(), origin[-2:]) == ("3", tmp_path / "other" / "redun.ini", ":5")
    assert found["backend", "path"] == ("store", "default")
    assert cli("config", "limits.db", env={"WHO": ""}).stdout == "4\n"
    assert cli("config", "limits", env={"WHO": ""}).stdout == f"[limits]\ndb = 4   # {ini}:6\n"
    assert f"config dir: {ini.parent} (the nearest one)" in cli("config", env={"WHO": ""}).stdout


def test_what_is_not_in_force(cli: Cli, tmp_path: Path, refused) -> None:  # type: ignore[no-untyped-def]
    refused(cli("config", "nope"), "'nope'", "backend")
    ended = cli("config", env={"REDUN_CONFIG": str(tmp_path / "far")})
    assert "given by REDUN_CONFIG" in ended.stdout
    assert not (tmp_path / "far").exists()


@pytest.mark.parametrize(
    ("content", "part"),
    [
        ("[scheduler]\nfederated_configs = nowhere\n", "No such file or directory"),
        ("[scheduler]\nfederated_configs = other\n[executors.far]\ntype = local\n", "is a duplicate"),
        ("[scheduler]\nboto_config = [1]\n", "boto_config"),
        ("[scheduler]\nboto_config = {\n", "boto_config"),
        ("[scheduler]\njob_status_interval = often\n", "job_status_interval"),
        ("[scheduler]\ncontext = {}\ncontext_file = x.json\n", "exclude each other"),
    ],
)
def test_bad_configurations(cli: Cli, ini: Path, tmp_path: Path, refused, content: str, part: str) -> None:  # type: ignore[no-untyped-def]
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "redun.ini").write_text("[executors.far]\nmax_workers = 2\n")
    ini.write_text(content)
    refused(cli("config"), part, "redun.ini")


def test_the_status_table_is_shown_while_jobs_run(ini: Path, tmp_path: Path, redun_environ: dict[str, str]) -> None:
    ini.write_text("[scheduler]\njob_status_interval = 0.05\nignore_warnings = namespace\n")
    # Ends when it sees that the table has been written, not after a time.
    (tmp_path / "flow.py").write_text(
        "import os, time\nfrom redun import task\n"
        "@task()\ndef main():\n"
        "    while b'JOB STATUS' not in open('err', 'rb').read():\n        time.sleep(0.01)\n"
    )
    with open(tmp_path / "err", "wb") as err:
        done = subprocess.run(
            ["redun", "run", "flow.py", "main"], cwd=tmp_path, env=redun_environ, stderr=err, timeout=300, check=False
        )
    assert done.returncode == 0
    tables = (tmp_path / "err").read_text().split("JOB STATUS")
    assert len(tables) >= 3
    assert tables[1].splitlines()[3].split()[2:] == ["ALL", "0", "1", "0", "0", "0", "1"]


def test_copying_uses_the_configuration(cli: Cli, ini: Path) -> None:
    ini.write_text('[scheduler]\nboto_config = {"nosuch": 3}\n')
    ended = cli("fs", "cp", "s3://no-such-bucket/x", "-")
    assert ended.status == 1
    assert "option 'boto_config' in section [scheduler]" in ended.stderr


def test_secrets_are_not_shown(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / ".redun").mkdir()
    (tmp_path / ".redun" / "redun.ini").write_text(
        "[repos.x]\nurl = https://user:topsecret@host/x?sig=topsecret\n"
        'storage_options = {"account_name": "lab", "inner": {"password": "topsecret"}}\n'
        "[executors.mine]\ntype = local\napi_token = topsecret\nmonkey = banana\n"
    )
    for words in ((), ("--format", "json"), ("repos.x.url",), ("repos.x.storage_options",), ("executors.mine",)):
        done = cli("config", *words)
        assert done.status == 0
        assert "topsecret" not in done.stdout + done.stderr
    assert "lab" in cli("config", "repos").stdout
    assert "banana" in cli("config", "executors").stdout
