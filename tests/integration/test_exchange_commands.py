"""`redun export`, `redun import` and `redun repl`."""

from __future__ import annotations

import os
import pty
import subprocess
from pathlib import Path

import pytest

from .conftest import Cli, Exchange


@pytest.fixture
def there(exchange: Exchange) -> Path:
    """Return another project with the same script; here, two executions have run."""
    return exchange("there", 3, 4)


def test_an_execution_travels_with_its_results(cli: Cli, there: Path) -> None:
    lines = cli("export", "-").stdout
    (there / "in.jsonl").write_text(lines)
    first = cli("import", "-f", "in.jsonl", cwd=there)
    assert first.status == 0
    count = sum('"object"' in line for line in lines.splitlines())
    assert first.log == [f"{count} objects and 1 refs are new, 0 objects were there already"]
    again = cli("import", "-f", "in.jsonl", cwd=there)
    assert again.log == [f"0 objects and 0 refs are new, {count} objects were there already"]
    assert cli("log", "-", "--format", "json", cwd=there).stdout == cli("log", "-", "--format", "json").stdout
    assert cli("run", "flow.py", "main", "--n", "4", cwd=there).jobs("Run") == []
    # What was not exported is not known there.
    assert cli("run", "flow.py", "main", "--n", "3", cwd=there).jobs("Run") == ["main"]


def test_a_whole_store_travels_and_comes_out_the_same(cli: Cli, there: Path) -> None:
    assert cli("export", "-f", "there/all.jsonl").status == 0
    assert cli("import", "-f", "all.jsonl", cwd=there).status == 0
    assert cli("export", cwd=there).stdout == (there / "all.jsonl").read_text()
    assert cli("run", "flow.py", "main", "--n", "3", cwd=there).jobs("Run") == []


@pytest.mark.parametrize(
    ("change", "part"),
    [
        (lambda lines: lines[:-1], "not complete"),
        (lambda lines: lines[:3] + lines[4:], "lines are missing"),
        (lambda lines: [lines[0], "{", *lines[1:]], "line 2 is no JSON"),
        (lambda lines: [*lines, "{}"], "nothing after the end"),
        (lambda lines: lines[1:], "beginning of an export"),
        (lambda lines: ['{"redun": "export", "format": 9}'], "format 9"),
        (lambda lines: [lines[0], lines[1].replace('"data": "', '"data": "AA')], "line 2"),
        (lambda lines: [lines[0], lines[1].replace('"object": "', '"object": "zz')], "line 2"),
        (lambda lines: [lines[0], '{"ref": "../x", "id": "00"}'], "line 2"),
        (lambda lines: [lines[0], "[]"], "line 2: expected a JSON object"),
        (lambda lines: [], "found nothing"),
    ],
)
def test_bad_lines(cli: Cli, there: Path, refused, change, part: str) -> None:  # type: ignore[no-untyped-def]
    lines = cli("export", "-").stdout.splitlines()
    (there / "bad.jsonl").write_text("\n".join(change(lines)))
    refused(cli("import", "-f", "bad.jsonl", cwd=there), part)
    assert "Exec" not in cli("log", cwd=there).stdout


def test_bad_uses(cli: Cli, there: Path, refused) -> None:  # type: ignore[no-untyped-def]
    refused(cli("export", "-f", "flow.py/x"), "--file")
    refused(cli("export", "00000000000"), "no execution or job")
    refused(cli("import", "-f", "nope"), "cannot be read")


def test_repl(there: Path, redun_environ: dict[str, str]) -> None:
    done = subprocess.run(
        ["redun", "repl", "-"],
        cwd=there.parent,
        env=redun_environ,
        input="print(obj == last_exec, len(executions()))\nquery('-').argv[-1]\ndef f():\n    query('zz')\nf()\nprint('on')\n",
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 1
    assert done.stdout.splitlines()[1:] == ["True 2", "'4'"]
    assert done.stderr.splitlines()[0] == "Traceback (most recent call last):"
    assert [line.strip() for line in done.stderr.splitlines() if line.startswith("  File")] == [
        'File "<stdin>", line 5, in <module>',
        'File "<stdin>", line 4, in f',
    ]
    assert done.stderr.endswith("nothing has an id that begins with 'zz'\n")


def test_repl_in_a_terminal(there: Path, redun_environ: dict[str, str]) -> None:
    main, side = pty.openpty()
    process = subprocess.Popen(
        ["redun", "repl"], cwd=there.parent, env={**redun_environ, "TERM": "dumb"}, stdin=side, stdout=side, stderr=side
    )
    os.close(side)
    shown = b""

    def until(text: bytes) -> None:
        nonlocal shown
        while text not in shown:
            shown += os.read(main, 4096)

    until(b"(redun) ")
    os.write(main, b"query('zz')\n")
    until(b"nothing has an id that begins with 'zz'")
    os.write(main, b"len(executions()) * 1000\n")
    until(b"2000")
    os.write(main, b"exit()\n")
    try:
        # Linux ends a terminal whose other side is closed with an error.
        while data := os.read(main, 4096):
            shown += data
    except OSError:
        pass
    os.close(main)
    assert process.wait(timeout=300) == 0
    assert b"redun/cli" not in shown
