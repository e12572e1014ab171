"""`redun run` from the first to the last line, on the hello world example and on small scripts."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import uuid
from pathlib import Path

import pytest

from .conftest import Cli

HELLO = Path(__file__).resolve().parents[2] / "examples" / "01_hello_world" / "hello_world.py"


@pytest.fixture
def hello(tmp_path: Path) -> Path:
    shutil.copy(HELLO, tmp_path / "hello_world.py")
    return tmp_path / "hello_world.py"


def replace(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def test_first_run_runs_and_second_run_replays(cli: Cli, hello: Path) -> None:
    first = cli("run", "hello_world.py", "main")
    assert (first.status, first.stdout) == (0, "'Hello, World!'\n"), first
    assert first.jobs("Run") == ["get_planet", "greeter", "main"]
    assert first.jobs("Cached") == []
    second = cli("run", "hello_world.py", "main")
    assert (second.status, second.stdout) == (0, "'Hello, World!'\n"), second
    assert second.jobs("Run") == []
    assert second.jobs("Cached") == ["get_planet", "greeter", "main"]


def test_the_log_has_its_layout(cli: Cli, hello: Path) -> None:
    ended = cli("run", "hello_world.py", "main")
    assert ended.errors == []
    lines = ended.log
    assert re.fullmatch(r"redun :: version \d+\.\d+\.\d+", lines[0])
    assert lines[1] == f"config dir: {hello.parent}/.redun"
    start = re.fullmatch(r"Start Execution (\S+):  redun run hello_world.py main", lines[2])
    assert start is not None
    uuid.UUID(start[1])
    assert re.fullmatch(r"Run    Job [0-9a-f]{8}:  redun\.examples\.hello_world\.main\(greet='Hello'\) on default", lines[3])
    table = lines[lines.index("") + 1 :]
    assert re.fullmatch(r"\| JOB STATUS \d{4}/\d\d/\d\d \d\d:\d\d:\d\d", table[0])
    assert table[1].split() == ["|", "TASK", "PENDING", "RUNNING", "FAILED", "CACHED", "DONE", "TOTAL"]
    assert table[3].split() == ["|", "ALL", "0", "0", "0", "0", "3", "3"]
    assert re.fullmatch(r"Execution duration: \d+\.\d\d seconds", table[-1])


def test_another_argument_reruns_what_has_it(cli: Cli, hello: Path) -> None:
    cli("run", "hello_world.py", "main")
    ended = cli("run", "hello_world.py", "main", "--greet", "Hi")
    assert ended.stdout == "'Hi, World!'\n", ended
    assert ended.jobs("Run") == ["greeter", "main"]
    assert ended.jobs("Cached") == ["get_planet"]


def test_changed_code_reruns_what_depends_on_it(cli: Cli, hello: Path) -> None:
    cli("run", "hello_world.py", "main")
    replace(hello, '"World"', '"Venus"')
    ended = cli("run", "hello_world.py", "main")
    assert ended.stdout == "'Hello, Venus!'\n", ended
    assert ended.jobs("Run") == ["get_planet", "greeter"]
    assert ended.jobs("Cached") == ["main"]
    replace(hello, '"Venus"', '"World"')
    back = cli("run", "hello_world.py", "main")
    assert back.stdout == "'Hello, World!'\n"
    assert back.jobs("Run") == []


def test_a_failure_shows_jobs_then_python(cli: Cli, hello: Path) -> None:
    cli("run", "hello_world.py", "main")
    replace(hello, '"World"', "1 / 0")
    ended = cli("run", "hello_world.py", "main")
    assert (ended.status, ended.stdout) == (1, "")
    assert any(
        re.fullmatch(r"\*\*\* Reject Job [0-9a-f]{8}:  redun\.examples\.hello_world\.get_planet\(\):", line)
        for line in ended.log
    )
    trace = ended.log[ended.log.index("*** Execution failed. Traceback (most recent task last):") + 1 :]
    jobs = [line for line in trace if re.match(r"  Job [0-9a-f]{8}: File ", line)]
    assert [line.rpartition(" in ")[2] for line in jobs] == ["main", "get_planet"]
    line = next(number for number, text in enumerate(hello.read_text().splitlines(), 1) if "1 / 0" in text)
    python = trace.index(f'  File "{hello}", line {line}, in get_planet')
    assert trace[python + 1].strip() == "return 1 / 0"
    assert trace[-1] == "ZeroDivisionError: division by zero"
    # Told once, and without our own frames.
    assert ended.stderr.count("ZeroDivisionError") == 1
    assert ended.errors == []
    table = [line.split()[1:] for line in ended.log if line.startswith("| ")]
    assert ["redun.examples.hello_world.get_planet", "0", "0", "1", "0", "0", "1"] in table


def test_a_failure_is_not_replayed(cli: Cli, hello: Path) -> None:
    replace(hello, '"World"', "1 / 0")
    for _ in range(2):
        ended = cli("run", "hello_world.py", "main")
        assert ended.status == 1
        assert "get_planet" in ended.jobs("Run")


def test_failures_are_found_by_log(cli: Cli, hello: Path) -> None:
    replace(hello, '"World"', "1 / 0")
    cli("run", "hello_world.py", "main")
    replace(hello, "1 / 0", '"Mars"')
    last = cli("log", "-")
    assert last.status == 0, last
    job = re.search(r"Job ([0-9a-f]{8}) \[FAILED\].*get_planet\(\)", last.stdout)
    assert job is not None, last.stdout
    shown = cli("log", job[1]).stdout
    assert "return 1 / 0" in shown
    assert "ZeroDivisionError: division by zero" in shown


def test_help_lists_tasks(cli: Cli, hello: Path) -> None:
    ended = cli("run", "hello_world.py", "help")
    assert ended.status == 0
    lines = ended.stdout.splitlines()
    assert lines[0] == "Tasks available:"
    assert [line.split()[0] for line in lines[1:]] == [
        f"redun.examples.hello_world.{name}" for name in ("get_planet", "greeter", "main")
    ]
    assert not (hello.parent / ".redun").exists()


@pytest.mark.parametrize("word", ["help", "--help", "-h"])
def test_help_of_a_task(cli: Cli, hello: Path, word: str) -> None:
    ended = cli("run", "hello_world.py", "main", word)
    assert ended.status == 0
    assert "Greet a planet." in ended.stdout
    option = next(line for line in ended.stdout.splitlines() if line.strip().startswith("--greet"))
    assert "the word to greet with." in option
    assert "'Hello'" in option


def test_info_of_a_task(cli: Cli, hello: Path) -> None:
    ended = cli("run", "hello_world.py", "main", "info")
    assert ended.status == 0
    head, empty, *source = ended.stdout.splitlines()
    assert re.fullmatch(r"Task [0-9a-f]{40} redun\.examples\.hello_world\.main", head)
    assert empty == ""
    assert source[0] == '  def main(greet: str = "Hello") -> str:'
    assert source[-2] == "      return greeter(greet, get_planet())"


def test_dryrun_says_what_would_run_and_why(cli: Cli, hello: Path) -> None:
    new = cli("run", "--dryrun", "hello_world.py", "main")
    assert (new.status, new.stdout) == (1, ""), new
    assert "main" in new.jobs("Dryrun")
    assert any(
        "New task 'redun.examples.hello_world.main()' is called with new arguments: it has never run" in line
        for line in new.log
    )
    assert cli("run", "hello_world.py", "main").jobs("Run") == ["get_planet", "greeter", "main"]

    all_cached = cli("run", "--dryrun", "hello_world.py", "main")
    assert (all_cached.status, all_cached.stdout) == (0, "'Hello, World!'\n")

    other = cli("run", "--dryrun", "hello_world.py", "main", "--greet", "Hi")
    assert other.status == 1
    assert any("Existing task 'redun.examples.hello_world.main()' is called with new arguments" in line for line in other.log)

    replace(hello, '"World"', '"Venus"')
    changed = cli("run", "--dryrun", "hello_world.py", "main")
    assert changed.status == 1
    assert changed.jobs("Dryrun") == ["get_planet"]
    assert any(
        "New task 'redun.examples.hello_world.get_planet()' with previous arguments: its code has changed" in line
        for line in changed.log
    )
    # A dry run records nothing.
    assert cli("log").stdout.count("Exec ") == 1


def test_no_cache_runs_again(cli: Cli, hello: Path) -> None:
    cli("run", "hello_world.py", "main")
    assert cli("run", "--no-cache", "hello_world.py", "main").jobs("Run") == ["get_planet", "greeter", "main"]
    assert cli("run", "hello_world.py", "main").jobs("Run") == []


def test_no_prov_records_nothing_and_looks_nothing_up(cli: Cli, hello: Path) -> None:
    cli("run", "--no-prov", "hello_world.py", "main")
    assert "Exec " not in cli("log").stdout
    assert len(cli("run", "hello_world.py", "main").jobs("Run")) == 3
    assert len(cli("run", "--no-prov", "hello_world.py", "main").jobs("Run")) == 3


def test_execution_id_and_tags(cli: Cli, hello: Path) -> None:
    identity = "0b1f42f5-1f6c-4bbc-9f0f-5b1d0f7cb0aa"
    words = [
        "--execution-id",
        identity,
        "-t",
        "env=prod",
        "--tag",
        "n=3",
        "--user",
        "ada",
        "--project",
        "moon",
        "--doc",
        "a try",
    ]
    ended = cli("run", *words, "hello_world.py", "main")
    assert ended.status == 0, ended
    assert f"Start Execution {identity}:" in ended.stderr
    shown = cli("log", identity).stdout
    for tag in ("env=prod", "n=3", "user=ada", "project=moon", "a try"):
        assert tag in shown, shown
    again = cli("run", "--execution-id", identity, "hello_world.py", "main")
    assert again.status == 1
    assert "has been used already" in again.stderr


def test_log_level_silences_the_log(cli: Cli, hello: Path) -> None:
    ended = cli("--log-level", "ERROR", "run", "hello_world.py", "main")
    assert (ended.status, ended.stdout, ended.stderr) == (0, "'Hello, World!'\n", "")


SCRIPT = """
from redun import task, get_context
redun_namespace = "t"

