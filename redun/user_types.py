"""How values of users' types become canonical bytes: the extensions of `redun.store.codec` that name a class or function.

    VALUE       [type name, state, serialized?, parts?]   a `redun.value.Value`: its `__getstate__`, or its own `serialize()` bytes
    NAMEDTUPLE  [class, items]                     DATACLASS  [class, {field: value}]        ENUM  [class, member name, value]
    FUNCTION    [module, qualified name, hash of its source]     CLASS  [module, qualified name]
    OBJECT      [callable, args, state, list items, dict items]  the `__reduce_ex__` form of any other object
    CODEC       [codec, state]                     a value of numpy, pandas, polars or pyarrow (`redun.codecs`)
    BUFFER      bytes                              a short buffer of such a value; a long one is BLOCK: place of the link
    CONTENT     bytes                              the content of a file, an object of its own (`redun.content`)
    LONG        bytes                              what is longer than 4 GiB: what it is, and the place of a link to its content
    PICKLE      bytes                              the last resort; such ids may differ between processes (unstable)
    PICKLEPARTS [pickle, [buffer, ...]]            the same, with long buffers beside it

A class is resolved by name when bytes are decoded, so bytes must come from a store that is trusted. No `__init__` or
`__post_init__` runs for namedtuples, dataclasses and enums.
"""

from __future__ import annotations

import contextlib
import functools
import operator
import sys
from collections.abc import Callable
from enum import Enum
from hashlib import sha256
from types import BuiltinFunctionType, FunctionType, ModuleType
from typing import Any

import msgpack

from redun.any_object import reduced, revived, revived_pickle
from redun.class_names import class_name, full_name, importable_name, module_name, resolve
from redun.codecs import Buffer, NotCanonical, codec_for
from redun.codecs import revive as _revive_foreign
from redun.errors import EncodeError, UnknownTypeError
from redun.extensions import UserExt
from redun.nested import dataclass_fields
from redun.store.codec import Encoder
from redun.store.plain_types import Form
from redun.value import MADE_IN_PYTHON, ProxyValue, Value, get_type_registry


def value_form(value: Any) -> tuple[Form, bool]:
    """Return the extension that stands for a value of a user's type, and whether its id is unstable.

    Raises:
        EncodeError: no form works; names the type.
    """
    kind: Any = type(value)
    if isinstance(value, Value):
        return _registered(value), False
    proxy = get_type_registry().proxy_for(kind)
    if proxy is not None and _writes_itself(proxy):
        return (UserExt.VALUE, [proxy.stored_name, proxy(value).serialize(), True]), False
    codec = codec_for(kind)
    if codec is not None:
        with contextlib.suppress(NotCanonical):
            return (UserExt.CODEC, [codec.name, codec.write(value)]), False
    if isinstance(value, Enum):
        # Combinations of flags have a name in some Pythons only.
        name = value.name if value.name in kind.__members__ else None
        return (UserExt.ENUM, [class_name(kind), name, value.value]), False
    if isinstance(value, tuple) and hasattr(kind, "_fields") and not getattr(value, "__dict__", None):
        return (UserExt.NAMEDTUPLE, [class_name(kind), list(value)]), False
    if hasattr(kind, "__dataclass_fields__") and not _is_taken_apart(kind):
        return (UserExt.DATACLASS, [class_name(kind), _dataclass_state(value)]), False
    if isinstance(value, FunctionType | BuiltinFunctionType):
        return _function(value), False
    if issubclass(kind, type):
        return _class(value), False
    if isinstance(value, BaseException):
        return _exception(value)
    if kind is Buffer:
        return msgpack.ExtType(UserExt.BUFFER, bytes(value.data)), False
    return reduced(value)


def _class(value: Any) -> Form:
    generic = getattr(value, "__pydantic_generic_metadata__", None)
    if generic and generic.get("origin") is not None:
        # pydantic makes a class of `Model[int]`, which no name leads to.
        args = generic["args"]
        made = [generic["origin"], args[0] if len(args) == 1 else tuple(args)]
        return UserExt.OBJECT, [[operator.getitem.__module__, "getitem"], made, None, None, None]
    return UserExt.CLASS, class_name(value)


@functools.lru_cache(maxsize=4096)
def _is_taken_apart(kind: Any) -> bool:
    """True of a dataclass whose fields are not all of it, or that says itself what is kept of it."""
    for base in kind.__mro__[:-1]:
        if not base.__flags__ & MADE_IN_PYTHON:
            return True
        for name in ("__getstate__", "__reduce__", "__reduce_ex__", "__getnewargs__", "__getnewargs_ex__"):
            # A frozen dataclass with slots gets one from the decorator.
            if getattr(base.__dict__.get(name), "__module__", "dataclasses") != "dataclasses":
                return True
    return False


