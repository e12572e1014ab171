"""Exceptions on their way to another process: whole where they can be, else as much as can be.

What is tried, one after the other, until something comes back from its own bytes as what it was:

1. the exception itself;
2. one of its class without what cannot be encoded: attributes are left out, arguments become their text;
3. one of its nearest base class that can be imported, with its name and text: handlers of that class still catch it;
4. a plain `Exception`.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any

from redun.encoding import restore, value_bytes
from redun.evaluation.text import error_text


def error_bytes(error: BaseException) -> bytes:
    """Return an exception as bytes; `redun.encoding.restore` gives it back."""
    for form in _forms(error):
        try:
            data = value_bytes(form)
            if type(restore(data)) is type(form):
                return data
        except Exception:
            continue
    return value_bytes(Exception(f"{_name(error)}: {error_text(error)}"))


def _forms(error: BaseException) -> Iterator[BaseException]:
    yield error
    if _is_found(type(error)):
        yield _stripped(error)
    for base in type(error).__mro__[1:]:
        if issubclass(base, BaseException) and base not in (BaseException, Exception) and _is_found(base):
            yield base(f"{_name(error)}: {error_text(error)}")


def _is_found(kind: type) -> bool:
    """True if a class is what its module has under its name, so that another process finds it there, too."""
    found: Any = sys.modules.get(kind.__module__)
    for part in kind.__qualname__.split("."):
        found = getattr(found, part, None)
    return found is kind


def _stripped(error: BaseException) -> BaseException:
    copy = type(error).__new__(type(error))
    copy.args = tuple([part if _can_be_sent(part) else _text(part) for part in error.args])
    vars(copy).update({name: part for name, part in vars(error).items() if _can_be_sent(part)})
    return copy


def _can_be_sent(part: Any) -> bool:
    try:
        restore(value_bytes(part))
    except Exception:
        return False
    return True


def _text(part: Any) -> str:
    try:
        return repr(part)
    except Exception:
        return f"<{type(part).__qualname__}>"


def _name(error: BaseException) -> str:
    return type(error).__qualname__.rpartition(".")[2]
