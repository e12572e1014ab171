"""Values that say themselves how they are hashed, stored, checked and read from a command line, and the registry of their types.

A class takes part by deriving from `Value`; a foreign type by a `ProxyValue` that names it. Plain data needs neither: what has no
hooks of its own is encoded by `redun.encoding`, and its id is its hash.

    class Polygon(Value):              class PointProxy(ProxyValue):
        type_name = "geo.Polygon"          type = Point
                                           def is_valid(self): return self.instance.x >= 0

The state of a value (`__getstate__`) must be plain data or nested values; equal states mean equal hashes. This module imports nothing of
the engine, so everybody may import it.
"""

from __future__ import annotations

import builtins
import datetime
import os
from collections.abc import Callable, Iterator
from enum import Enum
from types import FunctionType
from typing import Any, ClassVar

from redun.errors import DecodeError, EncodeError, RedunError

MSGPACK_FORMAT = "application/msgpack"
BYTES_FORMAT = "application/octet-stream"

# Set by the interpreter on every class made by a `class` statement; builtins and types of C extensions lack it.
_MADE_IN_PYTHON = 1 << 9


class InvalidValueError(DecodeError):
    """A stored value cannot be had any more, as what it refers to is gone. Raised by `deserialize`: a cache miss."""


class TypeError(RedunError, builtins.TypeError):
    """A type's name leads to no type."""


class MetaValue(type):
    """Metaclass of values: gives each class its `type_name` and registers it.

    The name is, in this order: `type_name` in the class's own body, the name of the foreign type of a proxy, the module's
    `redun_namespace` or name, with the class's qualified name.
    """

    type_name: str
    type: Any

    def __init__(cls, name: str, bases: tuple[builtins.type, ...], namespace: dict[str, Any], **kwargs: Any) -> None:
        super().__init__(name, bases, namespace, **kwargs)
        if not namespace.get("type_name"):
            foreign = namespace.get("type")
            cls.type_name = get_raw_type_name(cls if foreign is None else foreign)
        _registry.register(cls)


