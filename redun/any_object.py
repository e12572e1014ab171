"""Objects of any class, taken apart by Python's own protocol of pickling and put together again.

What `__reduce_ex__` gives is written canonically, part by part; whole pickles (`pickled`) are the last resort. Where the form of a
builtin class follows how a value came to be and not what it is (the order in which a set is walked, whether somebody has looked at
`__dict__`), `_tidied` gives it one.
"""

from __future__ import annotations

import copyreg
import functools
import io
from typing import TYPE_CHECKING, Any

import msgpack

from redun.class_names import full_name, importable_name, module_name, resolve
from redun.codecs import INLINE_BUFFER_MAX, Buffer
from redun.errors import EncodeError, UnknownTypeError
from redun.extensions import UserExt
from redun.store.plain_types import Form
from redun.value import MADE_IN_PYTHON

if TYPE_CHECKING:
    from pickle import PickleBuffer

_SET_REDUCERS: tuple[Any, ...] = (set.__reduce__, frozenset.__reduce__)
# What these give as state ends with their `__dict__`.
_DICT_LAST = (functools.partial, io.BytesIO, io.StringIO)


def reduced(value: Any) -> tuple[Form, bool]:
    """Return the `__reduce_ex__` form of an object, pickle where that fails, and whether its id is unstable.

    Raises:
        EncodeError: it cannot be pickled either.
    """
    kind = type(value)
    try:
        reducer = copyreg.dispatch_table.get(kind)
        parts = reducer(value) if reducer is not None else value.__reduce_ex__(4)
    except Exception as error:
        raise EncodeError(f"a value of type {full_name(kind)!r} has no encoding: {error}") from error
    if isinstance(parts, str):
        module = getattr(value, "__module__", None) or kind.__module__
        if (module, parts) == ("typing", "Any"):
            # A class from Python 3.11 on.
            return (UserExt.CLASS, [module, parts]), False
        return (UserExt.FUNCTION, [module_name(module), parts, ""]), False
    make, args, *rest = parts
    name = importable_name(make)
    if name is None or (len(rest) > 3 and rest[3] is not None):
        return pickled(value), True
    state, items, pairs = [*rest, None, None, None][:3]
    args, state = _tidied(value, args, state)
    listed = [None if items is None else list(items), None if pairs is None else list(pairs)]
    return (UserExt.OBJECT, [name, list(args), state, *listed]), False


def _tidied(value: Any, args: Any, state: Any) -> tuple[Any, Any]:
    """Return arguments and state of an object without what does not belong to its value."""
    kind = type(value)
    if isinstance(value, set | frozenset) and kind.__reduce__ in _SET_REDUCERS:
        # A list in whatever order the hash seed gives.
        args = (set(value),)
    if state == {} and getattr(kind, "__setstate__", None) in (None, BaseException.__setstate__):
        state = None
    elif isinstance(value, _DICT_LAST) and isinstance(state, tuple) and state[-1] == {}:
        state = (*state[:-1], None)
    return args, state


def revived(state: Any) -> Any:
    """Return the object of `[callable, args, state, list items, dict items]`."""
    make, args, content, items, pairs = state
    maker = resolve(*make)
    of_error = isinstance(maker, type) and issubclass(maker, BaseException)
    value: Any = revived_error(maker, args) if of_error else maker(*args)
    if content is not None:
        if hasattr(value, "__setstate__"):
            value.__setstate__(content)
        else:
            plain, slots = content if isinstance(content, tuple) and len(content) == 2 else (content, None)
            for name, item in (plain or {}).items():
                value.__dict__[name] = item
            for name, item in (slots or {}).items():
                setattr(value, name, item)
    if items is not None:
        value.extend(items) if hasattr(value, "extend") else [value.append(item) for item in items]
    for key, item in pairs or ():
        value[key] = item
    return value


def revived_error(kind: Any, args: Any) -> BaseException:
    """Return an exception without running an `__init__` of the user's, which may want other arguments than the ones it passed on."""
    value: BaseException = kind.__new__(kind, *args)
    builtin: Any = next(base for base in kind.__mro__ if not base.__flags__ & MADE_IN_PYTHON)
    try:
        # It sets what is no attribute of the instance: `filename` of an OSError, `code` of a SystemExit.
        builtin.__init__(value, *args)
    except Exception:
        value.args = tuple(args)
    return value


def pickled(value: Any) -> Form:
    """Return the extension that holds a pickle (protocol 5).

    Raises:
        EncodeError: it cannot be pickled either.
    """
    import pickle

    buffers: list[Buffer] = []

    def keep_inside(found: PickleBuffer) -> bool:
        try:
            content = found.raw()
        except BufferError:
            return True
        if content.nbytes <= INLINE_BUFFER_MAX:
            return True
        buffers.append(Buffer(content))
        return False

    try:
        data = pickle.dumps(value, protocol=5, buffer_callback=keep_inside)
    except Exception as error:
        raise EncodeError(f"a value of type {full_name(type(value))!r} has no encoding: {error}") from error
    return (UserExt.PICKLEPARTS, [data, buffers]) if buffers else msgpack.ExtType(UserExt.PICKLE, data)


def revived_pickle(data: bytes, buffers: Any = ()) -> Any:
    """Return the object of a pickle."""
    import pickle

    try:
        return pickle.loads(data, buffers=buffers)
    except Exception as error:
        raise UnknownTypeError(f"a pickled value cannot be loaded any more: {error}") from error
