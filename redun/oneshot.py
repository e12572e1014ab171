"""One task called once, without a scheduler: what a worker on another machine does for a job, with files for arguments and result.

The input is a pickle of `([...], {...})`, the output a pickle of the result, the error one of `(exception, traceback)`. In an array, input
holds lists of these, output and error are JSON lists of paths, and an environment variable says which place is ours.
"""

from __future__ import annotations

import json
import os
import pickle
from collections.abc import Mapping
from typing import Any

from redun.errors import RedunError
from redun.file import File

ARRAY_VARIABLES = ("AWS_BATCH_JOB_ARRAY_INDEX", "JOB_COMPLETION_INDEX", "BATCH_TASK_INDEX")


class OneshotError(RedunError):
    """A task cannot be run alone: its files or its place in an array are missing."""


def array_index(variable: str | None = None, environ: Mapping[str, str] = os.environ) -> int:
    """Return our place in an array of jobs.

    Args:
        variable: the environment variable that holds it; those that known services set by default.

    Raises:
        OneshotError: it is not set, or holds no number.
    """
    names = (variable,) if variable else ARRAY_VARIABLES
    for name in names:
        if name in environ:
            try:
                return int(environ[name])
            except ValueError:
                raise OneshotError(f"environment variable {name} must hold a number, found {environ[name]!r}") from None
    raise OneshotError(f"an array job needs its place in environment variable {' or '.join(names)}")


def path_at(path: str, index: int | None) -> str:
    """Return a path, or the one at our place in the JSON list that it names."""
    if index is None:
        return path
    with File(path).open("r") as stream:
        paths: list[str] = json.load(stream)
    return paths[index]


def read_input(path: str, index: int | None) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Return the arguments that an input file holds for us."""
    with File(path).open("rb") as stream:
        args, kwargs = pickle.load(stream)
    return (tuple(args), kwargs) if index is None else (tuple(args[index]), kwargs[index])


def known_output(path: str) -> tuple[Any] | None:
    """Return, in a tuple, the result that an output file holds already and that still holds; None if there is none."""
    from redun.value import get_type_registry

    file = File(path)
    if not file.exists():
        return None
    with file.open("rb") as stream:
        result = pickle.load(stream)
    return (result,) if get_type_registry().is_valid_nested(result) else None


def write_output(path: str, result: Any) -> None:
    """Write a result."""
    with File(path).open("wb") as stream:
        stream.write(pickle.dumps(result))


def write_error(path: str, error: BaseException) -> None:
    """Write an exception with its traceback; one that cannot be pickled is kept as a plain one with its text."""
    from redun.error_traceback import Traceback

    try:
        data = pickle.dumps((error, Traceback.from_error(error)))
        pickle.loads(data)
    except Exception:
        plain = Exception(repr(error))
        data = pickle.dumps((plain, Traceback.from_error(plain)))
    with File(path).open("wb") as stream:
        stream.write(data)
