"""Two C programs that share a library, built as `make` would build them, with the build rules as Python tasks."""

import subprocess

from redun import File, task

redun_namespace = "redun.examples.compile"

# What to link, and from which sources.
FILES = {
    "prog": [File("prog.c"), File("lib.c")],
    "prog2": [File("prog2.c"), File("lib.c")],
}


@task()
def compile(c_file: File) -> File:
    """Compile one C file into an object file beside it."""
    object_path = c_file.path.replace(".c", ".o")
    subprocess.run(["gcc", "-c", c_file.path, "-o", object_path], check=True)
    return File(object_path)


@task()
def link(prog_path: str, o_files: list[File]) -> File:
    """Link object files into a program."""
    subprocess.run(["gcc", "-o", prog_path, *[o_file.path for o_file in o_files]], check=True)
    return File(prog_path)


@task()
def make_prog(prog_path: str, c_files: list[File]) -> File:
    """Build one program from its C files."""
    return link(prog_path, [compile(c_file) for c_file in c_files])


@task()
def make(files: dict[str, list[File]] = FILES) -> list[File]:
    """Build every program."""
    return [make_prog(prog_path, c_files) for prog_path, c_files in files.items()]
