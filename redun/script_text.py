"""The text of shell scripts: their interpreter, and what is put around a command to stage files and to connect its streams."""

from __future__ import annotations

import os
from collections.abc import Sequence
from shlex import quote
from textwrap import dedent
from typing import Any

from redun.file import Staging, StagingDir, get_proto
from redun.files.shell import copy_command, local_folder_copy, word

DEFAULT_SHELL = "#!/usr/bin/env bash\nset -exo pipefail"
_SHELL_WITHOUT_BASH = "#!/bin/sh\nset -ex\nif (set -o pipefail) 2> /dev/null; then set -o pipefail; fi"

# Where a script keeps what is its own: in the folder that whoever runs it removes (`redun.scripting.exec_script`), if it says so.
_TEMPORARY = '"${redun_folder:-${TMPDIR:-/tmp}}"'

STDOUT = "-"
"""Path of the file that stands for a standard stream: output in `outputs`, input in `inputs`."""


def prepare_command(command: str, default_shell: str = DEFAULT_SHELL) -> str:
    """Return a script that can be run: without common indentation, and with a first line that names its interpreter.

    Args:
        default_shell: what comes first if the command does not begin with `#!`.
    """
    text = dedent(command).strip()
    return text if text.startswith("#!") else f"{default_shell}\n{text}"


def interpreter(text: str) -> list[str]:
    """Return the command in a script's first line, split as the kernel does: program and at most one argument."""
    return text.split("\n", 1)[0].removeprefix("#!").strip().split(None, 1)


def without_bash(text: str) -> str:
    """Return a script of the default shell as one that sh can run, where there is no bash."""
    if not text.startswith(DEFAULT_SHELL):
        return text
    import shutil

    if shutil.which("bash"):
        return text
    # What is wrapped inside is written by the same hand.
    return text.replace(f"{DEFAULT_SHELL}\n", f"{_SHELL_WITHOUT_BASH}\n").replace(
        '/usr/bin/env bash "$redun_script"', 'sh "$redun_script"'
    )


def get_command_eof(command: str, eof_prefix: str = "EOF") -> str:
    """Return a line that does not occur in a command, to end it as a here-document."""
    lines = set(command.splitlines())
    eof, number = eof_prefix, 0
    while eof in lines:
        number += 1
        eof = f"{eof_prefix}{number}"
    return eof


def get_wrapped_command(command: str, eof_prefix: str = "EOF") -> str:
    """Return lines of shell that run a script under the interpreter that it names: it is written to a temporary file first."""
    eof = get_command_eof(command, eof_prefix)
    run = " ".join(map(quote, interpreter(command)))
    return f"""\
(
  redun_script="$(mktemp {_TEMPORARY}/redun-XXXXXXXX)"
  trap 'rm -f "$redun_script"' EXIT
  cat > "$redun_script" << "{eof}"
{command}
{eof}
  {run} "$redun_script"
)"""


def render_script(
    command: str, inputs: list[Staging[Any]], outputs: list[Staging[Any]], tempdir: bool = False, as_mount: bool = False
) -> str:
    """Return the whole text to run: stage in, the command under its interpreter, stage out.

    The text does not depend on where or when it is rendered, so that it can be part of a cache key.

    Args:
        command: dedented.
        tempdir: go to a temporary folder first.

    Raises:
        ValueError: a folder is staged as a stream, or several files as standard input.
    """
    before = [lines for staging in inputs if not _is_stream(staging) and (lines := _stage_in(staging, tempdir, as_mount))]
    after = [lines for staging in outputs if not _is_stream(staging) and (lines := _stage_out(staging, tempdir, as_mount))]
    source = [staging for staging in inputs if _is_stream(staging)]
    sinks = [staging for staging in outputs if _is_stream(staging)]
    if not before and not after and not source and not any(sink.remote.path != STDOUT for sink in sinks) and not tempdir:
        return prepare_command(command)
    enter = []
    if tempdir:
        enter = [
            'redun_dir="$PWD"',
            f'redun_temp="$(mktemp -d {_TEMPORARY}/redun-XXXXXXXX)"',
            "trap 'rm -rf \"$redun_temp\"' EXIT",
            'cd "$redun_temp"',
        ]
    wrapped = connect(get_wrapped_command(prepare_command(command)), source, sinks, tempdir)
    return "\n".join([DEFAULT_SHELL, *enter, *before, wrapped, *after])