class TypeRegistry:
    """Finds the hooks of any value, by type or by name of the type. All lookups by type are remembered per class."""

    def __init__(self) -> None:
        self._by_name: dict[str, type[Any]] = {}
        self._proxies: dict[Any, type[ProxyValue]] = {}
        self._found: dict[Any, type[ProxyValue] | None] = {}
        self._hooks: dict[tuple[Any, str], bool] = {}

    def register(self, value_type: Any) -> None:
        """Add a class of values under its `type_name`, and a proxy under its foreign type too; a later one replaces an earlier one."""
        self._by_name[value_type.type_name] = value_type
        foreign = value_type.__dict__.get("type")
        if foreign is not None:
            self._proxies[foreign] = value_type
        self._found.clear()
        self._hooks.clear()

    # Types.

    def by_name(self, type_name: str) -> type[Any] | None:
        """Return the class of values (or the proxy) registered under a name, or None."""
        return self._by_name.get(type_name)

    def proxy_for(self, cls: Any) -> type[ProxyValue] | None:
        """Return the proxy of a foreign type or of its nearest base that has one, or None. Cost: one dict lookup."""
        try:
            return self._found[cls]
        except KeyError:
            pass
        found = next((self._proxies[base] for base in cls.__mro__ if base in self._proxies), None)
        self._found[cls] = found
        return found

    def get_type(self, raw_type: Any, use_default: bool = True) -> Any:
        """Return the class with the hooks of a type: itself for values, else its proxy, else `ProxyValue` (or None)."""
        if isinstance(raw_type, MetaValue):
            return raw_type
        proxy = self.proxy_for(raw_type) if isinstance(raw_type, type) else None
        return proxy or (ProxyValue if use_default else None)

    def get_type_name(self, raw_type: Any) -> str:
        """Return the name under which values of a type are recorded, such as `builtins.int` or `redun.File`."""
        found = self.get_type(raw_type, use_default=False)
        return get_raw_type_name(raw_type) if found is None else str(found.type_name)

    def parse_type_name(self, type_name: str) -> Any:
        """Return the type of a name: of values the class, of a proxy the foreign type, else whatever can be imported by that name.

        Raises:
            TypeError: there is none.
        """
        found = self._by_name.get(type_name)
        if found is not None:
            return getattr(found, "type", None) or found
        named = _import_name(type_name)
        if not isinstance(named, type):
            raise TypeError(f"type {type_name!r} cannot be found: import the module that defines it, or its definition is gone")
        return named

    def get_value(self, raw_value: Any) -> Value:
        """Return an object with the hooks of a value: the value itself, or its proxy."""
        if isinstance(raw_value, Value):
            return raw_value
        return (self.proxy_for(type(raw_value)) or ProxyValue)(raw_value)

    # Hooks of values.

    def is_valid(self, value: Any) -> bool:
        """Tell whether a value may still be used; what lies inside a container is not looked at."""
        if isinstance(value, Value):
            return value.is_valid()
        proxy = self.proxy_for(type(value))
        return True if proxy is None else proxy(value).is_valid()

    def is_valid_nested(self, nested_value: Any) -> bool:
        """Tell whether every value in nested containers is valid."""
        from redun.nested import iter_leaves

        return all(map(self.is_valid, iter_leaves(nested_value)))

    def iter_subvalues(self, raw_value: Any) -> Iterator[Any]:
        """Yield the values that are recorded as parts of one, such as the files of a folder or of a list."""
        from redun.nested import iter_leaves

        for leaf in iter_leaves(raw_value):
            if isinstance(leaf, Value):
                if leaf is not raw_value:
                    yield leaf
                yield from leaf.iter_subvalues()
            else:
                proxy = self.proxy_for(type(leaf))
                if proxy is not None:
                    yield from proxy(leaf).iter_subvalues()

    def get_hash(self, value: Any, data: bytes | None = None) -> str:
        """Return a value's hash, 40 hex digits."""
        return self.get_value(value).get_hash(data)

    def serialize(self, value: Any) -> bytes:
        """Return a value as bytes, to be read by `deserialize` with the name of its type."""
        return self.get_value(value).serialize()

    def deserialize(self, type_name: str, data: bytes) -> Any:
        """Return the value that `serialize` wrote.

        Raises:
            TypeError: the type is gone.
            DecodeError: the bytes mean nothing.
        """
        found = self._by_name.get(type_name)
        raw_type = self.parse_type_name(type_name)
        return (found or self.get_type(raw_type)).deserialize(raw_type, data)

    def get_serialization_format(self, value: Any) -> str:
        """Return the MIME type of what `serialize` returns for a value."""
        return self.get_value(value).get_serialization_format()

    def has_preprocess(self, raw_type: Any) -> bool:
        """Tell whether values of a type want to change before they become arguments. Cost: one dict lookup."""
        return self._overrides(raw_type, "preprocess")

    def has_postprocess(self, raw_type: Any) -> bool:
        """Tell whether values of a type want to change when they are returned by a task. Cost: one dict lookup."""
        return self._overrides(raw_type, "postprocess")

    def preprocess(self, raw_value: Any, preprocess_args: dict[str, Any]) -> Any:
        """Return what a value becomes as an argument (`Value.preprocess`)."""
        return self.get_value(raw_value).preprocess(preprocess_args)

    def postprocess(self, raw_value: Any, postprocess_args: dict[str, Any]) -> Any:
        """Return what a value becomes as a result (`Value.postprocess`)."""
        return self.get_value(raw_value).postprocess(postprocess_args)

    def parse_arg(self, raw_type: Any, arg: str) -> Any:
        """Return the value of a type that a text from a command line stands for.

        Args:
            raw_type: an annotation: a class, `list[int]`, `int | None`, ...

        Raises:
            ValueError: the text does not fit; says what was expected and found.
        """
        from redun.argument_text import parse

        return parse(raw_type, arg)

    def _overrides(self, raw_type: Any, hook: str) -> bool:
        try:
            return self._hooks[raw_type, hook]
        except KeyError:
            pass
        found = self.get_type(raw_type)
        default = getattr(ProxyValue if issubclass(found, ProxyValue) else Value, hook)
        known = self._hooks[raw_type, hook] = getattr(found, hook) is not default
        return known


_registry = TypeRegistry()


def get_type_registry() -> TypeRegistry:
    """Return the registry of this process."""
    return _registry


def get_raw_type_name(raw_type: Any) -> str:
    """Return the full name of a class: module (or its `redun_namespace`) and qualified name; of values, their `type_name`."""
    if isinstance(raw_type, MetaValue) and "type_name" in raw_type.__dict__:
        return raw_type.type_name
    qualname = getattr(raw_type, "__qualname__", None) or str(raw_type)
    module = getattr(raw_type, "__module__", None)
    return f"{module}.{qualname}" if module else qualname


def _import_name(name: str) -> Any:
    """Return what a dotted name leads to, importing modules on the way; None if there is nothing."""
    import importlib

    parts = name.split(".")
    for cut in range(len(parts) - 1, 0, -1):
        try:
            found: Any = importlib.import_module(".".join(parts[:cut]))
        except ImportError:
            continue
        try:
            for part in parts[cut:]:
                found = getattr(found, part)
        except AttributeError:
            return None
        return found
    return None


