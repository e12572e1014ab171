"""How values of users' types become canonical bytes: the extensions of `redun.store.codec` that name a class or function.

    VALUE       [type name, state, serialized?]    a `redun.value.Value`: its `__getstate__`, or its own `serialize()` bytes
    NAMEDTUPLE  [class, items]                     DATACLASS  [class, {field: value}]        ENUM  [class, member name, value]
    FUNCTION    [module, qualified name, hash of its source]     CLASS  [module, qualified name]
    OBJECT      [callable, args, state, list items, dict items]  the `__reduce_ex__` form of any other object
    CODEC       [codec, state]                     a value of numpy, pandas, polars or pyarrow (`redun.codecs`)
    BUFFER      bytes                              a short buffer of such a value; a long one is BLOCK: place of the link
    LONG        bytes                              what is longer than 4 GiB: what it is, and the place of a link to its content
    PICKLE      bytes                              the last resort; such ids may differ between processes (unstable)
    PICKLEPARTS [pickle, [buffer, ...]]            the same, with long buffers beside it

A class is resolved by name when bytes are decoded, so bytes must come from a store that is trusted. No `__init__` or
`__post_init__` runs for namedtuples, dataclasses and enums.
"""

from __future__ import annotations

import contextlib
import copyreg
import functools
import pickle
import sys
from collections.abc import Callable
from enum import Enum, IntEnum
from hashlib import sha256
from types import BuiltinFunctionType, FunctionType, ModuleType
from typing import Any

import msgpack

from redun.codecs import INLINE_BUFFER_MAX, Buffer, NotCanonical, codec_for
from redun.codecs import revive as _revive_foreign
from redun.errors import EncodeError, UnknownTypeError
from redun.store.codec import Encoder, Form
from redun.value import ProxyValue, Value, get_type_registry


class UserExt(IntEnum):
    """Extension types of the language layer; see also `redun.store.codec.Ext`."""

    NODE = 32
    LINK = 33
    QUOTED = 34
    VALUE = 35
    NAMEDTUPLE = 37
    DATACLASS = 38
    ENUM = 39
    FUNCTION = 40
    CLASS = 41
    OBJECT = 42
    PICKLE = 43
    CODEC = 44
    BUFFER = 45
    BLOCK = 46
    PICKLEPARTS = 47
    LONG = 48


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
        raise UnknownTypeError(f"{module}.{qualname} cannot be found any more: {error}") from error
    return found


def _class_name(cls: type) -> list[str]:
    return [_module_name(cls.__module__), cls.__qualname__]


def _module_name(name: str) -> str:
    # What multiprocessing calls the main script in the processes that it starts.
    return "__main__" if name == "__mp_main__" else name


def value_form(value: Any) -> tuple[Form, bool]:
    """Return the extension that stands for a value of a user's type, and whether its id is unstable.

    Raises:
        EncodeError: no form works; names the type.
    """
    kind = type(value)
    if isinstance(value, Value):
        return _registered(value), False
    proxy = get_type_registry().proxy_for(kind)
    if proxy is not None and _writes_itself(proxy):
        return (UserExt.VALUE, [proxy.type_name, proxy(value).serialize(), True]), False
    codec = codec_for(kind)
    if codec is not None:
        with contextlib.suppress(NotCanonical):
            return (UserExt.CODEC, [codec.name, codec.write(value)]), False
    if isinstance(value, Enum):
        return (UserExt.ENUM, [_class_name(kind), value.name, value.value]), False
    if isinstance(value, tuple) and hasattr(kind, "_fields"):
        return (UserExt.NAMEDTUPLE, [_class_name(kind), list(value)]), False
    if hasattr(kind, "__dataclass_fields__"):
        return (UserExt.DATACLASS, [_class_name(kind), _dataclass_state(value)]), False
    if isinstance(value, FunctionType | BuiltinFunctionType):
        return _function(value), False
    if isinstance(value, type):
        return (UserExt.CLASS, _class_name(value)), False
    if isinstance(value, BaseException):
        return _exception(value)
    if kind is Buffer:
        return msgpack.ExtType(UserExt.BUFFER, bytes(value.data)), False
    return _reduced(value)


def _exception(value: BaseException) -> tuple[Form, bool]:
    """The form of an exception; of one that cannot be recorded, that of a plain one with its text."""
    try:
        form, unstable = _reduced(value)
        Encoder(lambda part: value_form(part)[0]).encode(form[1] if isinstance(form, tuple) else form.data)
        return form, unstable
    except EncodeError:
        try:
            text = f"{full_name(type(value))}: {value}"
        except Exception:
            text = full_name(type(value))
        return (UserExt.OBJECT, [["builtins", "Exception"], [text], None, None, None]), False


def _writes_itself(proxy: type[ProxyValue]) -> bool:
    return proxy.serialize is not ProxyValue.serialize


def _registered(value: Value) -> Form:
    kind = type(value)
    if kind.serialize is not Value.serialize:
        return UserExt.VALUE, [kind.type_name, value.serialize(), True]
    return UserExt.VALUE, [kind.type_name, value.__getstate__()]


def _dataclass_state(value: Any) -> dict[str, Any]:
    state = {name: getattr(value, name) for name in type(value).__dataclass_fields__ if hasattr(value, name)}
    # What `__post_init__` or the user added besides the fields belongs to the value as well.
    for name, item in (getattr(value, "__dict__", None) or {}).items():
        state.setdefault(name, item)
    return state


