"""Tags as text: `key=value`, where a value is JSON or, if it does not look like it, text as it stands."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from math import isfinite
from typing import Any

from redun.plain_text import trim_string

__all__ = [
    "ANY_VALUE",
    "CONTEXT_KEY",
    "DOC_KEY",
    "PROJECT_KEY",
    "USER_KEY",
    "VERSION_KEY",
    "check_tags",
    "format_tag_key_value",
    "format_tag_value",
    "parse_tag_key_value",
    "parse_tag_value",
    "str2literal",
]

ANY_VALUE = object()
"""Stands for the value of a tag where any will do."""

# Keys that redun itself writes.
CONTEXT_KEY = "redun.context"
DOC_KEY = "doc"
PROJECT_KEY = "project"
USER_KEY = "user"
VERSION_KEY = "redun.version"

# Keys of the tags that the command line gives to every execution.
GIT_COMMIT_KEY = "git_commit"
GIT_ORIGIN_KEY = "git_origin_url"
HOST_KEY = "host"

_LITERALS = {"true": True, "false": False, "null": None}
_BEGIN_JSON = ("[", "{", '"')


def str2literal(value_str: str) -> bool | None:
    """Return the value of `true`, `false` or `null`.

    Raises:
        ValueError: it is none of them.
    """
    if value_str not in _LITERALS:
        raise ValueError(f"expected true, false or null, found {value_str!r}")
    return _LITERALS[value_str]


def parse_tag_value(value_str: str) -> Any:
    """Return the value that a text stands for: a number, a literal, JSON if it begins like it, else the text.

    An empty text is None.

    Raises:
        ValueError: it begins with `[`, `{` or `"` but is no JSON.
    """
    if not value_str:
        return None
    if value_str.startswith(_BEGIN_JSON):
        import json

        try:
            return json.loads(value_str)
        except (ValueError, RecursionError) as error:
            raise ValueError(f"tag value {value_str!r} begins like JSON, but is none: {error}") from None
    if value_str in _LITERALS:
        return _LITERALS[value_str]
    for kind in (int, float):
        try:
            value = kind(value_str)
        except ValueError:
            continue
        # nan and inf are numbers to Python, but no JSON.
        return value if isinstance(value, int) or isfinite(value) else value_str
    return value_str


def parse_tag_key_value(key_value: str, value_required: bool = True) -> tuple[str, Any]:
    """Return key and value of `key=value`.

    Args:
        value_required: False if a key alone will do; its value is then ANY_VALUE.

    Raises:
        ValueError: there is no key, or no value where one is needed.
    """
    key, equals, value = key_value.partition("=")
    if not key:
        raise ValueError(f"expected key=value, found {key_value!r}, which has no key")
    if equals:
        return key, parse_tag_value(value)
    if value_required:
        raise ValueError(f"expected key=value, found {key_value!r}")
    return key, ANY_VALUE


def format_tag_value(value: Any) -> str:
    """Return a value as text from which `parse_tag_value` makes it again."""
    if isinstance(value, str) and not _needs_quotes(value):
        return value
    import json

    return json.dumps(value, sort_keys=True)


def _needs_quotes(text: str) -> bool:
    if " " in text or "," in text:
        return True
    try:
        return bool(parse_tag_value(text) != text)
    except ValueError:
        return True


def format_tag_key_value(key: str, value: Any, max_length: int = 50) -> str:
    """Return `key=value`, each cut to `max_length` characters."""
    return f"{trim_string(key, max_length)}={trim_string(format_tag_value(value), max_length)}"


def check_tags(tags: Any) -> tuple[tuple[str, Any], ...]:
    """Return tags in the form in which they are kept: values as JSON gives them back, so tuples are lists and keys of dicts sorted.

    Args:
        tags: (key, value) pairs, or a dict of them.

    Raises:
        TypeError: not pairs, a key that is no text, or a value that is no JSON data.
        ValueError: a key is empty.
    """
    if not tags:
        return ()
    if isinstance(tags, str) or not isinstance(tags, Iterable):
        raise TypeError(f"tags must be a list of (key, value) pairs, found {tags!r}")
    found = []
    for pair in tags.items() if isinstance(tags, Mapping) else tags:
        if isinstance(pair, str) or not isinstance(pair, Iterable) or len(pair := tuple(pair)) != 2:
            raise TypeError(f"tags must be (key, value) pairs, found {pair!r} among them")
        key, value = pair
        if not isinstance(key, str):
            raise TypeError(f"the key of a tag must be text, found {key!r}")
        if not key:
            raise ValueError(f"the key of a tag is empty, its value is {value!r}")
        found.append((key, _json_value(key, value)))
    return tuple(found)


def _json_value(key: str, value: Any) -> Any:
    if value is None or type(value) in (bool, str) or (type(value) is int and -(1 << 63) <= value < 1 << 64):
        return value
    import json

    import msgpack

    try:
        plain = json.loads(json.dumps(value, sort_keys=True, allow_nan=False))
        msgpack.packb(plain, unicode_errors="surrogatepass")
        return plain
    except (TypeError, ValueError, RecursionError) as error:
        raise TypeError(f"the value of tag {key!r} must be JSON data, found {type(value).__name__}: {error}") from None
    except OverflowError:
        raise TypeError(f"the value of tag {key!r} holds an integer of more than 64 bits") from None