@task()
def none():
    return None

@task()
def where():
    return [__name__, get_context("a.b"), get_context("c", 7)]

@task()
def shadow(help: str, no_cache: bool = False, config: str = "x", *rest: int, version: int = 0, **more: str):
    return [help, no_cache, config, rest, version, more]

@task()
def add(xs: list[int], scale: float = 1.0):
    return sum(xs) * scale

if __name__ == "__main__":
    raise SystemExit("this must not run")
"""


def test_none_prints_nothing(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "flow.py").write_text(SCRIPT)
    ended = cli("run", "flow.py", "none")
    assert (ended.status, ended.stdout) == (0, "")


def test_name_and_context(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "flow.py").write_text(SCRIPT)
    (tmp_path / "context.json").write_text('{"a": {"b": "file"}, "c": [1]}')
    assert cli("run", "flow.py", "where").stdout == "['flow', None, 7]\n"
    assert cli("run", "--context-file", "context.json", "flow.py", "where").stdout == "['flow', 'file', [1]]\n"
    both = cli("run", "--context-file", "context.json", "--context", "a.b=3", "flow.py", "where")
    assert both.stdout == "['flow', 3, [1]]\n"


def test_context_of_the_ini_is_the_base(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "flow.py").write_text(SCRIPT)
    cli("init")
    with (tmp_path / ".redun" / "redun.ini").open("a") as ini:
        ini.write("\n[scheduler]\ncontext_file = base.json\n")
    (tmp_path / ".redun" / "base.json").write_text('{"a": {"b": "ini"}, "c": 1}')
    assert cli("run", "flow.py", "where").stdout == "['flow', 'ini', 1]\n"
    assert cli("run", "--context", "c=2", "flow.py", "where").stdout == "['flow', 'ini', 2]\n"


def test_no_name_of_a_parameter_clashes(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "flow.py").write_text(SCRIPT)
    words = ["--help", "me", "--no-cache", "yes", "--config", "c", "--version", "2", "--rest", "1", "2", "--dry-run", "z"]
    ended = cli("run", "flow.py", "shadow", *words)
    assert ended.stdout == "['me', True, 'c', (1, 2), 2, {'dry_run': 'z'}]\n", ended


def test_lists_and_numbers(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "flow.py").write_text(SCRIPT)
    assert cli("run", "flow.py", "add", "--xs", "1", "-2", "4", "--scale", "0.5").stdout == "1.5\n"


def test_names_of_tasks_may_be_full(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "flow.py").write_text(SCRIPT)
    assert cli("run", "flow.py", "t.add", "--xs", "1").stdout == "1.0\n"


def test_a_module_and_its_package(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "flows").mkdir()
    (tmp_path / "flows" / "__init__.py").touch()
    (tmp_path / "flows" / "part.py").write_text("VALUE = 5\n")
    (tmp_path / "flows" / "main.py").write_text(
        "from redun import task\nfrom . import part\n\n@task(namespace='m')\ndef main():\n    return part.VALUE, __name__\n"
    )
    assert cli("run", "flows.main", "main").stdout == "(5, 'flows.main')\n"


def test_modules_beside_the_script_are_the_users(cli: Cli, tmp_path: Path) -> None:
    """Names that we have ourselves are theirs too, from whatever folder it is run."""
    folder = tmp_path / "deep" / "er"
    folder.mkdir(parents=True)
    (folder / "cli.py").write_text("WHO = 'my cli'\n")
    (folder / "store.py").write_text("WHO = 'my store'\n")
    (folder / "config.py").write_text("WHO = 'my config'\n")
    (folder / "flow.py").write_text(
        "import cli, store\nfrom redun import task\nredun_namespace = 'own'\n\n"
        "@task()\ndef main():\n    import config\n    return [cli.WHO, store.WHO, config.WHO]\n"
    )
    for script, cwd in (("flow.py", folder), ("deep/er/flow.py", tmp_path), (str(folder / "flow.py"), Path("/"))):
        ended = cli("run", script, "main", cwd=cwd, env={"REDUN_CONFIG": str(tmp_path / "conf")})
        assert ended.stdout == "['my cli', 'my store', 'my config']\n", ended


def test_an_edit_within_the_same_second_counts(cli: Cli, tmp_path: Path) -> None:
    """A compiled copy of the script, trusted by size and second, would run old code under the new source's hash."""
    script = tmp_path / "flow.py"
    text = "from redun import task\n\n@task(namespace='n')\ndef main():\n    return '{}'\n"
    for word in ("one", "two", "six"):
        script.write_text(text.format(word))
        os.utime(script, (1_000_000_000, 1_000_000_000))
        assert cli("run", "flow.py", "main").stdout == f"{word!r}\n"


