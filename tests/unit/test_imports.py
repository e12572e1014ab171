"""What a command imports, for starting is most of what a small one does.

`imports.txt` beside this file lists, for each module of redun's own, the commands that load it. A module that turns up or goes fails here.
If that is on purpose (the command uses it each time), `python tests/unit/test_imports.py` writes the list anew; if not, the import belongs
into the function that needs it.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

LIST = Path(__file__).with_name("imports.txt")
HELLO = """
from redun import task

redun_namespace = "hello"

@task()
def get_planet():
    return "World"

@task()
def greet(greeting: str, thing: str):
    return f"{greeting}, {thing}!"

@task()
def main(greeting: str = "Hello"):
    return greet(greeting, get_planet())
"""

# Name in the list -> statements, or the words after `redun`.
COMMANDS: dict[str, str | list[str]] = {
    "import": "import redun",
    "task": "from redun import task",
    "version": ["--version"],
    "help": ["--help"],
    "run": ["run", "hello.py", "main"],
    "log": ["log"],
    "log-": ["log", "-"],
}
OTHERS = {"tags": ["tag", "list"], "gc": ["gc"], "repos": ["repo", "list"], "push": ["push", "team"]}

HEAVY = (
    "asyncio boto3 botocore concurrent.futures cryptography email fsspec html http importlib.metadata "
    "importlib.resources jinja2 logging multiprocessing numpy pandas polars pyarrow pytest requests s3fs "
    "sqlite3 ssl unittest urllib.request xml zipfile zstandard"
)
"""Never loaded by any of these commands, but that those which talk to repos have threads."""
THREADS = frozenset(("concurrent.futures", "logging"))

NOT_NEEDED = (
    "dataclasses decimal difflib fractions getpass glob json pickle pprint random shutil socket "
    "subprocess tempfile textwrap traceback"
)
"""Of Python's own, not loaded by those in the list, unless by click, lmdb, msgpack or xxhash themselves."""

_SAY = """
import atexit, sys

def say():
    with open({out!r}, "w") as stream:
        stream.write(chr(10).join(sys.modules))

atexit.register(say)
{statements}
"""
_REDUN = "from redun.cli.main import main\nsys.argv = ['redun', *{words!r}]\nsys.exit(main())"


class Loaded:
    """Modules that commands have loaded, each command run once, in a folder where hello has run; others where it was pushed, too."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._found: dict[str, frozenset[str]] = {}
        for place in (folder, folder / "shared"):
            place.mkdir(exist_ok=True)
            (place / "hello.py").write_text(HELLO)
            self._run(place, COMMANDS["run"])
        self._run(folder / "shared", ["repo", "add", "team", "team", "--trust", "all"])
        self._run(folder / "shared", OTHERS["push"])

    def by(self, name: str, what: str | list[str] | None = None) -> frozenset[str]:
        """Return the modules that a command loads, those left out that Python loads in any case."""
        if name not in self._found:
            place = self._folder / "shared" if name in OTHERS else self._folder
            self._found[name] = self._run(place, what if what is not None else {**COMMANDS, **OTHERS}[name])
        return self._found[name] if name == "nothing" else self._found[name] - self.by("nothing", "pass")

    def _run(self, place: Path, what: str | list[str]) -> frozenset[str]:
        out = self._folder / "modules"
        statements = what if isinstance(what, str) else _REDUN.format(words=what)
        environ = {key: value for key, value in os.environ.items() if not key.startswith(("REDUN_", "COVERAGE", "PYTHON"))}
        # Not of a folder above.
        environ["REDUN_CONFIG"] = str(place / ".redun")
        command = [sys.executable, "-c", _SAY.format(out=str(out), statements=statements)]
        done = subprocess.run(command, capture_output=True, text=True, cwd=place, env=environ)
        assert done.returncode == 0, done.stderr
        return frozenset(out.read_text().split("\n"))

    def table(self) -> dict[str, list[str]]:
        """Return module of redun's own -> commands that load it."""
        found: dict[str, list[str]] = {}
        for name in COMMANDS:
            for module in self.by(name):
                if module.partition(".")[0] == "redun":
                    found.setdefault(module, []).append(name)
        return dict(sorted(found.items()))


