"""Source text of functions: what a task's hash is made of when no `version` is given."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

_DEFINITION = re.compile(r"^[ \t]*(?:async\s+def|def|class)\s", re.MULTILINE)


def function_source(function: Callable[..., Any], dedented: bool = True) -> str:
    """Return a function's text without decorators, dedented unless it is to stay as it stands.

    Where there is no text (defined by `exec`, in an interactive session that keeps none), a line that names the function and its
    compiled code stands in, so that a change is still noticed.
    """
    try:
        text = _text(function)
        if dedented:
            text = dedent(text)
    except (OSError, TypeError):
        return _compiled(function)
    found = _DEFINITION.search(text)
    return text[found.start() :] if found else text


def _text(function: Callable[..., Any]) -> str:
    """Return what `inspect.getsource` does, a few times faster for a function whose end is plain to see."""
    import inspect

    function = inspect.unwrap(function)
    if not hasattr(function, "__code__"):
        return inspect.getsource(function)
    lines, start = inspect.findsource(function)
    return "".join(_whole_definition(lines, start) or inspect.getblock(lines[start:]))


def _whole_definition(lines: list[str], start: int) -> list[str] | None:
    """Return the lines of the definition that begins at a line; None where only tokens tell its end.

    It ends before the next line that is not indented more than it is, if Python's parser finds one whole definition up to there: lines of
    texts may stand anywhere. An indented comment behind the last statement may belong to it or not.
    """
    indent = len(lines[start]) - len(lines[start].lstrip(" "))
    begun = False
    last = start
    for place in range(start, len(lines)):
        bare = lines[place].strip()
        if not bare:
            continue
        if begun and len(lines[place]) - len(lines[place].lstrip(" ")) <= indent:
            if bare[0] == "#":
                continue
            if bare[0] not in ")]}":
                break
        begun = begun or bare.startswith(("def ", "async def "))
        last = place
    found = lines[start : last + 1]
    if lines[last].lstrip().startswith("#") or "\t" in found[0][: indent + 1]:
        return None
    import ast

    try:
        # What is indented is the body of something.
        block = ast.parse("".join(["if 1:\n", *found] if indent else found)).body
    except (SyntaxError, ValueError):
        return None
    if indent and isinstance(block[0], ast.If):
        block = block[0].body
    whole = len(block) == 1 and isinstance(block[0], ast.FunctionDef | ast.AsyncFunctionDef)
    return found if whole and block[0].end_lineno == len(found) + bool(indent) else None


def dedent(text: str) -> str:
    """Return a function's text as `textwrap.dedent` does, which is loaded only where that changes it."""
    if not text[:1].isspace() and not any(line.isspace() for line in text.split("\n")):
        return text
    import textwrap

    return textwrap.dedent(text)


def _compiled(function: Callable[..., Any]) -> str:
    code = getattr(function, "__code__", None)
    if code is None:
        return f"# no source: {getattr(function, '__qualname__', function)!s}\n"
    return f"# no source: {function.__qualname__}, compiled code {_code_digest(code)}\n"


def _code_digest(code: Any) -> str:
    from hashlib import sha256

    digest = sha256(code.co_code + repr((code.co_names, code.co_varnames)).encode())
    for constant in code.co_consts:
        # Functions inside are code objects, whose repr holds an address.
        digest.update((_code_digest(constant) if hasattr(constant, "co_code") else repr(constant)).encode())
    return digest.hexdigest()[:16]