class Value(metaclass=MetaValue):
    """Base of classes that say themselves how their instances travel through workflows.

    Attributes:
        type_name: under which instances are recorded; set it in the class so that the class may be moved or renamed.
    """

    type_name: ClassVar[str] = "redun.value.Value"

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        pass

    def is_valid(self) -> bool:
        """Tell whether the value, found in the cache, may be used. A file says no if it has changed since."""
        return True

    def get_hash(self, data: bytes | None = None) -> str:
        """Return the hash, 40 hex digits. An override decides which values count as the same argument.

        Args:
            data: the serialized value, if the caller has it already; may be ignored.
        """
        from redun.encoding import value_id

        return value_id(self).hex()

    def serialize(self) -> bytes:
        """Return the value as bytes. An override replaces `__getstate__` in the store; give `deserialize` as well."""
        from redun.encoding import value_bytes

        return value_bytes(self.__getstate__())

    @classmethod
    def deserialize(cls, raw_type: Any, data: bytes) -> Any:
        """Return the value that `serialize` wrote.

        Args:
            raw_type: the class to make.
        """
        from redun.encoding import restore

        value = raw_type.__new__(raw_type)
        value.__setstate__(restore(data))
        return value

    def get_serialization_format(self) -> str:
        """Return the MIME type of what `serialize` returns."""
        return MSGPACK_FORMAT if type(self).serialize is Value.serialize else BYTES_FORMAT

    def preprocess(self, preprocess_args: dict[str, Any]) -> Any:
        """Return what the value becomes as an argument of a task, before it is hashed.

        Args:
            preprocess_args: facts of the call: `job`.
        """
        return self

    def postprocess(self, postprocess_args: dict[str, Any]) -> Any:
        """Return what the value becomes as a result of a task, before it is hashed.

        Args:
            postprocess_args: facts of the call: `job`, `pre_call_hash` (hex), `call_order`.
        """
        return self

    @classmethod
    def parse_arg(cls, raw_type: Any, arg: str) -> Any:
        """Return the value that a text from a command line stands for: by default, the class called with the text.

        Raises:
            ValueError: the text does not fit.
        """
        return raw_type(arg)

    def iter_subvalues(self) -> Iterator[Value]:
        """Yield values that are recorded as parts of this one, so that they can be found by themselves."""
        return iter(())

    def __getstate__(self) -> Any:
        # Sorted, as the order in which attributes were set must not count.
        kind = type(self)
        if any(not base.__flags__ & _MADE_IN_PYTHON and base is not object for base in kind.__mro__):
            raise EncodeError(
                f"{get_raw_type_name(kind)!r} derives from a builtin type, whose content no attribute holds: "
                "define __getstate__ and __setstate__"
            )
        state = dict(self.__dict__)
        for base in kind.__mro__:
            slots = base.__dict__.get("__slots__", ())
            for name in (slots,) if isinstance(slots, str) else slots:
                if name not in ("__dict__", "__weakref__") and hasattr(self, name):
                    state[name] = getattr(self, name)
        return dict(sorted(state.items()))

    def __setstate__(self, state: Any) -> None:
        for name, item in state.items():
            object.__setattr__(self, name, item)


class ProxyValue(Value):
    """Gives a foreign type the hooks of a value.

    A class derived from it names the foreign type in `type` and overrides what it wants to be different; subtypes of the foreign type
    without a proxy of their own are served too. Where `serialize` is overridden it replaces the encoding in the store.

    Attributes:
        type: the foreign type.
        instance: the value that the proxy speaks for.
    """

    type: ClassVar[Any] = None
    proxy = True

    def __init__(self, instance: Any) -> None:
        self.instance = instance

    def get_hash(self, data: bytes | None = None) -> str:
        """Return the hash of the foreign value, 40 hex digits."""
        from redun.encoding import value_id

        return value_id(self.instance).hex()

    def serialize(self) -> bytes:
        """Return the foreign value as bytes; called by an override, its pickle."""
        if _has_own_bytes(type(self)):
            import pickle

            # The encoding would ask the override again.
            return pickle.dumps(self.instance, protocol=5)
        from redun.encoding import value_bytes

        return value_bytes(self.instance)

    @classmethod
    def deserialize(cls, raw_type: Any, data: bytes) -> Any:
        """Return the foreign value that `serialize` wrote."""
        if _has_own_bytes(cls):
            import pickle

            return pickle.loads(data)
        from redun.encoding import restore

        return restore(data)

    def get_serialization_format(self) -> str:
        """Return the MIME type of what `serialize` returns."""
        return BYTES_FORMAT if _has_own_bytes(type(self)) else MSGPACK_FORMAT

    def preprocess(self, preprocess_args: dict[str, Any]) -> Any:
        """Return what the foreign value becomes as an argument."""
        return self.instance

    def postprocess(self, postprocess_args: dict[str, Any]) -> Any:
        """Return what the foreign value becomes as a result."""
        return self.instance


