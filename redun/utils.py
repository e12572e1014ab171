"""Public import path of small functions that scripts use; nothing in redun itself imports them from here."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime, timezone
from typing import Any, NoReturn

from redun.context import merge
from redun.import_paths import add_import_path, clear_import_paths, get_import_paths
from redun.keyed_cache import CacheArgs, json_cache_key, json_dumps, lru_cache_custom
from redun.multimap import MultiMap
from redun.nested import children, iter_leaves, map_leaves
from redun.pickling import (
    PICKLE_PROTOCOL,
    PreviewClass,
    PreviewUnpicklable,
    pickle_dump,
    pickle_dumps,
    pickle_loads,
    pickle_preview,
)
from redun.plain_text import format_table, format_timedelta, format_timestamp, str2bool, trim_string
from redun.source import function_source

iter_nested_value = iter_leaves


def map_nested_value(func: Callable[[Any], Any], value: Any) -> Any:
    """Return a nested value of the same shape with `func` applied to every leaf."""
    return map_leaves(func, value)


def get_func_source(func: Callable[..., Any]) -> str:
    """Return a function's text without decorators, indented as it is where it stands."""
    return function_source(func, dedented=False)


def iter_nested_value_children(value: Any) -> Iterable[tuple[bool, Any]]:
    """Yield (False, item) for each item directly inside a container; (True, value) for a value that is none."""
    items = children(value)
    return [(True, value)] if items is None else [(False, item) for item in items]


def merge_dicts(dicts: Iterable[dict[Any, Any]]) -> dict[Any, Any]:
    """Return dicts laid over one another, dict by dict; later ones win."""
    merged: dict[Any, Any] = {}
    for one in dicts:
        merged = merge(merged, one)
    return merged


def utcnow() -> datetime:
    """Return the time in UTC, with its zone."""
    return datetime.now(timezone.utc)


def assert_never(value: NoReturn) -> NoReturn:
    """Fail where a type checker should have shown that nothing comes."""
    raise AssertionError(f"a value that was not expected: {value!r}")


__all__ = [
    "CacheArgs",
    "MultiMap",
    "PICKLE_PROTOCOL",
    "PreviewClass",
    "PreviewUnpicklable",
    "add_import_path",
    "assert_never",
    "clear_import_paths",
    "format_table",
    "format_timedelta",
    "format_timestamp",
    "get_func_source",
    "get_import_paths",
    "iter_nested_value",
    "iter_nested_value_children",
    "json_cache_key",
    "json_dumps",
    "lru_cache_custom",
    "map_nested_value",
    "merge_dicts",
    "pickle_dump",
    "pickle_dumps",
    "pickle_loads",
    "pickle_preview",
    "str2bool",
    "trim_string",
    "utcnow",
]
