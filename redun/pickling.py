"""Pickle, for what programs keep beside redun's own encoding; never of bytes from strangers, since unpickling runs code."""

from __future__ import annotations

import io
import pickle
from typing import IO, Any

PICKLE_PROTOCOL = 3
"""Fixed, so that the bytes of a value do not change with the Python version."""


def pickle_dump(obj: Any, file: IO[bytes]) -> None:
    """Write an object to a binary file."""
    pickle.dump(obj, file, protocol=PICKLE_PROTOCOL)


def pickle_dumps(obj: Any) -> bytes:
    """Return an object as bytes."""
    return pickle.dumps(obj, protocol=PICKLE_PROTOCOL)


def pickle_loads(data: bytes) -> Any:
    """Return the object of bytes."""
    return pickle.loads(data)


class PreviewUnpicklable:
    """Stands for an object that cannot be had.

    Args:
        error: why.
    """

    def __init__(self, error: BaseException) -> None:
        self.error = error

    def __repr__(self) -> str:
        return f"Unpicklable('{self.error}')"


def pickle_preview(data: bytes, raise_error: bool = False) -> Any:
    """Return the object of bytes as far as possible: an object whose class is gone shows its name, one beyond that the error.

    Args:
        raise_error: raise it instead.
    """
    try:
        return _Previewer(io.BytesIO(data)).load()
    except Exception as error:
        if raise_error:
            raise
        return PreviewUnpicklable(error)


class _Previewer(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        try:
            return super().find_class(module, name)
        except (ImportError, AttributeError):
            return type(name, (_Preview,), {"__module__": module})


class _Preview:
    """An object whose class is gone."""

    def __new__(cls, *args: Any, **kwargs: Any) -> _Preview:
        made = super().__new__(cls)
        made._args = args
        return made

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        pass

    def __setstate__(self, state: Any) -> None:
        self._args = (state,)

    _args: tuple[Any, ...] = ()

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(map(repr, self._args))})"