def _has_own_bytes(proxy: Any) -> bool:
    return proxy.serialize is not ProxyValue.serialize


class Bool(ProxyValue):
    """Truth values: on a command line `true`, `yes`, `1`, `false`, `no` or `0`."""

    type = bool

    @classmethod
    def parse_arg(cls, raw_type: Any, arg: str) -> bool:
        """Return the truth value of a text, in any case."""
        word = arg.strip().lower()
        if word in ("true", "yes", "1"):
            return True
        if word in ("false", "no", "0"):
            return False
        raise ValueError(f"expected true or false, found {arg!r}")


class EnumType(ProxyValue):
    """Members of enums: on a command line their name, alone (`RED`) or after that of the enum (`Color.RED`)."""

    type = Enum

    @classmethod
    def parse_arg(cls, raw_type: Any, arg: str) -> Any:
        """Return the member that a text names."""
        name = arg.removeprefix(f"{raw_type.__name__}.")
        if name in raw_type.__members__:
            return raw_type[name]
        raise ValueError(f"expected one of {', '.join(raw_type.__members__)}, found {arg!r}")


class DatetimeType(ProxyValue):
    """Times: on a command line in ISO form, `2026-11-21` or `2026-11-21T12:30:00+00:00`."""

    type = datetime.datetime

    @classmethod
    def parse_arg(cls, raw_type: Any, arg: str) -> Any:
        """Return the time that a text stands for."""
        # Before Python 3.11 the letter Z was not understood.
        text = arg[:-1] + "+00:00" if arg.endswith("Z") else arg
        try:
            return raw_type.fromisoformat(text)
        except ValueError:
            raise ValueError(f"expected a time in ISO form such as 2026-11-21T12:30:00, found {arg!r}") from None


class Function(ProxyValue):
    """Plain functions: hashed by name and source, on a command line named by module and name, such as `os.path.join`."""

    type = FunctionType
    type_name = "builtins.function"

    @property
    def fullname(self) -> str:
        """Module and qualified name."""
        return f"{self.instance.__module__}.{self.instance.__qualname__}"

    @classmethod
    def parse_arg(cls, raw_type: Any, arg: str) -> Any:
        """Return the function of a dotted name."""
        found = _import_name(arg)
        if not callable(found):
            raise ValueError(f"expected the name of a function such as os.path.join, found {arg!r}")
        return found

    def __repr__(self) -> str:
        return f"<function {self.fullname}>"


class FileCache(ProxyValue):
    """Keeps values of a foreign type in files of a folder, and in the store just the name of the file.

    Derive from it, set `type` and `base_path`, and override `_serialize` and `_deserialize` where a pickle will not do. A value whose
    file has been removed is a cache miss.

    Attributes:
        base_path: the folder; made when first written to.
    """

    base_path: ClassVar[str] = "."

    def _serialize(self) -> bytes:
        import pickle

        return pickle.dumps(self.instance, protocol=5)

    @classmethod
    def _deserialize(cls, data: bytes) -> Any:
        import pickle

        return pickle.loads(data)

    def serialize(self) -> bytes:
        """Write the value to a file named by its content and return the file's path."""
        from redun.store.ids import object_id

        data = self._serialize()
        path = os.path.join(self.base_path, object_id(data).hex())
        if not os.path.exists(path):
            os.makedirs(self.base_path, exist_ok=True)
            # Others may read the folder at any moment: the name appears with the whole content.
            partial = f"{path}.{os.getpid()}.partial"
            with open(partial, "wb") as stream:
                stream.write(data)
            os.replace(partial, path)
        return os.fsencode(path)

    @classmethod
    def deserialize(cls, raw_type: Any, filename: bytes) -> Any:
        """Return the value of a file.

        Raises:
            InvalidValueError: the file is gone or cannot be read.
        """
        try:
            with open(os.fsdecode(filename), "rb") as stream:
                data = stream.read()
        except OSError as error:
            raise InvalidValueError(f"cached value cannot be read from {os.fsdecode(filename)!r}: {error.strerror}") from error
        return cls._deserialize(data)


def is_unknown_function(func: Callable[..., Any]) -> bool:
    """Tell whether a function stands for one that was recorded and cannot be found any more (`make_unknown_function`)."""
    return bool(getattr(func, "_redun_unknown", False))


def make_unknown_function(func_name: str) -> Callable[..., Any]:
    """Return a stand-in for a function that was recorded and cannot be found any more; calling it raises TypeError."""

    def unknown_function(*args: Any, **kwargs: Any) -> Any:
        raise TypeError(f"function {func_name!r} cannot be found any more")

    unknown_function._redun_unknown = True  # type: ignore[attr-defined]
    return unknown_function