def test_tasks_without_namespace_are_told_of(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "flow.py").write_text("from redun import task\n\n@task()\ndef main():\n    return 1\n")
    ended = cli("run", "flow.py", "main")
    assert [line for line in ended.log if "flow.py:main" in line and "namespace" in line] != []
    with (tmp_path / ".redun" / "redun.ini").open("a") as ini:
        ini.write("\n[scheduler]\nignore_warnings = namespace\n")
    assert "flow.py:main" not in cli("run", "flow.py", "main").stderr


def test_init_makes_a_folder_once(cli: Cli, tmp_path: Path) -> None:
    ended = cli("init", "project")
    assert ended.status == 0, ended
    ini = tmp_path / "project" / ".redun" / "redun.ini"
    ini.write_text(ini.read_text() + "# mine\n")
    assert cli("init", "project").status == 0
    assert ini.read_text().endswith("# mine\n")
    # The default says nothing that is warned of, and a run below finds it.
    (tmp_path / "project" / "sub").mkdir()
    (tmp_path / "project" / "sub" / "flow.py").write_text(SCRIPT)
    run = cli("run", "flow.py", "add", "--xs", "1", cwd=tmp_path / "project" / "sub")
    assert (run.stdout, run.errors) == ("1.0\n", [])
    assert f"config dir: {tmp_path}/project/.redun" in run.log
    assert not (tmp_path / "project" / "sub" / ".redun").exists()


