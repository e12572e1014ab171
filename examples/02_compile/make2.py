"""The same two programs from a table of rules, like a Makefile, and three tasks that fit any such table."""

import subprocess

from redun import File, task

redun_namespace = "redun.examples.compile2"

# target: (sources, shell command). A rule without a command only gathers its sources.
Rules = dict[str, tuple[list[str], str]]

RULES: Rules = {
    "all": (["prog", "prog2"], ""),
    "prog": (["prog.o", "lib.o"], "gcc -o prog prog.o lib.o"),
    "prog2": (["prog2.o", "lib.o"], "gcc -o prog2 prog2.o lib.o"),
    "prog.o": (["prog.c", "lib.h"], "gcc -c prog.c -o prog.o"),
    "prog2.o": (["prog2.c", "lib.h"], "gcc -c prog2.c -o prog2.o"),
    "lib.o": (["lib.c", "lib.h"], "gcc -c lib.c -o lib.o"),
}


@task()
def source(path: str) -> File:
    """Take a file that no rule makes."""
    file = File(path)
    if not file.exists():
        raise FileNotFoundError(f"no rule makes {path!r}, and there is no such file")
    return file


@task()
def run_command(target: str, command: str, sources: list[File]) -> File:
    """Make one target. The command names its sources itself; they are arguments so that a changed one makes it run again."""
    subprocess.run(command, shell=True, check=True)
    return File(target)


@task()
def make(target: str = "all", rules: Rules = RULES):
    """Build a target, after everything that it is made from.

    Args:
        target: a name from the table.
        rules: the table.
    """

    def build(name: str):
        if name not in rules:
            return source(name)
        names, command = rules[name]
        sources = [build(name) for name in names]
        return run_command(name, command, sources) if command else sources

    return build(target)
