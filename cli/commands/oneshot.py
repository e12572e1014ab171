"""`redun oneshot`: call one task once, without a scheduler."""

from __future__ import annotations

import errno
import pickle
import tarfile
import zlib
from typing import Any

import click

from redun.cli import completion
from redun.cli.errors import FAILED, CommandError, user_traceback
from redun.cli.session import Session, current_session


@click.command(
    name="oneshot",
    cls=completion.TaskCommand,
    short_help="Call one task once, without a scheduler.",
    context_settings={"allow_interspersed_args": False},
    options_metavar="[OPTIONS]",
)
@click.option("--no-cache", is_flag=True, help="Call it even if the output is there already.")
@click.option(
    "-c", "--code", metavar="FILE", shell_complete=completion.files, help="Code package (.tar.gz) to unpack here first."
)
@click.option(
    "-i",
    "--input",
    "input_file",
    metavar="FILE",
    shell_complete=completion.files,
    help="Pickle of ([...], {...}): the arguments.",
)
@click.option(
    "-o",
    "--output",
    metavar="FILE",
    shell_complete=completion.files,
    help="Where the result goes, as a pickle; standard output by default.",
)
@click.option(
    "-e",
    "--error",
    "error_file",
    metavar="FILE",
    shell_complete=completion.files,
    help="Where an exception goes, as a pickle of (error, traceback).",
)
@click.option("--array-job", is_flag=True, help="One of an array: input, output and error hold lists.")
@click.option("--array-rank-env", metavar="NAME", help="Environment variable with the place in the array.")
@click.option(
    "-p",
    "--import-path",
    "paths",
    multiple=True,
    metavar="DIR",
    shell_complete=completion.folders,
    help="Folder to import modules from as well.",
)
@click.argument("script", metavar="SCRIPT_OR_MODULE", shell_complete=completion.files)
@click.argument("task_name", metavar="TASK", shell_complete=completion.tasks)
@click.argument("words", nargs=-1, type=click.UNPROCESSED, metavar="[--arg VALUE ...]", shell_complete=completion.arguments)
def command(script: str, task_name: str, words: tuple[str, ...], **options: Any) -> int:
    """Call TASK of a script or module once: no scheduler, no store. What it returns must be a value, not an expression.

    Executors run jobs on other machines with it. Nothing is done if the output is there already and still holds.

    \b
    Examples:
      redun oneshot flow.py ns.add --a 1 --b 2
      redun oneshot --input in.pkl --output out.pkl flow.py ns.add
    """
    from redun.oneshot import array_index, write_error

    session = current_session()
    index = array_index(options["array_rank_env"]) if options["array_job"] else None
    error_file = options["error_file"]
    if error_file is not None:
        error_file = _place("error", error_file, index)
        _remove("error", error_file)
    try:
        session.result = _call(session, script, task_name, list(words), index, options)
    except Exception as error:
        if error_file is not None:
            write_error(error_file, error)
        if session.failure is not error:
            raise
        click.echo(user_traceback(error), err=True)
        return FAILED
    return 0


def _unusable(option: str, path: str, error: OSError) -> OSError:
    """Return an error of the same kind, which callers and error files keep, that says which option it is about."""
    return OSError(error.errno or errno.EIO, f"option --{option}: {error.strerror or error}", path)


def _place(option: str, path: str, index: int | None) -> str:
    """Return where output or error goes.

    Args:
        index: our place in an array, whose file lists the paths.
    """
    from redun.oneshot import path_at

    try:
        return path_at(path, index)
    except OSError as error:
        raise _unusable(option, path, error) from error
    except (ValueError, TypeError, LookupError) as error:
        raise CommandError(f"option --{option}: {path!r} lists no path for place {index}: {error}") from error


def _remove(option: str, path: str) -> None:
    from redun.file import File

    try:
        if not path:
            raise CommandError(f"option --{option}: '' names no file")
        if File(path).isdir():
            raise CommandError(f"option --{option}: {path!r} is a folder, expected a file")
        # What an earlier attempt left must not be taken for ours.
        File(path).remove()
    except OSError as error:
        raise _unusable(option, path, error) from error


def _call(session: Session, script: str, task_name: str, words: list[str], index: int | None, options: dict[str, Any]) -> Any:
    from redun.cli.scripts import find_task, load
    from redun.executors.code_packaging import extract_tar
    from redun.file import File
    from redun.import_paths import add_import_path
    from redun.oneshot import write_output

    if options["code"] is not None:
        try:
            extract_tar(File(options["code"]))
        except (tarfile.TarError, EOFError, zlib.error) as error:
            raise CommandError(f"option --code: {options['code']!r} is no code package: {error}") from error
        except OSError as error:
            raise _unusable("code", options["code"], error) from error
    for path in options["paths"]:
        add_import_path(path)
    task = find_task(load(script), task_name, script)
    args, kwargs = _arguments(task, script, task_name, words, index, options["input_file"])
    session.log(f"oneshot: {' '.join(session.argv)}")
    output = options["output"]
    if output is not None:
        output = _place("output", output, index)
        if not options["no_cache"]:
            known = _known(output)
            if known is not None:
                session.log(f"output {output!r} is there already")
                return known[0]
        _remove("output", output)
    try:
        result = task.func(*args, **kwargs)
    except Exception as error:
        session.failure = error
        raise
    if output is not None:
        try:
            write_output(output, result)
        except OSError as error:
            raise _unusable("output", output, error) from error
    else:
        click.echo(repr(result))
    return result


def _known(output: str) -> tuple[Any] | None:
    from redun.oneshot import known_output

    try:
        return known_output(output)
    except OSError as error:
        raise _unusable("output", output, error) from error
    except Exception:
        # Torn, or of a class that is gone: the task is called, and it is written anew.
        return None


def _arguments(
    task: Any, script: str, task_name: str, words: list[str], index: int | None, input_file: str | None
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    from redun.cli.arguments import TaskArguments
    from redun.oneshot import read_input

    if input_file is None:
        return TaskArguments(task, script, task_name).parse(words)
    try:
        return read_input(input_file, index)
    except OSError as error:
        raise _unusable("input", input_file, error) from error
    except (pickle.UnpicklingError, EOFError, ValueError, TypeError, IndexError, AttributeError, ImportError) as error:
        raise CommandError(f"option --input: {input_file!r} holds no arguments for this task: {error}") from error