def _function(value: Any) -> Form:
    module = _module_name(value.__module__ or "builtins")
    owner = getattr(value, "__self__", None)
    if owner is not None and not isinstance(owner, ModuleType):
        # A bound builtin such as [].append is an object, not a name.
        raise EncodeError(f"the bound method {value.__qualname__!r} has no encoding: pass its object and call it in the task")
    if _importable_name(value) is None:
        # Two closures of one definition share their text, but not what they close over: a digest of it would confuse them.
        raise EncodeError(
            f"the function {value.__qualname__!r} cannot be found by its name: functions that are arguments or results must be "
            "defined at the top of a module"
        )
    return UserExt.FUNCTION, [module, value.__qualname__, function_digest(value)]


def function_digest(function: Any) -> str:
    """Return a digest (16 hex digits) of a function's source, empty for builtins."""
    code = getattr(function, "__code__", None)
    # The standard library differs from one Python to the next; what its functions mean does not.
    if code is None or (function.__module__ or "").partition(".")[0] in sys.stdlib_module_names:
        return ""
    return _code_digest(function, code)


@functools.lru_cache(maxsize=4096)
def _code_digest(function: Any, code: Any) -> str:
    from redun.source import function_source

    return sha256(function_source(function).encode("utf-8", "surrogatepass")).hexdigest()[:16]


def _reduced(value: Any) -> tuple[Form, bool]:
    """The `__reduce_ex__` form, taken apart so that its parts are encoded canonically; pickle where that fails."""
    kind = type(value)
    try:
        reducer = copyreg.dispatch_table.get(kind)
        reduced = reducer(value) if reducer is not None else value.__reduce_ex__(4)
    except Exception as error:
        raise EncodeError(f"a value of type {full_name(kind)!r} has no encoding: {error}") from error
    if isinstance(reduced, str):
        return (UserExt.FUNCTION, [getattr(value, "__module__", None) or kind.__module__, reduced, ""]), False
    make, args, *rest = reduced
    name = _importable_name(make)
    if name is None or (len(rest) > 3 and rest[3] is not None):
        return pickled(value), True
    state, items, pairs = [*rest, None, None, None][:3]
    parts = [name, list(args), state, None if items is None else list(items), None if pairs is None else list(pairs)]
    return (UserExt.OBJECT, parts), False


def _importable_name(make: Any) -> list[str] | None:
    """Module and qualified name that lead back to a callable, or None."""
    module = getattr(make, "__module__", None) or getattr(getattr(make, "__self__", None), "__module__", None)
    qualname = getattr(make, "__qualname__", None)
    if not module or not qualname:
        return None
    try:
        return [module, qualname] if resolve(module, qualname) == make else None
    except UnknownTypeError:
        return None


def pickled(value: Any) -> Form:
    """Return the extension that holds a pickle (protocol 5).

    Raises:
        EncodeError: it cannot be pickled either.
    """
    buffers: list[Buffer] = []

    def keep_inside(found: pickle.PickleBuffer) -> bool:
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


def full_name(kind: type) -> str:
    return kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"


def _revive_value(state: Any) -> Any:
    type_name, content, *serialized = state
    cls: Any = get_type_registry().by_name(type_name)
    if cls is None:
        raise UnknownTypeError(f"value type {type_name!r} is not defined any more")
    if serialized:
        return cls.deserialize(get_type_registry().foreign_type(cls) or cls, content)
    value = cls.__new__(cls)
    value.__setstate__(content)
    return value


def _revive_namedtuple(state: Any) -> Any:
    name, items = state
    return resolve(*name)._make(items)


def _revive_dataclass(state: Any) -> Any:
    name, fields = state
    cls = resolve(*name)
    value = object.__new__(cls)
    for field, item in fields.items():
        object.__setattr__(value, field, item)
    return value


def _revive_enum(state: Any) -> Any:
    name, member, value = state
    cls = resolve(*name)
    # A combination of flags has no name of its own; then its value makes it.
    return cls[member] if member is not None and member in cls.__members__ else cls(value)


def _revive_function(state: Any) -> Any:
    module, qualname, digest = state
    function = resolve(module, qualname)
    if digest and function_digest(function) != digest:
        raise UnknownTypeError(f"function {module}.{qualname} has changed")
    return function


def _revive_object(state: Any) -> Any:
    make, args, content, items, pairs = state
    maker = resolve(*make)
    value: Any
    if isinstance(maker, type) and issubclass(maker, BaseException):
        # Its `__init__` may want other arguments than the ones it passed on.
        value = maker.__new__(maker, *args)
        value.args = tuple(args)
    else:
        value = maker(*args)
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


def _revive_pickle(data: bytes, buffers: Any = ()) -> Any:
    try:
        return pickle.loads(data, buffers=buffers)
    except Exception as error:
        raise UnknownTypeError(f"a pickled value cannot be loaded any more: {error}") from error


REVIVE: dict[int, Callable[[Any], Any]] = {
    UserExt.VALUE: _revive_value,
    UserExt.NAMEDTUPLE: _revive_namedtuple,
    UserExt.DATACLASS: _revive_dataclass,
    UserExt.ENUM: _revive_enum,
    UserExt.FUNCTION: _revive_function,
    UserExt.CLASS: lambda state: resolve(*state),
    UserExt.OBJECT: _revive_object,
    UserExt.CODEC: _revive_foreign,
    UserExt.PICKLEPARTS: lambda state: _revive_pickle(state[0], [buffer.data for buffer in state[1]]),
}
REVIVE_BYTES: dict[int, Callable[[bytes], Any]] = {
    UserExt.PICKLE: _revive_pickle,
    UserExt.BUFFER: lambda data: Buffer(memoryview(bytearray(data))),
}
