"""`redun export -o` and `redun import` of bundles."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from .conftest import Cli, Exchange


@pytest.fixture
def there(exchange: Exchange) -> Path:
    """Return another project with the same script; here, two executions have run."""
    return exchange("there", 2, 3, result="bytes(i * 5_000_000)")


def test_an_execution_travels_in_a_file(cli: Cli, there: Path) -> None:
    assert cli("tag", "add", "-", "env=prod").status == 0
    written = cli("export", "-o", "there/run.bundle", "-")
    assert written.status == 0, written
    # 15 MB of zeros.
    assert (there / "run.bundle").stat().st_size < 20_000
    first = cli("import", "run.bundle", cwd=there)
    assert first.status == 0, first
    assert "and 2 refs are new, 0 objects were there already" in first.log[-1]
    assert "0 objects and 0 refs are new" in cli("import", "-f", "run.bundle", cwd=there).log[-1]
    assert cli("log", "-", "--format", "json", cwd=there).stdout == cli("log", "-", "--format", "json").stdout
    assert "env=prod" in cli("log", cwd=there).stdout
    # Results of the first execution came along as far as the second one used them.
    assert cli("run", "flow.py", "main", "--n", "3", cwd=there).jobs("Run") == []
    assert cli("run", "flow.py", "main", "--n", "2", cwd=there).jobs("Run") == ["main"]


def test_through_a_pipe(cli: Cli, there: Path, redun_environ: dict[str, str]) -> None:
    command = "redun export -o - | (cd there && redun import)"
    done = subprocess.run(
        command, shell=True, cwd=there.parent, env=redun_environ, capture_output=True, text=True, timeout=300, check=False
    )
    assert "2 refs are new" in done.stderr
    assert cli("run", "flow.py", "main", "--n", "2", cwd=there).jobs("Run") == []


def test_a_value_by_its_id(cli: Cli, there: Path) -> None:
    values = [json.loads(line) for line in cli("log", "--value", "--format", "json").stdout.splitlines()]
    value = next(record["value_hash"] for record in values if record["text"].startswith("b'\\x00"))
    assert cli("export", "-o", "there/v.bundle", value).status == 0
    assert "1 objects and 1 refs are new" in cli("import", "v.bundle", cwd=there).log[-1]


def test_what_is_damaged_is_refused_wherever_it_is(cli: Cli, there: Path, refused) -> None:  # type: ignore[no-untyped-def]
    cli("export", "-o", "there/run.bundle", "-")
    whole = (there / "run.bundle").read_bytes()
    size = len(whole)
    for name, data, part in (
        ("cut", whole[: size // 2], "cut short"),
        ("end", whole[:-1], "cut short"),
        ("more", whole + b"x", "nothing after its end"),
        ("flipped", whole[:-100] + bytes([whole[-100] ^ 1]) + whole[-99:], ""),
        ("start", whole[:30] + bytes([whole[30] ^ 1]) + whole[31:], ""),
        ("magic", b"redunbd2" + whole[8:], "is no text"),
    ):
        (there / name).write_bytes(data)
        refused(cli("import", name, cwd=there), part)
        assert "Exec" not in cli("log", cwd=there).stdout


def test_bad_uses(cli: Cli, there: Path, refused) -> None:  # type: ignore[no-untyped-def]
    refused(cli("export", "-o", "flow.py/x", "-"), "--output")
    refused(cli("export", "-o", "a", "-f", "b"), "exclude each other", status=2)
    refused(cli("import", "a", "-f", "b"), "exclude each other", status=2)
    refused(cli("export", "-o", "x.bundle", "00000000000"), "has an id that begins with")
    refused(cli("import", "nope"), "cannot be read")
    refused(cli("import", "there"), "cannot be read")