def test_redun_config_is_made_and_config_beats_it(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "flow.py").write_text(SCRIPT)
    ended = cli("run", "flow.py", "none", env={"REDUN_CONFIG": "elsewhere/conf"})
    assert ended.status == 0, ended
    assert (tmp_path / "elsewhere" / "conf" / "redun.ini").exists()
    assert not (tmp_path / ".redun").exists()
    cli("-c", "given", "init")
    other = cli("-c", "given", "run", "flow.py", "none", env={"REDUN_CONFIG": "elsewhere/conf"})
    assert f"config dir: {tmp_path}/given" in other.log


def test_version_and_help(cli: Cli) -> None:
    version = cli("--version").stdout.strip()
    assert re.fullmatch(r"\d+\.\d+\.\d+", version)
    assert cli("-V").stdout.strip() == version
    assert cli("--check-version", f">={version}", "help").status == 0
    everything = cli("--help")
    for words in (["--help"], [], ["help"]):
        assert cli(*words).stdout == everything.stdout
    verbs = [line.split()[0] for line in everything.stdout.partition("Commands:\n")[2].splitlines()]
    assert {"init", "run", "log"} <= set(verbs)
    for verb in verbs:
        shown = cli(verb, "--help")
        assert shown.status == 0
        assert f"redun {verb}" in shown.stdout.partition("Example")[2], f"{verb} shows no example"
        assert "\x1b" not in shown.stdout


def test_two_runs_at_once_finish_and_share(cli: Cli, tmp_path: Path, redun_environ: dict[str, str]) -> None:
    (tmp_path / "flow.py").write_text(
        "from redun import task\nredun_namespace = 'two'\n\n@task()\ndef square(x: int):\n    return x * x\n\n"
        "@task()\ndef main(first: int):\n    return [square(x) for x in range(first, first + 300)]\n"
    )
    runs = [
        subprocess.Popen(
            ["redun", "run", "flow.py", "main", "--first", first], cwd=tmp_path, env=redun_environ, stderr=subprocess.DEVNULL
        )
        for first in ("0", "200")
    ]
    assert [run.wait(timeout=300) for run in runs] == [0, 0]
    both = cli("run", "flow.py", "main", "--first", "100")
    assert both.jobs("Run") == ["main"]
    assert both.jobs("Cached") == ["square"] * 300
