"""Texts from a command line as values of an annotated type.

    int, float, complex, Decimal, UUID, Path, ...   what the type makes of the text
    bool            true, yes, 1, false, no, 0          enum            a member's name
    datetime, date, time   ISO form                     None            none, null
    list[T], set[T], tuple[T, ...]   a JSON array, or items between commas
    dict[K, V], TypedDict   a JSON object, or key=value between commas
    dataclass, NamedTuple   a JSON object or array of its fields, else the text is its first one
    A | B           the first that fits                 Literal         one of them
    Task            a task's fullname                   Callable, type  a dotted name
    Value classes   their `parse_arg`                   no annotation, Any, str   the text itself

Every failure is a ValueError that says what was expected and what was found.
"""

from __future__ import annotations

import collections.abc
import datetime
import types
import typing
from collections.abc import Callable
from typing import Any

from redun.type_registry import MetaValue, get_type_registry, import_name

_SEQUENCES = frozenset(
    (list, collections.abc.Sequence, collections.abc.MutableSequence, collections.abc.Iterable, collections.abc.Collection)
)
_SETS = frozenset((set, collections.abc.Set, collections.abc.MutableSet))
_MAPPINGS = frozenset((dict, collections.abc.Mapping, collections.abc.MutableMapping))


def parse(raw_type: Any, text: str) -> Any:
    """Return the value of a type that a text stands for.

    Args:
        raw_type: an annotation, resolved; `inspect.Parameter.empty` for none.

    Raises:
        ValueError: the text does not fit the type.
    """
    raw_type = _plain_type(raw_type)
    if raw_type is str or raw_type is Any or raw_type is object or isinstance(raw_type, str):
        return text
    if raw_type is type(None):
        return _none(text)
    origin = typing.get_origin(raw_type)
    args = typing.get_args(raw_type)
    if origin is typing.Union or origin is types.UnionType:
        return _first_that_fits(args, text)
    if origin is typing.Literal:
        return _literal(args, text)
    return _parse_class(origin or raw_type, args, text)


def type_label(raw_type: Any) -> str:
    """Return a type as a person would write it, such as `int`, `list[int]` or `int | None`."""
    raw_type = _plain_type(raw_type)
    origin = typing.get_origin(raw_type)
    if raw_type is type(None):
        return "None"
    if origin is typing.Union or origin is types.UnionType:
        return " | ".join(map(type_label, typing.get_args(raw_type)))
    if isinstance(raw_type, type) and origin is None:
        return raw_type.__name__
    return str(raw_type).replace("typing.", "")


def _plain_type(raw_type: Any) -> Any:
    """Take off what says nothing about the value: Annotated, NewType, aliases; missing annotations and variables mean text."""
    while True:
        if typing.get_origin(raw_type) is typing.Annotated or type(raw_type).__name__ == "TypeAliasType":
            raw_type = getattr(raw_type, "__origin__", None) or raw_type.__value__
        elif hasattr(raw_type, "__supertype__"):
            raw_type = raw_type.__supertype__
        elif isinstance(raw_type, typing.TypeVar):
            raw_type = raw_type.__bound__ or str
        elif raw_type is None:
            return type(None)
        elif getattr(raw_type, "__name__", "") == "_empty":
            # inspect.Parameter.empty, without importing inspect.
            return str
        else:
            return raw_type


def _none(text: str) -> None:
    if text.strip().lower() not in ("none", "null", ""):
        raise ValueError(f"expected None, found {text!r}")


def _first_that_fits(types_: tuple[Any, ...], text: str) -> Any:
    for kind in types_:
        try:
            return parse(kind, text)
        except ValueError:
            continue
    raise ValueError(f"expected {' or '.join(map(type_label, types_))}, found {text!r}")


def _literal(choices: tuple[Any, ...], text: str) -> Any:
    for choice in choices:
        if str(choice) == text:
            return choice
    raise ValueError(f"expected one of {', '.join(map(str, choices))}, found {text!r}")