def read_list() -> dict[str, list[str]]:
    """Return the list as it is kept."""
    lines = [line.split() for line in LIST.read_text().splitlines() if line and not line.startswith("#")]
    return {module: commands for module, *commands in lines}


@pytest.fixture(scope="module")
def loaded(tmp_path_factory: pytest.TempPathFactory) -> Loaded:
    return Loaded(tmp_path_factory.mktemp("imports"))


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_loads_the_modules_in_the_list(loaded: Loaded, command: str) -> None:
    found = {module for module, commands in loaded.table().items() if command in commands}
    listed = {module for module, commands in read_list().items() if command in commands}
    assert found - listed == set(), "loaded now, too: see the text at the top of this file"
    assert listed - found == set(), (
        f"not loaded any more, well done: `python tests/unit/{Path(__file__).name}` writes the list anew"
    )


@pytest.mark.parametrize("command", [*COMMANDS, *OTHERS])
def test_no_command_loads_anything_heavy(loaded: Loaded, command: str) -> None:
    assert set(HEAVY.split()) & loaded.by(command) <= (THREADS if command == "push" else set())


@pytest.mark.parametrize("command", COMMANDS)
def test_no_command_loads_what_it_does_not_use_of_pythons_own(loaded: Loaded, command: str) -> None:
    shows = "print(context.get_help())" if command == "help" else ""
    use = f"import click, lmdb, msgpack, xxhash; context = click.Command('x').make_context('x', []); {shows}"
    others = loaded.by(f"libraries {shows}", use)
    assert (set(NOT_NEEDED.split()) & loaded.by(command)) - others == set()


def test_import_redun_and_the_version_load_next_to_nothing(loaded: Loaded) -> None:
    assert {module for module in loaded.by("import") | loaded.by("version") if "." not in module} <= {"redun"}


@pytest.mark.parametrize(
    ("command", "never"),
    [
        ("task", "redun.cli redun.evaluation redun.executors redun.files redun.provenance redun.store.sources"),
        ("help", "redun.config redun.evaluation redun.executors redun.provenance redun.store.sources redun.task"),
        (
            "run",
            "redun.provenance redun.remotes redun.store.gc redun.store.remote redun.file redun.scripting redun.executors.process",
        ),
        ("log", "redun.evaluation redun.executors redun.files redun.remotes redun.store.gc redun.store.remote redun.task"),
        ("log-", "redun.evaluation.scheduler redun.executors redun.files redun.remotes redun.store.gc redun.store.remote"),
    ],
)
def test_the_list_itself_keeps_to_what_a_command_is_about(command: str, never: str) -> None:
    listed = [module for module, commands in read_list().items() if command in commands]
    assert [module for module in listed if any(f"{module}.".startswith(f"{name}.") for name in never.split())] == []


def test_files_of_this_machine_load_nothing_that_costs(loaded: Loaded) -> None:
    use = 'import redun.file as f; file = f.File("a"); file.write("x"); file.hash, file.is_valid(), repr(file), f.Dir(".").hash'
    assert {*HEAVY.split(), "lmdb", "shutil", "subprocess", "tempfile", "glob"} & loaded.by("files", use) == set()


def test_the_top_of_redun_does_not_load_its_tools(loaded: Loaded) -> None:
    assert {"redun.tools", "redun.utils", "lmdb", "logging.handlers"} & loaded.by("task") == set()


def write() -> None:
    """Write the list anew."""
    with tempfile.TemporaryDirectory() as folder:
        table = Loaded(Path(folder)).table()
    width = max(map(len, table)) + 2
    head = "# Module of redun's own, and the commands that load it. Kept by test_imports.py, which says how to change it.\n"
    LIST.write_text(head + "".join([f"{module:<{width}}{' '.join(commands)}\n" for module, commands in table.items()]))


if __name__ == "__main__":
    write()
