"""Finds the codec of a foreign type, and the codec of a name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any, NamedTuple

from redun.errors import DecodeError, RedunError, UnknownTypeError

_MODULES = {
    "numpy": "redun.codecs.numpy_arrays",
    "pandas": "redun.codecs.pandas_frames",
    "polars": "redun.codecs.polars_frames",
    "pyarrow": "redun.codecs.arrow_tables",
}


class NotCanonical(Exception):
    """A value of a known type is of a kind that its codec does not know: it is encoded like any other object."""


class Codec(NamedTuple):
    """How values of a type are written.

    Attributes:
        name: `package.what`, in the bytes: it may never change.
        write: value -> state; raises NotCanonical.
        read: state -> value; may raise anything on a bad state.
    """

    name: str
    write: Callable[[Any], Any]
    read: Callable[[Any], Any]


_found: dict[type, Codec | None] = {}


def codec_for(kind: type) -> Codec | None:
    """Return the codec of exactly this type, or None. Cost: one dict lookup."""
    try:
        return _found[kind]
    except KeyError:
        pass
    found = None
    for base in kind.__mro__:
        module = _MODULES.get((getattr(base, "__module__", None) or "").partition(".")[0])
        if module is not None:
            codecs = import_module(module)
            # Subclasses of other packages: where they are kept as what they derive from, and what they add to it.
            find = codecs.find if base is kind else getattr(codecs, "find_subclass", None)
            found = None if find is None else find(kind)
            break
    _found[kind] = found
    return found


def keeps_its_pickling(kind: Any, base: Any) -> bool:
    """True if a subclass is pickled in the way of its base."""
    names = ("__reduce__", "__reduce_ex__", "__getstate__", "__setstate__", "__getnewargs__", "__getnewargs_ex__")
    return all(getattr(kind, name, None) is getattr(base, name, None) for name in names)


def revive(state: Any) -> Any:
    """Return the value of `[name, state]`.

    Raises:
        UnknownTypeError: the package is not installed, or the name is of a newer release.
        DecodeError: the state makes no sense.
    """
    if not (isinstance(state, list) and len(state) == 2 and isinstance(state[0], str)):
        raise DecodeError("a foreign value is a name and a state")
    name, content = state
    package = name.partition(".")[0]
    module = _MODULES.get(package)
    if module is None:
        raise UnknownTypeError(f"values of type {name!r} are unknown: written by a newer redun?")
    try:
        codecs: Mapping[str, Codec] = import_module(module).BY_NAME
    except ImportError as error:
        raise UnknownTypeError(f"a value of type {name!r} cannot be read: {package} cannot be imported ({error})") from error
    codec = codecs.get(name)
    if codec is None:
        raise UnknownTypeError(f"values of type {name!r} are unknown: written by a newer redun?")
    try:
        return codec.read(content)
    except RedunError:
        raise
    except Exception as error:
        raise DecodeError(f"a value of type {name!r} cannot be read: {error!r}") from error