def _parse_class(cls: Any, args: tuple[Any, ...], text: str) -> Any:
    if cls in _SEQUENCES:
        return _items(args[0] if args else Any, text)
    if cls in _SETS:
        return set(_items(args[0] if args else Any, text))
    if cls is frozenset:
        return frozenset(_items(args[0] if args else Any, text))
    if cls is tuple:
        return _tuple(args, text)
    if cls in _MAPPINGS:
        return _mapping(args or (str, Any), text)
    if typing.is_typeddict(cls):
        return _typed_dict(cls, text)
    if cls is bytes:
        return text.encode("utf-8", "surrogateescape")
    if cls is collections.abc.Callable:
        return _callable(text)
    if cls is type:
        return _class(text)
    if cls is datetime.date or cls is datetime.time:
        return _checked(cls, cls.fromisoformat, text, " in ISO form")
    if not isinstance(cls, type):
        raise ValueError(f"a value of type {type_label(cls)} cannot be given as text, found {text!r}")
    if _is_task_class(cls):
        return _task(text)
    hooks = get_type_registry().get_type(cls, use_default=False)
    if isinstance(hooks, MetaValue):
        return _checked(cls, lambda given: hooks.parse_arg(cls, given), text, own_words=True)  # type: ignore[attr-defined]
    fields = _fields(cls)
    if fields:
        return _checked(cls, lambda given: _from_fields(cls, fields, given), text, own_words=True)
    return _checked(cls, cls, text, own_words=cls.__module__ != "builtins")


def _fields(cls: type) -> dict[str, Any]:
    """Return names and types of the fields that make a dataclass or a NamedTuple; nothing for any other class."""
    names: Any = ()
    if hasattr(cls, "__dataclass_fields__"):
        names = [field.name for field in cls.__dataclass_fields__.values() if field.init]
    elif issubclass(cls, tuple):
        names = getattr(cls, "_fields", ())
    types_ = _hints(cls) if names else {}
    return {name: types_.get(name, Any) for name in names}


def _hints(cls: type) -> dict[str, Any]:
    try:
        return typing.get_type_hints(cls, include_extras=True)
    except Exception:
        # A name that is not there any more: its fields are taken as they are.
        return {}


def _from_fields(cls: type, fields: dict[str, Any], text: str) -> Any:
    expected = f"a JSON object or array of {', '.join(fields)}"
    if text.lstrip().startswith("{"):
        return cls(**_converted(fields, _json(text, expected), cls))
    if text.lstrip().startswith("["):
        items = _json(text, expected)
        if len(items) > len(fields):
            raise ValueError(f"expected {expected}, found {len(items)} items")
        return cls(**_converted(fields, dict(zip(fields, items, strict=False)), cls))
    name = next(iter(fields))
    return cls(**{name: parse(fields[name], text)})


def _converted(fields: dict[str, Any], found: dict[str, Any], cls: type) -> dict[str, Any]:
    unknown = [name for name in found if name not in fields]
    if unknown:
        raise ValueError(f"{type_label(cls)} has no field {unknown[0]!r}: expected some of {', '.join(fields)}")
    return {name: _convert(fields[name], value) for name, value in found.items()}


def _typed_dict(cls: type, text: str) -> dict[str, Any]:
    fields = _hints(cls) or dict.fromkeys(cls.__annotations__, Any)
    found = _converted(fields, dict(_pairs(text.strip())), cls)
    missing = [name for name in fields if name not in found and name in cls.__required_keys__]  # type: ignore[attr-defined]
    if missing:
        raise ValueError(f"{type_label(cls)} needs {', '.join(missing)}")
    return found


