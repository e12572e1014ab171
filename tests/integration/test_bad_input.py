"""Whatever is wrong with the input, there is one message that says what and where, and status 1 or 2."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from .conftest import Cli

Refused = Callable[..., None]

SCRIPT = """
import enum
from redun import task
redun_namespace = "b"

class Color(enum.Enum):
    red = 1
    blue = 2

@task()
def count(n: int, color: Color = Color.red, xs: list[float] = (), flag: bool = False):
    return n

@task()
def counter(other: int):
    return other
"""


@pytest.fixture
def flow(tmp_path: Path) -> Path:
    (tmp_path / "flow.py").write_text(SCRIPT)
    return tmp_path / "flow.py"


def test_missing_script(cli: Cli, flow: Path, refused: Refused) -> None:
    refused(cli("run", "flwo.py", "count"), "'flwo.py'", "did you mean 'flow.py'?")
    refused(cli("run", "no/such.py", "count"), "'no/such.py'")
    refused(cli("run", "no_such_module", "count"), "'no_such_module'")
    refused(cli("run", "no.such.module", "count"), "'no.such.module'")
    refused(cli("run", "no such", "count"), "'no such'")
    (flow.parent / "folder.py").mkdir()
    refused(cli("run", "folder.py", "count"), "'folder.py'", "folder")


def test_missing_task(cli: Cli, flow: Path, refused: Refused) -> None:
    refused(cli("run", "flow.py", "cuont"), "'cuont'", "did you mean", "'count'")
    refused(cli("run", "flow.py", "zzz"), "'zzz'", "'count'", "'counter'")
    (flow.parent / "empty.py").write_text("")
    refused(cli("run", "empty.py", "main"), "'main'", "no tasks")


def test_missing_and_wrong_arguments(cli: Cli, flow: Path, refused: Refused) -> None:
    refused(cli("run", "flow.py", "count"), "'b.count'", "--n int")
    refused(cli("run", "flow.py", "count", "--n"), "--n needs a value")
    refused(cli("run", "flow.py", "count", "--m", "1"), "--m", "--n")
    refused(cli("run", "flow.py", "count", "--n", "1", "more"), "'more'")
    refused(cli("run", "flow.py", "count", "--n", "1", "--no-cache"), "--no-cache", "before the script")


@pytest.mark.parametrize(
    ("words", "found"),
    [
        (["--n", "many"], "'many'"),
        (["--n", "1.5"], "'1.5'"),
        (["--n", "1", "--color", "green"], "red, blue"),
        (["--n", "1", "--xs", "1", "two"], "'two'"),
        (["--n", "1", "--flag", "perhaps"], "'perhaps'"),
    ],
)
def test_unparsable_values(cli: Cli, flow: Path, refused: Refused, words: list[str], found: str) -> None:
    refused(
        cli("run", "flow.py", "count", *words),
        f"argument {words[-2] if words[-2] in ('--n', '--color', '--flag') else '--xs'}",
        found,
    )


def test_what_click_refuses_has_status_2(cli: Cli, flow: Path, refused: Refused) -> None:
    refused(cli("rnu", "flow.py", "count"), "'rnu'", "did you mean 'run'?", status=2)
    refused(cli("--zz", "run"), "--zz", status=2)
    refused(cli("run", "--zz", "flow.py", "count"), "--zz", status=2)
    refused(cli("run", "flow.py"), "TASK", status=2)
    refused(cli("run", "flow.py", "--no-cache", "count"), "--no-cache", status=2)
    for option in ("--tag", "--option", "--context"):
        refused(cli("run", option, "nonsense", "flow.py", "count"), "key=value", "'nonsense'", status=2)
    refused(cli("--log-level", "LOUD", "run"), "LOUD", status=2)


def test_bad_values_of_options(cli: Cli, flow: Path, refused: Refused) -> None:
    words = ["flow.py", "count", "--n", "1"]
    refused(cli("run", "--execution-id", "xyz", *words), "'xyz'", "UUID")
    refused(cli("run", "--context-file", "none.json", *words), "'none.json'")
    (flow.parent / "list.json").write_text("[1]")
    refused(cli("run", "--context-file", "list.json", *words), "'list.json'", "JSON object")
    refused(cli("--check-version", ">=99", "run", *words), ">=99")
    refused(cli("--check-version", "new", "run", *words), "'new'")


def test_a_syntax_error_shows_the_line_and_nothing_of_ours(cli: Cli, flow: Path, refused: Refused) -> None:
    flow.write_text("x = 1\n\ndef broken(:\n    pass\n")
    refused(cli("run", "flow.py", "main"), str(flow), "line 3", "    def broken(:\n               ^")
    flow.write_text("import part\n")
    (flow.parent / "part.py").write_text("y = = 2\n")
    refused(cli("run", "flow.py", "main"), "part.py", "line 1", "y = = 2")
    flow.write_bytes(b"x = '\xff'\n")
    refused(cli("run", "flow.py", "main"), "flow.py")
    flow.write_bytes(b"x = 1\0\n")
    refused(cli("run", "flow.py", "main"), "flow.py")


def test_an_error_while_importing_shows_only_the_users_frames(cli: Cli, flow: Path, refused: Refused) -> None:
    flow.write_text("def f():\n    return {}['key']\n\nf()\n")
    ended = cli("run", "flow.py", "main")
    refused(ended, "'flow.py'", "KeyError", f'File "{flow}", line 4, in <module>', f'File "{flow}", line 2, in f')
    assert ended.stderr.count('File "') == 2
    flow.write_text("import no_such_thing\n")
    refused(cli("run", "flow.py", "main"), "No module named 'no_such_thing'", f'File "{flow}", line 1')
    flow.write_text("import sys\nsys.exit(3)\n")
    refused(cli("run", "flow.py", "main"), "'flow.py'", "sys.exit(3)")


def test_a_task_that_cannot_be_defined(cli: Cli, flow: Path, refused: Refused) -> None:
    flow.write_text("from redun import task\n\n@task(name='no good')\ndef main():\n    pass\n")
    refused(cli("run", "flow.py", "main"), "'no good'", f'File "{flow}", line')


def test_a_script_named_like_a_module_in_use(cli: Cli, flow: Path, refused: Refused) -> None:
    flow.rename(flow.parent / "redun.py")
    refused(cli("run", "redun.py", "count", "--n", "1"), "'redun.py'", "another name")


def test_a_result_that_cannot_be_recorded_names_job_and_type(cli: Cli, flow: Path) -> None:
    flow.write_text(
        "import threading\nfrom redun import task\nredun_namespace = 'b'\n\n"
        "@task()\ndef main():\n    return [1, threading.Lock()]\n\n"
        "@task()\ndef take(x):\n    return 1\n\n@task()\ndef give():\n    return take(threading.Lock())\n"
    )
    for name in ("main", "give"):
        ended = cli("run", "flow.py", name)
        assert (ended.status, ended.stdout) == (1, "")
        last = ended.stderr.strip().splitlines()[-1]
        assert "lock" in last, ended.stderr
        assert f"b.{name}" in last, ended.stderr
        assert "redun/evaluation" not in ended.stderr


def test_config_that_is_not_there(cli: Cli, flow: Path, refused: Refused) -> None:
    words = ["run", "flow.py", "count", "--n", "1"]
    refused(cli("-c", "missing", *words), "'missing'", "redun init")
    (flow.parent / "bare").mkdir()
    refused(cli("-c", "bare", *words), "'bare'", "redun.ini")
    cli("init", "bare")
    refused(cli("-c", "bare", *words), "'bare'", "did you mean 'bare/.redun'?")


def test_config_folder_that_is_a_file(cli: Cli, flow: Path, refused: Refused) -> None:
    (flow.parent / ".redun").write_text("")
    refused(cli("run", "flow.py", "count", "--n", "1"), f"'{flow.parent}/.redun'", "folder")
    refused(cli("init"), ".redun")


def test_store_that_is_a_file(cli: Cli, flow: Path, refused: Refused) -> None:
    (flow.parent / ".redun").mkdir()
    (flow.parent / ".redun" / "store").write_text("")
    refused(cli("run", "flow.py", "count", "--n", "1"), f"'{flow.parent}/.redun/store'")


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("max_workers = 3\n", ["line 1", "section"]),
        ("[limits]\ndb = many\n", ["'db'", "[limits]", "'many'"]),
        ("[executors.default]\nmax_workers = 0\n", ["'max_workers'", "[executors.default]", "'0'"]),
        ("[backend]\nexclusive = maybe\n", ["'exclusive'", "[backend]", "'maybe'"]),
        ("[backend]\npath = ${NO_SUCH_VARIABLE}\n", ["'path'", "[backend]", "${NO_SUCH_VARIABLE}"]),
        ("[scheduler]\ncontext = {}\ncontext_file = x.json\n", ["'context'", "'context_file'"]),
        ("[scheduler]\ncontext = {1}\n", ["'context'", "JSON"]),
    ],
)
def test_bad_configuration_names_file_section_and_option(
    cli: Cli, flow: Path, refused: Refused, text: str, parts: list[str]
) -> None:
    (flow.parent / ".redun").mkdir()
    (flow.parent / ".redun" / "redun.ini").write_text(text)
    refused(cli("run", "flow.py", "count", "--n", "1"), "redun.ini", *parts)


def test_misspelt_configuration_is_named_and_the_run_goes_on(cli: Cli, flow: Path) -> None:
    (flow.parent / ".redun").mkdir()
    (flow.parent / ".redun" / "redun.ini").write_text("[bakend]\npath = x\n[scheduler]\ncontxt = {}\n")
    ended = cli("run", "flow.py", "count", "--n", "1")
    assert (ended.status, ended.stdout) == (0, "1\n")
    assert [line.startswith("redun: warning: ") for line in ended.errors] == [True, True]
    assert "[bakend]: did you mean [backend]?" in ended.errors[0]
    assert "'contxt' in section [scheduler] is unknown: did you mean 'context'?" in ended.errors[1]


def test_a_closed_pipe_is_silent(cli: Cli, flow: Path, redun_environ: dict[str, str]) -> None:
    done = subprocess.run(
        ["bash", "-c", "redun run flow.py count --n 1 | true; echo ${PIPESTATUS[0]} >&2"],
        cwd=flow.parent,
        env=redun_environ,
        capture_output=True,
        text=True,
        check=False,
    )
    assert "Traceback" not in done.stderr
    assert "BrokenPipe" not in done.stderr
    assert "redun: " not in done.stderr


def test_a_full_standard_output_is_told(cli: Cli, flow: Path, redun_environ: dict[str, str]) -> None:
    done = subprocess.run(
        ["bash", "-c", "redun run flow.py count --n 1 > /dev/full"],
        cwd=flow.parent,
        env=redun_environ,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "No space left" in done.stderr
    assert "Traceback" not in done.stderr
