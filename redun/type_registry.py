"""The registry of types of values: finds the hooks of any value by its type, and types by their names.

It knows the metaclass `MetaValue` but not `Value` itself, which lies above (`redun.value`, where all of this is public).
"""

from __future__ import annotations

import builtins
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, cast

from redun.errors import RedunError

if TYPE_CHECKING:
    from redun.value import ProxyValue, Value

BASE = "redun.value.Value"
DEFAULT_PROXY = "redun.value.ProxyValue"


class TypeError(RedunError, builtins.TypeError):
    """A type's name leads to no type."""


class MetaValue(type):
    """Metaclass of values: gives each class its `type_name` and registers it.

    The name is, in this order: `type_name` in the class's own body; of a proxy, the name of the foreign type; module and
    qualified name. What is written (`stored_name`) is the same, but for classes inside functions: their short name may be that of
    another class of the module.
    """

    type_name: str
    stored_name: str
    type: Any

    def __init__(cls, name: str, bases: tuple[builtins.type, ...], namespace: dict[str, Any], **kwargs: Any) -> None:
        super().__init__(name, bases, namespace, **kwargs)
        place: str | None = None
        if not cls.__dict__.get("type_name"):
            foreign = _registry.foreign_type(cls) if "type" in namespace else None
            named = cls if foreign is None else foreign
            cls.type_name = get_raw_type_name(named)
            if "<locals>" in getattr(named, "__qualname__", ""):
                place = f"{named.__module__}.{named.__qualname__}"
        cls.stored_name = place or cls.type_name
        if getattr(cls, "register", True):
            _registry.register(cls)