def _checked(cls: Any, make: Callable[[str], Any], text: str, how: str = "", own_words: bool = False) -> Any:
    """Make a value, wording whatever goes wrong as a ValueError.

    Args:
        how: a remark on the form that is expected.
        own_words: what a ValueError of the class says is more to the point than anything that could be said here.
    """
    try:
        return make(text)
    except ValueError as error:
        if own_words and str(error):
            raise
        raise ValueError(f"expected {_with_article(cls)}{how}, found {text!r}") from None
    except ArithmeticError:
        # Of decimal, whose errors say nothing.
        raise ValueError(f"expected {_with_article(cls)}{how}, found {text!r}") from None
    except Exception as error:
        raise ValueError(f"expected {_with_article(cls)}{how}, found {text!r} ({error})") from error


def _with_article(cls: Any) -> str:
    name = type_label(cls)
    return f"{'an' if name[0] in 'aeiouAEIOU' else 'a'} {name}"


def _items(kind: Any, text: str) -> list[Any]:
    return [_convert(kind, item) for item in _split(text)]


def _split(text: str) -> list[Any]:
    """Return the items of a JSON array, or the texts between commas."""
    text = text.strip()
    if text.startswith("["):
        found = _json(text, "a JSON array or items between commas")
        if isinstance(found, list):
            return found
    return [item.strip() for item in text.split(",")] if text else []


def _json(text: str, expected: str) -> Any:
    import json

    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"expected {expected}, found {text!r} ({error})") from None


def _convert(kind: Any, item: Any) -> Any:
    """Make an item of `kind` from a text, or from what JSON made of it."""
    if isinstance(item, str):
        return parse(kind, item)
    kind = _plain_type(kind)
    if kind is Any or (isinstance(kind, type) and type(item) is kind):
        return item
    import json

    return parse(kind, json.dumps(item))


def _tuple(args: tuple[Any, ...], text: str) -> tuple[Any, ...]:
    if not args or args[-1] is Ellipsis:
        return tuple(_items(args[0] if args else Any, text))
    items = _split(text)
    if args == ((),):
        args = ()
    if len(items) != len(args):
        raise ValueError(f"expected {len(args)} items, found {len(items)} in {text!r}")
    return tuple([_convert(kind, item) for kind, item in zip(args, items, strict=True)])


def _mapping(args: tuple[Any, ...], text: str) -> dict[Any, Any]:
    key_type, value_type = args
    pairs = [(_convert(key_type, key), _convert(value_type, value)) for key, value in _pairs(text.strip())]
    return dict(pairs)


def _pairs(text: str) -> list[tuple[str, Any]]:
    expected = "a JSON object, or key=value between commas"
    if text.startswith("{"):
        found = _json(text, expected)
        return list(found.items())
    pairs = []
    for part in text.split(",") if text else []:
        key, equals, value = part.partition("=")
        if not equals:
            raise ValueError(f"expected {expected}, found {text!r}")
        pairs.append((key.strip(), value.strip()))
    return pairs


def _callable(text: str) -> Any:
    from redun.task import get_task_registry

    found = get_task_registry().get(text) or import_name(text)
    if not callable(found):
        raise ValueError(f"expected the name of a task or function such as os.path.join, found {text!r}")
    return found


def _class(text: str) -> Any:
    found = import_name(text if "." in text else f"builtins.{text}")
    if not isinstance(found, type):
        raise ValueError(f"expected the name of a class such as pathlib.Path, found {text!r}")
    return found


def _is_task_class(cls: type) -> bool:
    from redun.task import Task

    return issubclass(cls, Task) and "parse_arg" not in cls.__dict__


def _task(text: str) -> Any:
    from redun.task import get_task_registry

    registry = get_task_registry()
    found = registry.get(text)
    if found is None:
        import difflib

        near = difflib.get_close_matches(text, [task.fullname for task in registry], n=3)
        hint = f": did you mean {' or '.join(map(repr, near))}?" if near else ""
        raise ValueError(f"expected the fullname of a task, found {text!r}{hint}")
    return found
