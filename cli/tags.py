"""Words `key=value` of the command line."""

from __future__ import annotations

from typing import Any

import click


def split_pair(text: str) -> tuple[str, Any]:
    """Return key and value of `key=value`; the value is JSON if it can be, else text.

    Raises:
        ValueError: there is no key or no `=`.
    """
    import json

    key, equals, value = text.partition("=")
    if not equals or not key.strip():
        raise ValueError(f"expected key=value, found {text!r}")
    try:
        return key.strip(), json.loads(value)
    except ValueError:
        return key.strip(), value


def pairs(context: click.Context, parameter: click.Parameter, texts: tuple[str, ...]) -> list[tuple[str, Any]]:
    """Callback of options that take `key=value` any number of times."""
    found = []
    for text in texts:
        try:
            found.append(split_pair(text))
        except ValueError as error:
            raise click.BadParameter(str(error), ctx=context, param=parameter) from None
    return found


def nested(found: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return the dict that pairs with dotted keys make: `a.b=1` is `{"a": {"b": 1}}`."""
    from redun.context import merge

    result: dict[str, Any] = {}
    for key, value in found:
        for part in reversed(key.split(".")):
            value = {part: value}
        result = merge(result, value)
    return result


def tag_pairs(context: click.Context, parameter: click.Parameter, texts: tuple[str, ...]) -> list[tuple[str, Any]]:
    """Callback of options that give tags, `key=value`."""
    return [_tag(text, context, parameter, True) for text in texts]


def wanted_tags(context: click.Context, parameter: click.Parameter, texts: tuple[str, ...]) -> tuple[tuple[str, Any], ...]:
    """Callback of options that ask for tags, `key` or `key=value`; a key alone stands for any value (`ANY_VALUE`)."""
    return tuple([_tag(text, context, parameter, False) for text in texts])


def _tag(text: str, context: click.Context, parameter: click.Parameter, value_required: bool) -> tuple[str, Any]:
    from redun.tags import parse_tag_key_value

    try:
        return parse_tag_key_value(text, value_required)
    except ValueError as error:
        raise click.BadParameter(str(error), ctx=context, param=parameter) from None