class TypeRegistry:
    """Finds the hooks of any value, by type or by name of the type. All lookups by type are remembered per class."""

    def __init__(self) -> None:
        self._by_name: dict[str, type[Any]] = {}
        self._default: Any = None
        self._proxies: dict[Any, type[ProxyValue]] = {}
        self._found: dict[Any, type[ProxyValue] | None] = {}
        self._hooks: dict[tuple[Any, str], bool] = {}

    def register(self, value_type: Any) -> None:
        """Add a class of values by `type_name`, and a proxy by its foreign type; a later one replaces an earlier one."""
        self._by_name[value_type.type_name] = self._by_name[value_type.stored_name] = value_type
        if value_type.type_name == DEFAULT_PROXY:
            self._default = value_type
        foreign = self.foreign_type(value_type)
        if foreign is not None and "type" in value_type.__dict__:
            self._proxies[foreign] = value_type
        self._found.clear()
        self._hooks.clear()

    # Types.

    def foreign_type(self, value_type: Any) -> Any:
        """Return the foreign type of a proxy, or None: other classes of values may mean anything by an attribute `type`."""
        default = self._default
        known = default is not None and isinstance(value_type, MetaValue) and issubclass(value_type, default)
        return value_type.type if known else None

    def by_name(self, type_name: str) -> type[Any] | None:
        """Return the class of values (or the proxy) registered under a name, or None."""
        found = self._by_name.get(type_name)
        if found is None and type_name.startswith("redun."):
            # Not every workflow that replays a file has to import it by itself.
            import redun.file
            import redun.handle
            import redun.library

            # Some names of redun.file are made when they are asked for.
            getattr(redun.file, type_name.removeprefix("redun."), None)
            found = self._by_name.get(type_name)
        return found

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
        return proxy or (self._default if use_default else None)

    def get_type_name(self, raw_type: Any) -> str:
        """Return the name under which values of a type are recorded, such as `builtins.int` or `redun.File`."""
        found = self.get_type(raw_type, use_default=False)
        return get_raw_type_name(raw_type) if found is None else str(found.type_name)

    def parse_type_name(self, type_name: str) -> Any:
        """Return the type of a name: of values and proxies their class, else what can be imported by it.

        Raises:
            TypeError: there is none.
        """
        found = self.by_name(type_name)
        if found is not None:
            return found
        if type_name == "builtins.NoneType":
            return type(None)
        named = import_name(type_name)
        if not isinstance(named, type):
            raise TypeError(f"type {type_name!r} cannot be found: import the module that defines it, or its definition is gone")
        return named

    def get_value(self, raw_value: Any) -> Value:
        """Return an object with the hooks of a value: the value itself, or its proxy."""
        if isinstance(type(raw_value), MetaValue):
            return cast("Value", raw_value)
        return cast("Value", (self.proxy_for(type(raw_value)) or self._default)(raw_value))

    # Hooks of values.

    def is_valid(self, value: Any) -> bool:
        """Tell whether a value may still be used; what lies inside a container is not looked at."""
        if isinstance(type(value), MetaValue):
            return bool(value.is_valid())
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
            if isinstance(type(leaf), MetaValue):
                if leaf is not raw_value:
                    yield leaf
                yield from leaf.iter_subvalues()
            else:
                proxy = self.proxy_for(type(leaf))
                if proxy is not None:
                    yield from proxy(leaf).iter_subvalues()

    def get_hash(self, value: Any, data: bytes | None = None) -> str:
        """Return a value's hash, 40 hex digits (what an own `get_hash` makes of it may be anything)."""
        found = self.get_value(value)
        return found.get_hash() if data is None else found.get_hash(data)

    def serialize(self, value: Any) -> bytes:
        """Return a value as bytes, to be read by `deserialize` with the name of its type."""
        return self.get_value(value).serialize()

    def deserialize(self, type_name: str, data: bytes) -> Any:
        """Return the value that `serialize` wrote.

        Raises:
            TypeError: the type is gone.
            DecodeError: the bytes mean nothing.
        """
        found = self.parse_type_name(type_name)
        return self.get_type(found).deserialize(self.foreign_type(found) or found, data)

    def get_serialization_format(self, value: Any) -> str:
        """Return the MIME type of what `serialize` returns for a value."""
        return self.get_value(value).get_serialization_format()

    def has_preprocess(self, raw_type: Any) -> bool:
        """Tell whether values of a type want to change before they become arguments. Cost: one dict lookup."""
        return self.overrides(raw_type, "preprocess")

    def has_postprocess(self, raw_type: Any) -> bool:
        """Tell whether values of a type want to change when they are returned by a task. Cost: one dict lookup."""
        return self.overrides(raw_type, "postprocess")

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

    def overrides(self, raw_type: Any, hook: str) -> bool:
        """Tell whether a class of values, or the proxy of a type, has a hook of its own. Cost: one dict lookup."""
        try:
            return self._hooks[raw_type, hook]
        except KeyError:
            pass
        found = self.get_type(raw_type)
        base = self._default if issubclass(found, self._default) else self._by_name[BASE]
        default = getattr(base, hook)
        known = self._hooks[raw_type, hook] = getattr(found, hook) is not default
        return known


_registry = TypeRegistry()


def get_type_registry() -> TypeRegistry:
    """Return the registry of this process."""
    return _registry


def get_raw_type_name(raw_type: Any) -> str:
    """Return the full name of a class: module and qualified name; of values, their `type_name`."""
    if isinstance(raw_type, MetaValue) and "type_name" in raw_type.__dict__:
        return raw_type.type_name
    # Where a class is local, no name leads to it anyway: what is shown is short.
    qualname = (getattr(raw_type, "__qualname__", None) or str(raw_type)).rpartition("<locals>.")[2]
    module = getattr(raw_type, "__module__", None)
    return f"{module}.{qualname}" if module else qualname


def import_name(name: str) -> Any:
    """Return what a dotted name leads to, importing modules on the way; None if there is nothing."""
    import importlib

    parts = name.split(".")
    for cut in range(len(parts) - 1, 0, -1):
        try:
            found: Any = importlib.import_module(".".join(parts[:cut]))
        except Exception:
            # Not there, or a module that fails by itself: nothing that could be used.
            continue
        try:
            for part in parts[cut:]:
                found = getattr(found, part)
        except AttributeError:
            return None
        return found
    return None
