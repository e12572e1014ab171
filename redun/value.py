"""Values that say themselves how they are hashed, stored, checked and read from a command line.

A class takes part by deriving from `Value`; a foreign type by a `ProxyValue` that names it. Plain data needs neither: what
has no hooks of its own is encoded by `redun.encoding`, and its id is its hash.

    class Polygon(Value):              class PointProxy(ProxyValue):
        type_name = "geo.Polygon"          type = Point
                                           def is_valid(self): return self.instance.x >= 0

The state of a value (`__getstate__`) must be plain data or nested values; equal states mean equal hashes. This module
imports nothing of the engine, so everybody may import it.
"""

from __future__ import annotations

import datetime
import os
from collections.abc import Callable, Iterator
from enum import Enum
from types import FunctionType
from typing import Any, ClassVar

from redun.errors import EncodeError, InvalidValueError, UnknownTypeError
from redun.type_registry import MetaValue, TypeError, TypeRegistry, get_raw_type_name, get_type_registry, import_name

__all__ = [
    "MIME_TYPE_PICKLE",
    "Bool",
    "DatetimeType",
    "EnumType",
    "FileCache",
    "Function",
    "InvalidValueError",
    "MetaValue",
    "NoneType",
    "ProxyValue",
    "Set",
    "TypeError",
    "TypeRegistry",
    "Value",
    "function_type",
    "get_raw_type_name",
    "get_type_registry",
    "is_unknown_function",
    "make_unknown_function",
]

MSGPACK_FORMAT = "application/msgpack"
BYTES_FORMAT = "application/octet-stream"
MIME_TYPE_PICKLE = "application/python-pickle"

NoneType = type(None)
function_type = FunctionType

# Set by the interpreter on every class made by a `class` statement; builtins and types of C extensions lack it.
MADE_IN_PYTHON = 1 << 9

MEMBERS = "redun:members"
"""Key in the state of a value that stands for many files (or in its parts, where they do not count): [type name of each, beginning of
their paths, listing]. The listing is one text: the rest of each path and the file's stamp, joined by zero bytes."""


class Value(metaclass=MetaValue):
    """Base of classes that say themselves how their instances travel through workflows.

    Attributes:
        type_name: under which instances are recorded; set it in the class so that the class may be moved or renamed.
    """

    type_name: ClassVar[str] = "redun.value.Value"

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        pass

    def is_valid(self) -> bool:
        """Tell whether the value, found in the cache, may be used. A file says no if it has changed since.

        By default a value is as valid as the parts that an `iter_subvalues` of its own tells of.
        """
        registry = get_type_registry()
        if not registry.overrides(type(self), "iter_subvalues"):
            return True
        return all(registry.is_valid(part) for part in self.iter_subvalues() if part is not self)

    def get_hash(self, data: bytes | None = None) -> str:
        """Return the hash, 40 hex digits. An override decides which values count as the same argument.

        Args:
            data: the serialized value, if the caller has it already; may be ignored.
        """
        from redun.encoding import counted_id

        return counted_id(self).hex()

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
        """Yield values that are recorded as parts of this one, so that they can be found by themselves.

        Which they are does not count in the hash.
        """
        return iter(())

    def _members(self) -> Any:
        # What is written beside the value: its parts, or a dict with MEMBERS.
        return [part for part in self.iter_subvalues() if part is not self]

    def __getstate__(self) -> Any:
        # Sorted, as the order in which attributes were set must not count.
        kind = type(self)
        if any(not base.__flags__ & MADE_IN_PYTHON and base is not object for base in kind.__mro__):
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

    A class derived from it names the foreign type in `type` and overrides what it wants to be different; subtypes of the
    foreign type without a proxy of their own are served too. Where `serialize` is overridden it replaces the encoding in
    the store.

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
        from redun.encoding import counted_id

        return counted_id(self.instance).hex()

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

    def iter_subvalues(self) -> Iterator[Value]:
        """Yield the values inside the foreign one, if it is a container, and theirs."""
        from redun.nested import iter_leaves

        if isinstance(self.instance, Value):
            return
        for leaf in iter_leaves(self.instance):
            if isinstance(leaf, Value):
                yield leaf
                yield from leaf.iter_subvalues()


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


