"""Tags as text: `key=value`, where a value is JSON or, if it does not look like it, text as it stands."""

from __future__ import annotations

from typing import Any

from redun.plain_text import trim_string

__all__ = [
    "ANY_VALUE",
    "CONTEXT_KEY",
    "DOC_KEY",
    "PROJECT_KEY",
    "USER_KEY",
    "VERSION_KEY",
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
        except ValueError as error:
            raise ValueError(f"tag value {value_str!r} begins like JSON, but is none: {error}") from None
    if value_str in _LITERALS:
        return _LITERALS[value_str]
    for kind in (int, float):
        try:
            return kind(value_str)
        except ValueError:
            continue
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
    import json

    if isinstance(value, str) and not _needs_quotes(value):
        return value
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
