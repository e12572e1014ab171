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
    import inspect

    try:
        text = inspect.getsource(function)
        if dedented:
            text = dedent(text)
    except (OSError, TypeError):
        return _compiled(function)
    found = _DEFINITION.search(text)
    return text[found.start() :] if found else text


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
