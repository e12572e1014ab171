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
            return type(name, (PreviewClass,), {"__module__": module})


class PreviewClass:
    """An object whose class is gone: it has the attributes that were pickled, and the arguments it was made with by their places."""

    def __new__(cls, *args: Any, **kwargs: Any) -> PreviewClass:
        made = super().__new__(cls)
        made.__dict__.update(kwargs)
        # Not among the attributes that are shown.
        object.__setattr__(made, "_args", args)
        return made

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        pass

    def __setstate__(self, state: Any) -> None:
        plain, slots = state if isinstance(state, tuple) and len(state) == 2 else (state, None)
        for part in (plain, slots):
            if isinstance(part, dict):
                self.__dict__.update(part)
            elif part is not None:
                self._args = (*self._args, part)

    __slots__ = ("__dict__", "_args")

    _args: tuple[Any, ...]

    def __getitem__(self, index: int) -> Any:
        return self._args[index]

    def __repr__(self) -> str:
        shown = [*map(repr, self._args), *(f"{name}={value!r}" for name, value in self.__dict__.items())]
        return f"{type(self).__name__}({', '.join(shown)})"