class Set(ProxyValue):
    """Sets: the encoding sorts them, so there is nothing left to do; here for the name."""

    type = set


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
            return cls._parse_freely(arg)

    @staticmethod
    def _parse_freely(arg: str) -> datetime.datetime:
        # Slow to import, and there with boto3.
        from dateutil import parser

        try:
            found: datetime.datetime = parser.parse(arg)
        except (ValueError, OverflowError):
            raise ValueError(f"expected a time in ISO form such as 2026-11-21T12:30:00, found {arg!r}") from None
        return found


class Function(ProxyValue):
    """Plain functions: hashed by name and source, on a command line named by module and name, such as `os.path.join`.

    Raises:
        InvalidValueError: the function is defined inside another one, so no name leads to it.
    """

    type = FunctionType
    type_name = "builtins.function"

    def __init__(self, instance: Callable[..., Any]) -> None:
        super().__init__(instance)
        self.module: str = instance.__module__
        self.name: str = instance.__name__
        if "<locals>" in instance.__qualname__ and not is_unknown_function(instance):
            raise InvalidValueError(
                f"the function {instance.__qualname__!r} cannot be found by its name: functions that are arguments or results "
                "must be defined at the top of a module"
            )

    @property
    def fullname(self) -> str:
        """Module and name."""
        return f"{self.module}.{self.name}"

    def is_valid(self) -> bool:
        """Tell whether the function could be found again."""
        return not is_unknown_function(self.instance)

    @classmethod
    def deserialize(cls, raw_type: Any, data: bytes) -> Any:
        """Return the function that `serialize` wrote, or a stand-in (`is_unknown_function`) if it is gone or has changed."""
        from redun.encoding import restore_with
        from redun.extensions import UserExt
        from redun.user_types import REVIVE

        def revive(state: Any) -> Any:
            try:
                return REVIVE[UserExt.FUNCTION](state)
            except UnknownTypeError:
                return make_unknown_function(f"{state[0]}.{state[1]}")

        return restore_with(data, {**REVIVE, UserExt.FUNCTION: revive})

    @classmethod
    def parse_arg(cls, raw_type: Any, arg: str) -> Any:
        """Return the function of a dotted name."""
        if "." not in arg:
            raise ValueError(f"Unexpected format for function name: {arg}: expected module and name, such as os.path.join")
        found = import_name(arg)
        if not callable(found):
            raise ValueError(f"Function not found: {arg}")
        return found

    def __repr__(self) -> str:
        return f"<function {self.fullname}>"


class FileCache(ProxyValue):
    """Keeps values of a foreign type in files of a folder, and in the store just the path of the file.

    Derive from it, set `type` and `base_path`, and override `_serialize` and `_deserialize` where a pickle will not do. A
    value whose file has been removed is a cache miss.

    Attributes:
        base_path: the folder, local or a URL such as `s3://bucket/values`; made when first written to.
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
        from redun.hashing import hash_bytes

        data = self._serialize()
        path = os.path.join(self.base_path, hash_bytes(data))
        if "://" in path:
            from redun.file import File

            File(path).write(data, mode="wb")
        elif not os.path.exists(path):
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
        path = os.fsdecode(filename)
        try:
            if "://" in path:
                from redun.file import File

                data: Any = File(path).read("rb")
            else:
                with open(path, "rb") as stream:
                    data = stream.read()
        except OSError as error:
            raise InvalidValueError(f"cached value cannot be read from {path!r}: {error.strerror or error}") from error
        return cls._deserialize(data)


def is_unknown_function(func: Callable[..., Any]) -> bool:
    """Tell whether a function stands for one that was recorded and cannot be found any more (`make_unknown_function`)."""
    return bool(getattr(func, "unknown_function", False))


def make_unknown_function(func_name: str) -> Callable[..., Any]:
    """Return a stand-in for a function that was recorded and cannot be found any more; calling it raises ValueError."""

    def unknown_function(*args: Any, **kwargs: Any) -> Any:
        raise ValueError(f"Function {func_name!r} cannot be found.")

    unknown_function.unknown_function = True  # type: ignore[attr-defined]
    return unknown_function
