"""Shell scripts as part of a workflow: `script`, tasks with `script=True`, and how a script is run.

A script without a first line of its own is run by bash with `set -exo pipefail`: it ends at the first command that fails, in a
pipe too, and standard error shows the commands (where there is no bash, by sh). Standard output is the result.

A call `script(command, inputs, outputs)` becomes three jobs:

    redun.script               is cached: by the text of the command, the state of the inputs, the paths of the outputs
      redun.script_task        runs the text; never cached by itself, so that a missing output makes it run again
      redun.postprocess_script turns standard output and the outputs' paths into the shape of `outputs`

`redun.script` is checked shallowly: its final value holds the output files, and if one of them has changed or gone everything
runs again.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import threading
from collections.abc import Callable, Iterator
from shlex import quote
from textwrap import dedent
from typing import Any, NamedTuple

from redun.errors import RedunError
from redun.file import Dir, File, Staging, StagingFile
from redun.nested import holds_expression, map_leaves
from redun.output import add_output
from redun.script_text import (
    DEFAULT_SHELL,
    STDOUT,
    get_command_eof,
    get_wrapped_command,
    interpreter,
    prepare_command,
    render_script,
    without_bash,
)
from redun.store.journal import CUT, STDERR
from redun.store.journal import STDOUT as STANDARD_OUTPUT
from redun.task import CacheScope, Task, task

__all__ = [
    "DEFAULT_SHELL",
    "NULL",
    "ScriptError",
    "exec_script",
    "get_command_eof",
    "get_task_command",
    "get_wrapped_command",
    "prepare_command",
    "script",
]

NULL = object()
"""Stands for `outputs` that were not given; None is a value like any other."""

# Options about the cache belong to the job that is cached; the rest goes where the command runs.
_CACHE_OPTIONS = frozenset(("cache", "cache_scope", "check_valid", "allowed_cache_results", "nout"))

_KEPT_STDERR_BYTES = 1 << 20
_KEPT_OUTPUT_BYTES = 1 << 20
_SHOWN_LINES = 10


class ScriptError(RedunError):
    """A script failed.

    Args:
        stderr: what it wrote to standard error, at most the last MiB.
        status: its exit status; negative, the signal that ended it; None if unknown.
    """

    def __init__(self, stderr: bytes, status: int | None = None) -> None:
        super().__init__(stderr, status)
        self.stderr = stderr
        self.status = status

    @property
    def message(self) -> str:
        """What it wrote to standard error, as text."""
        return self.stderr.decode("utf-8", "replace")

    def __str__(self) -> str:
        """Tell how the script ended, and the last lines that it wrote to standard error."""
        lines = self.stderr.decode("utf-8", "replace").rstrip().splitlines()
        if not lines:
            return f"script {_ending(self.status)}; its standard error is empty"
        shown = "".join(f"\n  {line}" for line in lines[-_SHOWN_LINES:])
        what = "standard error" if len(lines) <= _SHOWN_LINES else f"last {_SHOWN_LINES} lines of standard error"
        return f"script {_ending(self.status)}; {what}:{shown}"


def _ending(status: int | None) -> str:
    if status is None:
        return "failed"
    if status < 0:
        return f"was ended by signal {_signal_name(-status)}"
    if status > 128 and (name := _signal_name(status - 128)) != str(status - 128):
        return f"failed with exit status {status} (a command was ended by signal {name})"
    return f"failed with exit status {status}"


def _signal_name(number: int) -> str:
    import signal

    try:
        return signal.Signals(number).name
    except ValueError:
        return str(number)


def exec_script(command: str) -> bytes:
    """Run a script in the working folder and return its standard output; standard input is empty.

    Args:
        command: its text; see `prepare_command` for what may be left out.

    Raises:
        ScriptError: it failed, or its interpreter cannot be found.
        OSError: there is no room for the temporary files.
    """
    import subprocess
    import tempfile

    text = without_bash(prepare_command(command))
    program = interpreter(text)
    if not program:
        raise ScriptError(b"the first line '#!' names no interpreter")
    with tempfile.TemporaryDirectory(prefix="redun-", dir=_folder) as folder:
        path = os.path.join(folder, "script")
        with open(path, "w", encoding="utf-8", errors="surrogateescape") as stream:
            stream.write(text + "\n")
        os.chmod(path, 0o700)
        # Files, not pipes: a gigabyte of output is held once, and a process left in the background holds nobody up. The
        # interpreter is called by name, since a file that another thread's child still holds open cannot be executed.
        with open(os.path.join(folder, "stdout"), "w+b") as stdout, open(os.path.join(folder, "stderr"), "w+b") as stderr:
            try:
                # A script may be well under way before Popen returns here: whoever kills scripts has to wait for its name.
                with _starting:
                    process = subprocess.Popen(
                        [*program, path],
                        stdin=subprocess.DEVNULL,
                        stdout=stdout,
                        stderr=stderr,
                        start_new_session=_in_sessions,
                        env={**os.environ, "redun_folder": folder},
                    )
                    _running_scripts[process] = _Running(threading.get_ident(), folder)
            except OSError as error:
                raise ScriptError(f"{program[0]}: {error.strerror}".encode()) from error
            try:
                status = process.wait()
            except BaseException:
                _kill(process)
                raise
            finally:
                _running_scripts.pop(process, None)
                _keep_output(stdout, stderr)
            if status != 0:
                stderr.seek(max(0, stderr.seek(0, os.SEEK_END) - _KEPT_STDERR_BYTES))
                raise ScriptError(stderr.read(), status)
            stdout.seek(0)
            return stdout.read()


def _keep_output(stdout: Any, stderr: Any) -> None:
    """Keep the beginning and the end of what a script wrote as output of the job that runs it."""
    for number, stream in ((STDERR, stderr), (STANDARD_OUTPUT, stdout)):
        size = stream.seek(0, os.SEEK_END)
        stream.seek(0)
        data = stream.read(min(size, _KEPT_OUTPUT_BYTES))
        add_output(number, data.decode("utf-8", "replace"))
        at = max(len(data), size - _KEPT_OUTPUT_BYTES)
        if at > len(data):
            add_output(CUT, at - len(data))
        if at < size:
            stream.seek(at)
            add_output(number, stream.read().decode("utf-8", "replace"))


class _Running(NamedTuple):
    """A script that runs: the thread that waits for it, and the folder that it keeps its own files in."""

    thread: int
    folder: str


_running_scripts: dict[Any, _Running] = {}
"""Scripts of this process."""

_starting = threading.Lock()
_STARTS_WITHIN_S = 1.0
_DIES_WITHIN_S = 1.0


def _forget_starting() -> None:
    global _starting
    _starting = threading.Lock()


# A forked child has none of the threads that may hold it.
os.register_at_fork(after_in_child=_forget_starting)


# Each in a group of processes of its own, so that it can be killed with all that it starts.
_in_sessions = True
_folder: str | None = None


def be_a_worker(folder: str) -> None:
    """Run scripts in the group of this process from now on, and keep what is theirs below a folder: whoever kills both ends both."""
    global _in_sessions, _folder
    _in_sessions = False
    _folder = folder


def kill_scripts(thread: int | None = None) -> None:
    """Kill the scripts that run, with all that they have started; of one thread only, if it is given. Safe in a signal handler."""
    # With a time-out: a signal handler may have stopped the very thread that holds it.
    held = _starting.acquire(timeout=_STARTS_WITHIN_S)
    try:
        killed = [
            (process, running.folder)
            for process, running in list(_running_scripts.items())
            if thread is None or running.thread == thread
        ]
        for process, _ in killed:
            _kill(process)
    finally:
        if held:
            _starting.release()
    for process, folder in killed:
        # The thread that waits for it would remove the folder, but the program may end before it comes to that.
        with contextlib.suppress(Exception):
            process.wait(_DIES_WITHIN_S)
        shutil.rmtree(folder, ignore_errors=True)


def _kill(process: Any) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        # Not yet waited for, so the id is still its own.
        if process.returncode is None and os.getpgid(process.pid) == process.pid:
            os.killpg(process.pid, signal.SIGKILL)
        else:
            process.kill()


def get_task_command(task: Task[Any, Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> str:
    """Return the script of one call of a task with `script=True`.

    Raises:
        TypeError: its function returned something else than text or a list of words.
    """
    command = task.func(*args, **kwargs)
    if not isinstance(command, str | list):
        raise TypeError(
            f"script task {task.fullname!r} must return its command as text or a list, found {type(command).__name__}"
        )
    return prepare_command(_command_text(command))


def _command_text(command: str | list[Any]) -> str:
    if isinstance(command, list):
        return " ".join([quote(os.fspath(part) if isinstance(part, os.PathLike) else str(part)) for part in command])
    return dedent(command).strip()


def script(
    command: str | list[Any],
    inputs: Any = [],  # noqa: B006
    outputs: Any = NULL,
    tempdir: bool = False,
    as_mount: bool = False,
    **task_options: Any,
) -> Any:
    """Run a shell script as a job.

    Args:
        command: the script; a list is the words of one command, quoted where needed. A first line `#!...` names another
            interpreter than the shell.
        inputs: nested values; a `file.stage("local")` in them is copied to its local path before the command runs. A change of
            any of these files makes it run again. `file.stage("-")` is standard input, which is empty otherwise.
        outputs: nested values, whose shape the result has: a staged file or folder is copied back and returned as `File` or
            `Dir`, a `File` is returned with its new hash, `File("-")` becomes standard output (bytes), `file.stage("-")` a file
            that standard output was written to, other values stay. By default the result is standard output.
        tempdir: run in a temporary folder, removed in the end, with relative outputs that are not staged. Relative paths of the
            other side of staged files mean the working folder as ever.
        as_mount: staged files are mounted where the command runs, if their file system knows how.
        task_options: `executor`, `memory`, `limits`, `cache`, ... of the job.

    Returns:
        An expression of the result.
    """
    if outputs is NULL:
        outputs = File(STDOUT)
    if holds_expression([command, inputs, outputs]):
        return _prepare_script(command, inputs, outputs, tempdir, as_mount, task_options)
    return _script_call(command, inputs, outputs, tempdir, as_mount, task_options)


def _script_call(
    command: str | list[Any], inputs: Any, outputs: Any, tempdir: bool, as_mount: bool, task_options: dict[str, Any]
) -> Any:
    if not isinstance(command, str | list):
        raise TypeError(f"script needs its command as text or a list, found {type(command).__name__}")
    outputs = map_leaves(_staged, outputs)
    text = render_script(_command_text(command), list(_stagings(inputs)), list(_stagings(outputs)), tempdir, as_mount)
    cached = {name: option for name, option in task_options.items() if name in _CACHE_OPTIONS}
    running = {name: option for name, option in task_options.items() if name not in _CACHE_OPTIONS}
    call = _script.options(**cached) if cached else _script
    return call(text, map_leaves(_remote, inputs), outputs, running)


def _staged(leaf: Any) -> Any:
    """Give outputs a form that counts by path only: what is there before the script has run must not matter."""
    if isinstance(leaf, File):
        return leaf.classes.StagingFile(leaf, leaf)
    if isinstance(leaf, Dir):
        return leaf.classes.StagingDir(leaf, leaf)
    return leaf


def _remote(leaf: Any) -> Any:
    """Give inputs a form that counts by their state."""
    return type(leaf.remote)(leaf.remote.path) if isinstance(leaf, Staging) else leaf


def _stagings(nested: Any) -> Iterator[Staging[Any]]:
    from redun.nested import iter_leaves

    return (leaf for leaf in iter_leaves(nested) if isinstance(leaf, Staging))


@task(name="script", namespace="redun", version="1", check_valid="shallow")
def _script(command: str, inputs: Any, outputs: Any, task_options: dict[str, Any] = {}) -> Any:  # noqa: B006
    """Run a rendered script and return the outputs; the inputs are there to be hashed."""
    run: Any = script_task.options(**task_options) if task_options else script_task
    return postprocess_script(run(command), outputs)


@task(namespace="redun", version="1", script=True, cache_scope=CacheScope.NONE)
def script_task(command: str) -> str:
    """Return the text that is run. Not cached: only `redun.script` knows on what the result depends."""
    return command


@task(namespace="redun", version="1", cache_scope=CacheScope.NONE)
def postprocess_script(result: bytes, outputs: Any) -> Any:
    """Return the outputs with files as they are now, and standard output where it was asked for.

    Not cached: another script of the same run may have written the same paths since.
    """
    return map_leaves(_result_of(result), outputs)


def _result_of(stdout: bytes) -> Callable[[Any], Any]:
    def result(leaf: Any) -> Any:
        if not isinstance(leaf, Staging):
            return leaf
        if isinstance(leaf, StagingFile) and leaf.remote.path == STDOUT:
            return stdout
        return type(leaf.remote)(leaf.remote.path)

    return result


@task(name="prepare_script", namespace="redun", version="1", cache_scope=CacheScope.NONE)
def _prepare_script(
    command: Any, inputs: Any, outputs: Any, tempdir: bool, as_mount: bool, task_options: dict[str, Any]
) -> Any:
    """Make the call once its arguments are known. Not cached, since a staged input counts here by its path only."""
    return _script_call(command, inputs, outputs, tempdir, as_mount, task_options)
