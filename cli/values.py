"""Arguments from a file and results to a file: `--input` and `--output`."""

from __future__ import annotations

import os
import pickle
from typing import Any

from redun.cli.errors import CommandError


def read_arguments(path: str) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Return the arguments that a file holds.

    Args:
        path: path or URL; a `.json` file holds an object of arguments by name, or `[positional, by name]`; any other a pickle of that pair.

    Raises:
        CommandError: it cannot be read, or holds something else.
    """
    from redun.file import File

    where = f"option --input: {path!r}"
    try:
        with File(path).open("rb") as stream:
            data = stream.read()
    except OSError as error:
        raise CommandError(f"{where} cannot be read: {error.strerror or error}") from error
    found = _decoded(path, data, where)
    if _is_json(path) and isinstance(found, dict):
        return (), found
    try:
        args, kwargs = found
        return tuple(args), {str(name): value for name, value in dict(kwargs).items()}
    except (TypeError, ValueError):
        raise CommandError(f"{where}: expected positional and named arguments, [[...], {{...}}], found {found!r:.80}") from None


def _decoded(path: str, data: bytes, where: str) -> Any:
    if _is_json(path):
        import json

        try:
            return json.loads(data)
        except (ValueError, RecursionError) as error:
            raise CommandError(f"{where} is no JSON: {error}") from None
    try:
        return pickle.loads(data)
    except Exception as error:
        # A pickle may raise whatever its classes do.
        raise CommandError(f"{where} is no pickle that can be read: {type(error).__name__}: {error}") from error


def check_output(path: str) -> None:
    """Refuse a place for the result that cannot work, before anything runs.

    Raises:
        CommandError: it is a folder, or in a folder that does not exist.
        FileSystemError: no file system serves it.
    """
    from redun.file import get_filesystem, get_proto

    if not path:
        raise CommandError("option --output: '' names no file")
    if get_proto(path) != "local":
        get_filesystem(url=path)
        return
    folder = os.path.dirname(os.path.abspath(path))
    if os.path.isdir(path):
        raise CommandError(f"option --output: {path!r} is a folder, expected a file")
    if not os.path.isdir(folder):
        raise CommandError(f"option --output: folder {folder!r} does not exist")


def write_result(path: str, result: Any) -> None:
    """Write a result to a file: as JSON if it ends in `.json`, else as a pickle.

    Raises:
        CommandError: it cannot be written so.
    """
    from redun.file import File

    where = f"option --output: {path!r}"
    try:
        if _is_json(path):
            import json

            data = json.dumps(result, indent=2).encode() + b"\n"
        else:
            data = pickle.dumps(result)
    except Exception as error:
        hint = ": another ending than .json writes a pickle" if _is_json(path) else ""
        raise CommandError(f"{where}: the result cannot be written: {error}{hint}") from error
    try:
        with File(path).open("wb") as stream:
            stream.write(data)
    except OSError as error:
        raise CommandError(f"{where} cannot be written: {error.strerror or error}") from error


def _is_json(path: str) -> bool:
    return path.endswith(".json")