def _exception(value: BaseException) -> tuple[Form, bool]:
    """The form of an exception; of one that cannot be recorded, that of a plain one with its text."""
    try:
        form, unstable = reduced(value)
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
        return UserExt.VALUE, [kind.stored_name, value.serialize(), True]
    return UserExt.VALUE, [kind.stored_name, value.__getstate__()]


def _dataclass_state(value: Any) -> dict[str, Any]:
    state = {name: getattr(value, name) for name in dataclass_fields(type(value)) if hasattr(value, name)}
    # What `__post_init__` or the user added besides the fields belongs to the value as well.
    for name, item in (getattr(value, "__dict__", None) or {}).items():
        state.setdefault(name, item)
    return state


def _function(value: Any) -> Form:
    module = module_name(value.__module__ or "builtins")
    owner = getattr(value, "__self__", None)
    if owner is not None and not isinstance(owner, ModuleType):
        # A bound builtin such as [].append is an object, not a name.
        raise EncodeError(f"the bound method {value.__qualname__!r} has no encoding: pass its object and call it in the task")
    if importable_name(value) is None:
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


def _revive_value(state: Any) -> Any:
    type_name, content, serialized, members = [*state, False, None][:4] if len(state) < 4 else state
    cls: Any = get_type_registry().by_name(type_name)
    if cls is None:
        raise UnknownTypeError(f"value type {type_name!r} is not defined any more")
    if serialized:
        return cls.deserialize(get_type_registry().foreign_type(cls) or cls, content)
    if issubclass(cls, ProxyValue):
        return content
    value = cls.__new__(cls)
    value.__setstate__({**content, **members} if type(members) is dict else content)
    return value


def _revive_namedtuple(state: Any) -> Any:
    name, items = state
    return _class_of(name, lambda kind: issubclass(kind, tuple) and hasattr(kind, "_fields"))._make(items)


def _class_of(name: Any, fits: Callable[[Any], bool]) -> Any:
    """Return the class of a name; anything else, called, could do anything."""
    found = resolve(*name)
    if not isinstance(found, type) or not fits(found):
        raise UnknownTypeError(f"{'.'.join(map(str, name))} is no such class any more")
    return found


def _revive_dataclass(state: Any) -> Any:
    name, fields = state
    cls = _class_of(name, lambda kind: hasattr(kind, "__dataclass_fields__"))
    value = object.__new__(cls)
    for field, item in fields.items():
        object.__setattr__(value, field, item)
    if not _given_fields(cls) <= fields.keys():
        for field in sorted(_given_fields(cls)):
            if not hasattr(value, field):
                raise UnknownTypeError(f"{'.'.join(name)} has another field than it had, {field!r}")
    return value


@functools.lru_cache(maxsize=4096)
def _given_fields(cls: Any) -> frozenset[str]:
    """Names of the fields that `__init__` of a dataclass sees to; of one with an `__init__` of its own nobody knows."""
    if not cls.__dataclass_params__.init:
        return frozenset()
    return frozenset(
        field.name for field in cls.__dataclass_fields__.values() if field.init and field.name in dataclass_fields(cls)
    )


def _revive_enum(state: Any) -> Any:
    name, member, value = state
    cls = _class_of(name, lambda kind: issubclass(kind, Enum))
    # A combination of flags has no name of its own; then its value makes it.
    return cls[member] if member is not None and member in cls.__members__ else cls(value)


def _revive_function(state: Any) -> Any:
    module, qualname, digest = state
    function = resolve(module, qualname)
    if digest and function_digest(function) != digest:
        raise UnknownTypeError(f"function {module}.{qualname} has changed")
    return function


REVIVE: dict[int, Callable[[Any], Any]] = {
    UserExt.VALUE: _revive_value,
    UserExt.NAMEDTUPLE: _revive_namedtuple,
    UserExt.DATACLASS: _revive_dataclass,
    UserExt.ENUM: _revive_enum,
    UserExt.FUNCTION: _revive_function,
    UserExt.CLASS: lambda state: resolve(*state),
    UserExt.OBJECT: revived,
    UserExt.CODEC: _revive_foreign,
    UserExt.PICKLEPARTS: lambda state: revived_pickle(state[0], [buffer.data for buffer in state[1]]),
}
REVIVE_BYTES: dict[int, Callable[[bytes], Any]] = {
    UserExt.PICKLE: revived_pickle,
    UserExt.BUFFER: lambda data: Buffer(memoryview(bytearray(data))),
}
