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
    except (ValueError, RecursionError):
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


def context_pairs(context: click.Context, parameter: click.Parameter, texts: tuple[str, ...]) -> list[tuple[str, Any]]:
    """Callback of options that take `a.b.c=value` any number of times."""
    found = pairs(context, parameter, texts)
    for key, _ in found:
        if not all(key.split(".")):
            raise click.BadParameter(f"expected a key such as a.b.c, found {key!r}", ctx=context, param=parameter)
    return found


def task_options(context: click.Context, parameter: click.Parameter, texts: tuple[str, ...]) -> dict[str, Any]:
    """Callback of options that give options of tasks; those that redun itself knows are checked."""
    if not texts:
        return {}
    from redun.errors import RedunError
    from redun.evaluation.plan import parse_limits
    from redun.tags import check_tags
    from redun.task_options import check_nout, life, normal_options

    options = dict(pairs(context, parameter, texts))
    name = "(all tasks)"
    try:
        for flag in _FLAGS.intersection(options):
            options[flag] = _flag(flag, options[flag])
        normal_options(name, options)
        parse_limits(options.get("limits"), name)
        life(name, options)
        check_tags(options.get("tags"))
        if "nout" in options:
            check_nout(name, options["nout"])
    except (RedunError, ValueError, TypeError) as error:
        raise click.BadParameter(str(error), ctx=context, param=parameter) from None
    return options


_FLAGS = frozenset(("cache", "prov", "script"))


def _flag(name: str, value: Any) -> bool:
    if isinstance(value, str) and value in ("True", "False"):
        # As Python writes them.
        return value == "True"
    if not isinstance(value, bool):
        raise ValueError(f"option {name} must be true or false, found {value!r}")
    return value


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
    try:
        return read_tag(text, value_required)
    except ValueError as error:
        raise click.BadParameter(str(error), ctx=context, param=parameter) from None


def read_tag(text: str, value_required: bool = True) -> tuple[str, Any]:
    """Return key and value of a tag `key=value`.

    Args:
        value_required: False if a key alone will do; its value is then ANY_VALUE.

    Raises:
        ValueError: it is no tag, or one that cannot be kept.
    """
    from redun.tags import ANY_VALUE, check_tags, parse_tag_key_value

    pair = parse_tag_key_value(text, value_required)
    if pair[1] is ANY_VALUE:
        return pair
    try:
        return check_tags([pair])[0]
    except TypeError as error:
        raise ValueError(str(error)) from None
