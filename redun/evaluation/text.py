"""Values and calls as short text for lines of the log: bounded in length and in work, whatever the value."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from redun.nested import ATOMS

MAX_LENGTH = 200
_FEW = 50
_LONG = 1 << 64


def format_value(value: Any, max_length: int = MAX_LENGTH) -> str:
    """Return the repr of a value on one line, cut in the middle of nowhere with `...` if it is longer than `max_length` characters.

    Large strings and containers are cut before they are formatted; of a table rows and columns are told; a repr that raises gives the
    type's name.
    """
    kind = type(value)
    if kind is int and -_LONG < value < _LONG:
        return repr(value)
    if kind is int and value.bit_length() > 4000:
        return f"<int of {value.bit_length()} bits>"
    if kind in ATOMS and not (kind in (str, bytes) and len(value) > max_length):
        return repr(value)
    try:
        text = _table(value) or repr(_shortened(value, max_length))
    except Exception as error:
        text = f"<{kind.__qualname__}: repr failed: {error}>"
    text = one_line(text)
    return text if len(text) <= max_length else text[: max_length - 3] + "..."


def one_line(text: str) -> str:
    """Return a text with line ends, and the space around them, made one blank each."""
    return text if text.isprintable() else " ".join(text.split())


_TABLES = frozenset(("pandas", "polars", "pyarrow"))


def _table(value: Any) -> str | None:
    """Return what there is to say on one line of a frame, series or table; None if it is none."""
    kind = type(value)
    if kind.__module__ == "builtins" or _TABLES.isdisjoint([base.__module__.partition(".")[0] for base in kind.__mro__]):
        return None
    shape = getattr(value, "shape", None)
    if type(shape) is not tuple or len(shape) not in (1, 2):
        return None
    names = getattr(value, "column_names", None)
    if names is None:
        names = getattr(value, "columns", None) if len(shape) == 2 else [getattr(value, "name", None) or ""]
    shown = ", ".join([str(name) for name in list(names if names is not None else ())[:_FEW]])
    return f"<{kind.__qualname__} of {shape[0]} rows{shown and ': '}{shown}>"


def _shortened(value: Any, most: int) -> Any:
    kind = type(value)
    if kind in (str, bytes, list, tuple) and len(value) > most:
        return value[:most]
    if kind is dict and len(value) > _FEW:
        return dict(list(value.items())[:_FEW])
    if kind in (set, frozenset) and len(value) > _FEW:
        return kind(list(value)[:_FEW])
    return value


def format_call(fullname: str, names: Sequence[str], args: Sequence[Any], kwargs: Mapping[str, Any]) -> str:
    """Return `ns.name(a=1, b='x')`: a call with its positional arguments named after their parameters."""
    shown = [f"{name}={format_value(arg)}" for name, arg in zip(names, args, strict=False)]
    if len(args) > len(names):
        shown.extend(map(format_value, args[len(names) :]))
    if kwargs:
        shown.extend([f"{name}={format_value(arg)}" for name, arg in kwargs.items()])
    return f"{fullname}({', '.join(shown)})"


def error_text(error: BaseException) -> str:
    """Return the text of an exception, whatever its `__str__` does."""
    try:
        return str(error)
    except Exception as second:
        return f"<its text cannot be had: {type(second).__qualname__}>"