def _is_stream(staging: Staging[Any]) -> bool:
    if staging.local.path != STDOUT:
        return False
    if isinstance(staging, StagingDir):
        raise ValueError(f"folder {staging.remote.path!r} cannot be standard input or output of a script: stage a file")
    return True


def _stage_in(staging: Staging[Any], tempdir: bool, as_mount: bool) -> str:
    if tempdir and _is_relative(staging.remote.path):
        return _local_copy(staging, _in_working_folder(staging.remote.path), word(staging.local.path), staging.local.path)
    return _quiet(staging.stage_lines(as_mount))


def _stage_out(staging: Staging[Any], tempdir: bool, as_mount: bool) -> str:
    if tempdir and staging.local is staging.remote:
        # Not staged: it stays where the script wrote it, and a relative path goes with the temporary folder.
        return ""
    if tempdir and _is_relative(staging.remote.path):
        remote = _in_working_folder(staging.remote.path)
        return _local_copy(staging, word(staging.local.path), remote, staging.remote.path, "$redun_dir/")
    return _quiet(staging.unstage_lines(as_mount))


def _local_copy(staging: Staging[Any], src: str, dest: str, dest_path: str, prefix: str = "") -> str:
    if isinstance(staging, StagingDir):
        return local_folder_copy(src, dest)
    folder = os.path.dirname(dest_path)
    lines = [f"cp {src} {dest}"]
    if folder:
        lines.insert(0, f'mkdir -p "{prefix}"{quote(folder)}' if prefix else f"mkdir -p {quote(folder)}")
    return "\n".join(lines)


def _is_relative(path: str) -> bool:
    return get_proto(path) == "local" and not os.path.isabs(path.removeprefix("file://"))


def _in_working_folder(path: str) -> str:
    return f'"$redun_dir"/{quote(path)}'


def _quiet(lines: str) -> str:
    """Keep what a copying program says out of standard output, which is the script's result."""
    programs = ("aws ", "gsutil ", "redun ", "(aws ", "(gsutil ")
    return "\n".join([f"{line} >&2" if line.startswith(programs) else line for line in lines.splitlines()])


def connect(wrapped: str, sources: Sequence[Staging[Any]], sinks: Sequence[Staging[Any]], tempdir: bool = False) -> str:
    """Return a wrapped command with its standard input and output connected to files of any file system.

    Args:
        wrapped: commands in parentheses.
        sources: what is standard input, at most one.
        sinks: where standard output goes; one with path `-` is the script's own.
        tempdir: relative paths are those of `$redun_dir`.

    Raises:
        ValueError: there are several sources, or several sinks of which one is not of this machine.
    """
    if len(sources) > 1:
        paths = ", ".join(repr(source.remote.path) for source in sources)
        raise ValueError(f"only one file can be standard input of a script, found {paths}")
    for source in sources:
        path = source.remote.path
        if get_proto(path) == "local":
            wrapped += f" < {_here(path, tempdir)}"
        else:
            wrapped = f"{copy_command(path, None)} | {wrapped}"
    own = any(sink.remote.path == STDOUT for sink in sinks)
    files = list(dict.fromkeys([sink.remote.path for sink in sinks if sink.remote.path != STDOUT]))
    if not files:
        return wrapped
    elsewhere = [path for path in files if get_proto(path) != "local"]
    if elsewhere and (own or len(files) > 1):
        raise ValueError(
            f"standard output that is copied to {elsewhere[0]!r} cannot go anywhere else as well: write it to a file"
        )
    if elsewhere:
        return f"{wrapped} | {_quiet(copy_command(None, elsewhere[0]))}"
    folders = [folder for path in files if (folder := os.path.dirname(path.removeprefix("file://")))]
    made = "".join([f"mkdir -p {_here(folder, tempdir)}\n" for folder in folders])
    if not own and len(files) == 1:
        return f"{made}{wrapped} > {_here(files[0], tempdir)}"
    return f"{made}{wrapped} | tee {' '.join([_here(path, tempdir) for path in files])}{'' if own else ' > /dev/null'}"


def _here(path: str, tempdir: bool) -> str:
    return _in_working_folder(path) if tempdir and _is_relative(path) else word(path)
