"""Classes and functions by their names: what is written in place of them, and how they are found again.

Only what its name leads back to is written. Two classes of one name, such as those that a factory makes at each call or the rows
of `DataFrame.itertuples`, would otherwise share ids, and nothing could be read again.
"""

from __future__ import annotations

import builtins
import functools
import sys
import types
from typing import Any

from redun.errors import EncodeError, UnknownTypeError


def resolve(module: str, qualname: str) -> Any:
    """Find a class or function by name, importing its module if need be.

    Raises:
        UnknownTypeError: the module or the name in it is gone.
    """
    found = sys.modules.get(module)
    try:
        if found is None:
            __import__(module)
            found = sys.modules[module]
        for part in qualname.split("."):
            found = getattr(found, part)
    except Exception as error:
        hidden = _hidden_builtin(qualname) if module == "builtins" else None
        if hidden is not None:
            return hidden
        raise UnknownTypeError(f"{module}.{qualname} cannot be found any more: {error}") from error
    return found


def _hidden_builtin(qualname: str) -> Any:
    """Return the type that calls itself `builtins.NoneType`, say, but is found in `types` only; None if there is none."""
    return next(
        (
            kind
            for kind in vars(types).values()
            if isinstance(kind, type)
            and kind.__module__ == "builtins"
            and kind.__qualname__ == qualname
            and not hasattr(builtins, qualname)
        ),
        None,
    )


def class_name(cls: type) -> list[str]:
    """Return module and qualified name of a class.

    Raises:
        EncodeError: no class is found by it.
    """
    return list(_checked_name(cls))


@functools.lru_cache(maxsize=4096)
def _checked_name(cls: type) -> tuple[str, str]:
    module, qualname = cls.__module__, cls.__qualname__
    try:
        # Another class of that name is the same one defined again, as in a cell of a notebook.
        found = isinstance(resolve(module, qualname), type)
    except UnknownTypeError:
        found = False
    if not found:
        raise EncodeError(
            f"the class {full_name(cls)!r} cannot be found by its name: classes of arguments and results must be defined at the "
            "top of a module, under the name that they have"
        )
    return module_name(module), qualname


def module_name(name: str) -> str:
    """Return the name of a module as it is written."""
    # What multiprocessing calls the main script in the processes that it starts.
    return "__main__" if name == "__mp_main__" else name


def importable_name(make: Any) -> list[str] | None:
    """Module and qualified name that lead back to a callable, or None."""
    module = getattr(make, "__module__", None) or getattr(getattr(make, "__self__", None), "__module__", None)
    qualname = getattr(make, "__qualname__", None)
    if not module or not qualname:
        return None
    try:
        return [module, qualname] if resolve(module, qualname) == make else None
    except UnknownTypeError:
        return None


def full_name(kind: type) -> str:
    """Return the name of a class for a person."""
    return kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"
